//! Telling the kinds of weight file apart, by what they hold.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use crate::error::{Problem, WeightsError};
use crate::names::without_wrapper_prefixes;
use crate::tensor::TensorFile;
use crate::{safetensors_read, torch};

/// Reads the named tensors of a safetensors file, a PyTorch file, or a PyTorch file of the format before 1.6.
///
/// The kind is told by the content, whatever the file is called. The PyTorch kinds may hold a bare state dict or one
/// under a `state_dict`, `model_state_dict` or `model` key; what lies beside it is left unread. The prefixes that
/// `DataParallel` (`module.`) and `torch.compile` (`_orig_mod.`) put before every name are removed.
///
/// # Errors
///
/// [`WeightsError`], naming the file and what is wrong with it: see [`Problem`].
pub fn read(path: &Path) -> Result<TensorFile, WeightsError> {
    let open = || -> Result<TensorFile, Problem> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        read_from(BufReader::new(file), length)
    };
    open().map_err(|problem| WeightsError::new(path, problem))
}

/// Reads a file of `length` bytes from its beginning.
pub(crate) fn read_from<R: Read + Seek>(mut file: R, length: u64) -> Result<TensorFile, Problem> {
    let mut start = Vec::new();
    file.by_ref().take(16).read_to_end(&mut start)?;
    file.seek(SeekFrom::Start(0))?;
    // Safetensors first: the length at its beginning may look like the start of a pickle, but a pickle or a zip
    // archive read as a length is far more than a header may have.
    let mut file = if safetensors_read::begins(&start) {
        safetensors_read::read(file, length)?
    } else if start.starts_with(b"PK\x03\x04") {
        torch::read_zip(file, length)?
    } else if start.first() == Some(&torch::PICKLE_START) {
        torch::read_legacy(file, length)?
    } else if start.is_empty() {
        return Err(Problem::Foreign("it is empty".to_owned()));
    } else {
        return Err(Problem::Foreign(format!("it begins with \"{}\"", start.escape_ascii())));
    };
    file.tensors = without_wrapper_prefixes(file.tensors);
    Ok(file)
}
