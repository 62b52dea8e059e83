//! Memory-mapped files.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;

use crate::error::DataError;

/// A range of a memory-mapped file. Cloning shares the mapping.
#[derive(Clone, Debug)]
pub(crate) struct Mapped {
    map: Arc<Mmap>,
    range: Range<usize>,
}

impl Mapped {
    /// Maps the file at `path`.
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        let mapped = File::open(path).and_then(|file| Self::whole(&file));
        mapped.map_err(|source| DataError::Read { path: path.to_owned(), source })
    }

    /// Maps the whole of an open file.
    pub(crate) fn whole(file: &File) -> io::Result<Self> {
        // SAFETY: the mapping is private to this value, is only read, and outlives every slice taken from it. Nothing
        // can stop another program from truncating the file meanwhile; every reader of a mapped file relies on that.
        #[allow(unsafe_code)]
        let map = unsafe { Mmap::map(file) }?;
        let range = 0..map.len();
        Ok(Mapped { map: Arc::new(map), range })
    }

    /// The range of `length` bytes from `start` on; `None` where it reaches past the end.
    pub(crate) fn part(&self, start: usize, length: usize) -> Option<Self> {
        let start = self.range.start.checked_add(start)?;
        let end = start.checked_add(length).filter(|&end| end <= self.range.end)?;
        Some(Mapped { map: Arc::clone(&self.map), range: start..end })
    }
}

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.map[self.range.clone()]
    }
}
