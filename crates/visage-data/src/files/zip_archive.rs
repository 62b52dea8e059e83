//! Zip archives read in place.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, ErrorKind, Read};
use std::path::PathBuf;
use std::sync::Arc;

use encoding_rs::GBK;
use zip::CompressionMethod;
use zip::read::ZipArchive as Reader;
use zip::result::ZipResult;

use super::file_range::FileRange;
use super::regular::require_readable;
use super::stand_ins::refuse_stand_ins;
use crate::error::DataError;

/// The largest archive that is unpacked from within another: far above CelebA's 1.4 GB.
const MAX_INNER_ARCHIVE: u64 = 1 << 36;

/// A zip archive. Cloning shares the file and the central directory.
#[derive(Clone, Debug)]
pub(crate) struct ZipArchive {
    pub(super) path: PathBuf,
    reader: Reader<FileRange>,
    /// The index of each file by its name. The library searches all names for one that it does not have.
    indices: Arc<HashMap<String, usize>>,
}

impl ZipArchive {
    /// Reads the central directory of the archive `bytes`, which messages call `path`.
    pub(super) fn new(path: PathBuf, bytes: FileRange) -> Result<Self, DataError> {
        refuse_stand_ins(&path, &bytes.beginning(&path)?)?;
        match Reader::new(bytes.clone()) {
            Ok(reader) => {
                let names =
                    reader.file_names().zip(0..).filter_map(|(name, index)| Some((name.ok()?.into_owned(), index)));
                let indices = Arc::new(names.collect());
                Ok(ZipArchive { path, reader, indices })
            }
            Err(source) => Err(DataError::Zip { path, found: whole_files(&bytes), source }),
        }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        self.indices.keys().cloned()
    }

    /// Names as GBK, in which Windows writes them in China without marking it; each pair is a name as the library reads it, and
    /// in GBK.
    pub(super) fn other_names(&self) -> Vec<(String, String)> {
        let in_gbk = |(raw, name): (&[u8], ZipResult<Cow<'_, str>>)| {
            let text = GBK.decode_without_bom_handling_and_without_replacement(raw).filter(|_| !raw.is_ascii())?;
            Some((name.ok()?.into_owned(), text.into_owned()))
        };
        self.reader.file_names_raw().zip(self.reader.file_names()).filter_map(in_gbk).collect()
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.indices.contains_key(name)
    }

    fn index(&self, name: &str) -> io::Result<usize> {
        self.indices.get(name).copied().ok_or(ErrorKind::NotFound.into())
    }

    pub(super) fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        // The clone has a position of its own, so that threads do not disturb each other.
        let mut reader = self.reader.clone();
        let entry = reader.by_index(self.index(name)?)?;
        let size = entry.size();
        require_readable(name, size)?;
        let mut content = Vec::new();
        content.try_reserve_exact(size as usize).map_err(|_| ErrorKind::OutOfMemory)?;
        // The stated size may be wrong; nothing beyond it is read.
        if entry.take(size + 1).read_to_end(&mut content)? as u64 > size {
            return Err(io::Error::new(
                ErrorKind::InvalidData,
                format!("it has more than the {size} bytes that it states"),
            ));
        }
        Ok(content)
    }

    /// The bytes of the archive called `name` in this one: in place where it is stored without compression, otherwise
    /// unpacked into a temporary file without a name.
    pub(super) fn inner(&self, name: &str) -> io::Result<FileRange> {
        let mut reader = self.reader.clone();
        let bytes = reader.clone().into_inner();
        let mut entry = reader.by_index(self.index(name)?)?;
        let size = entry.size();
        if size > MAX_INNER_ARCHIVE {
            return Err(ErrorKind::FileTooLarge.into());
        }
        if entry.compression() == CompressionMethod::Stored
            && let Some(part) = entry.data_start().and_then(|start| bytes.part(start, size))
        {
            return Ok(part);
        }
        let mut unpacked = tempfile::tempfile()?;
        io::copy(&mut (&mut entry).take(MAX_INNER_ARCHIVE), &mut unpacked)?;
        FileRange::whole(unpacked)
    }
}

/// The number of whole files at the start of a zip archive, without its central directory: that stands at the end, and an
/// interrupted download lacks it.
fn whole_files(archive: &FileRange) -> u64 {
    /// A local header: its signature, flags at 6, the compressed size at 18, the lengths of two fields at 26 and 28.
    const HEADER: u64 = 30;
    let (mut at, mut found) = (0u64, 0);
    while let Ok(header) = archive.bytes_at(at, HEADER) {
        let short = |offset: usize| u64::from(u16::from_le_bytes([header[offset], header[offset + 1]]));
        let is_streamed = header[6] & 8 != 0;
        if !header.starts_with(b"PK\x03\x04") || is_streamed {
            break;
        }
        let size = u64::from(u32::from_le_bytes([header[18], header[19], header[20], header[21]]));
        at = at.saturating_add(HEADER + short(26) + short(28)).saturating_add(size);
        if at > archive.length() {
            break;
        }
        found += 1;
    }
    found
}
