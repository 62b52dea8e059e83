//! Results as tables and text for the terminal, one file per verb that prints more than a few lines.

pub mod audit;
pub mod calibration;
pub mod comparison;
pub mod dataset;
pub mod evaluation;
pub mod int8;
pub mod tuning;
pub mod weights;

use comfy_table::{CellAlignment, ContentArrangement, presets};

pub use visage_report::format::{count, counted, duration, percent, score};

/// A table without a frame: columns of names, then right-aligned columns of values.
pub struct Table {
    table: comfy_table::Table,
}

impl Table {
    /// A table with these headings; the first `names` columns are left-aligned.
    pub fn new(names: usize, headings: &[&str]) -> Self {
        let mut table = comfy_table::Table::new();
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

    /// Aligns a column, counted from 0, to the left.
    pub fn align_left(&mut self, column: usize) {
        if let Some(column) = self.table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Left);
        }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.table.add_row(cells.into_iter().collect::<Vec<_>>());
    }

    /// The lines of the table, each with a newline.
    pub fn text(&self) -> String {
        format!("{}\n", self.table.trim_fmt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_no_frame_and_no_trailing_blanks() {
        let mut table = Table::new(1, &["Name", "Value"]);
        table.row(["a".to_owned(), "1".to_owned()]);
        assert_eq!(table.text(), "Name  Value\na         1\n");
    }
}
