//! Opening Parquet files.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use bytes::Bytes;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::headers;
use crate::error::DataError;
use crate::files::{Mapped, refuse_stand_ins};

pub(super) type Reader = SerializedFileReader<Bytes>;

/// Maps a file and checks its headers.
pub(super) fn open(path: &Path) -> Result<Reader, DataError> {
    let mapped = Mapped::open(path)?;
    let damaged_part = |part: &str| damaged(path)(ParquetError::General(format!("{part} is damaged")));
    refuse_stand_ins(path, mapped.as_ref())?;
    let is_parquet = mapped.as_ref().ends_with(b"PAR1");
    if is_parquet && !headers::footer_is_sound(mapped.as_ref()) {
        return Err(damaged_part("its footer"));
    }
    let reader =
        catch_panics(|| SerializedFileReader::new(Bytes::from_owner(mapped.clone()))).map_err(damaged(path))?;
    let chunks = || reader.metadata().row_groups().iter().flat_map(RowGroupMetaData::columns);
    for chunk in chunks() {
        let range = catch_panics(|| Ok(chunk.byte_range())).map_err(damaged(path))?;
        let [start, length] = <[u64; 2]>::from(range).map(|bound| usize::try_from(bound).unwrap_or(usize::MAX));
        let is_sound = |pages: Mapped| headers::pages_are_sound(pages.as_ref());
        if !mapped.part(start, length).is_some_and(is_sound) {
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
