//! Names in CSV files that people open in spreadsheets.

use std::borrow::Cow;

/// Whether a spreadsheet would read this as a formula, but for apostrophes before it
/// (<https://owasp.org/www-community/attacks/CSV_Injection>).
fn is_formula(text: &str) -> bool {
    text.trim_start_matches('\'').starts_with(['=', '+', '-', '@', '\t', '\r'])
}

/// A name as a cell: an apostrophe stands before what a spreadsheet would take for a formula.
#[must_use]
pub fn cell(name: &str) -> Cow<'_, str> {
    if is_formula(name) { Cow::Owned(format!("'{name}")) } else { Cow::Borrowed(name) }
}

/// The name in a cell that [`cell`] made.
#[must_use]
pub fn name(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|_| is_formula(cell)).unwrap_or(cell)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_formula_becomes_text_and_every_name_is_read_back() {
        for (plain, in_cell) in [
            ("a/b.jpg", "a/b.jpg"),
            ("=1+1.jpg", "'=1+1.jpg"),
            ("-x", "'-x"),
            ("@x", "'@x"),
            ("'=x", "''=x"),
            ("'x", "'x"),
            ("", ""),
            ("\tx", "'\tx"),
        ] {
            assert_eq!(cell(plain), in_cell);
            assert_eq!(name(in_cell), plain);
        }
    }
}
