//! Errors of drawing a dataset.

use crate::face::IMAGES_PER_IDENTITY;
use std::path::PathBuf;

/// Why a synthetic dataset was not written.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages explain the variants and their fields")]
pub enum SynthError {
    #[error("{} is not empty: name a folder that does not exist yet, or empty it", .0.display())]
    NotEmpty(PathBuf),
    #[error("{} is not a folder: name a folder that does not exist yet", .0.display())]
    NotAFolder(PathBuf),
    #[error(
        "{images} images are too few: {splits} splits of {per_identity} images a person need at least {}",
        .splits * IMAGES_PER_IDENTITY, per_identity = IMAGES_PER_IDENTITY
    )]
    TooFewImages { images: usize, splits: u64 },
    #[error("cannot draw images of {width}x{height}: each side must be from 16 to 4096 pixels")]
    Size { width: u32, height: u32 },
    #[error("invalid split shares {0:?}: give three numbers from 0 up, the first above 0")]
    Splits([f64; 3]),
    #[error("cannot encode {file} as JPEG")]
    Encode { file: String, source: jpeg_encoder::EncodingError },
    #[error("cannot write {}", .path.display())]
    Io { path: PathBuf, source: std::io::Error },
}
