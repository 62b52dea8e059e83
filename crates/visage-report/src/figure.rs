//! A figure: a drawing with title and reading.

use std::collections::HashSet;

use crate::drawing::Drawing;
use crate::sheet::Sheet;

#[derive(Clone, Debug)]
pub struct Figure {
    /// Name of its files, without extension.
    pub file: String,
    pub title: String,
    /// Its main result in a sentence, computed from the data drawn.
    pub reading: String,
    pub drawing: Drawing,
}

impl Figure {
    pub fn new(file: impl Into<String>, title: impl Into<String>, reading: String, sheet: Sheet) -> Self {
        Self { file: file.into(), title: title.into(), reading, drawing: sheet.finish() }
    }

    /// A figure of one run, named after it if the report shows several.
    pub fn of_run(file: &str, title: &str, run: Option<&str>, reading: String, sheet: Sheet) -> Self {
        match run {
            Some(run) => Self::new(format!("{file}-{}", file_part(run)), format!("{title}: {run}"), reading, sheet),
            None => Self::new(file, title, reading, sheet),
        }
    }

    /// The alternative text for screen readers.
    pub fn alt(&self) -> String {
        let axes = self.drawing.plots.first().map(|plot| {
            let named =
                [&plot.y.label, &plot.x.label].map(|label| label.split(" (").next().unwrap_or_default().to_lowercase());
            format!(": {} against {}", named[0], named[1])
        });
        format!("{}{}. {}", self.title, axes.unwrap_or_default(), self.reading)
    }
}

/// `name` as a part of a file name: letters, digits, `-`, `_` and `.` stay, anything else is `_`.
pub fn file_part(name: &str) -> String {
    let kept = |letter: char| letter.is_alphanumeric() || "-_.".contains(letter);
    let part: String = name.chars().map(|letter| if kept(letter) { letter } else { '_' }).collect();
    // Neither hidden nor the parent folder.
    if part.starts_with('.') || part.is_empty() { format!("_{part}") } else { part }
}

/// File names made distinct by appending numbers. Names that differ in case alone are the same file on some systems.
pub fn distinct(names: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut taken = HashSet::new();
    let mut free = |name: &str| taken.insert(name.to_lowercase());
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
        let names = ["a", "b", "A", "a-2", "a"].map(str::to_owned);
        assert_eq!(distinct(names), ["a", "b", "A-2", "a-2-2", "a-3"]);
    }

    #[test]
    fn any_name_is_a_file_name() {
        let parts = ["5_o_Clock_Shadow", "a/b c", "..", "", "ümlaut"].map(file_part);
        assert_eq!(parts, ["5_o_Clock_Shadow", "a_b_c", "_..", "_", "ümlaut"]);
    }
}
