//! Errors of drawing a dataset.

use crate::face::IMAGES_PER_IDENTITY;
use std::path::PathBuf;

/// Why a synthetic dataset was not written.
#[derive(Debug, thiserror::Error)]
pub enum SynthError {
    /// The folder is not empty.
    #[error("{} is not empty: name a folder that does not exist yet, or empty it", .0.display())]
    NotEmpty(PathBuf),
    /// The path is a file.
    #[error("{} is not a folder: name a folder that does not exist yet", .0.display())]
    NotAFolder(PathBuf),
    /// There are not enough people for the splits.
    #[error(
        "{images} images are too few: {splits} splits of {per_identity} images a person need at least {}",
        .splits * IMAGES_PER_IDENTITY, per_identity = IMAGES_PER_IDENTITY
    )]
    TooFewImages {
        /// The number of images.
        images: usize,
        /// The number of splits with a share above 0.
        splits: u64,
    },
    /// The size of the images is out of range.
    #[error("cannot draw images of {width}x{height}: each side must be from 16 to 4096 pixels")]
    Size {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// The shares of the splits are invalid.
    #[error("invalid split shares {0:?}: give three numbers from 0 up, the first above 0")]
    Splits([f64; 3]),
    /// An image could not be encoded.
    #[error("cannot encode {file} as JPEG")]
    Encode {
        /// The image's name.
        file: String,
        /// The encoder's error.
        source: jpeg_encoder::EncodingError,
    },
    /// A file or folder could not be written.
    #[error("cannot write {}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The I/O error.
        source: std::io::Error,
    },
}
