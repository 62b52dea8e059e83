//! The spellings of labels in tables.

use std::borrow::Cow;

use crate::error::TableFault;
use crate::label::Label;

/// Reads the labels of one column, in which "absent" has only one spelling.
///
/// Some tables use -1, 0 and 1 for three different things. Which of -1 and 0 means "absent" there would be a guess, so a
/// column that holds both is refused.
#[derive(Clone, Default)]
pub(super) struct LabelColumn {
    first_minus_one: Option<u64>,
    first_zero: Option<u64>,
}

impl LabelColumn {
    /// Reads one trimmed field, on line `line`, of the column called `name`.
    ///
    /// Numbers may end in the `.0` that pandas adds to a column with blanks in it, words may be in any case, and the missing
    /// values of pandas and R are unknown labels.
    pub(super) fn read(&mut self, field: &[u8], line: u64, name: &str) -> Result<Label, TableFault> {
        let is = |words: &[&str]| words.iter().any(|word| field.eq_ignore_ascii_case(word.as_bytes()));
        match field.strip_suffix(b".0").unwrap_or(field) {
            b"1" => Ok(Label::Present),
            b"-1" => {
                self.first_minus_one.get_or_insert(line);
                self.one_spelling("-1", "0", self.first_zero, name)
            }
            b"0" => {
                self.first_zero.get_or_insert(line);
                self.one_spelling("0", "-1", self.first_minus_one, name)
            }
            b"" if field.is_empty() => Ok(Label::Unknown),
            _ if is(&["true", "yes"]) => Ok(Label::Present),
            _ if is(&["false", "no"]) => Ok(Label::Absent),
            _ if is(&["nan", "na", "null", "none"]) => Ok(Label::Unknown),
            _ => {
                let value: Cow<'_, str> = String::from_utf8_lossy(field);
                Err(TableFault::Label { column: name.to_owned(), value: value.into_owned() })
            }
        }
    }

    fn one_spelling(
        &self,
        value: &'static str,
        other: &'static str,
        other_line: Option<u64>,
        name: &str,
    ) -> Result<Label, TableFault> {
        match other_line {
            None => Ok(Label::Absent),
            Some(other_line) => Err(TableFault::MixedSpelling { column: name.to_owned(), value, other, other_line }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_spelling_has_one_meaning() {
        for (field, label) in [
            ("1", Label::Present),
            ("1.0", Label::Present),
            ("-1", Label::Absent),
            ("-1.0", Label::Absent),
            ("0", Label::Absent),
            ("0.0", Label::Absent),
            ("", Label::Unknown),
            ("True", Label::Present),
            ("FALSE", Label::Absent),
            ("yes", Label::Present),
            ("No", Label::Absent),
            ("NaN", Label::Unknown),
            ("NA", Label::Unknown),
        ] {
            assert_eq!(LabelColumn::default().read(field.as_bytes(), 2, "Smiling"), Ok(label), "{field}");
        }
        for field in ["2", "maybe", "0.5", ".0", "-", "11", "True.0"] {
            let fault = LabelColumn::default().read(field.as_bytes(), 2, "Smiling").unwrap_err();
            assert_eq!(fault, TableFault::Label { column: "Smiling".into(), value: field.into() });
        }
    }

    #[test]
    fn two_spellings_of_absence_in_one_column_are_refused() {
        let mut column = LabelColumn::default();
        column.read(b"0", 2, "Smiling").unwrap();
        column.read(b"1", 3, "Smiling").unwrap();
        assert_eq!(
            column.read(b"-1", 4, "Smiling").unwrap_err(),
            TableFault::MixedSpelling { column: "Smiling".into(), value: "-1", other: "0", other_line: 2 }
        );
    }
}
