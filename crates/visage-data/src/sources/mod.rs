//! The formats of datasets.
//!
//! Reading goes one way. [`recognise`] finds the format of a path. The reader of that format, one file each, yields rows.
//! [`profile`] counts what the columns of the rows hold, [`columns`] decides what they mean, and [`parts`] turns rows into samples and
//! reports faulty ones. [`locate`] finds the image files.

#[cfg(feature = "arrow")]
mod arrow;
mod attribute_column;
mod celeba;
mod class_folders;
mod class_names;
mod columns;
mod combination;
mod exports;
mod face_columns;
mod faults;
mod images;
mod label_list;
mod label_spelling;
mod locate;
mod near_names;
pub(crate) mod pack;
mod parquet;
mod parts;
mod profile;
mod reader;
mod recognise;
mod recognised;
mod rows;
mod split_column;
mod table;
mod text_table;
mod webdataset;

use std::path::Path;

pub(crate) use self::faults::Faults;
pub(crate) use self::images::Images;
pub(crate) use self::reader::Contents;
use self::recognise::{Source, recognise};
pub use self::recognised::{Recognised, recognised};
use crate::error::DataError;
use crate::table_options::TableOptions;

/// The paths of the images that the table at `path` lists.
pub(crate) fn listed_images(path: &Path, options: &TableOptions) -> Result<Vec<String>, DataError> {
    match recognise(path)? {
        Source::TextTable(source) => text_table::listed_images(source, options),
        _ => Err(DataError::NoTable { path: path.to_owned(), images: 0 }),
    }
}

/// Whether a path has the extension of a text table.
pub(crate) fn is_text_table(path: &Path) -> bool {
    path.to_str().is_some_and(recognise::is_text_table)
}

/// Reads the dataset at `path`, whatever its format.
pub(crate) fn read(path: &Path, options: &TableOptions, faults: &mut Faults) -> Result<Contents, DataError> {
    match recognise(path)? {
        Source::Pack(mut pack) => {
            let (attributes, categories, samples) = pack.take_table();
            let images = Images::Packed(pack);
            let (understood, notes, nearest) = (String::new(), Vec::new(), Vec::new());
            Ok(Contents { form: "pack", attributes, categories, samples, images, understood, notes, nearest })
        }
        Source::CelebA(source) => celeba::read(source, options, faults),
        Source::TextTable(source) => text_table::read(source, options, faults),
        Source::Parquet(source) => parquet::read(source, options, faults),
        #[cfg(feature = "arrow")]
        Source::Arrow(source) => arrow::read(source, options, faults),
        #[cfg(not(feature = "arrow"))]
        Source::Arrow(source) => Err(DataError::NeedsArrow { path: source.files.root().join(&source.names[0]) }),
        Source::WebDataset(source) => webdataset::read(source, options, faults),
        Source::Export(source) => exports::read(source, options, faults),
        Source::ClassFolders(source) => class_folders::read(source, options, faults),
    }
}
