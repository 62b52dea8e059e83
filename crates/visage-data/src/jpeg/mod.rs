//! A JPEG decoder that gives the same bytes as libjpeg, on whose output Pillow, torchvision and OpenCV train.
//!
//! The standard (ITU-T T.81) specifies neither the rounding of the inverse DCT nor the upsampling of chroma; on CelebA other
//! decoders differ from libjpeg by up to 4 of 255. This one follows libjpeg in the inverse DCT (`jidctint.c`), the upsampling
//! (`jdsample.c`), the colour conversion (`jdcolor.c`) and truncated files (`jdhuff.c`), which are grey from where they end.
//! One difference remains: in truncated progressive files libjpeg smooths the missing coefficients.
//!
//! It reads baseline, extended and progressive Huffman-coded files of 8 bits, in grey or three colours, which cameras and programs
//! write. The `image` crate reads all others.

mod entropy;
mod frame;
mod output;
mod transform;

use image::RgbImage;
use memchr::memchr;

pub(crate) use self::output::ColourTables;

use self::entropy::{Bits, Table};
use self::frame::{Frame, Scan};
use crate::error::ImageError;
use crate::memory::{Footprint, MAX_PIXELS};
use crate::size::Size;

/// The tables of a file; they may change from scan to scan.
#[derive(Default)]
struct Tables {
    quantisation: [Option<[u16; 64]>; 4],
    dc: [Option<Table>; 4],
    ac: [Option<Table>; 4],
    restart_interval: usize,
    /// The transform in Adobe's segment: 0 for RGB, 1 for YCbCr.
    adobe_transform: Option<u8>,
    is_jfif: bool,
}

/// The marker before a scan.
const START_OF_SCAN: u8 = 0xDA;

