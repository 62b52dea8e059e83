//! Errors of datasets, images and settings.
//!
//! A message says what is wrong and what to do about it. Its cause, if there is one, is the error's `source`.

mod image;
mod setting;
mod table;

use std::error::Error;
use std::io;
use std::path::PathBuf;

pub use self::image::ImageError;
pub use self::setting::InvalidSetting;
pub use self::table::TableFault;

/// The message of an error and its causes.
#[must_use]
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

/// Why a dataset, or an image of it, cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file or folder could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A zip archive without a readable central directory.
    #[error(
        "{} is not a complete zip archive (it begins with {found} whole files, and its end is missing): download or copy it again",
        path.display()
    )]
    Zip {
        /// The archive.
        path: PathBuf,
        /// The number of whole files at its start.
        found: u64,
        /// Why.
        source: zip::result::ZipError,
    },
    /// A tar archive that could not be read to its end.
    #[error("{} is not a complete tar archive: unpack it if it is compressed, or else download or copy it again", path.display())]
    Tar {
        /// The archive.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A Parquet file that cannot be read.
    #[error("cannot read {} as Parquet: download or copy it again", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A Parquet file with a compression that this build does not support.
    #[error(
        "{} is compressed with {compression}: write it with Snappy or gzip, or build visage with --features zstd for Zstandard",
        path.display()
    )]
    ParquetCompression {
        /// The file.
        path: PathBuf,
        /// The compression.
        compression: String,
    },
    /// An Arrow file, which this build does not read.
    #[error("{} is an Arrow file: build visage with --features arrow, or save the dataset as Parquet (`dataset.to_parquet(...)`)", path.display())]
    NeedsArrow {
        /// The file.
        path: PathBuf,
    },
    /// A web page in place of a data file.
    #[error(
        "{} is a web page: the download failed, for example because a shared drive's quota was used up; open it in a browser to see why, then download it again",
        path.display()
    )]
    WebPage {
        /// The file.
        path: PathBuf,
    },
    /// A pointer of Git LFS in place of a data file.
    #[error("{} is a pointer of Git LFS and not the file itself: run `git lfs pull` in its repository", path.display())]
    LfsPointer {
        /// The file.
        path: PathBuf,
    },
    /// A spreadsheet in place of a table.
    #[error("{} is a spreadsheet: save the sheet with the labels as CSV (UTF-8), and name that file", path.display())]
    Spreadsheet {
        /// The file.
        path: PathBuf,
    },
    /// No dataset was found.
    #[error(
        "no dataset in {} ({images} images, no table): expected CelebA's list_attr_celeba.txt or .csv, a CSV, TSV, JSON lines or Parquet table beside its images, WebDataset tar files, an export of COCO, Label Studio, FiftyOne or CVAT, or a folder of images for each of two or more classes",
        path.display()
    )]
    NoTable {
        /// The folder, archive or file.
        path: PathBuf,
        /// The number of images in it.
        images: usize,
    },
    /// Several versions of a dataset, as downloads are cached.
    #[error(
        "{} holds {} versions of a dataset: name one of them, such as {}",
        path.display(), versions.len(), path.join(versions.last().map_or("", String::as_str)).display()
    )]
    SeveralVersions {
        /// The folder or archive.
        path: PathBuf,
        /// Their folders.
        versions: Vec<String>,
    },
    /// Several tables that are not parts of the same table.
    #[error(
        "{} holds {} tables with different columns ({}): keep only the parts of one table, or pass the path of the table with the labels",
        path.display(), tables.len(), tables.join(", ")
    )]
    ManyTables {
        /// The folder or archive.
        path: PathBuf,
        /// Their names.
        tables: Vec<String>,
    },
    /// Images of a table whose files are missing.
    #[error(
        "{missing} of {total} images of dataset `{dataset}` are missing, first `{first}` at {location}: finish the download or copy, or leave them out with --skip-bad-images"
    )]
    MissingImages {
        /// The dataset's name.
        dataset: String,
        /// How many are missing.
        missing: usize,
        /// How many were looked for.
        total: usize,
        /// The first missing image.
        first: String,
        /// Where its file should be, and the names that are most like its own.
        location: String,
    },
    /// A faulty line of a table.
    #[error("{file}, line {line}: {fault}")]
    Table {
        /// The table's path; `archive.zip/name` for a table inside an archive.
        file: String,
        /// The faulty line, counted from 1.
        line: u64,
        /// What is wrong with it.
        fault: TableFault,
    },
    /// A sample index out of range.
    #[error("sample index {index} is out of range: dataset `{dataset}` has {samples} samples")]
    NoSample {
        /// The dataset's name.
        dataset: String,
        /// The number of samples it has.
        samples: usize,
        /// The index, counted from 0.
        index: usize,
    },
    /// The file of an image is missing or unreadable.
    #[error("cannot read image `{image}` of dataset `{dataset}` at {location}")]
    ReadImage {
        /// The image's name in the table.
        image: String,
        /// The dataset's name.
        dataset: String,
        /// Where its file should be.
        location: String,
        /// Why.
        source: io::Error,
    },
    /// An image file that cannot be decoded or prepared.
    #[error(
        "cannot use image `{image}` of dataset `{dataset}`; --skip-bad-images leaves out every image that cannot be used"
    )]
    Image {
        /// The image's name in the table.
        image: String,
        /// The dataset's name.
        dataset: String,
        /// Why.
        source: ImageError,
    },
    /// A pack that is truncated, damaged, or from another version.
    #[error("{} is not a complete pack of this version of visage ({reason}): write it again with `visage data pack`", path.display())]
    Pack {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A pack whose images are prepared differently from what is needed.
    #[error(
        "the pack of dataset `{dataset}` holds images {packed}, but images {wanted} are needed: pack the source again for this recipe or model, or use the source itself"
    )]
    PackedOtherwise {
        /// The dataset's name.
        dataset: String,
        /// How its images are prepared.
        packed: String,
        /// How they need to be prepared.
        wanted: String,
    },
    /// A file or folder could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An output path that already exists.
    #[error("{} already exists: name a folder or file that does not exist yet", path.display())]
    Exists {
        /// The file or folder.
        path: PathBuf,
    },
    /// A dataset that a layout cannot represent.
    #[error("{layout} cannot hold this dataset: {reason}")]
    CannotHold {
        /// The layout.
        layout: &'static str,
        /// Why not, and what to do instead.
        reason: String,
    },
    /// An invalid setting.
    #[error(transparent)]
    Setting(#[from] InvalidSetting),
    /// A panic while a batch was loaded.
    #[error("the loader of dataset `{dataset}` panicked: this is a bug in visage")]
    LoaderPanicked {
        /// The dataset's name.
        dataset: String,
    },
}
