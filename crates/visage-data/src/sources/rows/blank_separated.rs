//! CelebA's own form of table.

use csv::ByteRecord;

use super::lines::{fields, lines, text};
use super::row_source::Rows;
use crate::error::TableFault;

/// CelebA's own form: optionally a line with the number of rows, then a header and rows of fields separated by blanks. The
/// original header names only the columns after the image; some copies name the image column too.
pub(super) struct BlankSeparated<'a> {
    lines: Box<dyn Iterator<Item = (u64, &'a [u8])> + 'a>,
    stated: Option<u64>,
    header: Option<(u64, ByteRecord)>,
    record: ByteRecord,
}

impl<'a> BlankSeparated<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, (u64, TableFault)> {
        let mut lines = lines(bytes).peekable();
        let ended = |expected| (1, TableFault::Ended { expected });
        let (_, first) = lines.peek().ok_or(ended("the number of images"))?;
        let stated: Option<u64> = text(first).ok().and_then(|count| count.parse().ok());
        if stated.is_some() {
            lines.next();
        }
        let (line, header) = lines.next().ok_or(ended("the attribute names"))?;
        let names: Vec<&[u8]> = fields(header).collect();
        let first_row = lines.peek().map_or(0, |(_, row)| fields(row).count());
        let image = (first_row != names.len()).then_some(b"image".as_slice());
        let header = Some((line, image.into_iter().chain(names).collect()));
        Ok(BlankSeparated { lines: Box::new(lines), stated, header, record: ByteRecord::new() })
    }
}

impl Rows for BlankSeparated<'_> {
    fn next(&mut self) -> Option<(u64, Result<&ByteRecord, TableFault>)> {
        let line = match self.header.take() {
            Some((line, header)) => {
                self.record = header;
                line
            }
            None => {
                let (line, row) = self.lines.next()?;
                self.record.clear();
                fields(row).for_each(|field| self.record.push_field(field));
                line
            }
        };
        Some((line, Ok(&self.record)))
    }

    fn stated_count(&self) -> Option<u64> {
        self.stated
    }
}
