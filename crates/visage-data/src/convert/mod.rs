//! Writing a dataset in another form. The bytes of its images stay as they are.

mod celeba;
mod csv_zip;
mod parquet;
mod webdataset;

use std::fs;
use std::path::{Path, PathBuf};

use crate::dataset::Dataset;
use crate::error::DataError;
use crate::label::Label;

/// A form to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// A folder in CelebA's official layout.
    Celeba,
    /// A zip archive of images and one CSV table.
    CsvZip,
    /// A folder of Parquet files, as Hugging Face has them.
    Parquet,
    /// A folder of WebDataset tar shards.
    WebDataset,
}

/// Writes `dataset` to `target`, a folder or file that must not exist yet. It appears there once it is whole.
/// `progress` is told how many images are written.
///
/// # Errors
///
/// When an image cannot be read, the layout cannot hold the dataset, or the target cannot be written.
pub fn convert(
    dataset: &Dataset,
    layout: Layout,
    target: &Path,
    progress: &mut dyn FnMut(usize),
) -> Result<(), DataError> {
    if target.exists() {
        return Err(DataError::Exists { path: target.to_owned() });
    }
    if dataset.form() == "pack" {
        let reason = "a pack holds prepared pixels and no image files; convert its source".to_owned();
        return Err(DataError::CannotHold { layout: "another form", reason });
    }
    let draft = Draft::beside(target)?;
    match layout {
        Layout::Celeba => celeba::write(dataset, &draft.path, progress)?,
        Layout::CsvZip => csv_zip::write(dataset, &draft.path, progress)?,
        Layout::Parquet => parquet::write(dataset, &draft.path, progress)?,
        Layout::WebDataset => webdataset::write(dataset, &draft.path, progress)?,
    }
    draft.publish(target)
}

/// A folder or file under a name of its own until it is whole; removed if it never is.
struct Draft {
    path: PathBuf,
}

impl Draft {
    fn beside(target: &Path) -> Result<Self, DataError> {
        let Some(name) = target.file_name() else { return Err(DataError::Exists { path: target.to_owned() }) };
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(".part");
        let path = target.with_file_name(hidden);
        // What a killed process left.
        let draft = Draft { path };
        draft.remove();
        if let Some(parent) = target.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::create_dir_all(parent).map_err(writing(parent))?;
        }
        Ok(draft)
    }

    fn publish(self, target: &Path) -> Result<(), DataError> {
        fs::rename(&self.path, target).map_err(writing(target))
    }

    fn remove(&self) {
        // There is nothing to remove, most of the time.
        let _ = if self.path.is_dir() { fs::remove_dir_all(&self.path) } else { fs::remove_file(&self.path) };
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Turns an error of the system into one that names the file.
fn writing(path: &Path) -> impl Fn(std::io::Error) -> DataError {
    move |source| DataError::Write { path: path.to_owned(), source }
}

/// How tables and JSON spell a label.
fn spelt(label: Label) -> &'static str {
    match label {
        Label::Present => "1",
        Label::Absent => "0",
        Label::Unknown => "",
    }
}

/// The ending of an image's name, as its content has it; JPEG where the content does not tell.
fn extension(encoded: &[u8]) -> &'static str {
    match encoded {
        [0x89, b'P', b'N', b'G', ..] => "png",
        [b'R', b'I', b'F', b'F', ..] => "webp",
        [b'B', b'M', ..] => "bmp",
        [b'G', b'I', b'F', ..] => "gif",
        _ => "jpg",
    }
}
