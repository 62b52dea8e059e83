//! What can be wrong with a weight file.

use std::io;
use std::path::{Path, PathBuf};

/// A weight file that could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct WeightsError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: Problem,
}

impl WeightsError {
    pub(crate) fn new(path: &Path, problem: Problem) -> Self {
        WeightsError { path: path.to_path_buf(), problem }
    }
}

/// What is wrong with a weight file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The system could not read or write it.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is of none of the kinds visage reads.
    #[error("not a weight file: {0}; visage reads safetensors files and PyTorch state dicts (.pth, .pt, .bin)")]
    Foreign(String),
    /// It ends too soon.
    #[error("truncated: by its header it needs {expected} bytes, and it has {actual}; download or copy it again")]
    Truncated {
        /// The least number of bytes the whole file must have.
        expected: u64,
        /// The number of bytes it has.
        actual: u64,
    },
    /// Its parts contradict each other.
    #[error("damaged: {0}")]
    Damaged(String),
    /// Its pickle names something outside the constructors a state dict needs.
    #[error(
        "this file asks to run {global}; visage never runs code from a weight file. Where the file was made, save the \
         weights alone: torch.save(model.state_dict(), PATH)"
    )]
    Code {
        /// The Python object named, as `module.name`.
        global: String,
    },
    /// It is well formed, but holds something visage has no use for.
    #[error("{0}")]
    Unsupported(String),
    /// The tensors given cannot be stored.
    #[error("cannot be written: {0}")]
    Unwritable(String),
}

/// `text` as it may appear in a message: control characters escaped, and cut where a hostile file made it long.
pub(crate) fn quoted(text: &str) -> String {
    const LONGEST: usize = 100;
    let mut shown: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push_str("...");
    }
    shown
}
