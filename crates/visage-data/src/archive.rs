//! The images of a zip or tar archive, without a dataset around them.

use std::io;
use std::path::Path;

use crate::error::DataError;
use crate::files::{Files, has_extension, is_image_name, is_real};

/// A zip or tar archive, read in place, from any number of threads.
#[derive(Clone, Debug)]
pub struct Archive(Files);

impl Archive {
    /// Whether a path is called like an archive.
    #[must_use]
    pub fn is_named(path: &Path) -> bool {
        path.to_str().is_some_and(|name| has_extension(name, &["zip", "tar"]))
    }

    /// Opens the archive at `path`, tar by its name and zip otherwise.
    ///
    /// # Errors
    ///
    /// When it cannot be read or is damaged.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let is_tar = path.to_str().is_some_and(|name| has_extension(name, &["tar"]));
        if is_tar { Files::tar(path).map(Self) } else { Files::zip(path).map(Self) }
    }

    /// Names of the images in it, sorted, `/` between their parts. What macOS adds to archives, and hidden files, are left out.
    #[must_use]
    pub fn images(&self) -> Vec<String> {
        let mut names = self.0.all_names();
        names.retain(|name| is_image_name(name) && is_real(name));
        names
    }

    /// The content of the file `name`.
    ///
    /// # Errors
    ///
    /// When it is not there, is damaged, or would unpack to more than 1 GiB.
    pub fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.0.read(name)
    }
}
