//! Opening the dataset that `--data` names.

use std::path::{Path, PathBuf};

use clap::Args;
use visage_data::{Dataset, verify};
use visage_model::{Card, Origin};

use crate::error::CommandError;
use crate::output;
use crate::progress::Progress;
use crate::tables::{count, counted, percent};

/// Unusable images that are listed; the rest is only counted.
const LISTED: usize = 20;

/// Options for a dataset.
#[derive(Clone, Debug, Args)]
pub struct DatasetArgs {
    /// The dataset, as for `visage data inspect`. A model's attributes are matched by name.
    #[arg(long, value_name = "PATH")]
    pub data: PathBuf,
    /// First read every image; leave out and list those that are missing or damaged.
    #[arg(long)]
    pub skip_bad_images: bool,
    /// Also use images whose files are cut short, as far as they go; otherwise such an image is an error.
    #[arg(long)]
    pub allow_truncated: bool,
}

impl DatasetArgs {
    /// Opens the dataset. With `--skip-bad-images` it lacks the unusable images, which are reported.
    pub fn open(&self) -> Result<Dataset, CommandError> {
        let mut dataset = open(&self.data, self.allow_truncated)?;
        if self.skip_bad_images {
            leave_out_bad_images(&mut dataset);
        }
        Ok(dataset)
    }

    /// Opens the dataset for a model. If its table assigns no splits and the model was trained on it, the splits drawn for
    /// training are restored.
    pub fn open_for(&self, card: &Card) -> Result<Dataset, CommandError> {
        let dataset = self.open()?;
        let Origin { split_seed, dataset_fingerprint, .. } = &card.origin;
        if let Some(seed) = split_seed
            && !dataset.has_splits()
        {
            let mut drawn = dataset.clone();
            drawn.assign_splits(*seed);
            if drawn.fingerprint() == *dataset_fingerprint {
                return Ok(drawn);
            }
        }
        Ok(dataset)
    }

    /// The options about bad images that were given, each after a space, to repeat them in a command shown to the user.
    pub fn repeated(&self) -> String {
        let given = [(self.skip_bad_images, " --skip-bad-images"), (self.allow_truncated, " --allow-truncated")];
        given.into_iter().filter_map(|(is_given, option)| is_given.then_some(option)).collect()
    }
}

/// Opens the dataset at `path`; with `allow_truncated` it accepts images that are cut short.
pub fn open(path: &Path, allow_truncated: bool) -> Result<Dataset, CommandError> {
    let mut dataset = Dataset::open(path)?;
    if allow_truncated {
        dataset.accept_truncated();
    }
    Ok(dataset)
}

/// Warns of the images that were used although they are cut short, if there are any.
pub fn warn_of_truncated(dataset: &Dataset) {
    let images = dataset.truncated_images();
    if let Some(first) = images.first() {
        let images = counted(images.len() as u64, "image");
        output::warning(&format!("{images} cut short, used from the part that is there (such as {first})"));
    }
}

fn leave_out_bad_images(dataset: &mut Dataset) {
    let images = dataset.samples().len();
    let mut progress = Progress::new("checking images", "images", images as u64);
    let bad = verify::bad_images(dataset, |done| progress.set(done as u64, String::new));
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
}

/// A warning about missing images, if any are missing.
pub fn missing_images(dataset: &Dataset) -> Option<String> {
    let everything: Vec<usize> = (0..dataset.samples().len()).collect();
    let missing = dataset.missing_images(&everything);
    let (first, last) = (missing.first()?, missing.last()?);
    let name = |index: usize| &dataset.samples()[index].image;
    Some(format!(
        "{} of {} images are missing ({}), from {} to {}: finish the download or copy, or train with --skip-bad-images",
        count(missing.len() as u64),
        count(everything.len() as u64),
        percent(Some(missing.len() as f64 / everything.len() as f64)),
        name(*first),
        name(*last)
    ))
}
