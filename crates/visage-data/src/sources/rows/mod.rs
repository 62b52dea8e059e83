//! The rows of text tables, whatever their form.

mod blank_separated;
mod delimited;
mod json_lines;
mod lines;
mod memory;
mod row_source;

use memchr::memchr;

use self::blank_separated::BlankSeparated;
use self::delimited::Delimited;
use self::json_lines::JsonLines;
pub(super) use self::json_lines::json_fields;
use self::lines::{lines, without_byte_order_mark};
pub(super) use self::lines::{plain_rows, text};
pub(super) use self::memory::MemoryTable;
pub(super) use self::row_source::Rows;
use crate::error::TableFault;
use crate::files::{has_extension, is_image_name};

/// The rows of the table called `name`. Its form follows from its extension and its first line.
///
/// # Errors
///
/// When there is no header; the first value is the line.
pub(super) fn rows<'a>(name: &str, bytes: &'a [u8]) -> Result<Box<dyn Rows + 'a>, (u64, TableFault)> {
    let bytes = without_byte_order_mark(bytes);
    require_short_lines(bytes)?;
    let name = name.strip_suffix(".gz").unwrap_or(name);
    if has_extension(name, &["jsonl", "ndjson"]) {
        return JsonLines::new(bytes).map(|rows| Box::new(rows) as Box<dyn Rows>);
    }
    let first = lines(bytes).next().map(|(_, line)| line).unwrap_or_default();
    if has_extension(name, &["txt"]) && !first.contains(&b',') {
        return BlankSeparated::new(bytes).map(|rows| Box::new(rows) as Box<dyn Rows>);
    }
    Ok(Box::new(Delimited::new(bytes, first)))
}

/// The most bytes of a line: a thousand for each of the most attributes.
const MAX_LINE: usize = 20 << 20;

/// Refuses a file with lines longer than those of any table, before a row is copied.
fn require_short_lines(bytes: &[u8]) -> Result<(), (u64, TableFault)> {
    let (mut start, mut line) = (0, 1);
    while start < bytes.len() {
        let length = memchr(b'\n', &bytes[start..]).unwrap_or(bytes.len() - start);
        if length > MAX_LINE {
            return Err((line, TableFault::LongLine { length, most: MAX_LINE }));
        }
        start += length + 1;
        line += 1;
    }
    Ok(())
}

/// Whether a text file is a table of images rather than a note: a header and a row of as many fields (or one more, as in CelebA's
/// form), of which one is the name of an image.
pub(super) fn is_plain_table(bytes: &[u8]) -> bool {
    let Ok(mut rows) = rows("table.txt", bytes) else { return false };
    let Some((_, Ok(header))) = rows.next() else { return false };
    let columns = header.len();
    let Some((_, Ok(row))) = rows.next() else { return false };
    let is_image = |field: &[u8]| std::str::from_utf8(field).is_ok_and(is_image_name);
    columns > 1 && row.len() == columns && row.iter().any(is_image)
}
