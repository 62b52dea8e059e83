//! `visage audit`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde::Serialize;
use visage_data::{Dataset, Split, SplitOrAll};
use visage_judge::{AttributeAudit, Predictions};
use visage_model::Card;
use visage_report::{AuditFiles, made};
use visage_run::audit::DatasetAudit;
use visage_run::evaluation::{BATCH_SIZE, EvaluateError, split_indices};
use visage_run::predict::predictions_of;
use visage_run::results::results_folder;
use visage_run::shell;
use visage_train::{CrossValidation, Fold, TrainSettings};

use super::train::Shown;
use super::{attributes_to_judge, images_to_judge, read_predictor, recipe, train};
use crate::compute::{Compute, ComputeArgs};
use crate::dataset::{DatasetArgs, warn_of_truncated};
use crate::error::CommandError;
use crate::faces::{LabelledFacesArgs, align_for_recipe};
use crate::progress::Progress;
use crate::{extension, output, tables};

/// The folder for a cross-validated audit.
const FOLDER: &str = "visage-audit";

/// Why predictions on training labels say little.
const TRAINED_ON: &str = "the model was trained on these labels, and may have memorised the wrong ones";

/// Options of `visage audit`.
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// A model file or a run folder. With --folds a recipe instead: a built-in one (baseline, original, enhanced), a TOML file, or
    /// a run folder, whose recipe is used.
    #[arg(value_name = "MODEL|RECIPE")]
    pub model: PathBuf,
    #[command(flatten)]
    pub dataset: DatasetArgs,
    #[command(flatten)]
    pub faces: LabelledFacesArgs,
    /// The splits to audit, or all for every image [default: validation,test, which the model was not trained on, or all where the table
    /// assigns no splits].
    #[arg(long = "split", value_name = "SPLIT,...", value_delimiter = ',')]
    pub splits: Vec<SplitOrAll>,
    /// Audit only the labels of these attributes; the table needs no others.
    #[arg(long, value_name = "ATTRIBUTE,...", value_delimiter = ',', conflicts_with = "folds")]
    pub only: Vec<String>,
    /// Audit every image, training images included, by cross-validation: train N models, each without one of N parts of the images,
    /// which it then predicts. Their runs are kept in the output folder: the same command resumes after an interruption.
    #[arg(long, value_name = "N", conflicts_with = "splits", value_parser = clap::value_parser!(u16).range(2..=100))]
    pub folds: Option<u16>,
    /// With --folds, change a value of the recipe; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE", requires = "folds")]
    pub overrides: Vec<String>,
    /// The fraction of the labels, the most doubtful first, that audit-labels.csv lists; above 0, at most 1.
    #[arg(long, value_name = "S", default_value_t = 0.05, value_parser = fraction)]
    pub share: f64,
    /// The folder for audit.html, audit-labels.csv and audit-duplicates.csv [default: the run, or the folder of the model file, and for
    /// other data than the run's own a folder of other-data in it; with --folds visage-audit].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Add the images with the most doubtful labels, and the duplicates. They become part of the page: mind the privacy of the people
    /// on them.
    #[arg(long)]
    pub gallery: bool,
    /// Print JSON instead of tables.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub compute: ComputeArgs,
}

/// A number above 0 and at most 1.
fn fraction(text: &str) -> Result<f64, String> {
    let fraction = text.parse().ok().filter(|fraction: &f64| *fraction > 0.0 && *fraction <= 1.0);
    fraction.ok_or_else(|| "write a number above 0 and at most 1".to_owned())
}

/// The result as JSON.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    /// Images audited.
    images: usize,
    /// Where the probabilities are from, in words.
    probabilities: &'a str,
    /// Their known labels.
    labels: usize,
    /// Labels suspected to be wrong.
    suspects: usize,
    attributes: &'a [AttributeAudit],
    /// Pairs of duplicate images.
    duplicates: usize,
    /// Those whose labels differ.
    contradicting: usize,
    /// The tables and the page.
    written: [PathBuf; 3],
}

/// Predictions to audit labels with.
struct AuditInput {
    dataset: Arc<Dataset>,
    indices: Vec<usize>,
    predictions: Predictions,
    /// Where the probabilities are from, in words.
    origin: String,
    /// Warnings for the page.
    remarks: Vec<String>,
    /// The folder for the files.
    folder: PathBuf,
}

/// Ranks labels by how likely they are wrong, and finds duplicate images.
pub fn run(args: &AuditArgs) -> Result<(), CommandError> {
    args.out.iter().try_for_each(|folder| extension::check_folder("--out", folder))?;
    let compute = Compute::new(&args.compute)?;
    let AuditInput { dataset, indices, predictions, origin, remarks, folder } = match args.folds {
        Some(folds) => cross_validated(args, folds.into(), &compute)?,
        None => held_out(args, &compute)?,
    };
    let mut progress = Progress::new("searching for duplicates", "images", indices.len() as u64);
    let audit = DatasetAudit::new(dataset, indices, &predictions, |done| progress.set(done as u64, String::new))?;
    drop(progress);
    warn_of_truncated(&audit.dataset);
    let headline = tables::audit::headline(&audit);
    let files = AuditFiles {
        audit: &audit,
        share: args.share,
        about: vec![format!("{headline}."), format!("Probabilities: {origin}.")],
        remarks,
        made: made(),
        gallery: args.gallery,
    };
    let written = files.write(&folder)?;
    output::note(&format!("wrote {}", written.each_ref().map(|path| path.display().to_string()).join(", ")));
    if args.json {
        return output::json(&Summary {
            images: audit.indices.len(),
            probabilities: &origin,
            labels: audit.labels.doubts.len(),
            suspects: audit.suspects(),
            attributes: &audit.labels.attributes,
            duplicates: audit.duplicates.len(),
            contradicting: audit.contradicting_duplicates(),
            written,
        });
    }
    output::result(&format!("{headline}; probabilities: {origin}\n\n{}", tables::audit::text(&audit)))
}

