//! What every form of text table offers.

use csv::ByteRecord;

use crate::error::TableFault;

/// The rows of a table. The first is the header.
pub(in crate::sources) trait Rows {
    /// The next row that is not blank, with trimmed fields, and its line, counted from 1.
    fn next(&mut self) -> Option<(u64, Result<&ByteRecord, TableFault>)>;

    /// The number of rows that the table states, if it states one.
    fn stated_count(&self) -> Option<u64> {
        None
    }

    /// The place of the next row for messages, where its file and line do not tell it.
    fn place_of_next(&self) -> Option<&str> {
        None
    }
}
