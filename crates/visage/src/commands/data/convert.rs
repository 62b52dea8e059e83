//! `visage data convert`.

use visage_data::Dataset;
use visage_data::convert::{Layout, convert};

use crate::cli::{ConvertArgs, LayoutName};
use crate::error::CommandError;
use crate::output;
use crate::progress::Progress;
use crate::shell;
use crate::table::counted;

/// Writes a dataset in another form.
pub fn run(args: &ConvertArgs) -> Result<(), CommandError> {
    let dataset = Dataset::open(&args.path)?;
    let images = dataset.samples().len();
    dataset.require_images(&(0..images).collect::<Vec<_>>())?;
    let layout = match args.to {
        LayoutName::Celeba => Layout::Celeba,
        LayoutName::Csv => Layout::CsvZip,
        LayoutName::Parquet => Layout::Parquet,
        LayoutName::Webdataset => Layout::WebDataset,
    };
    let mut progress = Progress::new("writing", "images", images as u64);
    convert(&dataset, layout, &args.out, &mut |done| progress.set(done as u64, String::new))?;
    drop(progress);
    let out = shell::path(&args.out);
    output::result(&format!("wrote {out}: {}\nnext: visage data inspect {out}\n", counted(images as u64, "image")))
}
