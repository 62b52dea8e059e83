//! Tables as lists of images, whether they have labels or not.

use std::path::Path;

use crate::error::DataError;
use crate::sources;
use crate::table_options::TableOptions;

/// Whether a path has the extension of a text table.
#[must_use]
pub fn is_table(path: &Path) -> bool {
    sources::is_text_table(path)
}

/// The paths of the images that the text table at `path` lists, in its order; a path may lead into an archive,
/// `faces.zip/a.jpg`. Images are searched like those of a dataset; an image that is not found has the path where it should be.
///
/// # Errors
///
/// When the table cannot be read or no column names images.
pub fn read(path: &Path, options: &TableOptions) -> Result<Vec<String>, DataError> {
    sources::listed_images(path, options)
}
