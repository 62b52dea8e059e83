//! The formats of datasets.
//!
//! Reading goes one way. [`recognise`] finds the format of a path. The reader of that format, one file each, yields rows.
//! [`columns`] decides what the columns of the rows mean. [`table`] turns rows into samples and reports faulty ones. [`locate`]
//! finds the image files.

mod categories;
mod celeba;
mod columns;
mod faults;
mod images;
mod label_spelling;
mod locate;
pub(crate) mod pack;
mod parquet;
mod reader;
mod recognise;
mod rows;
mod table;
mod text_table;
mod webdataset;

use std::path::Path;

pub(crate) use self::faults::Faults;
pub(crate) use self::images::Images;
pub(crate) use self::reader::Contents;
use self::recognise::{Source, recognise};
use crate::error::DataError;

/// Reads the dataset at `path`, whatever its format.
pub(crate) fn read(path: &Path, faults: &mut Faults) -> Result<Contents, DataError> {
    match recognise(path)? {
        Source::Pack(mut pack) => {
            let (attributes, categories, samples) = pack.take_table();
            let images = Images::Packed(pack);
            Ok(Contents { form: "pack", attributes, categories, samples, images, notes: Vec::new() })
        }
        Source::CelebA(source) => celeba::read(source, faults),
        Source::TextTable(source) => text_table::read(source, faults),
        Source::Parquet(source) => parquet::read(source, faults),
        Source::WebDataset(source) => webdataset::read(source, faults),
    }
}
