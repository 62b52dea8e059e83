//! Text for a terminal: names from files may hold characters that move the cursor, change colours or reorder what follows.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

/// Whether a character changes how a terminal shows other text: control characters but for the line feed and the tab, and the marks
/// that reorder text (Unicode's bidirectional formatting characters).
fn is_hidden(character: char) -> bool {
    match character {
        '\n' | '\t' => false,
        '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => true,
        _ => character.is_control(),
    }
}

/// `text` with such characters as `\u202E`: the way in which JSON and TOML write them, so that it stays valid in either.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_hidden(character) {
            // Writing to a string cannot fail.
            let _ = write!(shown, "\\u{:04X}", character as u32);
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// Writes lines as [`visible`] text.
#[derive(Debug)]
pub struct VisibleLines<W> {
    inner: W,
    /// The beginning of a line.
    line: Vec<u8>,
}

impl<W: Write> VisibleLines<W> {
    pub fn new(inner: W) -> Self {
        Self { inner, line: Vec::new() }
    }
}

impl<W: Write> Write for VisibleLines<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                self.inner.write_all(visible(&String::from_utf8_lossy(&line)).as_bytes())?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        self.inner.write_all(visible(&String::from_utf8_lossy(&line)).as_bytes())?;
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_hides_and_all_else_stays() {
        for plain in ["", "Wearing_Hat", "a\tb\nc", "Brille, lächelnd 👓", "ابتسامة", "微笑"] {
            assert!(matches!(visible(plain), Cow::Borrowed(text) if text == plain));
        }
        assert_eq!(visible("\u{1b}[31mred\r\u{7f}\u{9b}"), "\\u001B[31mred\\u000D\\u007F\\u009B");
        assert_eq!(visible("a\u{202e}gpj.exe"), "a\\u202Egpj.exe");
        let json = visible("\"\u{202e}\u{2066}\"").into_owned();
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), "\u{202e}\u{2066}");
    }

    #[test]
    fn lines_are_written_whole() {
        let mut lines = VisibleLines::new(Vec::new());
        for part in [&"ä"[..].as_bytes()[..1], &"ä".as_bytes()[1..], b"\x1b[2J", b"\nnext\n"] {
            lines.write_all(part).unwrap();
        }
        lines.flush().unwrap();
        assert_eq!(String::from_utf8(lines.inner).unwrap(), "ä\\u001B[2J\nnext\n");
    }
}
