//! `visage data`.

pub mod convert;
pub mod pack;
pub mod preview;
pub mod source;
pub mod verify;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;

use serde::Serialize;
use visage_data::{Associations, AttributeStatistics, Dataset, Label, Split, Statistics, Weighting};
use visage_synth::{Options, Summary};

use crate::cli::{InspectArgs, SynthArgs};
use crate::compute::start_threads;
use crate::error::CommandError;
use crate::output;
use crate::progress::Progress;
use crate::shell;
use crate::table::{Columns, count, counted, percent};

/// The beta with which the effective number of samples is shown: that of recipes which name none.
const BETA: f64 = 0.9999;

/// How many pairs of attributes are shown.
const STRONGEST: usize = 10;

/// The rules whose weights are shown, by the names recipes give them.
const WEIGHTINGS: [(&str, Weighting); 3] = [
    ("pos_weight", Weighting::PosWeight),
    ("inverse_frequency", Weighting::InverseFrequency),
    ("effective_number", Weighting::EffectiveNumber { beta: BETA }),
];

/// Says what a dataset holds.
pub fn inspect(args: &InspectArgs) -> Result<(), CommandError> {
    let contents = Contents::of(&Dataset::open(&args.path)?);
    if args.json {
        output::json(&contents)?
    } else {
        output::result(&contents.report())?
    }
    contents.warnings.iter().for_each(|warning| output::warning(warning));
    Ok(())
}

/// Values of a column of words that are shown.
const VALUES: usize = 20;

/// What a dataset holds.
#[derive(Debug, Serialize)]
struct Contents {
    dataset: String,
    images: usize,
    fingerprint: String,
    /// By name.
    splits: BTreeMap<&'static str, SplitContents>,
    images_without_split: usize,
    attributes: Vec<AttributeContents>,
    /// Columns of words, to group by.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    categories: Vec<CategoryContents>,
    /// Which attributes come together.
    associations: Associations,
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
struct CategoryContents {
    name: String,
    /// Images of each value.
    values: BTreeMap<String, u64>,
}

#[derive(Debug, Serialize)]
struct SplitContents {
    images: u64,
    /// The accuracy of always answering each attribute's commoner class of the split.
    majority_accuracy: Option<f64>,
}

/// One attribute, over the whole dataset.
#[derive(Debug, Serialize)]
struct AttributeContents {
    name: String,
    present: u64,
    absent: u64,
    unknown: u64,
    /// By split.
    prevalence: BTreeMap<&'static str, Option<f64>>,
    /// By rule, counted on the training split; a rule without usable weights is not there.
    weights: BTreeMap<&'static str, ClassWeights>,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct ClassWeights {
    present: f32,
    absent: f32,
}

impl Contents {
    fn of(dataset: &Dataset) -> Self {
        let statistics = Split::ALL.map(|split| Statistics::of(dataset, split));
        let (weights, mut warnings) = weights(&statistics[0]);
        let attributes: Vec<AttributeContents> = dataset
            .attributes()
            .iter()
            .enumerate()
            .map(|(column, name)| {
                let count = |label| dataset.samples().iter().filter(|s| s.labels[column] == label).count() as u64;
                AttributeContents {
                    name: name.clone(),
                    present: count(Label::Present),
                    absent: count(Label::Absent),
                    unknown: count(Label::Unknown),
                    prevalence: statistics.iter().map(|s| (s.split.name(), s.attributes[column].prevalence)).collect(),
                    weights: weights.get(name).cloned().unwrap_or_default(),
                }
            })
            .collect();
        let images_without_split = dataset.samples().iter().filter(|sample| sample.split.is_none()).count();
        warnings.splice(0..0, split_warnings(dataset, &statistics, images_without_split));
        warnings.splice(0..0, dataset.notes().iter().cloned().chain(source::missing(dataset)));
        let split_contents =
            |s: &Statistics| SplitContents { images: s.samples, majority_accuracy: s.majority_accuracy };
        Self {
            dataset: dataset.name().to_owned(),
            images: dataset.samples().len(),
            fingerprint: dataset.fingerprint(),
            splits: statistics.iter().map(|s| (s.split.name(), split_contents(s))).collect(),
            images_without_split,
            attributes,
            categories: categories(dataset),
            associations: Associations::of(dataset),
            warnings,
        }
    }

