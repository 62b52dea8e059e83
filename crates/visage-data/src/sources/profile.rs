//! What the columns of a table hold, counted before their meaning is decided.

use std::collections::BTreeSet;

use csv::ByteRecord;

use super::label_list;
use super::label_spelling::{Spelling, spelling};
use crate::files::is_image_name;
use crate::split::Split;

/// The values that are kept of a column, to show them.
const SHOWN: usize = 8;

/// The fields of a column, counted by their kind. A field is of one kind only; blanks and missing values are of none.
#[derive(Clone, Debug, Default)]
pub(super) struct ColumnProfile {
    /// Fields that are not blank.
    pub(super) filled: u64,
    /// Labels: 1, 0, -1, true, false, yes, no.
    pub(super) labels: u64,
    /// Single letters such as y and n: not labels, but a column of them is no text either, for an attribute must not get lost.
    pub(super) letters: u64,
    /// Other numbers.
    pub(super) numbers: u64,
    /// Names of image files.
    pub(super) images: u64,
    /// Names of splits, such as `train`.
    pub(super) splits: u64,
    /// Lists of words, such as `["a", "b"]`.
    pub(super) text_lists: u64,
    /// Lists of numbers.
    pub(super) number_lists: u64,
    /// Other text.
    pub(super) text: u64,
    /// Whether any label is 0.
    pub(super) has_zero: bool,
    /// Whether the fields are consecutive whole numbers.
    pub(super) is_sequence: bool,
    /// The number that continues them.
    next: Option<i64>,
    /// Some of the values, if they are few.
    pub(super) values: BTreeSet<String>,
    /// Whether `values` lacks some.
    pub(super) has_more_values: bool,
}

impl ColumnProfile {
    fn observe(&mut self, field: &[u8], keep_value: bool) {
        match spelling(field) {
            Spelling::Blank => return,
            Spelling::Missing => {}
            Spelling::Zero => {
                self.labels += 1;
                self.has_zero = true;
            }
            Spelling::Present | Spelling::MinusOne | Spelling::Absent => self.labels += 1,
            Spelling::Other => self.observe_other(field),
        }
        if self.is_sequence || self.filled == 0 {
            let number = std::str::from_utf8(field).ok().and_then(|text| text.parse::<i64>().ok());
            self.is_sequence = number.is_some() && (self.filled == 0 || number == self.next);
            self.next = number.and_then(|number| number.checked_add(1));
        }
        self.filled += 1;
        if keep_value && !self.has_more_values && !self.values.iter().any(|known| known.as_bytes() == field) {
            self.values.insert(String::from_utf8_lossy(field).into_owned());
            self.has_more_values = self.values.len() > SHOWN;
        }
    }

    fn observe_other(&mut self, field: &[u8]) {
        let Ok(text) = std::str::from_utf8(field) else {
            self.text += 1;
            return;
        };
        let count = match label_list::bracketed(text) {
            Some(list) if list.iter().all(|item| item.parse::<f64>().is_ok()) && !list.is_empty() => {
                &mut self.number_lists
            }
            Some(_) => &mut self.text_lists,
            None if text.parse::<f64>().is_ok() => &mut self.numbers,
            None if is_image_name(text) => &mut self.images,
            None if text.parse::<Split>().is_ok() => &mut self.splits,
            None if ["t", "f", "y", "n"].iter().any(|letter| text.eq_ignore_ascii_case(letter)) => &mut self.letters,
            None => &mut self.text,
        };
        *count += 1;
    }

    /// Fields that are text of any kind: neither labels nor numbers.
    fn words(&self) -> u64 {
        self.text + self.images + self.splits + self.text_lists + self.number_lists
    }

    /// Whether the column holds text, and no number and no label.
    pub(super) fn is_text(&self) -> bool {
        self.words() > 0 && self.labels + self.numbers + self.letters == 0
    }

    /// Whether most fields name image files.
    pub(super) fn is_images(&self) -> bool {
        self.images * 2 > self.filled
    }

    /// Whether all fields name splits.
    pub(super) fn is_splits(&self) -> bool {
        self.splits > 0 && self.splits == self.filled
    }

    /// Whether all fields are lists of words, of which some may be empty.
    pub(super) fn is_text_lists(&self) -> bool {
        self.text_lists > 0 && self.text_lists == self.filled
    }

    /// Whether all fields are lists, and some of numbers.
    pub(super) fn is_number_lists(&self) -> bool {
        self.number_lists > 0 && self.number_lists + self.text_lists == self.filled
    }

    /// Adds the counts of the same column in another part of the table.
    pub(super) fn add(&mut self, other: &ColumnProfile) {
        let continues = self.filled == 0 || other.filled == 0;
        self.is_sequence =
            if continues { self.is_sequence || other.is_sequence } else { self.is_sequence && other.is_sequence };
        self.filled += other.filled;
        self.labels += other.labels;
        self.letters += other.letters;
        self.numbers += other.numbers;
        self.images += other.images;
        self.splits += other.splits;
        self.text_lists += other.text_lists;
        self.number_lists += other.number_lists;
        self.text += other.text;
        self.has_zero |= other.has_zero;
        self.values.extend(other.values.iter().cloned());
        self.has_more_values |= other.has_more_values || self.values.len() > SHOWN;
    }

    /// The values for a message.
    pub(super) fn shown_values(&self) -> String {
        let values: Vec<&str> = self.values.iter().take(SHOWN).map(String::as_str).collect();
        let more = if self.has_more_values { ", ..." } else { "" };
        format!("{}{more}", values.join(", "))
    }
}

/// The profiles of the columns called `names`, to be filled row by row. `keep_values` tells of which columns values are kept.
pub(super) struct Profiler {
    columns: Vec<ColumnProfile>,
    keep_values: Vec<bool>,
}

impl Profiler {
    pub(super) fn new(columns: usize, keep_values: impl Fn(usize) -> bool) -> Self {
        Profiler {
            columns: vec![ColumnProfile::default(); columns],
            keep_values: (0..columns).map(keep_values).collect(),
        }
    }

    pub(super) fn observe(&mut self, record: &ByteRecord) {
        for ((column, &keep), field) in self.columns.iter_mut().zip(&self.keep_values).zip(record) {
            column.observe(field, keep);
        }
    }

    pub(super) fn finish(self) -> Vec<ColumnProfile> {
        self.columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(fields: &[&str]) -> ColumnProfile {
        let mut profile = ColumnProfile::default();
        fields.iter().for_each(|field| profile.observe(field.as_bytes(), true));
        profile
    }

    #[test]
    fn a_text_column_has_no_number_and_no_label() {
        for fields in [&["18-29", "", "30+"][..], &["a.jpg", "NA"], &["train", "city"]] {
            assert!(profile(fields).is_text(), "{fields:?}");
        }
        for fields in [&["old", "1.5"][..], &["old", "yes"], &["y", "n"], &["x", "-1"], &["", "nan"], &["0", "1"]] {
            assert!(!profile(fields).is_text(), "{fields:?}");
        }
    }

    #[test]
    fn row_numbers_are_consecutive() {
        assert!(profile(&["0", "1", "2"]).is_sequence);
        assert!(profile(&["7", "8"]).is_sequence);
        assert!(!profile(&["0", "1", "1"]).is_sequence);
        assert!(!profile(&["0", "a"]).is_sequence);
    }
}
