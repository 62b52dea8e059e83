//! Recognising the kinds of weight file by their content.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use crate::error::{Problem, WeightsError};
use crate::tensor::TensorFile;
use crate::{safetensors_read, torch};

/// Reads the named tensors of a safetensors file, a PyTorch file, or a PyTorch file of the format before 1.6.
///
/// The content decides the kind, not the name. A PyTorch file may hold a bare state dict, or a checkpoint of dicts and lists within each
/// other: a name is then made of the keys that lead to the tensor, joined with dots. Names are not changed otherwise: finding the
/// network in them, after whichever prefix, is left to the network. Entries whose keys are not strings, such as the state of
/// PyTorch's optimisers, are not read.
///
/// # Errors
///
/// [`WeightsError`], naming the file and what is wrong with it: see [`Problem`].
pub fn read(path: &Path) -> Result<TensorFile, WeightsError> {
    let open = || -> Result<TensorFile, Problem> {
        let file = open_regular(path)?;
        let length = file.metadata()?.len();
        read_from(BufReader::new(file), length)
    };
    open().map_err(|problem| WeightsError::new(path, problem))
}

/// A kind of weight file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// Safetensors.
    Safetensors,
    /// PyTorch's since 1.6: a zip archive.
    TorchZip,
    /// PyTorch's before 1.6: consecutive pickles.
    TorchLegacy,
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FileKind::Safetensors => "safetensors",
            FileKind::TorchZip => "PyTorch (zip)",
            FileKind::TorchLegacy => "PyTorch (before 1.6)",
        })
    }
}

/// The kind of the file at `path`, by its first bytes.
///
/// # Errors
///
/// When the file cannot be read or is of no known kind.
pub fn kind(path: &Path) -> Result<FileKind, WeightsError> {
    let of = || -> Result<FileKind, Problem> {
        let mut start = Vec::new();
        open_regular(path)?.take(START).read_to_end(&mut start)?;
        kind_of(&start)
    };
    of().map_err(|problem| WeightsError::new(path, problem))
}

/// Opens a regular file. Opening a pipe would wait for whoever writes into it, and reading a device might never end.
fn open_regular(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    File::open(path)
}

/// The number of bytes that identify a kind.
const START: u64 = 16;

fn kind_of(start: &[u8]) -> Result<FileKind, Problem> {
    // Safetensors first: the length at its beginning may look like the start of a pickle, but the start of a pickle or a zip
    // archive, read as a length, is far longer than a header may be.
    if safetensors_read::begins(start) {
        Ok(FileKind::Safetensors)
    } else if start.starts_with(b"PK\x03\x04") {
        Ok(FileKind::TorchZip)
    } else if start.first() == Some(&torch::PICKLE_START) {
        Ok(FileKind::TorchLegacy)
    } else if start.is_empty() {
        Err(Problem::Foreign("it is empty".to_owned()))
    } else {
        Err(Problem::Foreign(format!("it begins with \"{}\"", start.escape_ascii())))
    }
}

/// Reads a file of `length` bytes.
pub(crate) fn read_from<R: Read + Seek>(mut file: R, length: u64) -> Result<TensorFile, Problem> {
    let mut start = Vec::new();
    file.by_ref().take(START).read_to_end(&mut start)?;
    file.seek(SeekFrom::Start(0))?;
    match kind_of(&start)? {
        FileKind::Safetensors => safetensors_read::read(file, length),
        FileKind::TorchZip => torch::read_zip(file, length),
        FileKind::TorchLegacy => torch::read_legacy(file, length),
    }
}
