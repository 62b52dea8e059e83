//! The images of a zip or tar archive, without a dataset.

use std::io;
use std::path::Path;

use crate::error::DataError;
use crate::files::{Files, has_extension};

/// A zip or tar archive, read in place, by any number of threads.
#[derive(Clone, Debug)]
pub struct Archive(Files);

impl Archive {
    /// Whether a path has the extension of an archive.
    #[must_use]
    pub fn is_named(path: &Path) -> bool {
        path.to_str().is_some_and(|name| has_extension(name, &["zip", "tar"]))
    }

    /// Opens the archive at `path`: tar by its extension, zip otherwise.
    ///
    /// # Errors
    ///
    /// When it cannot be read or is damaged.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        Files::archive(path).map(Self)
    }

    /// The names of its files, sorted, with `/` between their parts. [`NameKind`](crate::NameKind) tells which are images.
    #[must_use]
    pub fn files(&self) -> Vec<String> {
        let mut names = self.0.names_in_archive();
        names.retain(|name| !name.ends_with('/'));
        names
    }

    /// The content of the file `name`.
    ///
    /// # Errors
    ///
    /// When there is no such file, it is damaged, or it would unpack to more than 512 MiB, or 1 GiB if it is not an image.
    pub fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.0.read(name)
    }
}
