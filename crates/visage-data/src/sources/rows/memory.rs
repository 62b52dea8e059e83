//! Rows that were read from another form than text.

use csv::ByteRecord;

use super::row_source::Rows;
use crate::error::TableFault;

/// A table in memory, without an allocation for each row.
#[derive(Clone, Debug)]
pub(in crate::sources) struct MemoryTable {
    columns: Vec<String>,
    bytes: Vec<u8>,
    /// The end of each field in `bytes`, row by row.
    ends: Vec<usize>,
    /// The place of each row for messages, where its line does not tell it.
    places: Vec<String>,
}

impl MemoryTable {
    pub(in crate::sources) fn new(columns: Vec<String>) -> Self {
        MemoryTable { columns, bytes: Vec::new(), ends: Vec::new(), places: Vec::new() }
    }

    /// Adds a row with a field for each column.
    pub(in crate::sources) fn push<F: AsRef<str>>(&mut self, fields: impl IntoIterator<Item = F>) {
        for field in fields {
            self.bytes.extend_from_slice(field.as_ref().trim().as_bytes());
            self.ends.push(self.bytes.len());
        }
    }

    /// Adds a row of which faults are reported at `place`.
    pub(in crate::sources) fn push_at<F: AsRef<str>>(&mut self, place: String, fields: impl IntoIterator<Item = F>) {
        self.places.push(place);
        self.push(fields);
    }

    /// The rows; their lines are counted from 1, without the header.
    pub(in crate::sources) fn rows(&self) -> MemoryRows<'_> {
        MemoryRows { table: self, next: 0, is_begun: false, record: ByteRecord::new() }
    }
}

/// The rows of a [`MemoryTable`].
pub(in crate::sources) struct MemoryRows<'a> {
    table: &'a MemoryTable,
    /// The row that comes next, after the header.
    next: usize,
    is_begun: bool,
    record: ByteRecord,
}

impl Rows for MemoryRows<'_> {
    fn next(&mut self) -> Option<(u64, Result<&ByteRecord, TableFault>)> {
        self.record.clear();
        let MemoryTable { columns, bytes, ends, .. } = self.table;
        if !std::mem::replace(&mut self.is_begun, true) {
            columns.iter().for_each(|column| self.record.push_field(column.as_bytes()));
            return Some((1, Ok(&self.record)));
        }
        let first = self.next * columns.len();
        let mut start = first.checked_sub(1).map_or(0, |before| ends.get(before).copied().unwrap_or_default());
        for &end in ends.get(first..first + columns.len())? {
            self.record.push_field(&bytes[start..end]);
            start = end;
        }
        self.next += 1;
        Some((self.next as u64, Ok(&self.record)))
    }

    fn place_of_next(&self) -> Option<&str> {
        self.is_begun.then(|| self.table.places.get(self.next).map(String::as_str)).flatten()
    }
}
