//! Evaluating a model on a split of a dataset.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use miette::Diagnostic;
use visage_data::{Dataset, Label, Split, SplitOrAll};
use visage_judge::{
    Calibration, Grouping, Intervals, Predictions, Rules, ThresholdRule, Thresholds, evaluate, judge_groups,
    probabilities,
};
use visage_model::{Precision, Predictor};

use crate::bootstrap::BOOTSTRAP;
use crate::metrics_file::THRESHOLDS_OF_MODEL;
use crate::predict::{LabelledOutputs, PredictError, logits};
use crate::{MetricsFile, PredictionsFile, PredictionsOrigin, Question, RunError};

/// Images that go through the network together.
pub const BATCH_SIZE: usize = 64;

/// A column with more values than this holds names rather than groups.
const MOST_GROUPS: usize = 50;

/// Why a model cannot be evaluated.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum EvaluateError {
    /// A split without images.
    #[error("{dataset} has no {split} images")]
    #[diagnostic(help("{}", other_images(*other)))]
    EmptySplit {
        /// The dataset.
        dataset: String,
        /// The split, or all.
        split: SplitOrAll,
        /// A split that has images and that the model was not trained on.
        other: Option<Split>,
    },
    /// Attributes or columns to group by that the dataset does not have.
    #[error("{dataset} has no attribute and no text column {}", names.join(", "))]
    #[diagnostic(help("it has {}", known.join(", ")))]
    UnknownGroups {
        /// The dataset.
        dataset: String,
        /// The names it does not have.
        names: Vec<String>,
        /// The names it has.
        known: Vec<String>,
    },
    /// A column to group by with a different value for nearly every image.
    #[error("{name} would make {values} groups: at most {MOST_GROUPS} can be evaluated")]
    TooManyGroups {
        /// The column.
        name: String,
        /// Its number of values.
        values: usize,
    },
    /// Predicting the images.
    #[error(transparent)]
    Predict(#[from] PredictError),
    /// Labels and predictions that cannot be evaluated.
    #[error(transparent)]
    Judge(#[from] visage_judge::Error),
    /// A metrics or predictions file.
    #[error(transparent)]
    Run(#[from] RunError),
}

fn other_images(other: Option<Split>) -> String {
    match other {
        Some(other) => format!("use the {other} split: --split {other}"),
        None => "use every image (--split all), or add a `split` column with train, validation and test to its table"
            .to_owned(),
    }
}

/// The indices of the images of a split, or of all.
///
/// # Errors
///
/// [`EvaluateError::EmptySplit`].
pub fn split_indices(dataset: &Dataset, split: impl Into<SplitOrAll>) -> Result<Vec<usize>, EvaluateError> {
    let split = split.into();
    let indices = dataset.indices_of(split);
    if indices.is_empty() {
        // Never suggest the training split: results on it are no estimate of anything.
        let other = [Split::Test, Split::Validation].into_iter().find(|&other| !dataset.indices(other).is_empty());
        return Err(EvaluateError::EmptySplit { dataset: dataset.name().to_owned(), split, other });
    }
    Ok(indices)
}

/// What to evaluate, and how.
pub struct EvaluationSettings<'a> {
    /// The model.
    pub predictor: &'a Predictor,
    /// The model file.
    pub model_file: &'a Path,
    /// The type that the network computes in.
    pub precision: Precision,
    /// The dataset.
    pub dataset: &'a Arc<Dataset>,
    /// The path of the dataset.
    pub data: &'a Path,
    /// The split, or all.
    pub split: SplitOrAll,
    /// The attributes to judge, in the model's order.
    pub attributes: &'a [&'a str],
    /// One threshold for every attribute, from 0 to 1, instead of the model's.
    pub threshold: Option<f32>,
    /// Attributes and text columns whose groups are evaluated separately.
    pub group_by: &'a [String],
    /// Rules between attributes.
    pub rules: &'a Rules,
    /// Whether to also evaluate the most probable predictions that break no rule.
    pub consistent: bool,
}

/// An evaluated model.
pub struct EvaluatedModel {
    /// The metrics.
    pub metrics: MetricsFile,
    /// The predictions behind them.
    pub predictions: PredictionsFile,
}

impl EvaluatedModel {
    /// Writes the metrics to `path`, whose folder is created if necessary, and the predictions beside them, and returns both paths.
    ///
    /// The predictions are written first: a comparison reads labels and thresholds from them, so that a crash in between leaves
    /// nothing inconsistent.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    pub fn write(&self, path: &Path) -> Result<[PathBuf; 2], EvaluateError> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(RunError::io("create the folder", folder))?;
        }
        let beside = PredictionsFile::beside(path);
        self.predictions.write(&beside)?;
        self.metrics.write(path)?;
        Ok([path.to_owned(), beside])
    }
}

impl EvaluationSettings<'_> {
    /// The question that the metrics will answer.
    #[must_use]
    pub fn question(&self) -> Question {
        Question {
            dataset: self.dataset.name().to_owned(),
            dataset_fingerprint: self.dataset.fingerprint(),
            split: self.split,
            attributes: self.attributes.iter().map(ToString::to_string).collect(),
            threshold: self.threshold.map_or_else(|| "the model's".to_owned(), fixed_threshold),
            test_time: self.predictor.card().test_time,
            precision: self.precision,
        }
    }
}

