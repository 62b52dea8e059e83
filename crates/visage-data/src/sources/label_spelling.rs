//! The spellings of labels in tables.

use crate::error::TableFault;
use crate::label::Label;

/// What a trimmed field spells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// 1, true or yes.
    Present,
    /// 0.
    Zero,
    /// -1.
    MinusOne,
    /// False or no.
    Absent,
    /// Nothing.
    Blank,
    /// The missing values of pandas and R.
    Missing,
    /// Anything else.
    Other,
}

/// Words for a present attribute, besides 1.
pub(super) const PRESENT: [&str; 2] = ["true", "yes"];
/// Words for an absent attribute, besides 0 and -1.
pub(super) const ABSENT: [&str; 2] = ["false", "no"];
/// Words for an unknown label, besides nothing.
pub(super) const MISSING: [&str; 4] = ["nan", "na", "null", "none"];

/// Reads a trimmed field. Numbers may end in the `.0` that pandas adds to a column with blanks in it; words may be in any case.
pub(super) fn spelling(field: &[u8]) -> Spelling {
    let is = |words: &[&str]| words.iter().any(|word| field.eq_ignore_ascii_case(word.as_bytes()));
    match field.strip_suffix(b".0").unwrap_or(field) {
        b"1" => Spelling::Present,
        b"-1" => Spelling::MinusOne,
        b"0" => Spelling::Zero,
        b"" if field.is_empty() => Spelling::Blank,
        _ if is(&PRESENT) => Spelling::Present,
        _ if is(&ABSENT) => Spelling::Absent,
        _ if is(&MISSING) => Spelling::Missing,
        _ => Spelling::Other,
    }
}

/// How the labels of a table are read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LabelRules {
    /// The meaning of -1 where it is neither the opposite of 1 nor a guess.
    pub(super) minus_one: Option<Label>,
    /// Whether a label may be a probability.
    pub(super) soft: bool,
}

/// Reads the labels of one column, in which "absent" has only one spelling.
///
/// Some tables use -1, 0 and 1 for three different things. Which of -1 and 0 means "absent" there would be a guess, so a
/// column that holds both is refused unless the rules say what -1 means.
#[derive(Clone, Default)]
pub(super) struct LabelColumn {
    first_minus_one: Option<u64>,
    first_zero: Option<u64>,
}

impl LabelColumn {
    /// Reads one trimmed field, on line `line`, of the column called `name`: the label, and the probability that it is present
    /// if the field holds one.
    pub(super) fn read(
        &mut self,
        field: &[u8],
        line: u64,
        name: &str,
        rules: LabelRules,
    ) -> Result<(Label, Option<f32>), TableFault> {
        let label = match spelling(field) {
            Spelling::Present => Label::Present,
            Spelling::Absent => Label::Absent,
            Spelling::Blank | Spelling::Missing => Label::Unknown,
            Spelling::MinusOne => match rules.minus_one {
                Some(label) => label,
                None => {
                    self.first_minus_one.get_or_insert(line);
                    one_spelling("-1", "0", self.first_zero, name)?
                }
            },
            Spelling::Zero => {
                self.first_zero.get_or_insert(line);
                one_spelling("0", "-1", self.first_minus_one, name)?
            }
            Spelling::Other => return soft_label(field, name, rules),
        };
        Ok((label, None))
    }
}

/// A probability as a label: present from 0.5.
fn soft_label(field: &[u8], name: &str, rules: LabelRules) -> Result<(Label, Option<f32>), TableFault> {
    let text = String::from_utf8_lossy(field);
    let fault = || (name.to_owned(), text.clone().into_owned());
    match text.parse::<f32>() {
        Ok(probability) if (0.0..=1.0).contains(&probability) => {
            if rules.soft {
                return Ok((Label::from(probability >= 0.5), Some(probability)));
            }
            let (column, value) = fault();
            Err(TableFault::Probability { column, value })
        }
        _ => {
            let (column, value) = fault();
            Err(TableFault::Label { column, value })
        }
    }
}

fn one_spelling(
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(column: &mut LabelColumn, field: &str, line: u64, rules: LabelRules) -> Result<Label, TableFault> {
        column.read(field.as_bytes(), line, "Smiling", rules).map(|(label, _)| label)
    }

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
            assert_eq!(read(&mut LabelColumn::default(), field, 2, LabelRules::default()), Ok(label), "{field}");
        }
        for field in ["2", "maybe", "1.5", "-0.5", "-", "11", "True.0"] {
            let fault = read(&mut LabelColumn::default(), field, 2, LabelRules::default()).unwrap_err();
            assert_eq!(fault, TableFault::Label { column: "Smiling".into(), value: field.into() });
        }
    }

    #[test]
    fn two_spellings_of_absence_in_one_column_are_refused_unless_one_is_uncertain() {
        let mut column = LabelColumn::default();
        let rules = LabelRules::default();
        read(&mut column, "0", 2, rules).unwrap();
        read(&mut column, "1", 3, rules).unwrap();
        assert_eq!(
            read(&mut column, "-1", 4, rules).unwrap_err(),
            TableFault::MixedSpelling { column: "Smiling".into(), value: "-1", other: "0", other_line: 2 }
        );
        for label in [Label::Present, Label::Absent, Label::Unknown] {
            let rules = LabelRules { minus_one: Some(label), soft: false };
            let mut column = LabelColumn::default();
            assert_eq!(read(&mut column, "-1.0", 2, rules), Ok(label));
            assert_eq!(read(&mut column, "0", 3, rules), Ok(Label::Absent));
        }
    }

    #[test]
    fn a_probability_is_a_label_only_where_that_is_chosen() {
        let soft = LabelRules { minus_one: None, soft: true };
        let mut column = LabelColumn::default();
        assert_eq!(column.read(b"0.5", 2, "Smiling", soft), Ok((Label::Present, Some(0.5))));
        assert_eq!(column.read(b"0.25", 3, "Smiling", soft), Ok((Label::Absent, Some(0.25))));
        assert_eq!(column.read(b"1", 4, "Smiling", soft), Ok((Label::Present, None)));
        assert!(matches!(column.read(b"1.01", 5, "Smiling", soft), Err(TableFault::Label { .. })));
        let fault = column.read(b"0.5", 6, "Smiling", LabelRules::default()).unwrap_err();
        assert_eq!(fault, TableFault::Probability { column: "Smiling".into(), value: "0.5".into() });
    }
}
