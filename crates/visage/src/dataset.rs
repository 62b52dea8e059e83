//! Opening the dataset that `--data` names.

use std::path::{Path, PathBuf};

use clap::Args;
use visage_data::{AttributeStatistics, DataError, Dataset, Split, Statistics, TableFault, TableOptions, verify};
use visage_model::Card;
use visage_run::RunFolder;

use crate::error::CommandError;
use crate::faces::{LabelledFaces, LabelledFacesArgs, align_for_model};
use crate::output;
use crate::progress::Progress;
use crate::table_args::TableArgs;
use crate::tables::{count, counted, percent};

/// Unusable images that are listed; the rest is only counted.
const LISTED: usize = 20;

/// Options for a dataset.
#[derive(Clone, Debug, Args)]
pub struct DatasetArgs {
    /// The dataset, as for `visage data inspect`. A model's attributes are matched by name.
    #[arg(long, value_name = "PATH")]
    pub data: PathBuf,
    #[command(flatten)]
    pub options: DatasetOptions,
}

/// How a dataset is read.
#[derive(Clone, Debug, Args)]
pub struct DatasetOptions {
    /// First read every image; leave out and list those that are missing or damaged.
    #[arg(long)]
    pub skip_bad_images: bool,
    /// Also use images whose files are cut short, as far as they go; otherwise such an image is an error.
    #[arg(long)]
    pub allow_truncated: bool,
    #[command(flatten)]
    pub table: TableArgs,
}

impl DatasetArgs {
    /// Opens the dataset. With `--skip-bad-images` it lacks the unusable images, which are reported.
    pub fn open(&self) -> Result<Dataset, CommandError> {
        self.usable(open(&self.data, &self.options.table.options()?, self.options.allow_truncated)?)
    }

    /// Opens the dataset as the run in `folder` did: its table is read in the same way unless options say otherwise, and images
    /// that are cut short are accepted if they were.
    pub fn open_again(&self, folder: &Path) -> Result<Dataset, CommandError> {
        let Ok(record) = RunFolder::open(folder).and_then(|run| run.record()) else { return self.open() };
        let options = as_before(self.options.table.options()?, &record.data.table);
        let mut dataset = open(&self.data, &options, self.options.allow_truncated || record.data.allow_truncated)?;
        if self.options.skip_bad_images || record.data.skip_bad_images {
            leave_out_bad_images(&mut dataset)?;
        }
        Ok(dataset)
    }

    /// Opens the dataset for a model: its table is read as that of the model was, unless options say otherwise, and photographs are
    /// aligned by choice or as in training. If splits were drawn for training and the model was trained on this dataset, they are
    /// restored.
    pub fn open_for(&self, card: &Card, faces: LabelledFacesArgs) -> Result<Dataset, CommandError> {
        let opened = open_as(&self.data, &self.options.table.options()?, self.options.allow_truncated, card)?;
        prepare_for(self.usable(opened)?, card, faces.faces)
    }

    fn usable(&self, mut dataset: Dataset) -> Result<Dataset, CommandError> {
        if self.options.skip_bad_images {
            leave_out_bad_images(&mut dataset)?;
        }
        Ok(dataset)
    }

    /// Checks, before work that takes long begins, that the images exist and that their headers are those of images. With
    /// `--skip-bad-images` every image was decoded already.
    ///
    /// # Errors
    ///
    /// When images are missing or cannot be used.
    pub fn check_images(&self, dataset: &Dataset) -> Result<(), CommandError> {
        let images = dataset.samples().len();
        dataset.require_images(&(0..images).collect::<Vec<_>>())?;
        if self.options.skip_bad_images {
            return Ok(());
        }
        let mut progress = Progress::new("checking headers", "images", images as u64);
        let (checked, bad) = verify::bad_headers(dataset, |done| progress.set(done as u64, String::new));
        drop(progress);
        if let Some((index, reason)) = bad.first() {
            let (dataset, first) = (dataset.name().to_owned(), dataset.samples()[*index].image.clone());
            let reason = reason.clone();
            return Err(CommandError::UnusableImages { dataset, bad: bad.len(), images, first, reason });
        }
        if checked > 0 {
            output::note(&format!(
                "{}: the headers of {} are readable; the files are decoded as they are used",
                dataset.name(),
                counted(checked as u64, "image file")
            ));
        }
        Ok(())
    }

    /// The options about bad images that were given, each after a space, to repeat them in a command shown to the user.
    pub fn repeated(&self) -> String {
        let given = [
            (self.options.skip_bad_images, " --skip-bad-images"),
            (self.options.allow_truncated, " --allow-truncated"),
        ];
        given.into_iter().filter_map(|(is_given, option)| is_given.then_some(option)).collect()
    }
}

/// What to do with attributes that cannot be learnt.
#[derive(Clone, Copy, Debug, Args)]
pub struct ConstantArgs {
    /// Train without the attributes that are always present or always absent in the training images; otherwise they are an error.
    #[arg(long)]
    pub drop_constant: bool,
}