/// The zigzag order: the position in a block of each coefficient of a file.
#[rustfmt::skip]
const ZIGZAG: [u8; 64] = [
     0,  1,  8, 16,  9,  2,  3, 10, 17, 24, 32, 25, 18, 11,  4,  5,
    12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13,  6,  7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
    58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// The most scans of an image of up to [`FREE_PIXELS`]. Progressive files have about ten; every bit of every coefficient in a scan of
/// its own would take more, but no program writes that.
const MAX_SCANS: usize = 100;
/// The most scans of larger images.
const MAX_SCANS_LARGE: usize = 32;
/// 4 million pixels.
const FREE_PIXELS: usize = 1 << 22;

/// Refuses a file with more scans than any program writes. A scan of a few bytes may pass over the whole image, so that the time
/// to decode a file would grow with the product of its pixels and its length.
///
/// # Errors
///
/// [`ImageError::TooManyScans`].
pub(crate) fn require_few_scans(file: &[u8]) -> Result<(), ImageError> {
    let Some(size) = stated_size(file) else { return Ok(()) };
    let limit = if size.pixels() <= FREE_PIXELS { MAX_SCANS } else { MAX_SCANS_LARGE };
    let (mut rest, mut scans) = (file, 0);
    while let Some((marker, _, after)) = next_segment(rest) {
        scans += usize::from(marker == START_OF_SCAN);
        if scans > limit {
            return Err(ImageError::TooManyScans { limit });
        }
        rest = after;
    }
    Ok(())
}

/// Decodes a JPEG file, and tells whether it is whole: like libjpeg's callers, this asks for the marker of its end, without which
/// the last bits of a scan cannot be told from missing ones. `None` where its kind is not supported, or it is damaged before
/// its first pixel.
pub(crate) fn decode(file: &[u8]) -> Option<(RgbImage, bool)> {
    let mut rest = file.strip_prefix(b"\xFF\xD8")?;
    let mut tables = Tables::default();
    let mut frame: Option<Frame> = None;
    let mut scans = 0;
    let mut is_whole = false;
    while let Some((marker, content, after)) = next_segment(rest) {
        rest = after;
        match marker {
            0xD9 => {
                is_whole = true;
                break;
            }
            0xDB => quantisation_tables(content, &mut tables)?,
            0xC4 => huffman_tables(content, &mut tables)?,
            0xDD => tables.restart_interval = usize::from(u16::from_be_bytes([*content.first()?, *content.get(1)?])),
            0xE0 if content.starts_with(b"JFIF\0") => tables.is_jfif = true,
            0xEE if content.starts_with(b"Adobe") => tables.adobe_transform = content.get(11).copied(),
            0xC0..=0xC2 if frame.is_none() => frame = Some(Frame::read(content, marker == 0xC2)?),
            // Lossless, arithmetic-coded and hierarchical files, and a second frame.
            0xC0..=0xCF => return None,
            START_OF_SCAN => {
                let frame = frame.as_mut()?;
                frame.take_quantisation(&tables.quantisation);
                let scan = Scan::read(content, frame)?;
                let mut bits = Bits::new(rest);
                if scan.decode(frame, &tables, &mut bits).is_none() && scans == 0 {
                    return None;
                }
                scans += 1;
                rest = bits.rest();
            }
            _ => {}
        }
    }
    if scans == 0 {
        return None;
    }
    Some((output::image(&frame?, &tables)?, is_whole))
}

/// Whether a JPEG file of any kind has the marker of its end.
pub(crate) fn is_whole(file: &[u8]) -> bool {
    let mut rest = file;
    while let Some((marker, _, after)) = next_segment(rest) {
        if marker == 0xD9 {
            return true;
        }
        rest = after;
    }
    false
}

/// The size stated in the first frame of a JPEG file of any kind.
pub(crate) fn stated_size(file: &[u8]) -> Option<Size> {
    let &[_, h1, h2, w1, w2, ..] = first_frame(file)? else { return None };
    let side = |high, low| usize::from(u16::from_be_bytes([high, low]));
    Some(Size { height: side(h1, h2), width: side(w1, w2) })
}

/// What decoding a JPEG file of any kind takes at its peak: coefficients, samples, and RGB.
pub(crate) fn footprint(file: &[u8]) -> Option<Footprint> {
    let parts = first_frame(file)?.get(6..)?.chunks_exact(3);
    // A component has a sample for each pixel, divided by how much coarser it is than the finest one.
    let factors = || parts.clone().map(|part| u64::from(part[1] >> 4) * u64::from(part[1] & 15));
    let finest = factors().max()?.max(1);
    let rgb = Footprint::new(stated_size(file)?, 3, 0);
    let samples = (rgb.decoded / 3).saturating_mul(factors().sum()) / finest;
    Some(Footprint { work: samples.saturating_mul(size_of::<i16>() as u64 + 1), limit: 3 * MAX_PIXELS as u64, ..rgb })
}

/// The content of a JPEG file's first frame header.
fn first_frame(file: &[u8]) -> Option<&[u8]> {
    let mut rest = file.strip_prefix(b"\xFF\xD8")?;
    while let Some((marker, content, after)) = next_segment(rest) {
        rest = after;
        // Not frames: Huffman tables, a reserved marker and conditioning for arithmetic coding.
        if matches!(marker, 0xC0..=0xCF) && !matches!(marker, 0xC4 | 0xC8 | 0xCC) {
            return Some(content);
        }
    }
    None
}

/// The next marker, its content, and the rest of the file; `None` at the end, which may come early.
fn next_segment(mut rest: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    loop {
        let start = memchr(0xFF, rest)?;
        rest = &rest[start..];
        let marker = *rest.get(1)?;
        match marker {
            // Padding, then an escaped byte or a stray restart marker.
            0xFF => rest = &rest[1..],
            0x00 | 0x01 | 0xD0..=0xD8 => rest = &rest[2..],
            0xD9 => return Some((marker, &[], &rest[2..])),
            _ => {
                let length = usize::from(u16::from_be_bytes([*rest.get(2)?, *rest.get(3)?]));
                let content = rest.get(4..2 + length)?;
                return Some((marker, content, &rest[2 + length..]));
            }
        }
    }
}

fn quantisation_tables(mut content: &[u8], tables: &mut Tables) -> Option<()> {
    while let Some((&kind, rest)) = content.split_first() {
        let wide = kind >> 4 != 0;
        let length = if wide { 128 } else { 64 };
        let values = rest.get(..length)?;
        let mut table = [0; 64];
        for (index, position) in ZIGZAG.iter().enumerate() {
            table[usize::from(*position)] = if wide {
                u16::from_be_bytes([values[2 * index], values[2 * index + 1]])
            } else {
                u16::from(values[index])
            };
        }
        *tables.quantisation.get_mut(usize::from(kind & 15))? = Some(table);
        content = &rest[length..];
    }
    Some(())
}

fn huffman_tables(mut content: &[u8], tables: &mut Tables) -> Option<()> {
    while let Some((&kind, rest)) = content.split_first() {
        let counts = rest.first_chunk::<16>()?;
        let length: usize = counts.iter().map(|&count| usize::from(count)).sum();
        let values = rest.get(16..16 + length)?;
        let class = if kind >> 4 == 0 { &mut tables.dc } else { &mut tables.ac };
        *class.get_mut(usize::from(kind & 15))? = Some(Table::new(counts, values)?);
        content = &rest[16 + length..];
    }
    Some(())
}
