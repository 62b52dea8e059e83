//! Errors of weight files.

use std::io;
use std::path::{Path, PathBuf};

/// A weight file that could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}{}", path.display(), problem.remedy())]
pub struct WeightsError {
    /// The file.
    pub path: PathBuf,
    /// The problem.
    pub problem: Problem,
}

impl WeightsError {
    pub(crate) fn new(path: &Path, problem: Problem) -> Self {
        WeightsError { path: path.to_path_buf(), problem }
    }
}

/// The problem of a weight file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// An I/O error.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The file is of no kind that visage reads.
    #[error("not a weight file: {0}; visage reads safetensors files and PyTorch state dicts (.pth, .pt, .bin)")]
    Foreign(String),
    /// The file ends too early.
    #[error("truncated: by its header it needs {expected} bytes, but it has {actual}")]
    Truncated {
        /// The number of bytes that the whole file has at least.
        expected: u64,
        /// The actual number of bytes.
        actual: u64,
    },
    /// The content is inconsistent.
    #[error("damaged: {0}")]
    Damaged(String),
    /// The content does not match the checksums in the file.
    #[error(
        "damaged: {part} does not match its checksum; take a copy of the file that is whole. If another program changed it on \
         purpose, it has to leave out the metadata `{}`",
        crate::checksum::KEY
    )]
    Checksum {
        /// The part that differs.
        part: String,
    },
    /// The pickle names a Python object other than the constructors that a state dict needs.
    #[error(
        "this file asks to run {global}; visage never runs code from a weight file. Where the file was made, save the \
         weights alone: torch.save(model.state_dict(), PATH)"
    )]
    Code {
        /// The Python object, as `module.name`.
        global: String,
    },
    /// The content is valid but not supported.
    #[error("{0}")]
    Unsupported(String),
    /// The tensors cannot be stored.
    #[error("cannot be written: {0}")]
    Unwritable(String),
}

impl Problem {
    /// What helps wherever the file came from. A file of a run is not downloaded again, and has other remedies.
    fn remedy(&self) -> &'static str {
        match self {
            Self::Truncated { .. } => "; download or copy it again",
            _ => "",
        }
    }
}

/// `text` for a message: control characters escaped, and shortened in case a hostile file made it long.
pub(crate) fn quoted(text: &str) -> String {
    const MAX_LENGTH: usize = 100;
    let mut shown: String = text.chars().take(MAX_LENGTH).flat_map(char::escape_debug).collect();
    if text.chars().nth(MAX_LENGTH).is_some() {
        shown.push_str("...");
    }
    shown
}
