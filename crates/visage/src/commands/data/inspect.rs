//! `visage data inspect`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use visage_data::{Alignment, Associations, AttributeStatistics, Dataset, Label, Split, Statistics, Weighting};

use crate::dataset::missing_images;
use crate::error::CommandError;
use crate::output;
use crate::table_args::TableArgs;
use crate::tables::{self, count, counted};

/// Attributes that are warned of by name.
const LISTED: usize = 20;

/// The beta of the effective number of samples, as in recipes that name none.
const BETA: f64 = 0.9999;

/// The rules whose weights are shown, by their names in recipes.
pub const WEIGHTINGS: [(&str, Weighting); 3] = [
    ("pos_weight", Weighting::PosWeight),
    ("inverse_frequency", Weighting::InverseFrequency),
    ("effective_number", Weighting::EffectiveNumber { beta: BETA }),
];

/// Options of `visage data inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// CelebA in any of its layouts, as a folder or a zip; a table (CSV, TSV, JSON lines, Parquet) of images; a folder or zip
    /// with such a table; WebDataset shards; an export of COCO, Label Studio, FiftyOne or CVAT; a folder for each class; a pack.
    pub path: PathBuf,
    /// Print JSON instead of tables.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub table: TableArgs,
}

/// The contents of a dataset.
#[derive(Debug, Serialize)]
pub struct Contents {
    /// Its name.
    pub dataset: String,
    /// Number of images.
    pub images: usize,
    /// How the columns of its table were understood.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub understood: String,
    /// How the faces lie in the images, as far as sizes and landmarks show it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alignment: Option<Alignment>,
    /// See [`Dataset::fingerprint`].
    pub fingerprint: String,
    /// The splits, by name.
    pub splits: BTreeMap<&'static str, SplitContents>,
    /// Images without a split.
    pub images_without_split: usize,
    /// The attributes.
    pub attributes: Vec<AttributeContents>,
    /// Text columns, to group by.
    #[serde(rename = "categories", skip_serializing_if = "Vec::is_empty")]
    pub text_columns: Vec<TextColumn>,
    /// Correlations between attributes, unless there are too many of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub associations: Option<Associations>,
    /// Warnings, a sentence each.
    pub warnings: Vec<String>,
}

/// A text column.
#[derive(Debug, Serialize)]
pub struct TextColumn {
    /// Its name.
    pub name: String,
    /// Number of images with each value.
    pub values: BTreeMap<String, u64>,
}

/// A split.
#[derive(Debug, Serialize)]
pub struct SplitContents {
    /// Its number of images.
    pub images: u64,
    /// The accuracy of always predicting each attribute's majority class of the split.
    pub majority_accuracy: Option<f64>,
}

/// An attribute.
#[derive(Debug, Serialize)]
pub struct AttributeContents {
    /// Its name.
    pub name: String,
    /// Images that have it, in the whole dataset.
    pub present: u64,
    /// Images that lack it.
    pub absent: u64,
    /// Images without a label.
    pub unknown: u64,
    /// Prevalence by split.
    pub prevalence: BTreeMap<&'static str, Option<f64>>,
    /// Weights by rule, from the training split; a rule without usable weights is left out.
    pub weights: BTreeMap<&'static str, ClassWeights>,
}

/// Weights of the two labels of an attribute.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ClassWeights {
    /// The weight of present labels.
    pub present: f32,
    /// The weight of absent labels.
    pub absent: f32,
}

/// Shows the contents of a dataset.
pub fn run(args: &InspectArgs) -> Result<(), CommandError> {
    let contents = contents(&Dataset::open_with(&args.path, &args.table.options()?)?);
    output::json_or(args.json, &contents, tables::dataset::text)?;
    contents.warnings.iter().for_each(|warning| output::warning(warning));
    Ok(())
}

fn contents(dataset: &Dataset) -> Contents {
    let statistics = Split::ALL.map(|split| Statistics::of(dataset, split));
    let (weights, weight_warnings) = weights(&statistics[0]);
    let images_without_split = dataset.samples().iter().filter(|sample| sample.split.is_none()).count();
    let mut warnings = dataset.notes().to_vec();
    warnings.extend(missing_images(dataset));
    warnings.extend(split_warnings(dataset, &statistics, images_without_split));
    warnings.extend(weight_warnings);
    let associations = Associations::of(dataset);
    if associations.is_none() {
        let most = Associations::MAX_ATTRIBUTES;
        warnings.push(format!("correlations are left out: they are counted for up to {most} attributes"));
    }
    let attribute = |(column, name): (usize, &String)| {
        let count = |label| dataset.samples().iter().filter(|s| s.labels[column] == label).count() as u64;
        AttributeContents {
            name: name.clone(),
            present: count(Label::Present),
            absent: count(Label::Absent),
            unknown: count(Label::Unknown),
            prevalence: statistics.iter().map(|s| (s.split.name(), s.attributes[column].prevalence)).collect(),
            weights: weights.get(name).cloned().unwrap_or_default(),
        }
    };
    let split = |s: &Statistics| SplitContents { images: s.samples, majority_accuracy: s.majority_accuracy };
    Contents {
        dataset: dataset.name().to_owned(),
        images: dataset.samples().len(),
        understood: dataset.understood().to_owned(),
        alignment: dataset.alignment(),
        fingerprint: dataset.fingerprint(),
        splits: statistics.iter().map(|s| (s.split.name(), split(s))).collect(),
        images_without_split,
        attributes: dataset.attributes().iter().enumerate().map(attribute).collect(),
        text_columns: text_columns(dataset),
        associations,
        warnings,
    }
}

