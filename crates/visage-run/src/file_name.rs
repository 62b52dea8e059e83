//! Names of attributes and runs as names of files.

use std::collections::HashSet;

/// The longest part of a file name, in bytes. Most file systems allow 255 for the whole name, which also has the name of the figure, an
/// extension and, while it is written, a temporary suffix.
const LONGEST: usize = 100;

/// `name` as a part of a file name that every system accepts: letters, digits, `-`, `_` and `.` stay, anything else is `_`.
///
/// It is at most 101 bytes long, neither begins nor ends with a dot, and is not the name of a device of Windows. Different names may have
/// the same part: see [`distinct`].
pub fn file_part(name: &str) -> String {
    let kept = |letter: char| letter.is_alphanumeric() || "-_.".contains(letter);
    let mut part: String = name.chars().map(|letter| if kept(letter) { letter } else { '_' }).collect();
    part.truncate(part.floor_char_boundary(LONGEST));
    // Windows removes dots at the end of a name.
    let undotted = part.trim_end_matches('.').len();
    let dots = part.len() - undotted;
    part.truncate(undotted);
    part.push_str(&"_".repeat(dots));
    // Neither hidden nor the parent folder.
    let needs_letter = part.starts_with('.') || part.is_empty() || is_device(&part);
    if needs_letter { format!("_{part}") } else { part }
}

/// Whether Windows takes a file called `part` for a device, whatever its extension.
fn is_device(part: &str) -> bool {
    let stem = part.split('.').next().unwrap_or_default().to_ascii_uppercase();
    let port = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    let is_port = port.is_some_and(|number| {
        let mut letters = number.chars();
        letters.next().is_some_and(|digit| "0123456789¹²³".contains(digit)) && letters.next().is_none()
    });
    is_port || ["CON", "PRN", "AUX", "NUL"].contains(&stem.as_str())
}

/// File names made distinct by appending numbers. Names that differ in case alone are the same file on some systems.
pub fn distinct(names: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut taken = HashSet::new();
    // Both steps together fold case as file systems do: `ß` and `SS`, `ſ` and `s` are the same.
    let mut free = |name: &str| taken.insert(name.to_uppercase().to_lowercase());
    let distinct = |name: String| {
        if free(&name) {
            return name;
        }
        let numbered = (2..).map(|number| format!("{name}-{number}")).find(|name| free(name));
        numbered.unwrap_or(name)
    };
    names.into_iter().map(distinct).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_taken_gets_a_number() {
        let names = ["a", "b", "A", "a-2", "a", "Straße", "STRASSE"].map(str::to_owned);
        assert_eq!(distinct(names), ["a", "b", "A-2", "a-2-2", "a-3", "Straße", "STRASSE-2"]);
    }

    #[test]
    fn any_name_is_a_file_name() {
        for (name, part) in [
            ("5_o_Clock_Shadow", "5_o_Clock_Shadow"),
            ("v1.5-b", "v1.5-b"),
            ("ümlaut", "ümlaut"),
            ("笑顔", "笑顔"),
            ("a/b c", "a_b_c"),
            ("..\\a:b*?\"<>|", "_.._a_b______"),
            ("a\u{0}\n\u{202e}b", "a___b"),
            ("😀", "_"),
            ("", "_"),
            ("..", "__"),
            (".hidden", "_.hidden"),
            ("etc.", "etc_"),
            ("Smile. ", "Smile._"),
            ("CON", "_CON"),
            ("nul.tar", "_nul.tar"),
            ("com1", "_com1"),
            ("LPT²", "_LPT²"),
            ("Console", "Console"),
            ("COM10", "COM10"),
        ] {
            assert_eq!(file_part(name), part, "{name:?}");
        }
    }

    #[test]
    fn long_names_become_short_and_stay_distinct() {
        let long = |end: &str| format!("{}{end}", "é".repeat(300));
        let names = distinct([long("a"), long("b")].map(|name| file_part(&name)));
        assert_eq!(names, ["é".repeat(50), format!("{}-2", "é".repeat(50))]);
        let fine = "x".repeat(LONGEST);
        assert_eq!(file_part(&fine), fine);
    }
}
