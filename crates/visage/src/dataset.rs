//! Opening the dataset that `--data` names.

use std::path::{Path, PathBuf};

use clap::Args;
use visage_data::{DataError, Dataset, TableFault, TableOptions, verify};
use visage_model::{Card, Origin};
use visage_run::RunFolder;

use crate::error::CommandError;
use crate::output;
use crate::progress::Progress;
use crate::table_args::TableArgs;
use crate::tables::{count, percent};

/// Unusable images that are listed; the rest is only counted.
const LISTED: usize = 20;

/// Options for a dataset.
#[derive(Debug, Args)]
pub struct DatasetArgs {
    /// The dataset, as for `visage data inspect`. A model's attributes are matched by name.
    #[arg(long, value_name = "PATH")]
    pub data: PathBuf,
    /// First read every image; leave out and list those that are missing or damaged.
    #[arg(long)]
    pub skip_bad_images: bool,
    #[command(flatten)]
    pub table: TableArgs,
}

impl DatasetArgs {
    /// Opens the dataset. With `--skip-bad-images` it lacks the unusable images, which are reported.
    pub fn open(&self) -> Result<Dataset, CommandError> {
        self.open_with(&self.table.options()?)
    }

    /// Opens the dataset as the run in `folder` did, unless options say otherwise.
    pub fn open_again(&self, folder: &Path) -> Result<Dataset, CommandError> {
        let options = self.table.options()?;
        let recorded = RunFolder::open(folder).and_then(|run| run.record()).map(|record| record.data.table);
        self.open_with(&recorded.ok().filter(|_| options.is_default()).unwrap_or(options))
    }

    fn open_with(&self, options: &TableOptions) -> Result<Dataset, CommandError> {
        let mut dataset = open_with(&self.data, options)?;
        self.skip_bad_images(&mut dataset)?;
        Ok(dataset)
    }

    fn skip_bad_images(&self, dataset: &mut Dataset) -> Result<(), CommandError> {
        if self.skip_bad_images { leave_out_bad_images(dataset) } else { Ok(()) }
    }

    /// Opens the dataset for a model, see [`open_for`].
    pub fn open_for(&self, card: &Card) -> Result<Dataset, CommandError> {
        let mut dataset = open_for(&self.data, &self.table.options()?, card)?;
        self.skip_bad_images(&mut dataset)?;
        Ok(dataset)
    }

    /// `--skip-bad-images` after a space if it was given, to repeat it in a command shown to the user.
    pub fn repeated_skip(&self) -> &'static str {
        if self.skip_bad_images { " --skip-bad-images" } else { "" }
    }
}

/// Opens a dataset, and reports how it was understood.
fn open_with(data: &Path, options: &TableOptions) -> Result<Dataset, CommandError> {
    let dataset = Dataset::open_with(data, options)?;
    if !dataset.understood().is_empty() {
        output::note(&format!("{}: {}", dataset.name(), dataset.understood()));
    }
    dataset.notes().iter().for_each(|note| output::note(note));
    Ok(dataset)
}

/// Opens a dataset for a model: its table is read as that of the model was, unless `options` say otherwise. If splits were drawn
/// for training and the model was trained on this dataset, they are restored.
pub fn open_for(data: &Path, options: &TableOptions, card: &Card) -> Result<Dataset, CommandError> {
    let Origin { split_seed, dataset_fingerprint, table, .. } = &card.origin;
    let dataset = if options.is_default() && !table.is_default() {
        match open_with(data, table) {
            // Another table with other columns: only the meaning of its labels stays.
            Err(CommandError::Data(DataError::Table { fault: TableFault::NoColumn { .. }, .. })) => {
                let (uncertain, soft_labels) = (table.uncertain, table.soft_labels);
                open_with(data, &TableOptions { uncertain, soft_labels, ..TableOptions::default() })?
            }
            opened => opened?,
        }
    } else {
        open_with(data, options)?
    };
    if let Some(seed) = split_seed {
        let mut drawn = dataset.clone();
        if drawn.draw_missing_splits(*seed).is_some() && drawn.fingerprint() == *dataset_fingerprint {
            return Ok(drawn);
        }
    }
    Ok(dataset)
}

/// Leaves out the images that cannot be used. A model is never trained on the minority that is left of a broken dataset.
fn leave_out_bad_images(dataset: &mut Dataset) -> Result<(), CommandError> {
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
    if bad.len() * 2 > images {
        return Err(CommandError::MostImagesBad { dataset: dataset.name().to_owned(), bad: bad.len(), images });
    }
    let indices: Vec<usize> = bad.into_iter().map(|(index, _)| index).collect();
    dataset.leave_out(&indices);
    Ok(())
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