fn fixed_threshold(value: f32) -> String {
    format!("{value} for every attribute")
}

/// Evaluates a model. `progress` is called with the number of images done.
///
/// # Errors
///
/// [`EvaluateError`]: an empty split, unknown groups, an image that cannot be read.
pub fn evaluate_model(
    settings: &EvaluationSettings<'_>,
    progress: impl FnMut(usize),
) -> Result<EvaluatedModel, EvaluateError> {
    let EvaluationSettings { predictor, dataset, split, rules, .. } = settings;
    let card = predictor.card();
    let indices = split_indices(dataset, *split)?;
    let by = groupings(dataset, &indices, settings.group_by)?;
    let attributes = settings.attributes;
    let (predictions, uncalibrated) = predictions(predictor, dataset, &indices, attributes, progress)?;
    let (thresholds, threshold_rule) = match settings.threshold {
        None => {
            let of_model = card.attributes.iter().zip(&card.thresholds);
            let kept = of_model.filter(|(name, _)| attributes.contains(&name.as_str()));
            let values = kept.map(|(_, &threshold)| threshold).collect();
            // Whatever rule chose them, it did not use these images.
            let thresholds = Thresholds { rule: ThresholdRule::Fixed, values };
            (thresholds, format!("{THRESHOLDS_OF_MODEL}{}", card.threshold_rule))
        }
        Some(value) => (Thresholds::fixed(value, attributes.len()), fixed_threshold(value)),
    };
    let (groups, gaps) = judge_groups(&predictions, &thresholds, &by, &BOOTSTRAP)?;
    let metrics = MetricsFile {
        visage_version: env!("CARGO_PKG_VERSION").to_owned(),
        model: settings.model_file.to_owned(),
        architecture: card.architectures(),
        test_time: card.test_time,
        precision: settings.precision,
        calibration: card.calibration.as_ref().map(|calibration| calibration.method().to_string()),
        dataset: dataset.name().to_owned(),
        data: settings.data.to_owned(),
        table: dataset.table_options().clone(),
        dataset_fingerprint: dataset.fingerprint(),
        split: *split,
        thresholds: threshold_rule,
        evaluation: evaluate(&predictions, &thresholds)?,
        intervals: Some(Intervals::new(&predictions, &thresholds, &BOOTSTRAP)?),
        groups,
        gaps,
        consistency: (!rules.is_empty()).then(|| rules.count(&predictions, &thresholds)),
        consistent: settings.consistent.then(|| rules.judge(&predictions, &thresholds)).transpose()?,
    };
    let origin = PredictionsOrigin {
        visage_version: metrics.visage_version.clone(),
        model: metrics.model.clone(),
        dataset: metrics.dataset.clone(),
        dataset_fingerprint: metrics.dataset_fingerprint.clone(),
        split: *split,
        images: indices.iter().map(|&index| dataset.samples()[index].image.clone()).collect(),
    };
    Ok(EvaluatedModel { metrics, predictions: PredictionsFile { origin, predictions, uncalibrated, thresholds } })
}

/// The model's predictions of `attributes`, and those without its calibration if it has one.
fn predictions(
    predictor: &Predictor,
    dataset: &Arc<Dataset>,
    indices: &[usize],
    attributes: &[&str],
    progress: impl FnMut(usize),
) -> Result<(Predictions, Option<Predictions>), EvaluateError> {
    let card = predictor.card();
    let LabelledOutputs { labels, targets, outputs } =
        logits(attributes, predictor, dataset, indices.to_vec(), BATCH_SIZE, progress)?;
    let predictions = |calibration: Option<&Calibration>| {
        Predictions::new(card.attributes.clone(), labels.clone(), probabilities(calibration, &outputs))?
            .with_targets(targets.clone())?
            .select(attributes)
    };
    let calibration = card.calibration.as_ref();
    let uncalibrated = calibration.map(|_| predictions(None)).transpose()?;
    Ok((predictions(calibration)?, uncalibrated))
}

/// The groups of the images `indices` by each of `names`, an attribute or a text column.
///
/// # Errors
///
/// [`EvaluateError::UnknownGroups`] or [`EvaluateError::TooManyGroups`].
fn groupings(dataset: &Dataset, indices: &[usize], names: &[String]) -> Result<Vec<Grouping>, EvaluateError> {
    let position = |columns: &[String], name: &String| columns.iter().position(|column| column == name);
    let samples = || indices.iter().map(|&index| &dataset.samples()[index]);
    let (mut groupings, mut unknown) = (Vec::new(), Vec::new());
    for name in names {
        if let Some(column) = position(dataset.attributes(), name) {
            groupings.push(Grouping::by_attribute(name, samples().map(|sample| Label::known(sample.labels[column]))));
        } else if let Some(column) = position(dataset.categories(), name) {
            let grouping = Grouping::by_value(name, samples().map(|sample| sample.categories[column].as_deref()));
            if grouping.values.len() > MOST_GROUPS {
                return Err(EvaluateError::TooManyGroups { name: name.clone(), values: grouping.values.len() });
            }
            groupings.push(grouping);
        } else {
            unknown.push(name.clone());
        }
    }
    if !unknown.is_empty() {
        let known = dataset.attributes().iter().chain(dataset.categories()).cloned().collect();
        return Err(EvaluateError::UnknownGroups { dataset: dataset.name().to_owned(), names: unknown, known });
    }
    Ok(groupings)
}
