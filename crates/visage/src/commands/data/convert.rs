//! `visage data convert`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use visage_data::Dataset;
use visage_data::convert::{Layout, convert};
use visage_run::shell;

use crate::error::CommandError;
use crate::extension;
use crate::output;
use crate::progress::Progress;
use crate::table_args::TableArgs;
use crate::tables::counted;

/// Options of `visage data convert`.
#[derive(Debug, Args)]
pub struct ConvertArgs {
    /// The dataset, as for `visage data inspect`.
    pub path: PathBuf,
    /// The folder or file to write; must not exist.
    pub out: PathBuf,
    /// The format to write.
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub to: DatasetFormat,
    #[command(flatten)]
    pub table: TableArgs,
}

/// A format of datasets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DatasetFormat {
    /// A folder in CelebA's official layout.
    Celeba,
    /// A zip archive with the images and a CSV table.
    Csv,
    /// A folder of Parquet files, as on the Hugging Face Hub.
    Parquet,
    /// A folder of WebDataset tar shards.
    Webdataset,
}

/// Converts a dataset to another format.
pub fn run(args: &ConvertArgs) -> Result<(), CommandError> {
    match args.to {
        DatasetFormat::Csv => extension::check("the archive", &args.out, &["zip"])?,
        _ => extension::check_folder("the folder", &args.out)?,
    }
    let dataset = Dataset::open_with(&args.path, &args.table.options()?)?;
    let images = dataset.samples().len();
    dataset.require_images(&(0..images).collect::<Vec<_>>())?;
    let layout = match args.to {
        DatasetFormat::Celeba => Layout::Celeba,
        DatasetFormat::Csv => Layout::CsvZip,
        DatasetFormat::Parquet => Layout::Parquet,
        DatasetFormat::Webdataset => Layout::WebDataset,
    };
    let mut progress = Progress::new("writing", "images", images as u64);
    convert(&dataset, layout, &args.out, &mut |done| progress.set(done as u64, String::new))?;
    drop(progress);
    let out = shell::path(&args.out);
    output::result(&format!("wrote {out}: {}\nnext: visage data inspect {out}\n", counted(images as u64, "image")))
}
