//! What can be wrong with a dataset, an image or a setting.
//!
//! A message says what is wrong and what to do; the cause below it, where there is one, is the error's `source`.

use std::io;
use std::path::PathBuf;

use crate::split::UnknownSplit;

/// A dataset that cannot be opened, or an image of it that cannot be delivered.
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
    /// An archive whose list of contents could not be read.
    #[error(
        "{} is not a complete zip archive (it begins with {found} whole files and lacks its end): download or copy it again",
        path.display()
    )]
    Zip {
        /// The archive.
        path: PathBuf,
        /// The whole files at its start.
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
    /// A Parquet file compressed in a way that this program was not built for.
    #[error(
        "{} is compressed with {compression}: write it with Snappy or gzip, or build visage with --features zstd for Zstandard",
        path.display()
    )]
    ParquetCompression {
        /// The file.
        path: PathBuf,
        /// How it is compressed.
        compression: String,
    },
    /// A page for a browser under the name of something else.
    #[error(
        "{} is a web page: the download failed, as it does when a shared drive's quota is used up; open it in a browser to see why, and download it again",
        path.display()
    )]
    WebPage {
        /// The file.
        path: PathBuf,
    },
    /// Nothing there looks like a dataset.
    #[error(
        "no dataset in {} ({images} images, no table): expected CelebA's list_attr_celeba.txt or .csv, a CSV, TSV, JSON lines or Parquet table beside its images, or WebDataset tar files",
        path.display()
    )]
    NoTable {
        /// Where a dataset was looked for.
        path: PathBuf,
        /// Images seen there.
        images: usize,
    },
    /// Several tables that are not parts of one.
    #[error(
        "{} holds {} tables with different columns ({}): keep those that are parts of one table, or name the one with the labels",
        path.display(), tables.len(), tables.join(", ")
    )]
    ManyTables {
        /// Where the tables are.
        path: PathBuf,
        /// Their names.
        tables: Vec<String>,
    },
    /// Images that a table lists and nobody can find.
    #[error(
        "{missing} of {total} images of dataset `{dataset}` are missing, the first of them `{first}` at {location}: finish the download or copy, or leave them out with --skip-bad-images"
    )]
    MissingImages {
        /// The dataset's name.
        dataset: String,
        /// How many are missing.
        missing: usize,
        /// Of how many.
        total: usize,
        /// The first of them.
        first: String,
        /// Where it should be.
        location: String,
    },
    /// A table that can be read but not believed.
    #[error("{file}, line {line}: {fault}")]
    Table {
        /// The table's path; `archive.zip/name` for a table inside an archive.
        file: String,
        /// The line at fault, counted from 1.
        line: u64,
        /// What is wrong there.
        fault: TableFault,
    },
    /// A sample number past the end of the dataset.
    #[error("dataset `{dataset}` has {samples} samples, so none is numbered {index}")]
    NoSample {
        /// The dataset's name.
        dataset: String,
        /// How many samples it has.
        samples: usize,
        /// The number asked for, counted from 0.
        index: usize,
    },
    /// The file of an image is missing or unreadable.
    #[error("cannot read image `{image}` of dataset `{dataset}` at {location}")]
    ReadImage {
        /// The image's name in the table.
        image: String,
        /// The dataset's name.
        dataset: String,
        /// Where its file was looked for.
        location: String,
        /// Why.
        source: io::Error,
    },
    /// The file of an image is there, but is no image that can be prepared.
    #[error("cannot use image `{image}` of dataset `{dataset}`")]
    Image {
        /// The image's name in the table.
        image: String,
        /// The dataset's name.
        dataset: String,
        /// Why.
        source: ImageError,
    },
    /// A pack that was cut short or damaged, or that another version wrote.
    #[error("{} is not a whole pack of this version of visage ({reason}): write it again with `visage data pack`", path.display())]
    Pack {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A pack whose images are prepared in another way than is needed.
    #[error(
        "the pack of dataset `{dataset}` holds images {packed}, and {wanted} are needed: pack the source again for this recipe or model, or use the source itself"
    )]
    PackedOtherwise {
        /// The dataset's name.
        dataset: String,
        /// How they are prepared.
        packed: String,
        /// How they should be.
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
    /// Somewhere to write that is taken.
    #[error("{} exists already: name a folder or file that does not", path.display())]
    Exists {
        /// The file or folder.
        path: PathBuf,
    },
    /// A dataset that a layout cannot hold.
    #[error("{layout} cannot hold this dataset: {reason}")]
    CannotHold {
        /// The layout.
        layout: &'static str,
        /// Why not, and what can.
        reason: String,
    },
    /// A setting that makes no sense.
    #[error(transparent)]
    Setting(#[from] InvalidSetting),
    /// A thread panicked while it made a batch.
    #[error("the loader of dataset `{dataset}` panicked: this is a bug in visage")]
    LoaderStopped {
        /// The dataset's name.
        dataset: String,
    },
}

/// What is wrong with one line of a table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TableFault {
    /// A table without content.
    #[error("the table ends here; expected {expected}")]
    Ended {
        /// What should have followed.
        expected: &'static str,
    },
    /// Bytes that are not UTF-8.
    #[error("not UTF-8 text: save the table as UTF-8")]
    NotUtf8,
    /// Only an image column, and perhaps a split or columns of words.
    #[error(
        "no attributes: beside the image names the table needs a column of 1 and 0, or 1 and -1, for each attribute, separated by commas"
    )]
    NoAttributes,
    /// A column without a name.
    #[error("column {number} has no name: name it or remove it (pandas: `to_csv(..., index=False)`)")]
    UnnamedColumn {
        /// The column, counted from 1.
        number: usize,
    },
    /// Two columns of one name.
    #[error("two columns are named `{column}`: rename or remove one")]
    RepeatedColumn {
        /// The name.
        column: String,
    },
    /// An image of a shard that has no labels beside it.
    #[error("image `{image}` has no .json or .cls file of the same name: add its labels or remove it")]
    NoAbout {
        /// The image.
        image: String,
    },
    /// A line of a JSON lines table that is no object of plain values.
    #[error("not a JSON object of names and plain values: {reason}")]
    NotJson {
        /// Why not.
        reason: String,
    },
    /// A row with too many or too few fields.
    #[error("{found} fields where {expected} are expected: complete or remove this row")]
    FieldCount {
        /// Fields in this row.
        found: usize,
        /// Fields in the header.
        expected: usize,
    },
    /// A row without an image.
    #[error("the image name is blank: name an image or remove this row")]
    BlankImage,
    /// A value that is no label.
    #[error(
        "`{value}` in column `{column}` is no label: write 1 (true, yes) for present, -1 or 0 (false, no) for absent, nothing for unknown, or remove the column if it is no attribute"
    )]
    Label {
        /// The attribute.
        column: String,
        /// What is there.
        value: String,
    },
    /// A column in which absence is spelled both ways, so that one of them must mean something else.
    #[error(
        "column `{column}` holds {value} here and {other} on line {other_line}: it is not clear which means absent; use -1/1 or 0/1 in the whole column, and nothing for unknown"
    )]
    MixedSpelling {
        /// The attribute.
        column: String,
        /// The spelling on this line.
        value: &'static str,
        /// The spelling used before.
        other: &'static str,
        /// The first line with that spelling.
        other_line: u64,
    },
    /// A value that is no split.
    #[error(transparent)]
    Split(#[from] UnknownSplit),
    /// An image listed twice.
    #[error("image `{image}` is listed already on line {first_line}: remove one of the two rows")]
    RepeatedImage {
        /// The image.
        image: String,
        /// Where it was listed first.
        first_line: u64,
    },
    /// An image listed in two tables.
    #[error("image `{image}` is listed already in {first}, line {first_line}: remove one of the two rows")]
    RepeatedElsewhere {
        /// The image.
        image: String,
        /// The other table.
        first: String,
        /// The line there.
        first_line: u64,
    },
    /// A coordinate that is no whole number.
    #[error("`{value}` is no whole number of pixels: correct it, or remove this file to do without")]
    NoNumber {
        /// What is there.
        value: String,
    },
    /// A companion table naming an image that the labels do not list.
    #[error("image `{image}` has no row in {labels}: remove this row, or restore the labels")]
    UnlabelledImage {
        /// The image.
        image: String,
        /// The file of labels.
        labels: String,
    },
    /// A companion table that leaves an image out.
    #[error(
        "image `{image}` has no row in {companion}, which lacks {missing} of them in all: complete that file, or remove it to do without"
    )]
    MissingRow {
        /// The first image left out.
        image: String,
        /// The table that leaves it out.
        companion: String,
        /// How many it leaves out in all.
        missing: usize,
    },
}

