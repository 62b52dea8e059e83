//! Quoting for the commands that are shown to the user, so that they can be pasted into a shell.

use std::path::Path;

/// `path` as one word of a POSIX shell.
pub fn path(path: &Path) -> String {
    word(&path.to_string_lossy())
}

/// `text` as one word of a POSIX shell, quoted if needed.
pub fn word(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./,:=+@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_needs_it() {
        for (text, quoted) in
            [("runs/a-1", "runs/a-1"), ("a b", "'a b'"), ("it's", r"'it'\''s'"), ("", "''"), ("$x", "'$x'")]
        {
            assert_eq!(word(text), quoted);
        }
    }
}
