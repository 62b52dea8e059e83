//! The size of an image by the header of its file, known before the image is decoded.

use std::borrow::Cow;

use crate::error::ImageError;
use crate::memory::Footprint;
use crate::size::Size;
use crate::{jpeg, tiff_file};

/// The size in pixels that the header of an image file states, before its EXIF orientation is applied. `None` where
/// [`Preparation::pixels`](crate::Preparation::pixels) does not read the format, or the file ends too early.
///
/// For a GIF it is the larger of its screen and its first frame, which may extend beyond the screen.
#[must_use]
pub fn stated_size(encoded: &[u8]) -> Option<Size> {
    let size = |height: u32, width: u32| Some(Size { height: height as usize, width: width as usize });
    if encoded.starts_with(b"\xFF\xD8") {
        jpeg::stated_size(encoded)
    } else if encoded.starts_with(b"\x89PNG\r\n\x1A\n") {
        (encoded.get(12..16)? == b"IHDR").then_some(())?;
        size(u32::from_be_bytes(array(encoded, 20)?), u32::from_be_bytes(array(encoded, 16)?))
    } else if encoded.starts_with(b"BM") {
        match u32::from_le_bytes(array(encoded, 14)?) {
            // The OS/2 header.
            12 => size(short(encoded, 20)?, short(encoded, 18)?),
            _ => {
                let side = |at| Some(i32::from_le_bytes(array(encoded, at)?).unsigned_abs());
                size(side(22)?, side(18)?)
            }
        }
    } else if encoded.starts_with(b"GIF87a") || encoded.starts_with(b"GIF89a") {
        let frame = gif_frame(encoded)?;
        let (height, width) = (short(encoded, frame + 7)?, short(encoded, frame + 5)?);
        size(height.max(short(encoded, 8)?), width.max(short(encoded, 6)?))
    } else if encoded.starts_with(b"RIFF") && encoded.get(8..12)? == b"WEBP" {
        match encoded.get(12..16)? {
            // 14 bits each, below two bits of scaling.
            b"VP8 " => size(short(encoded, 28)? & 0x3FFF, short(encoded, 26)? & 0x3FFF),
            b"VP8L" => {
                let bits = u32::from_le_bytes(array(encoded, 21)?);
                size((bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1)
            }
            b"VP8X" => {
                let side = |at| {
                    let [a, b, c] = array(encoded, at)?;
                    Some(u32::from_le_bytes([a, b, c, 0]) + 1)
                };
                size(side(27)?, side(24)?)
            }
            _ => None,
        }
    } else {
        tiff_file::stated_size(encoded)
    }
}

/// What decoding an image takes; `None` where the size is not known.
pub(crate) fn footprint(encoded: &[u8]) -> Option<Footprint> {
    if encoded.starts_with(b"\xFF\xD8") {
        return jpeg::footprint(encoded);
    }
    if tiff_file::is_tiff(encoded) {
        return tiff_file::footprint(encoded);
    }
    let size = stated_size(encoded)?;
    let (decoded, work) = match encoded {
        [0x89, ..] => {
            let &[depth, colour] = encoded.get(24..26)? else { return None };
            let channels = [1, 0, 3, 4, 2, 0, 4].get(usize::from(colour)).copied().unwrap_or(4);
            let decoded = channels * if depth == 16 { 2 } else { 1 };
            (decoded, if decoded == 3 { 0 } else { 3 })
        }
        // Indices, a frame that differs from the screen, and RGB.
        [b'G', ..] => (4, 8),
        // Planes, or the pixels with an alpha that is dropped, and RGB.
        [b'R', ..] => (4, 7),
        _ => (4, 3),
    };
    Some(Footprint::new(size, decoded, work))
}

/// Whether a WebP file is shorter than it states.
pub(crate) fn is_cut_webp(encoded: &[u8]) -> bool {
    encoded.starts_with(b"RIFF")
        && encoded.get(8..12) == Some(b"WEBP")
        && array(encoded, 4).is_some_and(|length| encoded.len() - 8 < u32::from_le_bytes(length) as usize)
}

/// Whether a GIF file ends before the end of its first frame.
pub(crate) fn is_cut_gif(encoded: &[u8]) -> bool {
    let after_data = |start: usize| {
        let flags = *encoded.get(start + 9)?;
        let colours = if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) };
        // The least length of a code stands before the data.
        after_blocks(encoded, start + 10 + colours + 1)
    };
    gif_frame(encoded).and_then(after_data).is_none()
}

/// A PNG file whose chunks end without the end marker, with that marker; `None` where a chunk is incomplete.
pub(crate) fn with_png_end(encoded: &[u8]) -> Option<Vec<u8>> {
    let mut at = 8;
    // Of the end marker itself, any part may be there.
    while let Some(length) = array(encoded, at).map(u32::from_be_bytes).filter(|&length| length > 0) {
        at += 12 + length as usize;
    }
    let end = b"\0\0\0\0IEND\xAEB`\x82";
    let rest = encoded.get(at..)?;
    end.starts_with(rest).then(|| [&encoded[..at], end].concat())
}

