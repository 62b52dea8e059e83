//! Ranges of open files.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::error::DataError;

/// A range of an open file, which is read by position, so that any number of threads may read at once. Cloning shares the file.
///
/// Files are not memory-mapped: where another program truncates a mapped file, reading it ends the process with a signal. Here it
/// is an error.
#[derive(Clone, Debug)]
pub(crate) struct FileRange {
    file: Arc<File>,
    range: Range<u64>,
    /// Where `Read` continues.
    position: u64,
}

impl FileRange {
    /// Opens the file at `path`.
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        File::open(path).and_then(Self::whole).map_err(|source| DataError::Read { path: path.to_owned(), source })
    }

    /// The whole of an open file.
    pub(crate) fn whole(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(FileRange { file: Arc::new(file), range: 0..length, position: 0 })
    }

    /// The number of bytes.
    pub(crate) fn length(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// The range of `length` bytes from `start` on; `None` where it reaches past the end.
    pub(crate) fn part(&self, start: u64, length: u64) -> Option<Self> {
        let start = self.range.start.checked_add(start)?;
        let end = start.checked_add(length).filter(|&end| end <= self.range.end)?;
        Some(FileRange { file: Arc::clone(&self.file), range: start..end, position: 0 })
    }

    /// The bytes of the range, or as many as there are up to `limit`.
    pub(crate) fn start(&self, limit: u64) -> io::Result<Vec<u8>> {
        let length = self.length().min(limit);
        let mut bytes = Vec::new();
        let reserved = usize::try_from(length).is_ok_and(|length| bytes.try_reserve_exact(length).is_ok());
        if !reserved {
            return Err(ErrorKind::OutOfMemory.into());
        }
        let mut reader = FileRange { position: 0, ..self.clone() };
        if reader.by_ref().take(length).read_to_end(&mut bytes)? as u64 != length {
            return Err(io::Error::new(ErrorKind::UnexpectedEof, "it was cut short while it was read"));
        }
        Ok(bytes)
    }

    /// The bytes that tell what kind of file `path` is.
    pub(crate) fn beginning(&self, path: &Path) -> Result<Vec<u8>, DataError> {
        self.start(256).map_err(|source| DataError::Read { path: path.to_owned(), source })
    }

    /// All bytes of the range.
    pub(crate) fn content(&self) -> io::Result<Vec<u8>> {
        self.start(u64::MAX)
    }

    /// `length` bytes from `start` on; an error where they reach past the end.
    pub(crate) fn bytes_at(&self, start: u64, length: u64) -> io::Result<Vec<u8>> {
        self.part(start, length).ok_or(ErrorKind::UnexpectedEof)?.content()
    }
}

impl Read for FileRange {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.length().saturating_sub(self.position);
        let length = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = read_at(&self.file, &mut buffer[..length], self.range.start + self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for FileRange {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(step) => self.length().checked_add_signed(step),
            SeekFrom::Current(step) => self.position.checked_add_signed(step),
        };
        self.position = position.ok_or(ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], position: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, position)
}

#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], position: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, position)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_range_is_read_by_position_and_within_its_bounds() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let part = FileRange::whole(file).unwrap().part(2, 5).unwrap();
        assert_eq!((part.length(), part.content().unwrap()), (5, b"23456".to_vec()));
        assert_eq!(part.bytes_at(1, 4).unwrap(), b"3456");
        assert_eq!(part.bytes_at(1, 5).unwrap_err().kind(), ErrorKind::UnexpectedEof);
        assert!(part.part(u64::MAX, 2).is_none());
        let mut reader = part.clone();
        reader.seek(SeekFrom::End(-2)).unwrap();
        let mut end = String::new();
        reader.read_to_string(&mut end).unwrap();
        assert_eq!(end, "56");
        assert_eq!(part.content().unwrap(), b"23456", "the range has a position of its own");
    }

    #[test]
    fn a_file_that_is_cut_short_is_an_error() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[7; 100_000]).unwrap();
        let whole = FileRange::whole(file.try_clone().unwrap()).unwrap();
        file.set_len(50_000).unwrap();
        assert_eq!(whole.content().unwrap_err().kind(), ErrorKind::UnexpectedEof);
        assert_eq!(whole.bytes_at(60_000, 10).unwrap_err().kind(), ErrorKind::UnexpectedEof);
        assert_eq!(whole.bytes_at(40_000, 10).unwrap(), [7; 10]);
    }
}
