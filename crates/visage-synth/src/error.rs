//! What can go wrong while a dataset is drawn.

use crate::face::IMAGES_PER_IDENTITY;
use std::path::PathBuf;

/// Why a synthetic dataset was not written.
#[derive(Debug, thiserror::Error)]
pub enum SynthError {
    /// The folder holds something already.
    #[error("{} is not empty: name a folder that does not exist yet, or empty it", .0.display())]
    NotEmpty(PathBuf),
    /// The path is a file.
    #[error("{} is not a folder: name a folder that does not exist yet", .0.display())]
    NotAFolder(PathBuf),
    /// There are not enough people to share out among the splits.
    #[error(
        "{images} images are too few: {splits} splits of {per_identity} images a person need at least {}",
        .splits * IMAGES_PER_IDENTITY, per_identity = IMAGES_PER_IDENTITY
    )]
    TooFewImages {
        /// How many images were asked for.
        images: usize,
        /// How many splits have a share.
        splits: u64,
    },
    /// An image of this size cannot be drawn or stored.
    #[error("cannot draw images of {width}x{height}: each side must be from 16 to 4096 pixels")]
    Size {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// The shares of the splits are no shares.
    #[error("split shares {0:?} are not shares: give three numbers from 0 up, the first above 0")]
    Splits([f64; 3]),
    /// An image could not be encoded.
    #[error("cannot encode {file} as JPEG")]
    Encode {
        /// The image's name.
        file: String,
        /// What the encoder said.
        source: jpeg_encoder::EncodingError,
    },
    /// The file system refused.
    #[error("cannot write {}", .path.display())]
    Io {
        /// What was being written.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}
