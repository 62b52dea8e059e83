//! Category columns: columns of text that divide the images into groups, such as an age band.

use csv::ByteRecord;

/// Spellings of labels. A single letter is not read as a label, but a column of them is an error rather than a category: an
/// attribute must not get lost.
const LABELS: [&str; 8] = ["true", "false", "yes", "no", "t", "f", "y", "n"];

/// Searches rows for columns that hold text and never a number or a label.
pub(super) struct CategorySearch {
    /// The columns that may be categories, each with whether it holds anything.
    candidates: Vec<(usize, bool)>,
}

impl CategorySearch {
    pub(super) fn new(candidates: impl Iterator<Item = usize>) -> Self {
        Self { candidates: candidates.map(|column| (column, false)).collect() }
    }

    /// Excludes columns by a row of trimmed fields. Returns whether any candidate is left: in most tables the first row
    /// excludes all.
    pub(super) fn observe(&mut self, record: &ByteRecord) -> bool {
        self.candidates.retain_mut(|(column, is_filled)| {
            let field = record.get(*column).unwrap_or_default();
            *is_filled |= !field.is_empty();
            field.is_empty() || is_text(field)
        });
        !self.candidates.is_empty()
    }

    /// The category columns.
    pub(super) fn finish(self) -> Vec<usize> {
        self.candidates.into_iter().filter(|(_, is_filled)| *is_filled).map(|(column, _)| column).collect()
    }
}

fn is_text(field: &[u8]) -> bool {
    let is_label = |text: &str| LABELS.iter().any(|label| text.eq_ignore_ascii_case(label));
    std::str::from_utf8(field).is_ok_and(|text| text.parse::<f64>().is_err() && !is_label(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_category_column_has_no_number_and_no_label() {
        let rows: [[&str; 7]; 3] = [
            ["18-29", "1", "", "", "yes", "1.5", "x"],
            ["30+", "", "city", "", "", "old", "-1"],
            ["18-29", "-1", "", "", "no", "old", "x"],
        ];
        let mut search = CategorySearch::new(0..7);
        for row in rows {
            assert!(search.observe(&ByteRecord::from(row.to_vec())));
        }
        assert_eq!(search.finish(), [0, 2]);
        assert!(!CategorySearch::new(0..2).observe(&ByteRecord::from(vec!["1", "0"])));
    }
}
