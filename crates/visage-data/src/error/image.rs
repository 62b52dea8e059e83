//! Errors of single images.

use crate::size::Size;

/// Why an image file cannot be decoded or prepared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// A file of an unknown format, or a damaged one.
    #[error("not a readable JPEG, PNG, WebP, BMP or GIF image")]
    Decode(#[source] image::ImageError),
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
