//! Tar archives read in place.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tar::{EntryType, PaxExtensions};

use super::file_range::FileRange;
use super::names::is_hidden;
use super::regular::require_readable;
use super::stand_ins::refuse_stand_ins;
use crate::error::DataError;

/// The longest description of a file (a long name, extended attributes) before it: far above any path.
const MAX_DESCRIPTION: u64 = 1 << 20;

/// A tar archive.
#[derive(Clone, Debug)]
pub(crate) struct TarArchive {
    pub(super) path: PathBuf,
    /// The content of each file.
    entries: Arc<HashMap<String, FileRange>>,
}

impl TarArchive {
    /// Opens the archive at `path` and finds its files.
    pub(super) fn open(path: &Path) -> Result<Self, DataError> {
        let bytes = FileRange::open(path)?;
        refuse_stand_ins(path, &bytes.beginning(path)?)?;
        let entries = entries(&bytes).map_err(|source| DataError::Tar { path: path.to_owned(), source })?;
        Ok(TarArchive { path: path.to_owned(), entries: Arc::new(entries) })
    }

    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        self.entries.keys().cloned()
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    pub(super) fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let content = self.entries.get(name).ok_or(ErrorKind::NotFound)?;
        require_readable(name, content.length())?;
        content.content()
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

/// The files of an archive. Descriptions are read here: the library would read one of any length into memory.
fn entries(bytes: &FileRange) -> io::Result<HashMap<String, FileRange>> {
    let damaged = |reason: String| io::Error::new(ErrorKind::InvalidData, reason);
    let mut entries = HashMap::new();
    let mut archive = tar::Archive::new(bytes.clone());
    // The name that the next file has instead of that in its header.
    let mut long_name: Option<Vec<u8>> = None;
    for entry in archive.entries_with_seek()?.raw(true) {
        let entry = entry?;
        let kind = entry.header().entry_type();
        let (start, length) = (entry.raw_file_position(), entry.size());
        if matches!(kind, EntryType::GNULongName | EntryType::XHeader) {
            if length > MAX_DESCRIPTION {
                return Err(damaged(format!(
                    "the description of a file has {length} bytes, and may have {MAX_DESCRIPTION}"
                )));
            }
            let description = bytes.bytes_at(start, length)?;
            if kind == EntryType::GNULongName {
                long_name = Some(description.strip_suffix(b"\0").unwrap_or(&description).to_vec());
            } else if let Some(path) = extended_path(&description)? {
                long_name = Some(path);
            }
            continue;
        }
        if kind == EntryType::GNUSparse {
            return Err(damaged("it holds a sparse file: pack it without --sparse".to_owned()));
        }
        if matches!(kind, EntryType::GNULongLink | EntryType::XGlobalHeader) {
            continue;
        }
        let name = name_of(&long_name.take().map_or_else(|| entry.header().path_bytes(), Into::into));
        if !kind.is_file() {
            continue;
        }
        let content = bytes.part(start, length);
        let content =
            content.ok_or_else(|| io::Error::new(ErrorKind::UnexpectedEof, format!("it ends within {name}")))?;
        let name = name.strip_prefix("./").unwrap_or(&name).to_owned();
        if !is_hidden(&name) {
            entries.insert(name, content);
        }
    }
    Ok(entries)
}

/// The path in the extended header of a file (POSIX pax).
fn extended_path(header: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let mut path = None;
    for extension in PaxExtensions::new(header) {
        let extension = extension?;
        match extension.key_bytes() {
            b"path" => path = Some(extension.value_bytes().to_vec()),
            // It stands there where the header has no place for it.
            b"size" => return Err(io::Error::new(ErrorKind::FileTooLarge, "it holds a file of 8 GiB or more")),
            _ => {}
        }
    }
    Ok(path)
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

    #[test]
    fn descriptions_are_read_up_to_a_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tar");
        let long = format!("{}/x.png", "long".repeat(60));
        let archive = |kind: EntryType, description: &[u8]| {
            let mut builder = tar::Builder::new(Vec::new());
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(kind);
            header.set_size(description.len() as u64);
            header.set_cksum();
            builder.append(&header, description).unwrap();
            header.set_entry_type(EntryType::Regular);
            header.set_path("short.png").unwrap();
            header.set_size(2);
            header.set_cksum();
            builder.append(&header, &b"ok"[..]).unwrap();
            std::fs::write(&path, builder.into_inner().unwrap()).unwrap();
            TarArchive::open(&path)
        };
        let extended = format!("path={long}\n");
        let extended = format!("{} {extended}", extended.len() + 4);
        let described =
            [(EntryType::GNULongName, [long.as_bytes(), b"\0"].concat()), (EntryType::XHeader, extended.into_bytes())];
        for (kind, description) in described {
            assert_eq!(archive(kind, &description).unwrap().read(&long).unwrap(), b"ok");
            let error = archive(kind, &[b'a'; 2 << 20]).unwrap_err();
            let DataError::Tar { source, .. } = error else { panic!("{error}") };
            assert!(source.to_string().contains("2097152 bytes"), "{source}");
        }
    }
}
