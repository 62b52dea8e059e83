//! All metrics of one set of predictions.

use serde::{Deserialize, Serialize};

use crate::confusion::{Confusion, commoner_class_accuracy, ratio};
use crate::error::Error;
use crate::predictions::Predictions;
use crate::ranking::Ranking;
use crate::scores::Scores;
use crate::tally::Tally;
use crate::thresholds::{ThresholdRule, Thresholds, is_positive};

/// The metrics of one attribute, on the images whose label is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttributeMetrics {
    /// Name of the attribute.
    pub attribute: String,
    /// A probability at or above this was a positive decision.
    pub threshold: f32,
    /// Number of known labels.
    pub support: u64,
    /// Number of labels that are present.
    pub positives: u64,
    /// The confusion matrix.
    #[serde(flatten)]
    pub confusion: Confusion,
    /// The metrics.
    #[serde(flatten)]
    pub scores: Scores,
}

/// Means over all attributes with an undefined metric counted as 0, as in much published code. Kept for comparison with
/// published figures; [`Evaluation::macro_average`] leaves undefined values out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OriginalMeans {
    /// Mean accuracy.
    pub accuracy: f64,
    /// Mean precision.
    pub precision: f64,
    /// Mean recall.
    pub recall: f64,
    /// Mean F1.
    pub f1: f64,
}

impl OriginalMeans {
    fn new(attributes: &[AttributeMetrics]) -> Self {
        let mean = |value: fn(&Scores) -> Option<f64>| {
            let sum: f64 = attributes.iter().filter_map(|attribute| value(&attribute.scores)).sum();
            // The sum of nothing is -0, which this makes 0.
            (sum + 0.0) / attributes.len() as f64
        };
        Self {
            accuracy: mean(|scores| scores.accuracy),
            precision: mean(|scores| scores.precision),
            recall: mean(|scores| scores.recall),
            f1: mean(|scores| scores.f1),
        }
    }

    /// The same four values as [`Scores`], all others undefined: a row like any other.
    pub fn scores(&self) -> Scores {
        Scores {
            accuracy: Some(self.accuracy),
            precision: Some(self.precision),
            recall: Some(self.recall),
            f1: Some(self.f1),
            ..Scores::default()
        }
    }
}

/// All metrics of the predictions on one split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Number of images, with known labels or without.
    pub images: usize,
    /// How the thresholds were chosen.
    pub threshold_rule: ThresholdRule,
    /// Each metric's mean over the attributes where it is defined.
    pub macro_average: Scores,
    /// The metrics of all known labels of all attributes pooled. `commoner_class_accuracy` still answers each
    /// attribute's own commoner class.
    pub micro_average: Scores,
    /// The means with undefined metrics counted as 0.
    pub original: OriginalMeans,
    /// Share of images with all known labels decided correctly, of the images with a known label.
    pub subset_accuracy: Option<f64>,
    /// The attributes, in the order of the predictions.
    pub attributes: Vec<AttributeMetrics>,
}

impl Evaluation {
    /// The thresholds the decisions were made with.
    pub fn thresholds(&self) -> Thresholds {
        let values = self.attributes.iter().map(|attribute| attribute.threshold).collect();
        Thresholds { rule: self.threshold_rule, values }
    }
}

/// Measures predictions under thresholds (one per attribute, in the same order).
///
/// # Errors
///
/// The thresholds are not one finite number per attribute.
pub fn evaluate(predictions: &Predictions, thresholds: &Thresholds) -> Result<Evaluation, Error> {
    thresholds.check(predictions.attributes())?;
    let mut pooled = Tally::default();
    let mut pooled_pairs = Vec::with_capacity(predictions.labels().len());
    let columns = predictions.attributes().iter().zip(&thresholds.values).enumerate();
    let attributes: Vec<AttributeMetrics> = columns
        .map(|(column, (attribute, &threshold))| {
            let mut pairs = Vec::with_capacity(predictions.images());
            let mut tally = Tally::default();
            for (cell, present) in predictions.known_cells(column) {
                let (probability, target) = (predictions.probabilities()[cell], predictions.target(cell, present));
                let decision = is_positive(probability, threshold);
                tally.add(probability, decision, present, target);
                // Label by label, not tally by tally: the sums round as one pass over all labels does.
                pooled.add(probability, decision, present, target);
                pairs.push((probability, present));
            }
            pooled_pairs.extend_from_slice(&pairs);
            AttributeMetrics {
                attribute: attribute.clone(),
                threshold,
                support: tally.confusion.support(),
                positives: tally.confusion.positives(),
                confusion: tally.confusion,
                scores: tally.scores(Ranking::new(pairs).scores()),
            }
        })
        .collect();

    let commoner_class_accuracy = commoner_class_accuracy(attributes.iter().map(|attribute| &attribute.confusion));
    Ok(Evaluation {
        images: predictions.images(),
        threshold_rule: thresholds.rule,
        macro_average: Scores::mean_where_defined(attributes.iter().map(|attribute| &attribute.scores)),
        micro_average: Scores { commoner_class_accuracy, ..pooled.scores(Ranking::new(pooled_pairs).scores()) },
        original: OriginalMeans::new(&attributes),
        subset_accuracy: subset_accuracy(predictions, thresholds),
        attributes,
    })
}

fn subset_accuracy(predictions: &Predictions, thresholds: &Thresholds) -> Option<f64> {
    let width = thresholds.values.len();
    let rows = predictions.labels().chunks_exact(width).zip(predictions.probabilities().chunks_exact(width));
    let (mut right, mut labelled) = (0, 0);
    for (labels, probabilities) in rows.filter(|(labels, _)| labels.iter().any(Option::is_some)) {
        let decisions = probabilities.iter().zip(&thresholds.values).map(|(&p, &threshold)| is_positive(p, threshold));
        labelled += 1;
        right += u64::from(labels.iter().zip(decisions).all(|(label, decision)| label.is_none_or(|is| is == decision)));
    }
    ratio(right, labelled)
}

#[cfg(test)]
mod tests;