/// An image that cannot be prepared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// Not an image of a known format, or a damaged one.
    #[error("not a readable JPEG, PNG, WebP, BMP or GIF image")]
    Decode(#[source] image::ImageError),
    /// The decoder gave up in a way that decoders should not.
    #[error("the image is damaged beyond what its decoder can bear")]
    DecoderPanicked,
    /// The resize failed.
    #[error("cannot resize the image")]
    Resize(#[source] fast_image_resize::ResizeError),
    /// So long and thin that keeping its proportions would take too much memory.
    #[error("the image is {width} wide and {height} high, too long and thin to be resized in proportion")]
    TooThin {
        /// Pixels across.
        width: usize,
        /// Pixels down.
        height: usize,
    },
    /// The crop does not fit in the resized image.
    #[error("a crop of {crop} does not fit in an image resized to {resized}")]
    Crop {
        /// The size to cut out.
        crop: crate::size::Size,
        /// The size of the resized image.
        resized: crate::size::Size,
    },
}

/// A setting whose value makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting} {problem}")]
pub struct InvalidSetting {
    /// The setting's name.
    pub setting: &'static str,
    /// What is wrong with its value and what is allowed.
    pub problem: String,
}

impl InvalidSetting {
    /// Says that `setting` has a `problem`.
    #[must_use]
    pub fn new(setting: &'static str, problem: impl Into<String>) -> Self {
        InvalidSetting { setting, problem: problem.into() }
    }
}
