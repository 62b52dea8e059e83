//! Opening Parquet files.

use std::io::{BufReader, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use bytes::Bytes;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, FileReader, Length, SerializedFileReader};

use super::headers;
use crate::error::DataError;
use crate::files::{FileRange, refuse_stand_ins};

pub(super) type Reader = SerializedFileReader<FileRange>;

impl Length for FileRange {
    fn len(&self) -> u64 {
        self.length()
    }
}

impl ChunkReader for FileRange {
    type T = BufReader<FileRange>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        let mut reader = self.clone();
        reader.seek(SeekFrom::Start(start))?;
        Ok(BufReader::new(reader))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        Ok(self.bytes_at(start, length as u64)?.into())
    }
}

/// Opens a file and checks its headers.
pub(super) fn open(path: &Path) -> Result<Reader, DataError> {
    let unreadable = |source| DataError::Read { path: path.to_owned(), source };
    let damaged_part = |part: &str| damaged(path)(ParquetError::General(format!("{part} is damaged")));
    let file = FileRange::open(path)?;
    refuse_stand_ins(path, &file.beginning(path)?)?;
    if !headers::footer_is_sound(&file).map_err(unreadable)? {
        return Err(damaged_part("its footer"));
    }
    let reader = catch_panics(|| SerializedFileReader::new(file.clone())).map_err(damaged(path))?;
    let chunks = || reader.metadata().row_groups().iter().flat_map(RowGroupMetaData::columns);
    for chunk in chunks() {
        let (start, length) = catch_panics(|| Ok(chunk.byte_range())).map_err(damaged(path))?;
        let pages = file.part(start, length).ok_or_else(|| damaged_part("a page"))?;
        if !headers::pages_are_sound(&pages).map_err(unreadable)? {
            return Err(damaged_part("a page"));
        }
    }
    match chunks().map(ColumnChunkMetaData::compression).find(|&compression| !is_supported(compression)) {
        Some(compression) => {
            Err(DataError::ParquetCompression { path: path.to_owned(), compression: compression.to_string() })
        }
        None => Ok(reader),
    }
}

fn is_supported(compression: Compression) -> bool {
    match compression {
        Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::GZIP(_) => true,
        Compression::ZSTD(_) => cfg!(feature = "zstd"),
        _ => false,
    }
}

/// Runs `read`. The Parquet library trusts the lengths inside pages, and panics where they reach past the end.
pub(super) fn catch_panics<T>(read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, ParquetError> {
    let panicked = |_| Err(ParquetError::General("a page is damaged".to_owned()));
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(panicked)
}

pub(super) fn damaged(path: &Path) -> impl Fn(ParquetError) -> DataError {
    move |source| DataError::Parquet { path: path.to_owned(), source: Box::new(source) }
}
