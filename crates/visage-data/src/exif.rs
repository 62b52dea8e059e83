//! The EXIF orientation of an image file.

use image::metadata::Orientation;

use crate::tiff_file::is_tiff;

/// The orientation stated in a JPEG, PNG, WebP or TIFF file; upright where there is none.
pub(crate) fn orientation(encoded: &[u8]) -> Orientation {
    block(encoded).and_then(Orientation::from_exif_chunk).unwrap_or(Orientation::NoTransforms)
}

/// The EXIF data of a file, from the TIFF header on.
fn block(encoded: &[u8]) -> Option<&[u8]> {
    if encoded.starts_with(b"\xFF\xD8") {
        in_jpeg(encoded)
    } else if let Some(chunks) = encoded.strip_prefix(b"\x89PNG\r\n\x1A\n") {
        in_png(chunks)
    } else if encoded.starts_with(b"RIFF") && encoded.get(8..12) == Some(b"WEBP") {
        in_webp(&encoded[12..])
    } else if is_tiff(encoded) {
        // EXIF data have the form of a TIFF file.
        Some(encoded)
    } else {
        None
    }
}

/// A JPEG segment is a marker of two bytes, a length that includes itself, and content; EXIF is in an APP1 segment.
fn in_jpeg(file: &[u8]) -> Option<&[u8]> {
    let mut at = 2;
    loop {
        let header = file.get(at..at + 4)?;
        let [0xFF, marker, high, low] = *header else { return None };
        // The image data start: no more headers follow.
        if marker == 0xDA {
            return None;
        }
        let length = usize::from(u16::from_be_bytes([high, low]));
        let content = file.get(at + 4..at + 2 + length)?;
        if marker == 0xE1
            && let Some(exif) = content.strip_prefix(b"Exif\0\0")
        {
            return Some(exif);
        }
        at += 2 + length;
    }
}

/// A PNG chunk is a length, a name, content and a checksum.
fn in_png(mut chunks: &[u8]) -> Option<&[u8]> {
    loop {
        let (length, rest) = chunks.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (name, rest) = rest.split_first_chunk::<4>()?;
        let content = rest.get(..length)?;
        match name {
            b"eXIf" => return Some(content),
            b"IEND" => return None,
            _ => chunks = rest.get(length.checked_add(4)?..)?,
        }
    }
}

/// A RIFF chunk is a name, a length and content, padded to an even length.
fn in_webp(mut chunks: &[u8]) -> Option<&[u8]> {
    loop {
        let (name, rest) = chunks.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first_chunk()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let content = rest.get(..length)?;
        if name == b"EXIF" {
            return Some(content.strip_prefix(b"Exif\0\0").unwrap_or(content));
        }
        chunks = rest.get(length.checked_next_multiple_of(2)?..)?;
    }
}
