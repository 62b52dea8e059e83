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

/// The name of an entry. A name may hold any bytes: those that are not UTF-8 are written as `\xNN`, so that no two entries have the
/// same name. Backslashes separate folders, as Windows writes them.
fn name_of(bytes: &[u8]) -> String {
    let mut name = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        name += &chunk.valid().replace('\\', "/");
        chunk.invalid().iter().for_each(|byte| name += &format!("\\x{byte:02x}"));
    }
    name
}

fn entries(bytes: &Mapped) -> io::Result<HashMap<String, Range<usize>>> {
    let mut entries = HashMap::new();
    let mut archive = tar::Archive::new(Cursor::new(bytes.clone()));
    for entry in archive.entries_with_seek()? {
        let entry = entry?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = name_of(&entry.path_bytes());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_not_utf8_stay_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tar");
        let mut builder = tar::Builder::new(Vec::new());
        let names: [&[u8]; 3] = [b"b\xff.png", b"b\xfe.png", b"c\\d.png"];
        for (name, content) in names.iter().zip([b"1", b"2", b"3"]) {
            let mut header = tar::Header::new_gnu();
            header.as_mut_bytes()[..name.len()].copy_from_slice(name);
            header.set_size(1);
            header.set_cksum();
            builder.append(&header, &content[..]).unwrap();
        }
        std::fs::write(&path, builder.into_inner().unwrap()).unwrap();
        let archive = TarArchive::open(&path).unwrap();
        for (name, content) in [(r"b\xff.png", b"1"), (r"b\xfe.png", b"2"), ("c/d.png", b"3")] {
            assert_eq!(archive.read(name).unwrap(), content, "{name}");
        }
    }
}
