//! The files below one root: a folder, or a zip archive read in place.

use std::fs::{self, File};
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;
use zip::ZipArchive;

use crate::error::DataError;

/// The largest file that is read from an archive: far above any photograph or table, and a bound on what a forged
/// archive can make of a few bytes.
const MAX_ENTRY: u64 = 1 << 30;

/// The files of a folder or of a zip archive, reached by their names below it, with `/` between the parts.
///
/// Reading takes `&self` and may go on from many threads at once. Nothing is ever extracted.
#[derive(Clone, Debug)]
pub(crate) enum Files {
    /// A folder.
    Folder(PathBuf),
    /// A memory-mapped archive, and where it lies.
    Zip { path: PathBuf, archive: ZipArchive<Cursor<Mapped>> },
}

/// A file in memory-mapped form. Cloning shares the mapping.
#[derive(Clone, Debug)]
pub(crate) struct Mapped(Arc<Mmap>);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Files {
    /// Maps the zip archive at `path` and reads its list of contents.
    pub(crate) fn zip(path: &Path) -> Result<Self, DataError> {
        let unreadable = |source| DataError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(unreadable)?;
        // SAFETY: the mapping is private to this value, is only read, and outlives every slice taken from it. That
        // nobody cuts the archive short while it is in use cannot be enforced; it is what every reader of a mapped
        // data file relies on.
        #[allow(unsafe_code)]
        let mapped = unsafe { Mmap::map(&file) }.map_err(unreadable)?;
        let archive = ZipArchive::new(Cursor::new(Mapped(Arc::new(mapped))))
            .map_err(|source| DataError::Zip { path: path.to_owned(), source })?;
        Ok(Files::Zip { path: path.to_owned(), archive })
    }

    /// The folder or archive itself.
    pub(crate) fn root(&self) -> &Path {
        match self {
            Files::Folder(path) | Files::Zip { path, .. } => path,
        }
    }

    /// How messages name the file `name`.
    pub(crate) fn describe(&self, name: &str) -> String {
        self.root().join(name).display().to_string()
    }

    /// The names of all files of an archive, or of those directly in a folder, sorted. What macOS adds to archives is
    /// left out.
    pub(crate) fn names(&self) -> Result<Vec<String>, DataError> {
        let mut names = Vec::new();
        match self {
            Files::Folder(path) => {
                let unreadable = |source| DataError::Read { path: path.clone(), source };
                for entry in fs::read_dir(path).map_err(unreadable)? {
                    let entry = entry.map_err(unreadable)?;
                    if entry.path().is_file() {
                        names.extend(entry.file_name().into_string().ok());
                    }
                }
                names.retain(|name| !name.starts_with('.'));
            }
            Files::Zip { archive, .. } => {
                let is_real = |name: &String| {
                    !name.ends_with('/') && !name.split('/').any(|part| part == "__MACOSX" || part.starts_with("._"))
                };
                names.extend(archive.file_names().flatten().map(|name| name.into_owned()).filter(is_real));
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Whether there is a file called `name`.
    pub(crate) fn contains(&self, name: &str) -> bool {
        match self {
            Files::Folder(path) => path.join(name).is_file(),
            Files::Zip { archive, .. } => archive.index_for_name(name).is_some(),
        }
    }

    /// The content of the file `name`.
    pub(crate) fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        match self {
            Files::Folder(path) => fs::read(path.join(name)),
            Files::Zip { archive, .. } => {
                // A clone shares the mapping and the list of contents, and has a position of its own.
                let mut archive = archive.clone();
                let entry = archive.by_name(name)?;
                let size = entry.size();
                if size > MAX_ENTRY {
                    return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("{size} bytes when unpacked")));
                }
                let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
                // The stated size can lie; the limit holds anyway.
                entry.take(MAX_ENTRY).read_to_end(&mut content)?;
                Ok(content)
            }
        }
    }

    /// The content of the table `name`, or an error that names it.
    pub(crate) fn read_table(&self, name: &str) -> Result<Vec<u8>, DataError> {
        self.read(name).map_err(|source| DataError::Read { path: self.root().join(name), source })
    }
}

#[cfg(test)]
mod tests {
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
        assert_eq!(files.names().unwrap().len(), 20);
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
        assert!(matches!(Files::zip(&path), Err(DataError::Zip { .. })));
    }
}
