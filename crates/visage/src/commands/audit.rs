//! `visage audit`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use visage_data::duplicates::{Duplicate, Thumbnail, duplicates};
use visage_data::{Dataset, Label, Loader, LoaderOptions, Split};
use visage_judge::{AttributeAudit, LabelDoubt, Predictions};
use visage_run::predict::predictions;
use visage_train::{CrossValidation, Fold};

use super::data::source;
use super::evaluate::{BATCH_SIZE, images, open};
use super::{read_predictor, recipe, train};
use crate::audit_files::Findings;
use crate::cli::AuditArgs;
use crate::compute::Compute;
use crate::error::CommandError;
use crate::output;
use crate::progress::Progress;
use crate::report_runs::made;
use crate::shell;
use crate::table::{Columns, count, counted, percent, score};

/// Where a cross-validated audit goes that is not told where.
const FOLDER: &str = "visage-audit";

/// How many of the most doubtful labels are printed.
const SHOWN: usize = 20;

/// Why a model's word on labels it was trained on is worth little.
const SEEN: &str = "the model was trained on these labels, and may have learnt the wrong ones by heart";

/// What an audit found.
#[derive(Debug, Serialize)]
struct Found {
    /// The images looked at.
    images: usize,
    /// Where the probabilities are from, in words.
    probabilities: String,
    /// Known labels of them.
    labels: usize,
    /// Labels suspected to be wrong.
    suspects: usize,
    attributes: Vec<AttributeAudit>,
    /// Pairs of images that show the same.
    duplicates: usize,
    /// Those whose labels differ.
    contradicting: usize,
    /// The tables and the page that were written.
    written: [PathBuf; 3],
}

/// What to audit labels with.
struct Asked {
    dataset: Arc<Dataset>,
    /// The numbers of the images.
    indices: Vec<usize>,
    predictions: Predictions,
    /// Where the probabilities are from, in words.
    about: String,
    /// What to beware of.
    remarks: Vec<String>,
    /// Where the findings go.
    folder: PathBuf,
}

/// Ranks labels by how likely they are wrong, and finds images that are there twice.
pub fn run(args: &AuditArgs) -> Result<(), CommandError> {
    let compute = Compute::new(&args.compute)?;
    let Asked { dataset, indices, predictions, about, remarks, folder } = match args.folds {
        Some(folds) => cross_validated(args, folds.into(), &compute)?,
        None => held_out(args, &compute)?,
    };
    let audit = visage_judge::audit(&predictions)?;
    let same = find_duplicates(&dataset, &indices)?;
    let same: Vec<(Duplicate, Vec<&str>)> =
        same.into_iter().map(|pair| (pair, contradiction(&dataset, &indices, &pair))).collect();
    let suspects = audit.doubts.iter().filter(|doubt| doubt.suspect).count();
    let known = format!(
        "{} labels of {}; {} are suspected to be wrong",
        count(audit.doubts.len() as u64),
        counted(indices.len() as u64, "image"),
        count(suspects as u64)
    );
    let findings = Findings {
        dataset: &dataset,
        indices: &indices,
        attributes: predictions.attributes(),
        audit: &audit,
        same: &same,
        share: args.share,
        about: vec![format!("{known}."), format!("Probabilities: {about}.")],
        remarks,
        made: made(),
        gallery: args.gallery,
    };
    let found = Found {
        images: indices.len(),
        probabilities: about.clone(),
        labels: audit.doubts.len(),
        suspects,
        attributes: audit.attributes.clone(),
        duplicates: same.len(),
        contradicting: same.iter().filter(|(_, differing)| !differing.is_empty()).count(),
        written: findings.write(&folder)?,
    };
    if args.json {
        output::json(&found)?;
    } else {
        let name = |doubt: &LabelDoubt| dataset.samples()[indices[doubt.image]].image.as_str();
        let most: Vec<(&LabelDoubt, &str, &str)> = audit
            .doubts
            .iter()
            .take(SHOWN)
            .map(|doubt| (doubt, name(doubt), predictions.attributes()[doubt.column].as_str()))
            .collect();
        output::result(&format!("{known}; probabilities: {about}\n\n{}", report(&found, &most)))?;
    }
    let [labels, duplicates, page] = &found.written;
    output::note(&format!("wrote {}, {} and {}", labels.display(), duplicates.display(), page.display()));
    Ok(())
}

/// A model's word on images it was not trained on, or was.
fn held_out(args: &AuditArgs, compute: &Compute) -> Result<Asked, CommandError> {
    let (model, file) = read_predictor(&args.model, compute)?;
    let dataset = Arc::new(open(&args.source, model.card())?);
    let (mut indices, mut remarks) = (Vec::new(), Vec::new());
    let splits = splits(args, &dataset)?;
    for &split in &splits {
        if split == Split::Train && dataset.fingerprint() == model.card().origin.dataset_fingerprint {
            output::warning(SEEN);
            remarks.push(format!("Beware: {SEEN}."));
        }
        indices.extend(images(&dataset, split)?);
    }
    let mut progress = Progress::new("auditing", "images", indices.len() as u64);
    let predictions = predictions(&model, &dataset, indices.clone(), BATCH_SIZE, |done| {
        progress.set(done as u64, String::new);
    })?;
    let folder = match &args.out {
        Some(folder) => folder.clone(),
        None if args.model.is_dir() => args.model.clone(),
        None => file.parent().unwrap_or(Path::new("")).to_owned(),
    };
    let named: Vec<&str> = splits.iter().map(|split| split.name()).collect();
    let about = format!("by {} on the {} split", shell::path(&file), named.join(" and "));
    Ok(Asked { dataset, indices, predictions, about, remarks, folder })
}

