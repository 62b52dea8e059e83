//! Checking the headers of a Parquet file before the library reads them.
//!
//! Headers are in Thrift's compact protocol. The library skips unknown fields, and skips booleans in lists without reading
//! bytes: a header of a few bytes that announces two billion of them keeps it busy for hours. No header of the format has such a
//! list, so a file with one is damaged. Every other value takes bytes that must exist.

use std::io;

use crate::files::FileRange;

/// The types of fields and elements in Thrift's compact protocol.
mod kind {
    pub(super) const STOP: u8 = 0;
    pub(super) const TRUE: u8 = 1;
    pub(super) const FALSE: u8 = 2;
    pub(super) const BYTE: u8 = 3;
    pub(super) const I16: u8 = 4;
    pub(super) const I64: u8 = 6;
    pub(super) const DOUBLE: u8 = 7;
    pub(super) const BINARY: u8 = 8;
    pub(super) const LIST: u8 = 9;
    pub(super) const SET: u8 = 10;
    pub(super) const MAP: u8 = 11;
    pub(super) const STRUCT: u8 = 12;
    pub(super) const UUID: u8 = 13;
}

/// The deepest nesting; no header of the format comes near.
const MAX_DEPTH: usize = 32;

/// The longest header of a page: its statistics hold the least and the greatest value of a column.
const MAX_HEADER: u64 = 16 << 20;

/// Whether the footer of a file can be read. A file without one is left to the library, which names what is missing.
pub(super) fn footer_is_sound(file: &FileRange) -> io::Result<bool> {
    const END: u64 = 8;
    let Some(end) = file.length().checked_sub(END) else { return Ok(true) };
    let [l0, l1, l2, l3, magic @ ..] = &*file.bytes_at(end, END)? else { return Ok(true) };
    if magic != b"PAR1" {
        return Ok(true);
    }
    let length = u64::from(u32::from_le_bytes([*l0, *l1, *l2, *l3]));
    let Some(start) = end.checked_sub(length) else { return Ok(false) };
    let footer = file.bytes_at(start, length)?;
    Ok(structure(&mut footer.as_slice(), MAX_DEPTH).is_some())
}

/// Whether all page headers of a column chunk can be read.
pub(super) fn pages_are_sound(chunk: &FileRange) -> io::Result<bool> {
    let mut at = 0;
    while at < chunk.length() {
        match page_end(chunk, at)?.filter(|&end| end <= chunk.length()) {
            Some(end) => at = end,
            None => return Ok(false),
        }
    }
    Ok(true)
}

/// The end of the page that starts at `at`; `None` where its header cannot be read.
fn page_end(chunk: &FileRange, at: u64) -> io::Result<Option<u64>> {
    let left = chunk.length() - at;
    // Nearly all headers are short.
    for most in [1 << 10, 1 << 16, MAX_HEADER] {
        let bytes = chunk.bytes_at(at, left.min(most))?;
        let mut rest = bytes.as_slice();
        if let Some(length) = structure(&mut rest, MAX_DEPTH) {
            let header = (bytes.len() - rest.len()) as u64;
            let length = length.and_then(|length| u64::try_from(length).ok());
            return Ok(length.and_then(|length| (at + header).checked_add(length)));
        }
        if left <= most {
            break;
        }
    }
    Ok(None)
}

/// Skips a struct and returns its third field if that is an integer: in a page header, the length of the page.
fn structure(bytes: &mut &[u8], depth: usize) -> Option<Option<i64>> {
    let (mut id, mut third) = (0, None);
    loop {
        let head = byte(bytes)?;
        let kind = head & 15;
        if kind == kind::STOP {
            return Some(third);
        }
        id = match head >> 4 {
            0 => zigzag(varint(bytes)?),
            step => i64::from(step) + id,
        };
        if id == 3 && (kind::I16..=kind::I64).contains(&kind) {
            third = Some(zigzag(varint(bytes)?));
        } else if !matches!(kind, kind::TRUE | kind::FALSE) {
            value(bytes, kind, depth.checked_sub(1)?)?;
        }
    }
}

/// Skips a value that is not a boolean; a boolean field has its value in its type.
fn value(bytes: &mut &[u8], kind: u8, depth: usize) -> Option<()> {
    match kind {
        kind::BYTE => skip(bytes, 1),
        kind::I16..=kind::I64 => varint(bytes).map(drop),
        kind::DOUBLE => skip(bytes, 8),
        kind::UUID => skip(bytes, 16),
        kind::BINARY => {
            let length = varint(bytes)?;
            skip(bytes, length)
        }
        kind::STRUCT => structure(bytes, depth).map(drop),
        kind::LIST | kind::SET => {
            let head = byte(bytes)?;
            let count = if head >> 4 == 15 { varint(bytes)? } else { u64::from(head >> 4) };
            (0..count).try_for_each(|_| value(bytes, head & 15, depth.checked_sub(1)?))
        }
        kind::MAP => {
            let count = varint(bytes)?;
            let kinds = if count == 0 { 0 } else { byte(bytes)? };
            (0..count).try_for_each(|_| {
                value(bytes, kinds >> 4, depth.checked_sub(1)?)?;
                value(bytes, kinds & 15, depth.checked_sub(1)?)
            })
        }
        _ => None,
    }
}

fn byte(bytes: &mut &[u8]) -> Option<u8> {
    let (first, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(*first)
}

fn skip(bytes: &mut &[u8], count: u64) -> Option<()> {
    *bytes = bytes.get(usize::try_from(count).ok()?..)?;
    Some(())
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let part = byte(bytes)?;
        number |= u64::from(part & 127) << shift;
        if part < 128 {
            return Some(number);
        }
    }
    None
}

fn zigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn are_sound(chunk: &[u8]) -> bool {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(chunk).unwrap();
        pages_are_sound(&FileRange::whole(file).unwrap()).unwrap()
    }

    /// A page of three bytes whose header has a type, two sizes and `extra` fields.
    fn page(extra: &[u8]) -> Vec<u8> {
        [&[0x15, 0, 0x15, 6, 0x15, 6], extra, &[0, 1, 2, 3]].concat()
    }

    #[test]
    fn pages_follow_one_another() {
        assert!(are_sound(&[page(&[]), page(&[0x18, 2, b'a', b'b']), page(&[0x1c, 0x11, 0x12, 0])].concat()));
        // A header with a text of 5,000 bytes.
        assert!(are_sound(&page(&[&[0x18, 0x88, 0x27][..], &[b'a'; 5000]].concat())));
        let chunk = page(&[]);
        assert!(!are_sound(&chunk[..chunk.len() - 1]));
    }

    #[test]
    fn lists_of_booleans_are_refused() {
        // A list of two billion booleans, a map of as many, and a list of lists of them.
        let many = [0xff, 0xff, 0xff, 0xff, 7];
        for head in [&[0x19, 0xf1][..], &[0x1b], &[0x19, 0x19, 0xf2]] {
            let tail: &[u8] = if head == [0x1b] { &[0x11] } else { &[] };
            assert!(!are_sound(&page(&[head, &many, tail].concat())));
        }
        // Not as many numbers follow as are announced.
        assert!(!are_sound(&page(&[&[0x19, 0xf5][..], &many].concat())));
    }
}
