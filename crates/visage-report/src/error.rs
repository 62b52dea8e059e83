//! Errors.

use std::io;
use std::path::PathBuf;

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// There is no run to report on.
    #[error("there is no run to report on: name at least one")]
    NoRuns,
    /// A run folder, or a file of it.
    #[error(transparent)]
    Run(#[from] visage_run::RunError),
    /// An evaluated run.
    #[error(transparent)]
    Compare(#[from] visage_run::comparison::CompareError),
    /// The dataset of a gallery.
    #[error(transparent)]
    Data(#[from] visage_data::DataError),
    /// An image of a gallery that the dataset no longer has.
    #[error("{} no longer has the image {image}, which the run was evaluated on: evaluate again, or leave out --gallery", data.display())]
    MissingImage {
        /// The dataset.
        data: PathBuf,
        /// The image.
        image: String,
    },
    /// An image of a gallery that cannot be decoded or encoded.
    #[error("cannot make a thumbnail of {image}")]
    Thumbnail {
        /// The image.
        image: String,
        /// The reason.
        source: image::ImageError,
    },
    /// A file or folder could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The path.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}
