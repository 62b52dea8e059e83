//! Telling columns of words, which part the images into groups, from attributes.

use csv::ByteRecord;

/// Spellings of yes, no and nobody knows. Those of one letter are none of this program's: better an error than an attribute
/// lost.
const ANSWERS: [&str; 8] = ["true", "false", "yes", "no", "t", "f", "y", "n"];

/// Looks for columns in which something is written, and never a number or an answer.
pub(super) struct Words {
    /// The columns that may be such, and whether anything was seen in them.
    columns: Vec<(usize, bool)>,
}

impl Words {
    /// Any of the columns may be one.
    pub(super) fn new(columns: impl Iterator<Item = usize>) -> Self {
        Self { columns: columns.map(|column| (column, false)).collect() }
    }

    /// Looks at a row, whose fields have no blanks around them. Whether there is need to look at more: most tables are done
    /// with at their first.
    pub(super) fn see(&mut self, record: &ByteRecord) -> bool {
        self.columns.retain_mut(|(column, seen)| {
            let field = record.get(*column).unwrap_or_default();
            *seen |= !field.is_empty();
            field.is_empty() || is_word(field)
        });
        !self.columns.is_empty()
    }

    /// Those found.
    pub(super) fn columns(self) -> impl Iterator<Item = usize> {
        self.columns.into_iter().filter(|(_, seen)| *seen).map(|(column, _)| column)
    }
}

fn is_word(field: &[u8]) -> bool {
    let is_answer = |text: &str| ANSWERS.iter().any(|answer| text.eq_ignore_ascii_case(answer));
    std::str::from_utf8(field).is_ok_and(|text| text.parse::<f64>().is_err() && !is_answer(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_of_words_has_no_number_and_no_answer() {
        let rows: [[&str; 7]; 3] = [
            ["18-29", "1", "", "", "yes", "1.5", "x"],
            ["30+", "", "city", "", "", "old", "-1"],
            ["18-29", "-1", "", "", "no", "old", "x"],
        ];
        let mut words = Words::new(0..7);
        for row in rows {
            assert!(words.see(&ByteRecord::from(row.to_vec())));
        }
        assert_eq!(words.columns().collect::<Vec<_>>(), [0, 2]);
        assert!(!Words::new(0..2).see(&ByteRecord::from(vec!["1", "0"])));
    }
}
