//! The files below a folder, or in a zip or tar archive read in place.

mod file_range;
mod listing;
mod names;
mod regular;
mod stand_ins;
mod tar_archive;
mod zip_archive;

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

pub(crate) use self::file_range::FileRange;
pub(crate) use self::listing::Listing;
pub use self::names::NameKind;
pub(crate) use self::names::{READABLE, UNREADABLE, has_extension, is_image_name};
pub use self::regular::read_image_file;
pub(crate) use self::stand_ins::{is_lfs_pointer, refuse_stand_ins};
use self::tar_archive::TarArchive;
use self::zip_archive::ZipArchive;
use crate::error::DataError;

/// The largest table that is unpacked.
const MAX_TABLE: u64 = 1 << 33;

/// A table may be larger than an image file, and may come through a pipe.
fn read_image_or_table(path: &Path) -> io::Result<Vec<u8>> {
    if is_image_name(&path.to_string_lossy()) { read_image_file(path) } else { fs::read(path) }
}

/// The files of a folder or of an archive, by their names below it, with `/` between the parts.
///
/// Any number of threads may read at once. Nothing is extracted, except a compressed archive inside another, which goes
/// to a temporary file without a name.
#[derive(Clone, Debug)]
pub(crate) enum Files {
    Folder(PathBuf),
    Zip(ZipArchive),
    Tar(TarArchive),
}

impl Files {
    /// Opens the zip archive at `path`.
    pub(crate) fn zip(path: &Path) -> Result<Self, DataError> {
        ZipArchive::new(path.to_owned(), FileRange::open(path)?).map(Files::Zip)
    }

    /// Opens the archive at `path`: tar by its extension, zip otherwise.
    pub(crate) fn archive(path: &Path) -> Result<Self, DataError> {
        let is_tar = path.to_str().is_some_and(|name| has_extension(name, &["tar"]));
        if is_tar { TarArchive::open(path).map(Files::Tar) } else { Self::zip(path) }
    }

    /// Opens the archive called `name` below this root.
    pub(crate) fn inner_archive(&self, name: &str) -> Result<Self, DataError> {
        let path = self.root().join(name);
        match self {
            Files::Folder(_) => Self::archive(&path),
            Files::Zip(archive) => match archive.inner(name) {
                Ok(bytes) => ZipArchive::new(path, bytes).map(Files::Zip),
                Err(source) => Err(DataError::Read { path, source }),
            },
            Files::Tar(_) => Err(DataError::Read { path, source: io::ErrorKind::Unsupported.into() }),
        }
    }

    /// The path of the folder or archive.
    pub(crate) fn root(&self) -> &Path {
        match self {
            Files::Folder(path) => path,
            Files::Zip(archive) => &archive.path,
            Files::Tar(archive) => &archive.path,
        }
    }

    /// The path of the file `name`, for messages.
    pub(crate) fn describe(&self, name: &str) -> String {
        self.root().join(name).display().to_string()
    }

    /// Lists the files some folders deep.
    pub(crate) fn list(&self) -> Result<Listing, DataError> {
        match self {
            Files::Folder(path) => Listing::of_folder(path),
            Files::Zip(archive) => Ok(Listing::of_names(archive.names())),
            Files::Tar(archive) => Ok(Listing::of_names(archive.names())),
        }
    }

    /// The names of all files of an archive, sorted; none of a folder.
    pub(crate) fn names_in_archive(&self) -> Vec<String> {
        let mut names: Vec<String> = match self {
            Files::Folder(_) => Vec::new(),
            Files::Zip(archive) => archive.names().collect(),
            Files::Tar(archive) => archive.names().collect(),
        };
        names.sort_unstable();
        names
    }

    /// Other readings of the names in an archive; each pair is a name and another reading.
    pub(crate) fn other_names(&self) -> Vec<(String, String)> {
        match self {
            Files::Zip(archive) => archive.other_names(),
            Files::Folder(_) | Files::Tar(_) => Vec::new(),
        }
    }

    /// Whether there is a file called `name`.
    pub(crate) fn contains(&self, name: &str) -> bool {
        match self {
            Files::Folder(path) => path.join(name).is_file(),
            Files::Zip(archive) => archive.contains(name),
            Files::Tar(archive) => archive.contains(name),
        }
    }

    /// The content of the file `name`.
    pub(crate) fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        match self {
            Files::Folder(path) => read_image_or_table(&path.join(name)),
            Files::Zip(archive) => archive.read(name),
            Files::Tar(archive) => archive.read(name),
        }
    }

    /// The first bytes of the file `name`, at most `length`; `None` in an archive, where that takes as long as reading it.
    pub(crate) fn beginning(&self, name: &str, length: u64) -> Option<io::Result<Vec<u8>>> {
        match self {
            Files::Folder(path) => Some(regular::read_beginning(&path.join(name), length)),
            Files::Zip(_) | Files::Tar(_) => None,
        }
    }

    /// The content of the table `name`, unpacked if it ends in `.gz`.
    pub(crate) fn read_table(&self, name: &str) -> Result<Vec<u8>, DataError> {
        let path = self.root().join(name);
        let content = self.read(name).map_err(|source| DataError::Read { path: path.clone(), source })?;
        refuse_stand_ins(&path, &content)?;
        if !has_extension(name, &["gz"]) {
            return Ok(content);
        }
        let mut unpacked = Vec::new();
        // A file of a few kilobytes must not unpack to terabytes.
        let unpack = MultiGzDecoder::new(content.as_slice()).take(MAX_TABLE + 1).read_to_end(&mut unpacked);
        match unpack {
            Ok(length) if length as u64 <= MAX_TABLE => Ok(unpacked),
            Ok(_) => {
                let source = io::Error::new(io::ErrorKind::FileTooLarge, "it unpacks to more than 8 GiB");
                Err(DataError::Read { path, source })
            }
            Err(source) => Err(DataError::Read { path, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use super::*;

    #[test]
    fn an_archive_is_read_in_place_from_many_threads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.zip");
        let mut writer = zip::ZipWriter::new(File::create(&path).unwrap());
        let content = |number: usize| format!("content {number} ").repeat(100 * number).into_bytes();
        for number in 0..20 {
            let method =
                if number % 2 == 0 { zip::CompressionMethod::Stored } else { zip::CompressionMethod::Deflated };
            let options = zip::write::SimpleFileOptions::default().compression_method(method);
            writer.start_file(format!("folder/{number}"), options).unwrap();
            writer.write_all(&content(number)).unwrap();
        }
        for junk in ["__MACOSX/folder/._0", "folder/._0"] {
            writer.start_file(junk, zip::write::SimpleFileOptions::default()).unwrap();
        }
        writer.finish().unwrap();

        let files = Files::zip(&path).unwrap();
        let listing = files.list().unwrap();
        assert_eq!((listing.files.len(), listing.folders), (20, vec![String::new(), "folder/".to_owned()]));
        assert!(files.contains("folder/3") && !files.contains("folder/33"));
        std::thread::scope(|scope| {
            for start in 0..4 {
                let files = &files;
                scope.spawn(move || {
                    for number in (0..20).cycle().skip(start * 5).take(40) {
                        assert_eq!(files.read(&format!("folder/{number}")).unwrap(), content(number));
                    }
                });
            }
        });
        assert_eq!(files.read("folder/33").unwrap_err().kind(), io::ErrorKind::NotFound);

        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        // The first twelve files are smaller than the last eight.
        assert!(matches!(Files::zip(&path), Err(DataError::Zip { found: 10..=16, .. })));
    }
}
