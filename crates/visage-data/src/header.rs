//! The size of an image by the header of its file, known before the image is decoded.

use crate::jpeg;
use crate::size::Size;

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
        let (height, width) = gif_frame(encoded)?;
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
        None
    }
}

/// The height and width of a GIF's first frame.
fn gif_frame(file: &[u8]) -> Option<(u32, u32)> {
    let flags = *file.get(10)?;
    let colours = if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) };
    let mut at = 13 + colours;
    loop {
        match *file.get(at)? {
            0x2C => return Some((short(file, at + 7)?, short(file, at + 5)?)),
            // An extension: a label, then blocks that start with their length, up to an empty one.
            0x21 => {
                at += 2;
                loop {
                    let length = usize::from(*file.get(at)?);
                    at += 1 + length;
                    if length == 0 {
                        break;
                    }
                }
            }
            _ => return None,
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
