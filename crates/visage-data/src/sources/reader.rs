//! What the reader of a format gets, and what it returns.

use super::images::Images;
use super::locate::Located;
use super::table::Table;
use crate::error::DataError;
use crate::files::{Files, Listing};
use crate::sample::Sample;

/// A dataset whose format is known.
pub(super) struct SourceFiles {
    pub(super) files: Files,
    /// The files below the root; empty where the reader does not search for images.
    pub(super) listing: Listing,
    /// The names of its tables or shards.
    pub(super) names: Vec<String>,
}

impl SourceFiles {
    /// The error that the tables are not parts of the same table.
    pub(super) fn different_tables(&self) -> DataError {
        DataError::ManyTables { path: self.files.root().to_owned(), tables: self.names.clone() }
    }
}

/// A dataset as its reader returns it.
pub(crate) struct Contents {
    /// The name of the format.
    pub(crate) form: &'static str,
    /// The attribute names, in order.
    pub(crate) attributes: Vec<String>,
    /// The names of the category columns, in order.
    pub(crate) categories: Vec<String>,
    /// The samples, in the order of the table.
    pub(crate) samples: Vec<Sample>,
    pub(crate) images: Images,
    /// How the columns were understood; empty where the form leaves no choice.
    pub(crate) understood: String,
    /// Remarks that are not faults.
    pub(crate) notes: Vec<String>,
    /// The names most like that of the first image without a file.
    pub(crate) nearest: Vec<String>,
}

impl Contents {
    pub(super) fn new(form: &'static str, table: Table, located: Located) -> Self {
        let Table { attributes, categories, samples, understood, mut notes, .. } = table;
        let Located { images, notes: of_images, nearest } = located;
        notes.extend(of_images);
        Contents { form, attributes, categories, samples, images, understood, notes, nearest }
    }
}
