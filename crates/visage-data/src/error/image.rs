//! Errors of single images.

use crate::memory::MAX_SIDE;
use crate::size::Size;

/// Why an image file cannot be decoded or prepared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// A damaged file, or one of an unknown format.
    #[error("not a readable JPEG, PNG, WebP, BMP, GIF or TIFF image")]
    Decode(#[source] image::ImageError),
    /// The same, where not even the header is understood.
    #[error("not a readable JPEG, PNG, WebP, BMP, GIF or TIFF image")]
    Unrecognised,
    /// A damaged TIFF file, or a kind of TIFF that is not read.
    #[error("not a readable TIFF image")]
    Tiff(#[source] tiff::TiffError),
    /// An image of a known format that is not read.
    #[error("{format} images are not read: convert it to JPEG or PNG")]
    Unsupported {
        /// The name of the format.
        format: &'static str,
    },
    /// A file that is cut short, of whose image a part can be decoded.
    #[error(
        "the file is cut short: download or copy it again, or accept the part that is there with --allow-truncated"
    )]
    Truncated,
    /// A file that is cut short, of whose image no part can be decoded.
    #[error("the file is cut short, and no part of it can be decoded: download or copy it again")]
    TruncatedUnusable,
    /// An image that is larger than any that is decoded.
    #[error(
        "the image is {width}x{height} pixels, {} when decoded, and images are decoded up to {}: reduce its size",
        bytes(*decoded),
        bytes(*limit)
    )]
    TooLarge {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// The bytes of the decoded image.
        decoded: u64,
        /// The bytes of a decoded image at most.
        limit: u64,
    },
    /// An image with a longer side than any that is decoded.
    #[error("the image is {width}x{height} pixels, and a side may have {MAX_SIDE} at most: cut or reduce it")]
    TooLong {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
    },
    /// A JPEG file with more passes over its image than any program writes.
    #[error(
        "the image has more than {limit} scans: decoding it would take very long, and no camera or program writes such files"
    )]
    TooManyScans {
        /// The most scans of an image of its size.
        limit: usize,
    },
    /// An image that needs more memory than there is.
    #[error(
        "the image is {width}x{height} pixels, which needs {} to decode; {}: reduce its size or free some memory",
        bytes(*needed),
        availability(*available)
    )]
    OutOfMemory {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// The bytes that decoding needs.
        needed: u64,
        /// The bytes that the machine and the limits of the process leave, where that is known.
        available: Option<u64>,
    },
    /// An image of width or height 0.
    #[error("the image has no pixels")]
    Empty,
    /// The decoder panicked.
    #[error("the image decoder failed unexpectedly: the file is probably damaged")]
    DecoderPanicked,
    /// The resizer reported an error.
    #[error("cannot resize the image")]
    Resize(#[source] fast_image_resize::ResizeError),
    /// An image so long and thin that resizing it in proportion would take too much memory.
    #[error("the image is {width} pixels wide and {height} high, too long and thin to be resized in proportion")]
    TooThin {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
    },
    /// A crop larger than the resized image.
    #[error("a crop of {crop} does not fit in an image resized to {resized}")]
    Crop {
        /// The size of the crop.
        crop: Size,
        /// The size of the resized image.
        resized: Size,
    },
}

/// A number of bytes in decimal units, as `2.7 GB`.
fn bytes(number: u64) -> String {
    match number {
        1_000_000_000.. => format!("{:.1} GB", number as f64 / 1e9),
        _ => format!("{:.0} MB", number as f64 / 1e6),
    }
}

fn availability(available: Option<u64>) -> String {
    available.map_or_else(
        || "there is not as much memory".to_owned(),
        |available| format!("{} is available", bytes(available)),
    )
}
