//! Images in a column of Parquet files.

use std::fmt;
use std::io;
use std::path::PathBuf;

use parquet::column::reader::ColumnReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::FileReader;

use super::super::images::{ImageColumn, Location};
use super::file::{Reader, catch_panics};
use super::schema::image_leaf;

/// The image bytes of a dataset in Parquet files. Reading an image decompresses one page.
#[derive(Default)]
pub(super) struct ParquetImages {
    files: Vec<(PathBuf, Reader)>,
}

impl fmt::Debug for ParquetImages {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.files.iter().map(|(path, _)| path)).finish()
    }
}

impl ParquetImages {
    pub(super) fn add_file(&mut self, path: PathBuf, reader: Reader) {
        self.files.push((path, reader));
    }

    /// Whether every file has images.
    pub(super) fn is_complete(&self) -> bool {
        self.files.iter().all(|(_, reader)| image_leaf(reader).is_some())
    }

    /// For each file, the number of rows up to the end of each row group.
    pub(super) fn ends(&self) -> Vec<Vec<u64>> {
        let of_file = |(_, reader): &(PathBuf, Reader)| {
            let mut end = 0;
            let add = |group: &RowGroupMetaData| {
                end += u64::try_from(group.num_rows()).unwrap_or_default();
                end
            };
            reader.metadata().row_groups().iter().map(add).collect()
        };
        self.files.iter().map(of_file).collect()
    }
}

impl ImageColumn for ParquetImages {
    fn read(&self, location: Location) -> io::Result<Vec<u8>> {
        let [file, group, row] = location.map(|part| part as usize);
        let (_, reader) = &self.files[file];
        let leaf = image_leaf(reader).ok_or(io::ErrorKind::NotFound)?;
        let image = catch_panics(|| {
            let group = reader.get_row_group(group)?;
            let ColumnReader::ByteArrayColumnReader(mut column) = group.get_column_reader(leaf)? else {
                return Err(ParquetError::General("the images are not bytes".to_owned()));
            };
            let (mut values, mut levels) = (Vec::with_capacity(1), Vec::new());
            column.skip_records(row)?;
            column.read_records(1, Some(&mut levels), None, &mut values)?;
            Ok(values.first().map(|image| image.data().to_vec()))
        });
        let missing = || io::Error::new(io::ErrorKind::NotFound, "the row has no image");
        image.map_err(io::Error::other)?.ok_or_else(missing)
    }

    fn describe(&self, [file, group, row]: Location) -> String {
        format!("{}, row {row} of row group {group}", self.files[file as usize].0.display())
    }
}
