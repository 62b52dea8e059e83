//! TIFF files: the first image of a file, in grey, RGB, YCbCr or palette colours of up to 16 bits, with or without alpha.
//!
//! The `tiff` crate decodes strips and tiles. It does not read palettes: their indices are read as grey levels.

use std::borrow::Cow;
use std::io::{self, Cursor};

use image::RgbImage;
use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::Tag;
use tiff::{ColorType, TiffError, TiffUnsupportedError};

use crate::error::ImageError;
use crate::jpeg::ColourTables;
use crate::memory::{Footprint, MAX_DECODED};
use crate::size::Size;

// Tags of a directory (TIFF 6.0, section 8).
const NEW_SUBFILE_TYPE: u16 = 254;
const WIDTH: u16 = 256;
const HEIGHT: u16 = 257;
const BITS_PER_SAMPLE: u16 = 258;
const PHOTOMETRIC: u16 = 262;
const SAMPLES_PER_PIXEL: u16 = 277;

/// `PHOTOMETRIC`: grey with black as 0, and indices of a palette.
const BLACK_IS_ZERO: u16 = 1;
const PALETTE: u16 = 3;

/// Whether a file starts as TIFF files do.
pub(crate) fn is_tiff(file: &[u8]) -> bool {
    file.starts_with(b"II*\0") || file.starts_with(b"MM\0*")
}

/// The size stated in a TIFF file.
pub(crate) fn stated_size(file: &[u8]) -> Option<Size> {
    let directory = Directory::first(file)?;
    let side = |tag| Some(directory.number(tag)? as usize);
    Some(Size { height: side(HEIGHT)?, width: side(WIDTH)? })
}

/// What decoding a TIFF file takes.
pub(crate) fn footprint(file: &[u8]) -> Option<Footprint> {
    let directory = Directory::first(file)?;
    let samples = u64::from(directory.number(SAMPLES_PER_PIXEL).unwrap_or(1));
    // The depths of several samples do not fit into the entry. They are 8 or 16 bits, as those of a single sample almost always.
    let bytes = match directory.number(BITS_PER_SAMPLE) {
        Some(..=8) if samples == 1 => 1,
        _ => 2,
    };
    Some(Footprint::new(stated_size(file)?, samples * bytes, 3))
}

/// Decodes the first image of a TIFF file to RGB.
///
/// # Errors
///
/// [`ImageError::Tiff`]; [`ImageError::Unsupported`] for a raw file; [`ImageError::TruncatedUnusable`] where a part of the file is
/// missing: the directory of a TIFF file often stands at its end, and its parts in any order.
pub(crate) fn decode(file: &[u8]) -> Result<RgbImage, ImageError> {
    if is_raw(file) {
        return Err(ImageError::Unsupported { format: "raw" });
    }
    let (file, has_palette) = with_grey_indices(file);
    decode_first(&file, has_palette).map_err(|error| match error {
        TiffError::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => ImageError::TruncatedUnusable,
        error => ImageError::Tiff(error),
    })
}

/// Whether a file is the raw file of a camera: its first image is a reduced version of another, or it is Canon's.
fn is_raw(file: &[u8]) -> bool {
    let kind = Directory::first(file).and_then(|first| first.number(NEW_SUBFILE_TYPE));
    kind.is_some_and(|kind| kind & 1 == 1) || file.get(8..10) == Some(b"CR")
}

fn decode_first(file: &[u8], has_palette: bool) -> Result<RgbImage, TiffError> {
    let mut limits = Limits::default();
    limits.decoding_buffer_size = MAX_DECODED as usize;
    limits.intermediate_buffer_size = MAX_DECODED as usize;
    let mut decoder = Decoder::new(Cursor::new(file))?.with_limits(limits);
    require_data(&mut decoder, file.len() as u64)?;
    let ((width, height), colour) = (decoder.dimensions()?, decoder.colortype()?);
    let mut samples = DecodingResult::U8(Vec::new());
    let planes = decoder.read_image_to_buffer(&mut samples)?.planes;
    let levels = match samples {
        DecodingResult::U8(levels) if colour.bit_depth() == 8 => levels,
        DecodingResult::U8(packed) if colour.num_samples() == 1 => {
            unpacked(&packed, width as usize, colour.bit_depth(), !has_palette)
        }
        // Rounded, as the `image` crate does for PNG.
        DecodingResult::U16(levels) if !has_palette => {
            levels.into_iter().map(|level| ((u32::from(level) + 128) / 257) as u8).collect()
        }
        _ => return Err(unsupported(colour)),
    };
    let levels =
        Levels { levels, pixels: width as usize * height as usize, channels: colour.num_samples().into(), planes };
    let rgb = match colour {
        _ if has_palette => {
            let palette = Palette(decoder.get_tag_u16_vec(Tag::ColorMap)?);
            levels.rgb(|[index, ..]| palette.colour(index))
        }
        ColorType::Gray(_) | ColorType::GrayA(_) | ColorType::Multiband { num_samples: 2, .. } => {
            levels.rgb(|[level, ..]| [level; 3])
        }
        ColorType::RGB(_) | ColorType::RGBA(_) => levels.rgb(|rgb| rgb),
        ColorType::YCbCr(_) => {
            let tables = ColourTables::new();
            levels.rgb(|[y, cb, cr]| tables.rgb(y, cb, cr))
        }
        _ => return Err(unsupported(colour)),
    };
    RgbImage::from_raw(width, height, rgb).ok_or(TiffError::LimitsExceeded)
}