    fn report(&self) -> String {
        let Self { dataset, images, fingerprint, splits, attributes, categories, associations, .. } = self;
        let images_without_split = &self.images_without_split;
        let mut split_table = Columns::new(1, &["Split", "Images", "Always the commoner class"]);
        for split in Split::ALL {
            let SplitContents { images, majority_accuracy } = &splits[split.name()];
            split_table.row([split.to_string(), count(*images), percent(*majority_accuracy)]);
        }
        if *images_without_split > 0 {
            split_table.row(["(none)".to_owned(), count(*images_without_split as u64), String::new()]);
        }
        let mut headings = vec!["Attribute", "Present", "Absent", "Unknown"];
        headings.extend(Split::ALL.map(Split::name));
        headings.extend(WEIGHTINGS.map(|(name, _)| name));
        let mut table = Columns::new(1, &headings);
        for attribute in attributes {
            let AttributeContents { name, present, absent, unknown, prevalence, weights } = attribute;
            let mut cells = vec![name.clone(), count(*present), count(*absent), count(*unknown)];
            cells.extend(Split::ALL.map(|split| percent(prevalence[split.name()])));
            cells.extend(WEIGHTINGS.map(|(rule, _)| match weights.get(rule) {
                Some(ClassWeights { present, absent }) => format!("{present:.3} / {absent:.3}"),
                None => "-".to_owned(),
            }));
            table.row(cells);
        }
        let mut words = String::new();
        if !categories.is_empty() {
            let mut table = Columns::new(2, &["Column of words", "Value", "Images"]);
            for CategoryContents { name, values } in categories {
                let shown = values.iter().take(VALUES);
                shown.for_each(|(value, images)| table.row([name.clone(), value.clone(), count(*images)]));
                if values.len() > VALUES {
                    table.row([name.clone(), format!("and {} more", values.len() - VALUES), String::new()]);
                }
            }
            words = format!("\nNo attributes, but groups for `visage evaluate --group-by`\n\n{}", table.text());
        }
        let mut pairs = Columns::new(2, &["Attributes", "", "Correlation", "Have both"]);
        for visage_data::AttributePair { first, second, correlation, both } in associations.pairs.iter().take(STRONGEST)
        {
            pairs.row([first.clone(), second.clone(), format!("{correlation:+.3}"), count(*both)]);
        }
        let correlations = match associations.pairs.len() {
            0 => String::new(),
            _ => format!("\nStrongest correlations\n\n{}", pairs.text()),
        };
        format!(
            "{dataset}: {}, {}, fingerprint {fingerprint:.12}\n\n{}\n\
             Prevalence by split, and weights of present / absent counted on the training split\n\n{}{correlations}{words}",
            counted(*images as u64, "image"),
            counted(attributes.len() as u64, "attribute"),
            split_table.text(),
            table.text()
        )
    }
}

/// The weights of each attribute by each rule, and what is wrong with them. Attributes that have none do not keep the
/// others from having theirs.
fn weights(training: &Statistics) -> (BTreeMap<String, BTreeMap<&'static str, ClassWeights>>, Vec<String>) {
    let mut by_attribute: BTreeMap<String, BTreeMap<&'static str, ClassWeights>> = BTreeMap::new();
    let mut warnings = Vec::new();
    if training.samples == 0 {
        return (by_attribute, warnings);
    }
    let both = |attribute: &AttributeStatistics| attribute.present > 0 && attribute.absent > 0;
    for AttributeStatistics { name, present, absent, .. } in training.attributes.iter().filter(|a| !both(a)) {
        warnings.push(format!(
            "{name} is present in {present} and absent in {absent} training images: it cannot be learnt, has no weights, \
             and a recipe that weights labels refuses it; add such images or remove the attribute"
        ));
    }
    let usable = Statistics {
        attributes: training.attributes.iter().filter(|a| both(a)).cloned().collect(),
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

fn categories(dataset: &Dataset) -> Vec<CategoryContents> {
    let of = |(column, name): (usize, &String)| {
        let mut values = BTreeMap::new();
        for value in dataset.samples().iter().filter_map(|sample| sample.categories[column].as_ref()) {
            *values.entry(value.clone()).or_default() += 1;
        }
        CategoryContents { name: name.clone(), values }
    };
    dataset.categories().iter().enumerate().map(of).collect()
}

fn split_warnings(dataset: &Dataset, statistics: &[Statistics; 3], without_split: usize) -> Vec<String> {
    let mut warnings = Vec::new();
    if !dataset.has_splits() {
        warnings.push(
            "the table assigns no splits: training draws them from the recipe's seed; add a `split` column to decide them"
                .to_owned(),
        );
        return warnings;
    }
    if without_split > 0 {
        warnings.push(format!("{} in no split, which nothing uses", counted(without_split as u64, "image")));
    }
    for Statistics { split, .. } in statistics.iter().filter(|statistics| statistics.samples == 0) {
        warnings.push(match split {
            Split::Test => "there are no test images: judge with --split validation".to_owned(),
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
            "{} people are in more than one split: a model is judged on faces it was trained on",
            count(shared as u64)
        ));
    }
    warnings
}

/// Draws a dataset.
pub fn synth(args: &SynthArgs) -> Result<(), CommandError> {
    start_threads(args.threads)?;
    let &[train, validation, test] = args.splits.as_slice() else {
        return Err(CommandError::usage(ThreeShares));
    };
    let options = Options {
        width: u32::try_from(args.size.width).unwrap_or(u32::MAX),
        height: u32::try_from(args.size.height).unwrap_or(u32::MAX),
        splits: [train, validation, test],
        label_noise: !args.no_label_noise,
        ..Options::new(args.images, args.seed)
    };
    let summary = draw(&options, &args.path)?;
    output::result(&format!("{}next: visage data inspect {}\n", told(&summary), shell::path(&args.path)))
}

/// Another number of shares than there are splits.
#[derive(Debug, thiserror::Error)]
#[error("--splits takes three shares, such as 0.8,0.1,0.1")]
struct ThreeShares;

/// Draws a dataset, showing how it goes.
pub fn draw(options: &Options, folder: &Path) -> Result<Summary, CommandError> {
    let progress = Mutex::new(Progress::new("drawing", "images", options.images as u64));
    Ok(visage_synth::write(options, folder, |done| {
        // Told from several threads; the one that finds it busy leaves it.
        if let Ok(mut progress) = progress.try_lock() {
            progress.set(done as u64, String::new);
        }
    })?)
}

/// What was drawn, in words.
pub fn told(summary: &Summary) -> String {
    let [train, validation, test] = summary.images.map(|images| count(images as u64));
    format!(
        "wrote {}: faces of {} people, {train} to train, {validation} to validate and {test} to test; {} labels are wrong on purpose, \
         listed in Anno/label_noise.csv\n",
        summary.folder.display(),
        count(summary.identities as u64),
        count(summary.flipped_labels as u64)
    )
}
