//! `visage audit`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use visage_data::duplicates::{Duplicate, Thumbnail, duplicates};
use visage_data::{Dataset, Label, Loader, LoaderOptions, Split};
use visage_judge::{AttributeAudit, Audit, LabelDoubt};
use visage_train::inference::{InferenceOptions, predictions};
use visage_weights::atomic;

use super::evaluate::{BATCH_SIZE, images, open};
use super::read_model;
use crate::cli::AuditArgs;
use crate::compute::Compute;
use crate::error::CommandError;
use crate::output;
use crate::progress::Progress;
use crate::table::{Columns, count, counted, percent, score};

/// The tables that are written.
const LABELS: &str = "audit-labels.csv";
const DUPLICATES: &str = "audit-duplicates.csv";

/// How many of the most doubtful labels are printed.
const SHOWN: usize = 20;

/// What an audit found.
#[derive(Debug, Serialize)]
struct Found {
    /// The images looked at.
    images: usize,
    /// Known labels of them.
    labels: usize,
    /// Labels suspected to be wrong.
    suspects: usize,
    attributes: Vec<AttributeAudit>,
    /// Pairs of images that show the same.
    duplicates: usize,
    /// Those whose labels differ.
    contradicting: usize,
    /// The tables that were written.
    written: [PathBuf; 2],
}

/// Ranks labels by how likely they are wrong, and finds images that are there twice.
pub fn run(args: &AuditArgs) -> Result<(), CommandError> {
    let compute = Compute::new(&args.compute)?;
    let (model, file) = read_model(&args.model, &compute)?;
    let dataset = Arc::new(open(&args.source, &model, &compute)?);
    let mut indices = Vec::new();
    for split in splits(args, &dataset)? {
        if split == Split::Train && dataset.fingerprint() == model.card.origin.dataset_fingerprint {
            output::warning("the model was trained on these labels, and may have learnt the wrong ones by heart");
        }
        indices.extend(images(&dataset, split)?);
    }
    let options = InferenceOptions { batch_size: BATCH_SIZE, workers: compute.threads };
    let mut progress = Progress::new("auditing", "images", indices.len() as u64);
    let predictions = predictions(&model, &dataset, indices.clone(), &options, &compute.device, |done| {
        progress.set(done as u64, String::new);
    })?;
    drop(progress);
    let Audit { doubts, attributes } = visage_judge::audit(&predictions)?;
    let same = find_duplicates(&dataset, &indices, compute.threads)?;

    let folder = match &args.out {
        Some(folder) => folder.clone(),
        None if args.model.is_dir() => args.model.clone(),
        None => file.parent().unwrap_or(Path::new("")).to_owned(),
    };
    std::fs::create_dir_all(if folder.as_os_str().is_empty() { Path::new(".") } else { &folder })
        .map_err(|source| CommandError::Write { path: folder.clone(), source })?;
    let written = [folder.join(LABELS), folder.join(DUPLICATES)];
    let ranked = (doubts.len() as f64 * args.share).ceil() as usize;
    let name = |image: usize| dataset.samples()[indices[image]].image.as_str();
    let names = predictions.attributes();
    let labels = table(&["rank", "image", "attribute", "label", "probability", "confidence", "suspect"], |rows| {
        for (rank, doubt) in doubts.iter().take(ranked).enumerate() {
            rows.write_record([
                (rank + 1).to_string(),
                name(doubt.image).to_owned(),
                names[doubt.column].clone(),
                u8::from(doubt.present).to_string(),
                doubt.probability.to_string(),
                doubt.confidence.to_string(),
                u8::from(doubt.suspect).to_string(),
            ])?;
        }
        Ok(())
    });
    write(&written[0], labels)?;
    let differing: Vec<Vec<&str>> = same.iter().map(|pair| contradiction(&dataset, &indices, pair)).collect();
    let duplicates = table(&["image", "same_as", "difference", "contradicting_attributes"], |rows| {
        for (pair, differing) in same.iter().zip(&differing) {
            let difference = format!("{:.3}", pair.difference);
            rows.write_record([name(pair.first), name(pair.second), &difference, &differing.join(" ")])?;
        }
        Ok(())
    });
    write(&written[1], duplicates)?;

    let found = Found {
        images: indices.len(),
        labels: doubts.len(),
        suspects: doubts.iter().filter(|doubt| doubt.suspect).count(),
        attributes,
        duplicates: same.len(),
        contradicting: differing.iter().filter(|differing| !differing.is_empty()).count(),
        written,
    };
    if args.json {
        output::json(&found)?;
    } else {
        let most: Vec<(&LabelDoubt, &str, &str)> =
            doubts.iter().take(SHOWN).map(|doubt| (doubt, name(doubt.image), names[doubt.column].as_str())).collect();
        output::result(&report(&found, &most))?;
    }
    output::note(&format!("wrote {} and {}", found.written[0].display(), found.written[1].display()));
    Ok(())
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

fn find_duplicates(dataset: &Arc<Dataset>, indices: &[usize], workers: usize) -> Result<Vec<Duplicate>, CommandError> {
    let mut progress = Progress::new("looking for duplicates", "images", indices.len() as u64);
    let options = LoaderOptions::in_order(BATCH_SIZE, workers);
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

/// A CSV file in memory.
fn table(
    header: &[&str],
    rows: impl FnOnce(&mut csv::Writer<Vec<u8>>) -> Result<(), csv::Error>,
) -> Result<Vec<u8>, io::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(header)?;
    rows(&mut writer)?;
    writer.into_inner().map_err(|error| io::Error::other(error.to_string()))
}

fn write(path: &Path, contents: Result<Vec<u8>, io::Error>) -> Result<(), CommandError> {
    contents
        .and_then(|contents| atomic::write(path, |file| file.write_all(&contents)))
        .map_err(|source| CommandError::Write { path: path.to_owned(), source })
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
    let mut text = format!(
        "{} labels of {}; {} are suspected to be wrong\n\n{}\nthe most doubtful\n\n{}",
        count(found.labels as u64),
        counted(found.images as u64, "image"),
        count(found.suspects as u64),
        attributes.text(),
        doubtful.text()
    );
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
