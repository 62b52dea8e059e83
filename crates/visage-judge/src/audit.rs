//! Labels that are likely wrong.
//!
//! Confident learning (Northcutt, Jiang and Chuang, 2021, arXiv 1911.00068): a label is suspected where the model's probability
//! of the opposite class is at least its mean probability of that class among the images labelled so. A rare class or a biased
//! loss therefore does not look like label errors. Labels are ranked by self-confidence, the probability of the label itself.
//! The probabilities must come from a model that was not trained on the images.
//!
//! A model that ranks an attribute no better than chance contradicts labels at random. Of the attributes whose interval of the area
//! under the ROC curve reaches down to 0.5, no label is suspected, and the labels are ranked after all others.

use serde::Serialize;

use crate::bootstrap::Interval;
use crate::error::Error;
use crate::predictions::Predictions;
use crate::ranking::Ranking;

/// An attribute with fewer known labels of either class than this is too rare to audit.
const MIN_LABELS: u64 = 30;

/// The area under the ROC curve of a model that knows nothing.
const CHANCE: f64 = 0.5;

/// Half the width of a 95 % interval, in standard errors.
const STANDARD_ERRORS: f64 = 1.96;

/// A label and the model's confidence in it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LabelDoubt {
    /// Index of the image.
    pub image: usize,
    /// Index of the attribute.
    pub column: usize,
    /// The label.
    pub present: bool,
    /// The predicted probability of presence.
    pub probability: f32,
    /// The predicted probability of the label: the lower, the more doubtful.
    pub confidence: f32,
    /// Whether the label is suspected to be wrong: the opposite class is at least as probable as it is on average among
    /// images labelled so, and more probable than the label; and the model is better than chance for the attribute.
    pub suspect: bool,
}

/// The audit of one attribute's labels.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AttributeAudit {
    /// Name of the attribute.
    pub attribute: String,
    /// Number of known labels.
    pub labels: u64,
    /// Number of positive labels.
    pub positives: u64,
    /// Number of labels suspected to be wrong; 0 where the model cannot tell.
    pub suspects: u64,
    /// Area under the ROC curve of the model on these labels.
    pub roc_auc: Option<f64>,
    /// Its 95 % interval, by the standard error of Hanley and McNeil (1982).
    pub interval: Option<Interval>,
    /// Whether the lower end of the interval is 0.5, chance, or below: nothing can be said about single labels.
    pub cannot_tell: bool,
    /// Whether that is so although there are enough labels: they are random, the attribute is not visible, or the model has not
    /// learnt it.
    pub looks_random: bool,
    /// Whether there are fewer than 30 labels of either class.
    pub too_few: bool,
}

/// The known labels from the most to the least doubtful, and the audit of each attribute.
#[derive(Debug, Clone, PartialEq)]
pub struct Audit {
    /// Every known label of the attributes with both classes: first those of the attributes that are judged, then those of which the
    /// model [cannot tell](AttributeAudit::cannot_tell). Each by ascending confidence, then by image and attribute.
    pub doubts: Vec<LabelDoubt>,
    /// The attributes, in the order of the predictions.
    pub attributes: Vec<AttributeAudit>,
}

impl Audit {
    /// The labels of the attributes that are judged: those that the model can tell.
    pub fn judged(&self) -> impl Iterator<Item = &LabelDoubt> {
        self.doubts.iter().take_while(|doubt| !self.attributes[doubt.column].cannot_tell)
    }
}

