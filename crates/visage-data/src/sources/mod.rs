//! The forms in which datasets come, and telling one from another.

mod celeba;
mod spelling;
mod table;
mod words;

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use crate::error::{DataError, TableFault};
use crate::files::Files;
use crate::sample::Sample;

/// What a source says about its images, and where they lie.
pub(crate) struct Contents {
    /// The attribute names, in order.
    pub(crate) attributes: Vec<String>,
    /// The names of columns of words, in order.
    pub(crate) categories: Vec<String>,
    /// The rows, in the order of the table.
    pub(crate) samples: Vec<Sample>,
    /// Where the image files are.
    pub(crate) images: Images,
}

/// Where the image files of a dataset lie: below a prefix in a folder or an archive.
#[derive(Debug)]
pub(crate) struct Images {
    /// The folder or archive.
    pub(crate) files: Files,
    /// What stands before an image's name; empty, or ending in `/`.
    pub(crate) prefix: String,
}

impl Images {
    /// The file name of the image that the table calls `image`.
    pub(crate) fn file_name(&self, image: &str) -> String {
        // Folders resolve `./` by themselves, archives do not.
        format!("{}{}", self.prefix, image.strip_prefix("./").unwrap_or(image))
    }
}

/// Reads the dataset at `path`, whatever its form.
pub(crate) fn read(path: &Path) -> Result<Contents, DataError> {
    let unreadable = |source| DataError::Read { path: path.to_owned(), source };
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if metadata.is_dir() {
        return read_files(Files::Folder(path.to_owned()));
    }
    if is_zip(path).map_err(unreadable)? {
        return read_files(Files::zip(path)?);
    }
    match path.file_name().and_then(|name| name.to_str()) {
        Some(name) if is_csv(name) => {
            let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            table::read(Files::Folder(folder.to_owned()), name)
        }
        _ => Err(DataError::NoTable { path: path.to_owned() }),
    }
}

/// Reads the dataset that `files` hold.
fn read_files(files: Files) -> Result<Contents, DataError> {
    let names = files.names()?;
    if let Some(root) = celeba::root(&files, &names) {
        return celeba::read(files, &root);
    }
    let tables: Vec<String> = names.into_iter().filter(|name| is_csv(name)).collect();
    match tables.as_slice() {
        [table] => table::read(files, table),
        [] => Err(DataError::NoTable { path: files.root().to_owned() }),
        _ => Err(DataError::ManyTables { path: files.root().to_owned(), tables }),
    }
}

/// Whether the file begins as a zip archive does: with an entry, or, when it is empty, with the end of its contents.
fn is_zip(path: &Path) -> std::io::Result<bool> {
    let mut start = Vec::new();
    File::open(path)?.take(4).read_to_end(&mut start)?;
    Ok(start == b"PK\x03\x04" || start == b"PK\x05\x06")
}

fn is_csv(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"))
}

/// Text without the byte order mark that some editors put first.
fn without_byte_order_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)
}

/// `bytes` as text.
fn text(bytes: &[u8]) -> Result<&str, TableFault> {
    std::str::from_utf8(bytes).map_err(|_| TableFault::NotUtf8)
}