/// The word of several models, each on the images that it was trained without.
fn cross_validated(args: &AuditArgs, folds: usize, compute: &Compute) -> Result<Asked, CommandError> {
    let mut recipe = recipe::of_name_or_run(&args.model.to_string_lossy())?;
    recipe.set_all(&args.overrides).map_err(CommandError::usage)?;
    let folder = args.out.clone().unwrap_or_else(|| PathBuf::from(FOLDER));
    let dataset = Arc::new(source::open(&args.source)?);
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
        train::train(&train::Training {
            recipe: recipe.clone(),
            dataset: Arc::clone(&fold.dataset),
            data: &args.source.data,
            split_seed: None,
            folder: &fold.folder,
            resume: fold.resume,
            accept_changes: false,
            tensorboard: false,
            compute,
            resume_command: resume_command(args, folds, &folder),
        })?;
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
    let about =
        format!("by {folds} models of recipe {}, each on the part of the images it was trained without", recipe.name);
    Ok(Asked { dataset, indices, predictions, about, remarks: Vec::new(), folder })
}

/// The command that goes on with a cross-validated audit.
fn resume_command(args: &AuditArgs, folds: usize, folder: &Path) -> String {
    let (recipe, data, out) = (shell::path(&args.model), shell::path(&args.source.data), shell::path(folder));
    let set = args.overrides.iter().map(|change| format!(" --set {}", shell::word(change)));
    let compute = args.compute.repeated();
    let skip = if args.source.skip_bad_images { " --skip-bad-images" } else { "" };
    format!("visage audit {recipe} --data {data} --folds {folds} --out {out}{}{compute}{skip}", set.collect::<String>())
}

/// The parts to audit: those asked for, or all the model was not trained on.
fn splits(args: &AuditArgs, dataset: &Dataset) -> Result<Vec<Split>, CommandError> {
    if !args.splits.is_empty() {
        return Ok(args.splits.clone());
    }
    let held_out: Vec<Split> =
        [Split::Validation, Split::Test].into_iter().filter(|&split| !dataset.indices(split).is_empty()).collect();
    if held_out.is_empty() {
        let (dataset, split) = (dataset.name().to_owned(), Split::Test);
        return Err(CommandError::EmptySplit { dataset, split, other: None });
    }
    Ok(held_out)
}

fn find_duplicates(dataset: &Arc<Dataset>, indices: &[usize]) -> Result<Vec<Duplicate>, CommandError> {
    let mut progress = Progress::new("looking for duplicates", "images", indices.len() as u64);
    let options = LoaderOptions::in_order(BATCH_SIZE);
    let loader = Loader::new(Arc::clone(dataset), indices.to_vec(), Thumbnail::preparation(), options)?;
    let mut thumbnails = Vec::with_capacity(indices.len());
    for batch in loader {
        let batch = batch?;
        thumbnails.extend(batch.pixels.chunks_exact(batch.size.pixels() * 3).map(Thumbnail::new));
        progress.set(thumbnails.len() as u64, String::new);
    }
    Ok(duplicates(&thumbnails))
}

/// The attributes whose known labels of two images differ.
fn contradiction<'a>(dataset: &'a Dataset, indices: &[usize], pair: &Duplicate) -> Vec<&'a str> {
    let labels = |image: usize| dataset.samples()[indices[image]].labels.iter().map(|&label| Label::known(label));
    let both = labels(pair.first).zip(labels(pair.second)).zip(dataset.attributes());
    both.filter(|((a, b), _)| a.is_some() && b.is_some() && a != b).map(|(_, name)| name.as_str()).collect()
}

fn report(found: &Found, most: &[(&LabelDoubt, &str, &str)]) -> String {
    let mut attributes =
        Columns::new(1, &["Attribute", "Labels", "Present", "Suspected", "Share", "AUC", "95 % interval"]);
    for attribute in &found.attributes {
        let share = (attribute.labels > 0).then(|| attribute.suspects as f64 / attribute.labels as f64);
        attributes.row([
            attribute.attribute.clone(),
            count(attribute.labels),
            count(attribute.positives),
            count(attribute.suspects),
            percent(share),
            score(attribute.roc_auc),
            attribute
                .interval
                .map_or_else(String::new, |interval| format!("{:.4} to {:.4}", interval.low, interval.high)),
        ]);
    }
    let mut doubtful = Columns::new(2, &["Image", "Attribute", "Label", "Probability"]);
    for (doubt, image, attribute) in most {
        let label = if doubt.present { "present" } else { "absent" };
        doubtful.row([
            (*image).to_owned(),
            (*attribute).to_owned(),
            label.to_owned(),
            score(Some(doubt.probability.into())),
        ]);
    }
    let mut text = format!("{}\nthe most doubtful\n\n{}", attributes.text(), doubtful.text());
    let named = |which: fn(&AttributeAudit) -> bool| -> Vec<&str> {
        let attributes = found.attributes.iter().filter(|attribute| which(attribute));
        attributes.map(|attribute| attribute.attribute.as_str()).collect()
    };
    let random = named(|attribute| attribute.looks_random);
    if !random.is_empty() {
        text += &format!(
            "\nno better than chance, so that their labels look random, or the model has not learnt them: {}\n",
            random.join(", ")
        );
    }
    let rare = named(|attribute| attribute.too_few);
    if !rare.is_empty() {
        text += &format!("\ntoo rare to say anything about their labels as a whole: {}\n", rare.join(", "));
    }
    text += &match found.duplicates {
        0 => "\nno two of the images show the same\n".to_owned(),
        duplicates => format!(
            "\n{} of images that show the same, {} of them with labels that contradict each other\n",
            counted(duplicates as u64, "pair"),
            count(found.contradicting as u64)
        ),
    };
    text
}