/// Ranks the known labels by the model's confidence in them, and suspects those it contradicts.
///
/// # Errors
///
/// There is no known label.
pub fn audit(predictions: &Predictions) -> Result<Audit, Error> {
    let mut doubts = Vec::new();
    let mut attributes = Vec::with_capacity(predictions.attributes().len());
    for (column, attribute) in predictions.attributes().iter().enumerate() {
        let known: Vec<(f32, bool)> = predictions.known(column).collect();
        let mean_confidence = mean_confidence(&known);
        let mut audited = AttributeAudit::new(attribute, &Ranking::new(known));
        let mut own = doubts_of(predictions, column, mean_confidence);
        own.iter_mut().for_each(|doubt| doubt.suspect &= !audited.cannot_tell);
        audited.suspects = own.iter().filter(|doubt| doubt.suspect).count() as u64;
        doubts.extend(own);
        attributes.push(audited);
    }
    if attributes.iter().all(|attribute| attribute.labels == 0) {
        return Err(Error::NoLabels);
    }
    let is_last = |doubt: &LabelDoubt| attributes[doubt.column].cannot_tell;
    doubts.sort_by(|a, b| {
        let by_confidence = a.confidence.total_cmp(&b.confidence);
        is_last(a).cmp(&is_last(b)).then(by_confidence).then((a.image, a.column).cmp(&(b.image, b.column)))
    });
    Ok(Audit { doubts, attributes })
}

impl AttributeAudit {
    /// The audit of one attribute as a whole; its suspects are not counted yet.
    fn new(attribute: &str, ranking: &Ranking) -> Self {
        let (roc_auc, positives, negatives) = (ranking.scores().roc_auc, ranking.positives(), ranking.negatives());
        let interval = roc_auc.map(|auc| {
            let half = STANDARD_ERRORS * standard_error(auc, positives as f64, negatives as f64);
            Interval { low: (auc - half).max(0.0), high: (auc + half).min(1.0) }
        });
        let too_few = positives.min(negatives) < MIN_LABELS;
        let cannot_tell = interval.is_some_and(|interval| interval.low <= CHANCE);
        Self {
            attribute: attribute.to_owned(),
            labels: positives + negatives,
            positives,
            suspects: 0,
            roc_auc,
            interval,
            cannot_tell,
            looks_random: cannot_tell && !too_few,
            too_few,
        }
    }
}

/// The known labels of one attribute; none where only one class occurs. Takes the mean confidence of absence and presence.
fn doubts_of(predictions: &Predictions, column: usize, mean_confidence: [Option<f64>; 2]) -> Vec<LabelDoubt> {
    let [Some(mean_absent), Some(mean_present)] = mean_confidence else { return Vec::new() };
    let width = predictions.attributes().len();
    let doubt = |cell: usize| {
        let present = predictions.labels()[cell]?;
        let probability = predictions.probabilities()[cell];
        let (of_present, of_absent) = (f64::from(probability), 1.0 - f64::from(probability));
        let (label, opposite, mean_opposite) =
            if present { (of_present, of_absent, mean_absent) } else { (of_absent, of_present, mean_present) };
        Some(LabelDoubt {
            image: cell / width,
            column,
            present,
            probability,
            confidence: label as f32,
            suspect: opposite >= mean_opposite && opposite > label,
        })
    };
    (column..predictions.labels().len()).step_by(width).filter_map(doubt).collect()
}

/// The mean probability of absence among negative labels, and of presence among positive ones.
fn mean_confidence(known: &[(f32, bool)]) -> [Option<f64>; 2] {
    [false, true].map(|present| {
        let own = known.iter().filter(|pair| pair.1 == present);
        let (sum, count) = own.fold((0.0, 0_u64), |(sum, count), &(probability, _)| {
            let probability = f64::from(probability);
            (sum + if present { probability } else { 1.0 - probability }, count + 1)
        });
        (count > 0).then(|| sum / count as f64)
    })
}

/// The standard error of an area under the ROC curve (Hanley and McNeil, 1982).
fn standard_error(auc: f64, positives: f64, negatives: f64) -> f64 {
    let (q1, q2) = (auc / (2.0 - auc), 2.0 * auc * auc / (1.0 + auc));
    let spread = auc * (1.0 - auc) + (positives - 1.0) * (q1 - auc * auc) + (negatives - 1.0) * (q2 - auc * auc);
    (spread / (positives * negatives)).max(0.0).sqrt()
}

#[cfg(test)]
mod tests;