/// Predictions of one model, for images it should not have been trained on.
fn held_out(args: &AuditArgs, compute: &Compute) -> Result<AuditInput, CommandError> {
    let (predictor, file) = read_predictor(&args.model, compute)?;
    let dataset = Arc::new(args.dataset.open_for(predictor.card(), args.faces)?);
    let card = predictor.card();
    let attributes = attributes_to_judge(&args.only, card)?;
    let mut remarks = Vec::new();
    let splits = splits(args, &dataset, card)?;
    let includes_training =
        splits.iter().any(|&split| matches!(split, SplitOrAll::All | SplitOrAll::Split(Split::Train)));
    if includes_training && dataset.fingerprint() == card.origin.dataset_fingerprint {
        output::warning(TRAINED_ON);
        remarks.push(format!("Beware: {TRAINED_ON}."));
    }
    let mut indices = Vec::new();
    for &split in &splits {
        indices.extend(split_indices(&dataset, split)?);
    }
    // A split that is named twice, or beside all.
    indices.sort_unstable();
    indices.dedup();
    let mut progress = Progress::new("predicting", "images", indices.len() as u64);
    let predictions = predictions_of(&attributes, &predictor, &dataset, indices.clone(), BATCH_SIZE, |done| {
        progress.set(done as u64, String::new);
    })?;
    let folder = args.out.clone().unwrap_or_else(|| {
        let run = if args.model.is_dir() { args.model.as_path() } else { file.parent().unwrap_or(Path::new("")) };
        results_folder(run, card, &dataset)
    });
    let names: Vec<&str> = splits.iter().map(|split| split.name()).collect();
    let images = match splits.as_slice() {
        [one] => one.phrase(),
        _ => format!("the {} split", names.join(" and ")),
    };
    let origin = format!("by {} on {images}", shell::path(&file));
    Ok(AuditInput { dataset, indices, predictions, origin, remarks, folder })
}

/// Predictions of several models, each for the images it was trained without.
fn cross_validated(args: &AuditArgs, folds: usize, compute: &Compute) -> Result<AuditInput, CommandError> {
    let recipe = recipe::load_or_run(&args.model.to_string_lossy(), &args.overrides)?;
    let folder = args.out.clone().unwrap_or_else(|| PathBuf::from(FOLDER));
    let mut dataset = args.dataset.open()?;
    args.dataset.check_images(&dataset)?;
    align_for_recipe(&mut dataset, &recipe)?;
    let dataset = Arc::new(dataset);
    let cross_validation = CrossValidation {
        dataset: &dataset,
        folds,
        seed: recipe.training.seed,
        folder: &folder,
        device: &compute.device,
        batch_size: BATCH_SIZE,
    };
    let train_fold = |fold: &Fold| {
        output::note(&format!("\n== fold {} of {folds}", fold.number));
        let (recipe, data) = (recipe.clone(), &args.dataset.data);
        let settings = TrainSettings {
            resume: fold.resume,
            skip_bad_images: args.dataset.options.skip_bad_images,
            ..train::settings(recipe, Arc::clone(&fold.dataset), data, &fold.folder, compute)
        };
        train::train(&settings, Shown::default(), &resume_command(args, folds, &folder))?;
        Ok::<_, CommandError>(())
    };
    let mut progress = None;
    let predictions = cross_validation.predictions(train_fold, |done, images| {
        let shown =
            progress.get_or_insert_with(|| Progress::new("predicting the held-out fold", "images", images as u64));
        shown.set(done as u64, String::new);
        if done == images {
            progress = None;
        }
    })?;
    let indices = (0..dataset.samples().len()).collect();
    let origin =
        format!("by {folds} models of recipe {}, each on the part of the images it was trained without", recipe.name);
    Ok(AuditInput { dataset, indices, predictions, origin, remarks: Vec::new(), folder })
}

/// The command that resumes a cross-validated audit.
fn resume_command(args: &AuditArgs, folds: usize, folder: &Path) -> String {
    let (recipe, data, out) = (shell::path(&args.model), shell::path(&args.dataset.data), shell::path(folder));
    let set: String = args.overrides.iter().map(|change| format!(" --set {}", shell::word(change))).collect();
    let (compute, skip) = (args.compute.repeated(), args.dataset.repeated());
    format!("visage audit {recipe} --data {data} --folds {folds} --out {out}{set}{compute}{skip}")
}

/// The splits named, or else all that the model was not trained on.
fn splits(args: &AuditArgs, dataset: &Dataset, card: &Card) -> Result<Vec<SplitOrAll>, CommandError> {
    if !args.splits.is_empty() {
        return Ok(args.splits.clone());
    }
    if let Some(images) = images_to_judge(dataset, card) {
        return Ok(vec![images]);
    }
    let held_out: Vec<Split> =
        [Split::Validation, Split::Test].into_iter().filter(|&split| !dataset.indices(split).is_empty()).collect();
    if held_out.is_empty() {
        let (dataset, split) = (dataset.name().to_owned(), Split::Test.into());
        return Err(EvaluateError::EmptySplit { dataset, split, other: None }.into());
    }
    Ok(held_out.into_iter().map(SplitOrAll::Split).collect())
}