/// The weights of each attribute by each rule, and warnings. Attributes without weights do not affect those of the others.
fn weights(training: &Statistics) -> (BTreeMap<String, BTreeMap<&'static str, ClassWeights>>, Vec<String>) {
    let mut by_attribute: BTreeMap<String, BTreeMap<&'static str, ClassWeights>> = BTreeMap::new();
    let mut warnings = Vec::new();
    if training.samples == 0 {
        return (by_attribute, warnings);
    }
    let constant = training.constant().map(|AttributeStatistics { name, present, absent, .. }| {
        format!("{name} is present in {present} and absent in {absent} training images")
    });
    warnings.extend(constant_warnings(constant));
    let usable = Statistics {
        attributes: training.attributes.iter().filter(|a| !a.is_constant()).cloned().collect(),
        ..training.clone()
    };
    for (rule, weighting) in WEIGHTINGS {
        match usable.weights(&weighting) {
            Ok(weights) => {
                for ((attribute, &present), &absent) in
                    usable.attributes.iter().zip(&weights.positive).zip(&weights.negative)
                {
                    let weights = by_attribute.entry(attribute.name.clone()).or_default();
                    weights.insert(rule, ClassWeights { present, absent });
                }
            }
            Err(error) => warnings.push(format!("{rule}: {error}")),
        }
    }
    (by_attribute, warnings)
}

/// A warning for each of the first attributes that cannot be learnt, and one for all others.
fn constant_warnings(found: impl Iterator<Item = String>) -> Vec<String> {
    let found: Vec<String> = found.collect();
    let (first, others) = found.split_at(found.len().min(LISTED));
    let warning = |state: &String| {
        format!(
            "{state}: nothing can be learnt about it, and training refuses it; add images of the other kind, or train with \
             --drop-constant"
        )
    };
    let mut warnings: Vec<String> = first.iter().map(warning).collect();
    if !others.is_empty() {
        warnings.push(format!("the same holds for {}", counted(others.len() as u64, "other attribute")));
    }
    warnings
}

fn text_columns(dataset: &Dataset) -> Vec<TextColumn> {
    let of = |(column, name): (usize, &String)| {
        let mut values = BTreeMap::new();
        for value in dataset.samples().iter().filter_map(|sample| sample.categories[column].as_ref()) {
            *values.entry(value.clone()).or_default() += 1;
        }
        TextColumn { name: name.clone(), values }
    };
    dataset.categories().iter().enumerate().map(of).collect()
}

fn split_warnings(dataset: &Dataset, statistics: &[Statistics; 3], without_split: usize) -> Vec<String> {
    let mut warnings = Vec::new();
    if !dataset.has_splits() {
        warnings.push(
            "the table assigns no splits: training draws them with the recipe's seed; add a `split` column to fix them"
                .to_owned(),
        );
        let constant = dataset.attributes().iter().enumerate().filter_map(|(column, name)| {
            let has = |label: Label| dataset.samples().iter().any(|sample| sample.labels[column] == label);
            let state = match (has(Label::Present), has(Label::Absent)) {
                (true, true) => return None,
                (true, false) => "present in every image with a label",
                (false, true) => "absent in every image with a label",
                (false, false) => "without any label",
            };
            Some(format!("{name} is {state}"))
        });
        warnings.extend(constant_warnings(constant));
        return warnings;
    }
    if without_split > 0 {
        warnings.push(format!("{} in no split, which are not used", counted(without_split as u64, "image")));
    }
    for Statistics { split, .. } in statistics.iter().filter(|statistics| statistics.samples == 0) {
        warnings.push(match split {
            Split::Test => "there are no test images: evaluate with --split validation".to_owned(),
            Split::Validation if statistics[0].samples > 0 => {
                "there are no validation images: training draws 10 % of the training images with the recipe's seed"
                    .to_owned()
            }
            split => format!("there are no {split} images, and training needs them"),
        });
    }
    let mut splits_of: BTreeMap<&str, BTreeSet<Split>> = BTreeMap::new();
    for sample in dataset.samples() {
        if let (Some(identity), Some(split)) = (&sample.identity, sample.split) {
            splits_of.entry(identity).or_default().insert(split);
        }
    }
    let shared = splits_of.values().filter(|splits| splits.len() > 1).count();
    if shared > 0 {
        warnings.push(format!(
            "{} in more than one split: a model is evaluated on faces it was trained on",
            if shared == 1 { "1 person is".to_owned() } else { format!("{} people are", count(shared as u64)) }
        ));
    }
    warnings
}
