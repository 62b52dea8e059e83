//! Converting a dataset to another format. The bytes of its image files stay unchanged.

mod celeba;
mod csv_zip;
mod parquet;
mod webdataset;

use std::fs;
use std::path::{Path, PathBuf};

use crate::dataset::Dataset;
use crate::error::DataError;
use crate::split::Split;

/// A format to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// A folder in CelebA's official layout.
    Celeba,
    /// A zip archive of images and one CSV table.
    CsvZip,
    /// A folder of Parquet files as Hugging Face's `datasets` writes them.
    Parquet,
    /// A folder of WebDataset tar shards.
    WebDataset,
}

/// Writes `dataset` to `target`, a folder or file that must not exist yet and appears once it is complete. `progress` is called
/// with the number of images written so far.
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
        return Err(DataError::CannotHold { layout: "another format", reason });
    }
    if dataset.samples().iter().any(|sample| sample.soft.is_some()) {
        let reason = "its labels are probabilities, of which only present and absent could be written".to_owned();
        return Err(DataError::CannotHold { layout: "another format", reason });
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

/// A folder or file with a temporary name until it is complete; removed if it never is.
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
        let draft = Draft { path };
        // A killed process may have left one.
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
        // It fails if there is nothing to remove, which is the usual case.
        let _ = if self.path.is_dir() { fs::remove_dir_all(&self.path) } else { fs::remove_file(&self.path) };
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Turns an I/O error into one that names the file.
fn writing(path: &Path) -> impl Fn(std::io::Error) -> DataError {
    move |source| DataError::Write { path: path.to_owned(), source }
}

/// The samples of each split that has any, with the stem of its file names.
fn by_split(dataset: &Dataset) -> Vec<(&'static str, Vec<usize>)> {
    let samples = dataset.samples();
    let splits = Split::ALL.map(Some).into_iter().chain([None]);
    let members = |split| (0..samples.len()).filter(|&index| samples[index].split == split).collect();
    splits
        .map(|split| (split.map_or("unassigned", Split::name), members(split)))
        .filter(|(_, members): &(_, Vec<usize>)| !members.is_empty())
        .collect()
}

/// The extension for an image file by its content; JPEG's if it is unknown.
fn extension(encoded: &[u8]) -> &'static str {
    match encoded {
        [0x89, b'P', b'N', b'G', ..] => "png",
        [b'R', b'I', b'F', b'F', ..] => "webp",
        [b'B', b'M', ..] => "bmp",
        [b'G', b'I', b'F', ..] => "gif",
        [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => "tif",
        _ => "jpg",
    }
}
