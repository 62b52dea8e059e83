//! Images in a column of Parquet files.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use parquet::column::reader::ColumnReader;
use parquet::errors::ParquetError;
use parquet::file::reader::FileReader;

use super::file::{Reader, catch_panics};
use super::schema::image_leaf;
use crate::retain::retain;

/// The image bytes of a dataset in Parquet files. Reading an image decompresses one page.
#[derive(Clone, Default)]
pub(crate) struct ImageColumn {
    files: Vec<(PathBuf, Arc<Reader>)>,
    /// For each sample the indices of its file, its row group, and its row in the group.
    locations: Vec<[u32; 3]>,
}

impl fmt::Debug for ImageColumn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files: Vec<_> = self.files.iter().map(|(path, _)| path).collect();
        formatter.debug_struct("ImageColumn").field("files", &files).field("images", &self.locations.len()).finish()
    }
}

impl ImageColumn {
    pub(super) fn add_file(&mut self, path: PathBuf, reader: Reader) {
        self.files.push((path, Arc::new(reader)));
    }

    /// Whether every file has images.
    pub(super) fn is_complete(&self) -> bool {
        self.files.iter().all(|(_, reader)| image_leaf(reader).is_some())
    }

    /// Sets the file and the row, counted from 1, of each sample.
    pub(super) fn set_rows(&mut self, places: &[(usize, u64)]) {
        let ends: Vec<Vec<u64>> = self.files.iter().map(|(_, reader)| group_ends(reader)).collect();
        let location = |&(file, line): &(usize, u64)| {
            let row = line - 1;
            let group = ends[file].partition_point(|&end| end <= row);
            let start = group.checked_sub(1).map_or(0, |before| ends[file][before]);
            [file as u32, group as u32, (row - start) as u32]
        };
        self.locations = places.iter().map(location).collect();
    }

    /// The bytes of the image of a sample.
    pub(crate) fn read(&self, index: usize) -> io::Result<Vec<u8>> {
        let [file, group, row] = self.locations[index].map(|part| part as usize);
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

    /// The location of an image, for messages.
    pub(crate) fn describe(&self, index: usize) -> String {
        let [file, group, row] = self.locations[index];
        format!("{}, row {row} of row group {group}", self.files[file as usize].0.display())
    }

    /// Keeps the images for whose indices `is_kept` holds.
    pub(crate) fn retain(&mut self, is_kept: impl Fn(usize) -> bool) {
        retain(&mut self.locations, is_kept);
    }
}

/// The number of rows up to the end of each row group.
fn group_ends(reader: &Reader) -> Vec<u64> {
    let mut end = 0;
    let add = |group: &parquet::file::metadata::RowGroupMetaData| {
        end += u64::try_from(group.num_rows()).unwrap_or_default();
        end
    };
    reader.metadata().row_groups().iter().map(add).collect()
}
