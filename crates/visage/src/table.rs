//! Tables and numbers as they are printed.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

/// A table with a first column of names and right-aligned columns of values.
pub struct Columns {
    table: Table,
}

impl Columns {
    /// A table with these headings; the first `names` columns hold names.
    pub fn new(names: usize, headings: &[&str]) -> Self {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(headings.to_vec());
        for column in table.column_iter_mut().skip(names) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        if let Some(first) = table.column_mut(0) {
            first.set_padding((0, 1));
        }
        Self { table }
    }

    /// Aligns a column, from 0, to the left.
    pub fn align_left(&mut self, column: usize) {
        if let Some(column) = self.table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Left);
        }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.table.add_row(cells.into_iter().collect::<Vec<_>>());
    }

    /// The lines of the table, each ended.
    pub fn text(&self) -> String {
        format!("{}\n", self.table.trim_fmt())
    }
}

/// A metric between 0 and 1; a dash where it is undefined.
pub fn score(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"))
}

/// A part as a percentage; a dash where it is undefined.
pub fn percent(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{:.2} %", value * 100.0))
}

/// A whole number in groups of three digits.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// How many there are of something.
pub fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

/// How long something takes, to the precision that matters.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0 => format!("{:.1} s", seconds.max(0.0)),
        1..60 => format!("{whole} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!((counted(1, "image"), counted(2000, "image")), ("1 image".to_owned(), "2,000 images".to_owned()));
        assert_eq!([0.04, 12.4, 75.0, 7260.0].map(duration), ["0.0 s", "12 s", "1 min 15 s", "2 h 1 min"]);
        assert_eq!((score(Some(0.25)), score(None)), ("0.2500".to_owned(), "-".to_owned()));
        assert_eq!(percent(Some(0.800_394)), "80.04 %");
    }

    #[test]
    fn a_table_has_no_frame_and_no_trailing_blanks() {
        let mut table = Columns::new(1, &["Name", "Value"]);
        table.row(["a".to_owned(), "1".to_owned()]);
        assert_eq!(table.text(), "Name  Value\na         1\n");
    }
}
