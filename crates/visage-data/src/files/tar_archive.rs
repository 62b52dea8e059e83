//! Tar archives read in place.

use std::collections::HashMap;
use std::io::{self, Cursor};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::mapped::Mapped;
use super::names::is_hidden;
use super::stand_ins::refuse_stand_ins;
use crate::error::DataError;

/// A memory-mapped tar archive.
#[derive(Clone, Debug)]
pub(crate) struct TarArchive {
    pub(super) path: PathBuf,
    bytes: Mapped,
    /// The range of each file in `bytes`.
    entries: Arc<HashMap<String, Range<usize>>>,
}

impl TarArchive {
    /// Maps the archive at `path` and finds its files.
    pub(super) fn open(path: &Path) -> Result<Self, DataError> {
        let bytes = Mapped::open(path)?;
        refuse_stand_ins(path, bytes.as_ref())?;
        let entries = entries(&bytes).map_err(|source| DataError::Tar { path: path.to_owned(), source })?;
        Ok(TarArchive { path: path.to_owned(), bytes, entries: Arc::new(entries) })
    }

    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        self.entries.keys().cloned()
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    pub(super) fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let range = self.entries.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.bytes.as_ref()[range.clone()].to_vec())
    }
}

fn entries(bytes: &Mapped) -> io::Result<HashMap<String, Range<usize>>> {
    let mut entries = HashMap::new();
    let mut archive = tar::Archive::new(Cursor::new(bytes.clone()));
    for entry in archive.entries_with_seek()? {
        let entry = entry?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = entry.path()?.to_string_lossy().replace('\\', "/");
        let start = usize::try_from(entry.raw_file_position()).unwrap_or(usize::MAX);
        let length = usize::try_from(entry.size()).unwrap_or(usize::MAX);
        if bytes.part(start, length).is_none() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("it ends within {name}")));
        }
        let name = name.strip_prefix("./").unwrap_or(&name).to_owned();
        if !is_hidden(&name) {
            entries.insert(name, start..start + length);
        }
    }
    Ok(entries)
}