/// A PNG file without the chunks that do not change its pixels, such as texts and colour profiles: the decoder would unpack them, and
/// a few kilobytes may unpack to hundreds of megabytes. Other files are returned as they are.
pub(crate) fn without_metadata(encoded: &[u8]) -> Cow<'_, [u8]> {
    const SIGNATURE: usize = 8;
    // The decoder may only skip chunks whose name begins with a small letter.
    let is_kept = |name: &[u8]| name[0].is_ascii_uppercase() || name == b"tRNS";
    let Some(mut rest) = encoded.strip_prefix(b"\x89PNG\r\n\x1A\n") else { return encoded.into() };
    let mut kept = Vec::new();
    while let Some((length, name)) = array(rest, 0).map(u32::from_be_bytes).zip(rest.get(4..8)) {
        let length = (12 + length as usize).min(rest.len());
        if !is_kept(name) && kept.is_empty() {
            kept.reserve(encoded.len());
            kept.extend_from_slice(&encoded[..encoded.len() - rest.len()]);
        } else if is_kept(name) && !kept.is_empty() {
            kept.extend_from_slice(&rest[..length]);
        }
        rest = &rest[length..];
    }
    if kept.len() < SIGNATURE {
        return encoded.into();
    }
    // A chunk of which the name is missing.
    kept.extend_from_slice(rest);
    kept.into()
}

/// The error for an image of a known format that is not read; `None` for any other content.
pub(crate) fn foreign_format(encoded: &[u8]) -> Option<ImageError> {
    let brand = if encoded.get(4..8) == Some(b"ftyp") { encoded.get(8..12) } else { None };
    let format = match encoded {
        _ if matches!(brand, Some(b"avif" | b"avis")) => "AVIF",
        _ if matches!(brand, Some(b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1")) => {
            "HEIC"
        }
        _ if matches!(brand, Some(b"crx ")) => "raw",
        [0, 0, 0, 12, b'j', b'P', ..] | [0xFF, 0x4F, 0xFF, 0x51, ..] => "JPEG 2000",
        [0, 0, 0, 12, b'J', b'X', b'L', ..] | [0xFF, 0x0A, ..] => "JPEG XL",
        [b'8', b'B', b'P', b'S', ..] => "Photoshop",
        [b'g', b'i', b'm', b'p', b' ', b'x', b'c', b'f', ..] => "GIMP",
        [b'F', b'U', b'J', b'I', b'F', b'I', b'L', b'M', ..] | [b'I', b'I', b'R', b'O' | b'U', ..] => "raw",
        _ if encoded[..encoded.len().min(1024)].windows(4).any(|part| part == b"<svg") => "SVG",
        _ => return None,
    };
    Some(ImageError::Unsupported { format })
}

impl ImageError {
    /// The error of a file whose header states no size.
    #[must_use]
    pub fn without_size(encoded: &[u8]) -> Self {
        foreign_format(encoded).unwrap_or(if image::guess_format(encoded).is_ok() {
            ImageError::TruncatedUnusable
        } else {
            ImageError::Unrecognised
        })
    }
}

/// The position in the file of a GIF's first frame.
fn gif_frame(file: &[u8]) -> Option<usize> {
    let flags = *file.get(10)?;
    let colours = if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) };
    let mut at = 13 + colours;
    loop {
        match *file.get(at)? {
            0x2C => return Some(at),
            // An extension: its label, then blocks.
            0x21 => at = after_blocks(file, at + 2)?,
            _ => return None,
        }
    }
}

/// The end of a GIF's blocks, each of which starts with its length, up to an empty one.
fn after_blocks(file: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let length = usize::from(*file.get(at)?);
        at += 1 + length;
        if length == 0 {
            return Some(at);
        }
    }
}

fn short(file: &[u8], at: usize) -> Option<u32> {
    Some(u32::from(u16::from_le_bytes(array(file, at)?)))
}

fn array<const N: usize>(file: &[u8], at: usize) -> Option<[u8; N]> {
    file.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{DynamicImage, ImageFormat};

    use super::*;

    #[test]
    fn the_size_is_known_without_decoding() {
        let image = DynamicImage::new_rgb8(301, 7);
        for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Gif] {
            let mut file = Cursor::new(Vec::new());
            image.write_to(&mut file, format).unwrap();
            let file = file.into_inner();
            assert_eq!(stated_size(&file), Some(Size { height: 7, width: 301 }), "{format:?}");
            // A truncated file states the same size or none.
            for length in 0..file.len() {
                assert!(
                    stated_size(&file[..length]).is_none_or(|size| size.pixels() == 7 * 301),
                    "{format:?} {length}"
                );
            }
        }
        assert_eq!(stated_size(b"no picture"), None);
    }

    #[test]
    fn a_frame_larger_than_its_screen_counts() {
        let mut gif = b"GIF89a\x01\0\x01\0\0\0\0\x21\xFE\x02hi\0\x2C\0\0\0\0".to_vec();
        gif.extend([0x10, 0x27, 0x20, 0x4E]);
        assert_eq!(stated_size(&gif), Some(Size { height: 20_000, width: 10_000 }));
    }

    #[test]
    fn every_form_of_webp_is_read() {
        let webp = |kind: &[u8], content: &[u8]| [b"RIFF\0\0\0\0WEBP", kind, &[0; 4], content].concat();
        let lossy = webp(b"VP8 ", &[0, 0, 0, 0x9D, 0x01, 0x2A, 0x2C, 0x41, 0xC8, 0x00]);
        assert_eq!(stated_size(&lossy), Some(Size { height: 200, width: 300 }), "scaling is not part of the size");
        let extended = webp(b"VP8X", &[0, 0, 0, 0, 0x2B, 0x01, 0, 0xC7, 0, 0]);
        assert_eq!(stated_size(&extended), Some(Size { height: 200, width: 300 }));
    }
}
