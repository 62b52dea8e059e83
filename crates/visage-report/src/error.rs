//! Errors.

use std::io;
use std::path::PathBuf;

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages explain the variants and their fields")]
pub enum ReportError {
    #[error("there is no run to report on: name at least one")]
    NoRuns,
    #[error(transparent)]
    Run(#[from] visage_run::RunError),
    #[error(transparent)]
    Compare(#[from] visage_run::comparison::CompareError),
    #[error(transparent)]
    Data(#[from] visage_data::DataError),
    #[error("{} no longer has the image {image}, which the run was evaluated on: evaluate again, or leave out --gallery", data.display())]
    MissingImage { data: PathBuf, image: String },
    #[error("cannot make a thumbnail of {image}")]
    Thumbnail { image: String, source: image::ImageError },
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
}
