//! CSV, TSV and the like.

use csv::ByteRecord;

use super::row_source::Rows;
use crate::error::TableFault;

/// The delimiter of a header: that of comma, tab and semicolon which it contains most often.
fn delimiter(header: &[u8]) -> u8 {
    let count = |wanted: u8| header.iter().filter(|&&byte| byte == wanted).count();
    // The last of equals wins: the comma.
    [b';', b'\t', b','].into_iter().max_by_key(|&delimiter| count(delimiter)).unwrap_or(b',')
}

/// A table with a delimiter between its fields and quotes where they are needed.
pub(super) struct Delimited<'a> {
    bytes: &'a [u8],
    reader: csv::Reader<&'a [u8]>,
    record: ByteRecord,
    /// How far lines have been counted: a position in `bytes`, and its line.
    counted: (usize, u64),
}

impl<'a> Delimited<'a> {
    pub(super) fn new(bytes: &'a [u8], header: &[u8]) -> Self {
        // Flexible, because the reader's own error about a row's length does not say what to do.
        let reader = csv::ReaderBuilder::new()
            .delimiter(delimiter(header))
            .has_headers(false)
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(bytes);
        Delimited { bytes, reader, record: ByteRecord::new(), counted: (0, 1) }
    }

    /// The line of the current record. The reader's own count is wrong after blank lines and carriage returns.
    fn line(&mut self) -> u64 {
        let (from, line) = self.counted;
        let end_of_last = self.record.position().map_or(from, |position| position.byte() as usize);
        let is_break = |byte: &&u8| matches!(byte, b'\r' | b'\n');
        let start = end_of_last + self.bytes[end_of_last..].iter().take_while(is_break).count();
        let breaks = self.bytes[from..start].iter().filter(|&&byte| byte == b'\n').count();
        self.counted = (start, line + breaks as u64);
        self.counted.1
    }
}

impl Rows for Delimited<'_> {
    fn next(&mut self) -> Option<(u64, Result<&ByteRecord, TableFault>)> {
        loop {
            // Reading bytes from memory, of any number of fields, cannot fail.
            if !self.reader.read_byte_record(&mut self.record).unwrap_or(false) {
                return None;
            }
            if self.record.iter().any(|field| !field.is_empty()) {
                return Some((self.line(), Ok(&self.record)));
            }
        }
    }
}
