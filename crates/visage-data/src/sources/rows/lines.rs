//! Lines and their fields.

use crate::error::TableFault;

/// The lines that are not blank, trimmed, with their numbers from 1.
pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let lines = bytes.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    (1..).zip(lines).filter(|(_, line)| !line.is_empty())
}

/// The fields of a line, separated by any number of blanks.
pub(super) fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty())
}

/// The rows of a table without a header, whose fields are separated by commas or blanks.
pub(in crate::sources) fn plain_rows(bytes: &[u8]) -> impl Iterator<Item = (u64, Vec<&[u8]>)> {
    lines(without_byte_order_mark(bytes)).map(|(number, line)| {
        let row: Vec<&[u8]> = if line.contains(&b',') {
            line.split(|&byte| byte == b',').map(|field| unquoted(field.trim_ascii())).collect()
        } else {
            fields(line).map(unquoted).collect()
        };
        (number, row)
    })
}

fn unquoted(field: &[u8]) -> &[u8] {
    field.strip_prefix(b"\"").and_then(|field| field.strip_suffix(b"\"")).unwrap_or(field)
}

/// Text without the byte order mark that some editors write.
pub(super) fn without_byte_order_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)
}

/// `bytes` as text.
pub(in crate::sources) fn text(bytes: &[u8]) -> Result<&str, TableFault> {
    std::str::from_utf8(bytes).map_err(|_| TableFault::NotUtf8)
}
