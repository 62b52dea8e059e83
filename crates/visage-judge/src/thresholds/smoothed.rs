//! Thresholds for the best trade between F1 and accuracy, smoothed over the attributes.
//!
//! The best threshold of an attribute with 20 positives on the validation split depends on a few images. Only the ratio
//! of predicted positives to positives is comparable between attributes: probabilities of a rare attribute are lower, and
//! a weighted loss shifts those of every attribute differently. So ratios are smoothed, which do not change when
//! probabilities are calibrated.

use super::{DEFAULT, nearer};
use crate::ThresholdRule;
use crate::ranking::{Cut, Ranking};

/// The decisions of one attribute at every threshold.
struct Attribute {
    /// In descending order of score, thus in ascending order of predicted positives.
    cuts: Vec<Cut>,
    positives: f64,
    negatives: f64,
}

impl Attribute {
    fn new(ranking: &Ranking) -> Self {
        Self {
            cuts: ranking.cuts().collect(),
            positives: ranking.positives() as f64,
            negatives: ranking.negatives() as f64,
        }
    }

    /// F1 + weight x accuracy.
    fn value(&self, cut: &Cut, weight: f64) -> f64 {
        let (found, predicted) = (cut.true_positives as f64, cut.predicted_positives as f64);
        let right = 2.0 * found + self.negatives - predicted;
        2.0 * found / (predicted + self.positives) + weight * (right / (self.positives + self.negatives))
    }

    /// The logarithm of the ratio of predicted positives to positives at the best value.
    fn best_ratio(&self, weight: f64) -> f64 {
        let rank = |cut: &Cut| self.value(cut, weight);
        let better = |a: &&Cut, b: &&Cut| rank(a).total_cmp(&rank(b)).then(nearer(a.score, b.score));
        let best = self.cuts.iter().max_by(better);
        best.map_or(0.0, |cut| libm::log(cut.predicted_positives as f64 / self.positives))
    }

    /// The decisions at this ratio: of two equally near, those with fewer predicted positives.
    fn at_ratio(&self, ratio: f64) -> Option<&Cut> {
        let wanted = libm::exp(ratio) * self.positives;
        let above = self.cuts.partition_point(|cut| (cut.predicted_positives as f64) < wanted);
        let around = &self.cuts[above.saturating_sub(1)..self.cuts.len().min(above + 1)];
        let distance = |cut: &Cut| (cut.predicted_positives as f64 - wanted).abs();
        around.iter().min_by(|a, b| distance(a).total_cmp(&distance(b)))
    }
}

/// For each attribute the smoothed threshold for the highest F1 + `weight` x accuracy, see
/// [`ThresholdRule::Balanced`]; 0.5 without positives or without negatives, which also say nothing about the others.
pub(super) fn thresholds(rankings: &[Ranking], weight: f64) -> Vec<(f32, bool)> {
    let usable: Vec<Attribute> = rankings.iter().filter(|of| of.has_both_classes()).map(Attribute::new).collect();
    let own: Vec<f64> = usable.iter().map(|attribute| attribute.best_ratio(weight)).collect();
    let common = common_ratio(&usable, &own, weight);
    let mut smoothed = usable.iter().zip(own).map(|(attribute, own)| {
        let (ours, theirs) = (attribute.positives, ThresholdRule::SMOOTHING);
        attribute.at_ratio((ours * own + theirs * common) / (ours + theirs)).map_or(DEFAULT, |cut| cut.score)
    });
    let each = rankings.iter().map(|ranking| if ranking.has_both_classes() { smoothed.next() } else { None });
    each.map(|threshold| (threshold.unwrap_or(DEFAULT), true)).collect()
}

/// Of the attributes' own ratios, the one with the highest sum of values over all attributes; of equals, the nearest to
/// as many predicted positives as positives, of two equally near the lower.
fn common_ratio(attributes: &[Attribute], own: &[f64], weight: f64) -> f64 {
    let sum = |ratio: f64| -> f64 {
        attributes.iter().filter_map(|of| of.at_ratio(ratio).map(|cut| of.value(cut, weight))).sum()
    };
    let rated = own.iter().map(|&ratio| (sum(ratio), ratio));
    let best = rated.max_by(|(a, x), (b, y)| a.total_cmp(b).then(y.abs().total_cmp(&x.abs())).then(y.total_cmp(x)));
    best.map_or(0.0, |(_, ratio)| ratio)
}
