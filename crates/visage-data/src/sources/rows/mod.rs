//! The rows of text tables, whatever their form.

mod blank_separated;
mod delimited;
mod json_lines;
mod lines;
mod row_source;

use self::blank_separated::BlankSeparated;
use self::delimited::Delimited;
use self::json_lines::JsonLines;
pub(super) use self::json_lines::json_fields;
use self::lines::{lines, without_byte_order_mark};
pub(super) use self::lines::{plain_rows, text};
pub(super) use self::row_source::Rows;
use crate::error::TableFault;
use crate::files::has_extension;

/// The rows of the table called `name`. Its form follows from its extension and its first line.
///
/// # Errors
///
/// When there is no header; the first value is the line.
pub(super) fn rows<'a>(name: &str, bytes: &'a [u8]) -> Result<Box<dyn Rows + 'a>, (u64, TableFault)> {
    let bytes = without_byte_order_mark(bytes);
    if has_extension(name, &["jsonl", "ndjson"]) {
        return JsonLines::new(bytes).map(|rows| Box::new(rows) as Box<dyn Rows>);
    }
    let first = lines(bytes).next().map(|(_, line)| line).unwrap_or_default();
    if has_extension(name, &["txt"]) && !first.contains(&b',') {
        return BlankSeparated::new(bytes).map(|rows| Box::new(rows) as Box<dyn Rows>);
    }
    Ok(Box::new(Delimited::new(bytes, first)))
}
