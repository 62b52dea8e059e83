//! Datasets whose images are not all there.

use visage_data::{Dataset, verify};

use crate::cli::SourceArgs;
use crate::error::CommandError;
use crate::output;
use crate::progress::Progress;
use crate::table::{count, percent};

/// Images that are listed before the rest is only counted.
const LISTED: usize = 20;

/// Opens the dataset; with `--skip-bad-images` without the images that cannot be used, which are counted and listed.
pub fn open(args: &SourceArgs) -> Result<Dataset, CommandError> {
    let mut dataset = Dataset::open(&args.data)?;
    if !args.skip_bad_images {
        return Ok(dataset);
    }
    let images = dataset.samples().len();
    let mut progress = Progress::new("looking at every image", "images", images as u64);
    let bad = verify::bad_images(&dataset, |done| progress.set(done as u64, String::new));
    drop(progress);
    if !bad.is_empty() {
        output::warning(&format!("{} of {} images are left out", count(bad.len() as u64), count(images as u64)));
        for (index, reason) in bad.iter().take(LISTED) {
            output::note(&format!("  {}: {reason}", dataset.samples()[*index].image));
        }
        if bad.len() > LISTED {
            output::note(&format!("  and {} more: visage data verify lists them", count((bad.len() - LISTED) as u64)));
        }
    }
    let indices: Vec<usize> = bad.into_iter().map(|(index, _)| index).collect();
    dataset.leave_out(&indices);
    Ok(dataset)
}

/// What is missing of a dataset that was copied in part, in words.
pub fn missing(dataset: &Dataset) -> Option<String> {
    let everything: Vec<usize> = (0..dataset.samples().len()).collect();
    let missing = dataset.missing_images(&everything);
    let (first, last) = (missing.first()?, missing.last()?);
    let name = |index: usize| &dataset.samples()[index].image;
    let (part, all) = (missing.len() as f64, everything.len() as f64);
    Some(format!(
        "{} of {} images are missing ({}), from {} to {}: finish the download or copy, or train with --skip-bad-images",
        count(missing.len() as u64),
        count(everything.len() as u64),
        percent(Some(part / all)),
        name(*first),
        name(*last)
    ))
}