/// Samples of 8 bits: pixel by pixel, or plane by plane.
struct Levels {
    levels: Vec<u8>,
    pixels: usize,
    channels: usize,
    planes: usize,
}

impl Levels {
    /// The RGB bytes, by the colour of a pixel's first three samples. A sample that a pixel lacks is 0.
    fn rgb(&self, colour: impl Fn([u8; 3]) -> [u8; 3]) -> Vec<u8> {
        let (across, along) = if self.planes > 1 { (self.pixels, 1) } else { (1, self.channels) };
        let sample = |pixel: usize, channel: usize| match self.levels.get(pixel * along + channel * across) {
            Some(&level) if channel < self.channels => level,
            _ => 0,
        };
        let mut rgb = Vec::with_capacity(3 * self.pixels);
        for pixel in 0..self.pixels {
            rgb.extend(colour([sample(pixel, 0), sample(pixel, 1), sample(pixel, 2)]));
        }
        rgb
    }
}

/// All reds, then all greens, then all blues, of 16 bits.
struct Palette(Vec<u16>);

impl Palette {
    /// The colour of an index; black if there is none.
    fn colour(&self, index: u8) -> [u8; 3] {
        let (colours, index) = (self.0.len() / 3, usize::from(index));
        [0, 1, 2].map(|part| if index < colours { (self.0[part * colours + index] >> 8) as u8 } else { 0 })
    }
}

fn unsupported(colour: ColorType) -> TiffError {
    TiffError::UnsupportedError(TiffUnsupportedError::UnsupportedColorType(colour))
}

/// Checks that the file has the data of all strips or tiles: a decoder may fill in what is missing.
fn require_data(decoder: &mut Decoder<Cursor<&[u8]>>, length: u64) -> Result<(), TiffError> {
    for (offsets, counts) in [(Tag::StripOffsets, Tag::StripByteCounts), (Tag::TileOffsets, Tag::TileByteCounts)] {
        let offsets = decoder.find_tag_unsigned_vec::<u64>(offsets)?.unwrap_or_default();
        let counts = decoder.find_tag_unsigned_vec::<u64>(counts)?.unwrap_or_default();
        if offsets.iter().zip(&counts).any(|(offset, count)| offset.saturating_add(*count) > length) {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    }
    Ok(())
}

/// The levels of samples of fewer than 8 bits, whose rows start at whole bytes; `is_scaled` to 0 to 255, or else as they are.
fn unpacked(packed: &[u8], width: usize, bits: u8, is_scaled: bool) -> Vec<u8> {
    let (bits, per_byte) = (usize::from(bits), 8 / usize::from(bits));
    let most = (1_u16 << bits) - 1;
    let level = |row: &[u8], x: usize| {
        let level = u16::from(row[x / per_byte]) >> (8 - bits - x % per_byte * bits) & most;
        (if is_scaled { level * 255 / most } else { level }) as u8
    };
    packed.chunks_exact(width.div_ceil(per_byte)).flat_map(|row| (0..width).map(move |x| level(row, x))).collect()
}

/// The file, and whether its first image has a palette: then in a copy that declares the indices to be grey levels.
fn with_grey_indices(file: &[u8]) -> (Cow<'_, [u8]>, bool) {
    let entry = Directory::first(file).and_then(|first| first.entry(PHOTOMETRIC).map(|entry| (first, entry)));
    match entry {
        Some((first, entry)) if first.short(entry + 8) == Some(PALETTE) => {
            let mut file = file.to_vec();
            let grey = if first.is_big_endian { BLACK_IS_ZERO.to_be_bytes() } else { BLACK_IS_ZERO.to_le_bytes() };
            file[entry + 8..entry + 10].copy_from_slice(&grey);
            (Cow::Owned(file), true)
        }
        _ => (Cow::Borrowed(file), false),
    }
}

/// The first directory of a file: entries of 12 bytes, each a tag, a type, a count, and a value or where it is.
struct Directory<'a> {
    file: &'a [u8],
    is_big_endian: bool,
    start: usize,
    entries: usize,
}

impl<'a> Directory<'a> {
    fn first(file: &'a [u8]) -> Option<Self> {
        if !is_tiff(file) {
            return None;
        }
        let mut directory = Directory { file, is_big_endian: file[0] == b'M', start: 0, entries: 0 };
        let start = directory.long(4)? as usize;
        directory.entries = usize::from(directory.short(start)?);
        directory.start = start + 2;
        Some(directory)
    }

    /// The position of a tag's entry in the file.
    fn entry(&self, tag: u16) -> Option<usize> {
        let mut entries = (0..self.entries).map(|index| self.start + 12 * index);
        entries.find(|&entry| self.short(entry) == Some(tag))
    }

    /// The value of a tag that is one integer of 16 or 32 bits.
    fn number(&self, tag: u16) -> Option<u32> {
        let entry = self.entry(tag)?;
        match (self.short(entry + 2)?, self.long(entry + 4)?) {
            (3, 1) => self.short(entry + 8).map(u32::from),
            (4, 1) => self.long(entry + 8),
            _ => None,
        }
    }

    fn short(&self, at: usize) -> Option<u16> {
        let bytes = *self.file.get(at..)?.first_chunk()?;
        Some(if self.is_big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    fn long(&self, at: usize) -> Option<u32> {
        let bytes = *self.file.get(at..)?.first_chunk()?;
        Some(if self.is_big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }
}
