//! The format of PyTorch 1.6 and later: a zip archive of `NAME/data.pkl` and one `NAME/data/KEY` for each storage, without
//! compression.

use std::io::{Read, Seek};

use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use super::pickle;
use super::state_dict;
use super::views::Assembly;
use crate::error::{Problem, quoted};
use crate::tensor::TensorFile;

/// Reads a zip archive of `length` bytes.
pub(crate) fn read<R: Read + Seek>(file: R, length: u64) -> Result<TensorFile, Problem> {
    let archive = ZipArchive::new(file).map_err(|error| match error {
        ZipError::Io(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => Problem::Io(error),
        error => Problem::Damaged(format!(
            "it begins as a zip archive but has no readable directory at its end, as if it were truncated ({error})"
        )),
    })?;
    let mut entries = Entries { archive, unread: length };

    let folder = entries.archive.file_names_raw().find_map(|name| {
        let folder = name.strip_suffix(b"data.pkl")?;
        (folder.is_empty() || folder.iter().position(|&byte| byte == b'/') == Some(folder.len() - 1))
            .then(|| folder.to_vec())
    });
    let Some(folder) = folder else {
        return Err(Problem::Foreign("it is a zip archive without PyTorch's data.pkl".to_owned()));
    };
    let within = |name: &str| [folder.as_slice(), name.as_bytes()].concat();

    if entries.read(&within("byteorder"), 16)?.is_some_and(|order| order != b"little") {
        return Err(Problem::Unsupported("its numbers are big-endian, which visage does not read".to_owned()));
    }
    let code = entries.read(&within("data.pkl"), pickle::MAX_LENGTH)?.unwrap_or_default();
    let (saved, objects) = pickle::read(code.as_slice())?;
    let mut assembly = Assembly::new(state_dict::tensors(&objects, saved)?, length)?;
    drop(objects);
    for key in assembly.keys() {
        if let Some(bytes) = entries.read(&within(&format!("data/{key}")), length)? {
            assembly.fill(&key, &bytes)?;
        }
    }
    assembly.finish()
}

struct Entries<R> {
    archive: ZipArchive<R>,
    /// The size of the file minus the entries read so far. In hostile archives many entries share the same bytes.
    unread: u64,
}

impl<R: Read + Seek> Entries<R> {
    /// The bytes of an entry of at most `max_length` bytes; `None` if there is no such entry.
    fn read(&mut self, name: &[u8], max_length: u64) -> Result<Option<Vec<u8>>, Problem> {
        let shown = || quoted(&String::from_utf8_lossy(name));
        let damaged = |error: &dyn std::fmt::Display| Problem::Damaged(format!("in its entry {}: {error}", shown()));

        let Some(index) = self.archive.index_for_name_raw(name) else { return Ok(None) };
        let mut entry = self.archive.by_index(index).map_err(|error| damaged(&error))?;
        if entry.compression() != CompressionMethod::Stored {
            let what = format!("its entry {} is compressed, which PyTorch never does; save it again", shown());
            return Err(Problem::Unsupported(what));
        }
        let size = entry.size();
        self.unread = match self.unread.checked_sub(size) {
            Some(unread) if size <= max_length => unread,
            _ => return Err(damaged(&format!("it states {size} bytes, more than it can have"))),
        };
        let mut bytes = Vec::with_capacity(size as usize);
        // Reading to the end compares the archive's checksum.
        entry.read_to_end(&mut bytes).map_err(|error| damaged(&error))?;
        if bytes.len() as u64 != size {
            return Err(damaged(&format!("it should have {size} bytes, but has {}", bytes.len())));
        }
        Ok(Some(bytes))
    }
}
