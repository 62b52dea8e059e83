//! The output of rows: a stream, or a file that an interrupted prediction resumes.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::existing::{self, Existing, Names, ReadError};
use super::{BulkError, ImageInput, Rows, parquet};

/// Where rows go.
pub enum RowOutput {
    /// A stream, such as standard output, and whether the header was written.
    Stream(Box<dyn Write>, bool),
    /// A file.
    File(RowFile),
}

/// A file of rows. Batches are appended whole; a row that a crash cut short is removed on resuming.
pub struct RowFile {
    path: PathBuf,
    file: File,
    /// The Parquet file that the rows become in the end.
    parquet: Option<PathBuf>,
    /// The images that had rows when the file was opened.
    images: Names,
    /// The first of those rows, and its image.
    first: Option<(String, Vec<u8>)>,
}

/// A finished output file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// The file.
    pub path: PathBuf,
    /// Rows that it already had when it was opened.
    pub resumed: usize,
}

impl RowOutput {
    /// A stream.
    #[must_use]
    pub fn stream(stream: impl Write + 'static) -> Self {
        Self::Stream(Box::new(stream), false)
    }

    /// Opens the file at `path` for rows and reads those it holds; an incomplete last row is removed. The rows of a Parquet file are
    /// collected in a CSV file beside it, because a Parquet file can only be written whole.
    ///
    /// # Errors
    ///
    /// [`BulkError`] if the file cannot be read or written, holds something else, is a finished Parquet file, or is being written by
    /// another process.
    pub fn open(path: &Path, rows: &Rows<'_>, as_parquet: bool) -> Result<Self, BulkError> {
        if as_parquet && path.exists() {
            return Err(BulkError::ParquetExists { path: path.to_owned() });
        }
        let (parquet, path) =
            if as_parquet { (Some(path.to_owned()), collected(path)) } else { (None, path.to_owned()) };
        let failed = |source| BulkError::Write { path: path.clone(), source };
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(BulkError::InUse { path }),
            // On a file system without locks, another process is not kept out, but nothing else is lost.
            Err(TryLockError::Error(_)) | Ok(()) => {}
        }
        let Existing { images, first, end, .. } = existing::read(&file, rows).map_err(|error| match error {
            ReadError::Io(source) => BulkError::Read { path: path.clone(), source },
            ReadError::Columns => BulkError::OtherColumns { path: path.clone() },
            ReadError::Line(line) => BulkError::NotARow { path: path.clone(), line },
        })?;
        file.set_len(end).map_err(failed)?;
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        if end == 0 {
            let header = rows.header().map_err(failed)?;
            file.write_all(&header).map_err(failed)?;
        }
        Ok(Self::File(RowFile { path, file, parquet, images, first }))
    }

    /// Whether the file had a row for an image when it was opened.
    pub(super) fn contains(&self, input: &ImageInput) -> bool {
        match self {
            Self::Stream(..) => false,
            Self::File(file) => file.images.contains(&input.name()),
        }
    }

    /// Predicts the image of the first existing row again, by `row`. If the result differs, the rows are of another model or of other
    /// options, and new rows must not be mixed with them.
    ///
    /// # Errors
    ///
    /// [`BulkError::OtherPredictions`], or an image that cannot be read.
    pub(super) fn check(&self, row: impl FnOnce(&ImageInput) -> Result<Vec<u8>, BulkError>) -> Result<(), BulkError> {
        let Self::File(RowFile { path, first: Some((image, existing)), .. }) = self else { return Ok(()) };
        if row(&ImageInput::named(image)?)? == *existing {
            Ok(())
        } else {
            Err(BulkError::OtherPredictions { path: path.clone(), image: image.clone() })
        }
    }

    /// Writes rows.
    pub(super) fn write(&mut self, rows: &Rows<'_>, lines: &[u8]) -> Result<(), BulkError> {
        match self {
            Self::Stream(stream, has_header) => {
                if !std::mem::replace(has_header, true) {
                    let header = rows.header().map_err(BulkError::Stream)?;
                    stream.write_all(&header).map_err(BulkError::Stream)?;
                }
                stream.write_all(lines).and_then(|()| stream.flush()).map_err(BulkError::Stream)
            }
            Self::File(RowFile { path, file, .. }) => {
                file.write_all(lines).map_err(|source| BulkError::Write { path: path.clone(), source })
            }
        }
    }

    /// Finishes a file; a stream has nothing to finish.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn finish(self, rows: &Rows<'_>) -> Result<Option<Finished>, BulkError> {
        let Self::File(RowFile { path, file, parquet, images, .. }) = self else { return Ok(None) };
        file.sync_all().map_err(|source| BulkError::Write { path: path.clone(), source })?;
        if let Some(parquet) = &parquet {
            parquet::convert(&path, rows, parquet)?;
            fs::remove_file(&path).map_err(|source| BulkError::Write { path: path.clone(), source })?;
        }
        Ok(Some(Finished { path: parquet.unwrap_or(path), resumed: images.len() }))
    }
}

/// The CSV file that collects the rows of the Parquet file at `path`.
fn collected(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".rows.csv");
    PathBuf::from(name)
}