impl ConstantArgs {
    /// Draws the splits that a dataset lacks, and leaves out the attributes of which only one class is known in the training split.
    /// Returns the seed if splits were drawn. The run remembers what was left out; one that is resumed keeps the attributes that it has.
    ///
    /// # Errors
    ///
    /// There are such attributes, and they are not to be left out; or there are no others.
    pub fn prepare(self, dataset: &mut Dataset, seed: u64, resumed: bool) -> Result<Option<u64>, CommandError> {
        let mut dropped = Vec::new();
        loop {
            let mut split = dataset.clone();
            let drawn = split.draw_missing_splits(seed);
            let statistics = Statistics::of(&split, Split::Train);
            let is_settled = resumed && !self.drop_constant;
            let constant: Vec<&AttributeStatistics> = statistics.constant().filter(|_| !is_settled).collect();
            let names: Vec<String> = constant.iter().map(|attribute| attribute.name.clone()).collect();
            if !names.is_empty() && (!self.drop_constant || names.len() == dataset.attributes().len()) {
                let with_counts =
                    constant.iter().map(|a| format!("{} ({} present, {} absent)", a.name, a.present, a.absent));
                let (dataset, attributes) = (dataset.name().to_owned(), with_counts.collect());
                return Err(CommandError::ConstantAttributes { dataset, attributes });
            }
            if names.is_empty() {
                if let Some(drawn) = drawn {
                    output::note(&format!("{} assigns {drawn}, with seed {seed}", dataset.name()));
                }
                if !dropped.is_empty() {
                    output::warning(&format!(
                        "left out, always present or always absent in the training images: {}",
                        dropped.join(", ")
                    ));
                }
                *dataset = split;
                return Ok(drawn.map(|_| seed));
            }
            // Splits are drawn by the labels that are left, as they will be when the dataset is opened again.
            dataset.drop_attributes(&names);
            dropped.extend(names);
        }
    }
}

/// Opens the dataset at `path`, and reports how it was understood. With `allow_truncated` it accepts images that are cut short.
pub fn open(path: &Path, options: &TableOptions, allow_truncated: bool) -> Result<Dataset, CommandError> {
    let mut dataset = Dataset::open_with(path, options)?;
    if allow_truncated {
        dataset.accept_truncated();
    }
    if !dataset.understood().is_empty() {
        output::note(&format!("{}: {}", dataset.name(), dataset.understood()));
    }
    dataset.notes().iter().for_each(|note| output::note(note));
    Ok(dataset)
}

/// Opens the dataset at `path` for a model, as [`DatasetArgs::open_for`] without options.
pub fn open_for(path: &Path, card: &Card) -> Result<Dataset, CommandError> {
    prepare_for(open_as(path, &TableOptions::default(), false, card)?, card, None)
}

/// Opens a dataset whose table is read as that of a model was, unless `options` say otherwise.
fn open_as(path: &Path, options: &TableOptions, allow_truncated: bool, card: &Card) -> Result<Dataset, CommandError> {
    let table = as_before(options.clone(), &card.origin.table);
    match open(path, &table, allow_truncated) {
        // Another table with other columns: only the meaning of its labels stays.
        Err(CommandError::Data(DataError::Table { fault: TableFault::NoColumn { .. }, .. }))
            if options.is_default() =>
        {
            let TableOptions { uncertain, soft_labels, dropped, .. } = table;
            open(path, &TableOptions { uncertain, soft_labels, dropped, ..TableOptions::default() }, allow_truncated)
        }
        opened => opened,
    }
}

/// The options, or those of before if nothing is chosen. What was left out of a training stays left out: it is no way of reading a table.
fn as_before(options: TableOptions, before: &TableOptions) -> TableOptions {
    if options.is_default() { before.clone() } else { TableOptions { dropped: before.dropped.clone(), ..options } }
}

/// Aligns photographs and restores the splits that were drawn for training.
fn prepare_for(mut dataset: Dataset, card: &Card, faces: Option<LabelledFaces>) -> Result<Dataset, CommandError> {
    align_for_model(&mut dataset, card, faces)?;
    if let Some(seed) = card.origin.split_seed {
        let mut drawn = dataset.clone();
        if drawn.draw_missing_splits(seed).is_some() && drawn.fingerprint() == card.origin.dataset_fingerprint {
            return Ok(drawn);
        }
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

/// Leaves out the images that cannot be used. A model is never trained on the minority that is left of a broken dataset.
fn leave_out_bad_images(dataset: &mut Dataset) -> Result<(), CommandError> {
    let images = dataset.samples().len();
    let mut progress = Progress::new("checking images", "images", images as u64);
    let bad = verify::bad_images(dataset, |done| progress.set(done as u64, String::new));
    drop(progress);
    if !bad.is_empty() {
        output::warning(&format!("{} left out", some_of(bad.len(), images)));
        for (index, reason) in bad.iter().take(LISTED) {
            output::problem(&format!("  {}: {reason}", dataset.samples()[*index].image));
        }
        if bad.len() > LISTED {
            output::problem(&format!(
                "  and {} more: visage data verify lists them",
                count((bad.len() - LISTED) as u64)
            ));
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
        "{} missing ({}), from {} to {}: finish the download or copy, or train with --skip-bad-images",
        some_of(missing.len(), everything.len()),
        percent(Some(missing.len() as f64 / everything.len() as f64)),
        name(*first),
        name(*last)
    ))
}

/// "3 of 120 images are", or "1 of 120 images is".
fn some_of(some: usize, images: usize) -> String {
    let verb = if some == 1 { "is" } else { "are" };
    format!("{} of {} {verb}", count(some as u64), counted(images as u64, "image"))
}
