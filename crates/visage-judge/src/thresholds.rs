//! Thresholds: from probability to decision.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::predictions::Predictions;
use crate::ranking::{Cut, Ranking};

mod held_out;
mod smoothed;

pub use held_out::HeldOutScores;

/// The threshold of an attribute whose labels do not suffice to choose one.
const DEFAULT: f32 = 0.5;

/// Whether a probability is a positive decision: at or above the threshold.
pub fn is_positive(probability: f32, threshold: f32) -> bool {
    probability >= threshold
}

/// How thresholds were chosen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThresholdRule {
    /// Set in advance.
    Fixed,
    /// Chosen per attribute for the best F1 on some split. Of equally good thresholds the one nearest to 0.5, of two
    /// equally near the lower.
    BestF1,
    /// Chosen per attribute for the best F1, smoothed over the attributes: [`Self::Balanced`] with a weight of 0. It
    /// depends less on the few positives of a rare attribute than [`Self::BestF1`].
    SmoothF1,
    /// Chosen per attribute for the highest F1 + weight x accuracy, smoothed over the attributes; the weight is finite and
    /// at least 0.
    ///
    /// The threshold that maximises this for one attribute alone predicts some number of images positive. Its ratio to the
    /// number of positives is drawn, as a logarithm, towards the ratio that is best for all attributes together: with the
    /// weights of the attribute's positives and of [`Self::SMOOTHING`] positives. The threshold predicts as many images
    /// positive as this ratio says. An attribute without others is not smoothed.
    Balanced(f64),
    /// Chosen per attribute so that as many images are predicted positive as are positive: precision, recall and F1 are
    /// then equal. Where tied scores do not allow it, as near as possible; of two equally near, fewer.
    Prevalence,
    /// Chosen per attribute for the highest recall at this precision or more, above 0 to 1. Of equals, the highest
    /// precision; where none reaches the precision, the threshold of the highest.
    Precision(f64),
    /// Chosen per attribute for the highest precision at this recall or more, above 0 to 1. Some threshold always reaches
    /// it.
    Recall(f64),
}

impl fmt::Display for ThresholdRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed => f.write_str("fixed in advance"),
            Self::BestF1 => f.write_str("best F1 of each attribute"),
            Self::SmoothF1 => f.write_str("best F1 of each attribute, smoothed over the attributes"),
            Self::Balanced(weight) => {
                write!(f, "best F1 + {weight} x accuracy of each attribute, smoothed over the attributes")
            }
            Self::Prevalence => f.write_str("for each attribute as many predicted positives as positives"),
            Self::Precision(wanted) => {
                write!(f, "for each attribute a precision of {wanted} or more at the highest recall")
            }
            Self::Recall(wanted) => {
                write!(f, "for each attribute a recall of {wanted} or more at the highest precision")
            }
        }
    }
}

impl ThresholdRule {
    /// The weight of accuracy against F1 in [`Self::Balanced`] unless another is given. As measured in BENCHMARKS.md,
    /// from there on accuracy gains less than F1 loses.
    pub const ACCURACY_WEIGHT: f64 = 1.0;

    /// The number of positives at which [`Self::SmoothF1`] and [`Self::Balanced`] follow an attribute's own optimum as much
    /// as that of all attributes. Chosen on CelebA among 10, 30, 100 and 300: see BENCHMARKS.md.
    pub const SMOOTHING: f64 = 100.0;

    /// The rule in words, with the split the thresholds were chosen on, if they were chosen.
    pub fn on(self, split: &str) -> String {
        match self {
            Self::Fixed => self.to_string(),
            rule => format!("{rule} on the {split} split"),
        }
    }

    /// For each attribute the threshold that this rule chooses, and whether it reaches what the rule asks for. Exact: every
    /// distinct decision is tried, the threshold being the lowest score predicted positive.
    fn thresholds(self, rankings: &[Ranking]) -> Vec<(f32, bool)> {
        let each = |choose: &dyn Fn(&Ranking) -> (f32, bool)| {
            rankings.iter().map(|of| if of.has_both_classes() { choose(of) } else { (DEFAULT, true) }).collect()
        };
        match self {
            Self::Fixed => each(&|_| (DEFAULT, true)),
            Self::BestF1 => each(&|ranking| (best_f1(ranking), true)),
            Self::SmoothF1 => smoothed::thresholds(rankings, 0.0),
            Self::Balanced(weight) => smoothed::thresholds(rankings, weight),
            Self::Prevalence => each(&|ranking| (predicting(ranking, ranking.positives() as f64), true)),
            Self::Precision(level) => each(&|ranking| at_least(ranking, true, level)),
            Self::Recall(level) => each(&|ranking| at_least(ranking, false, level)),
        }
    }
}

/// Thresholds chosen on a split.
#[derive(Debug, Clone, PartialEq)]
pub struct ChosenThresholds {
    /// The thresholds.
    pub thresholds: Thresholds,
    /// Attributes that reach the requested precision or recall at no threshold. They have the threshold that comes nearest.
    pub unreached: Vec<String>,
}

/// One threshold per attribute, in the order of the attributes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Thresholds {
    /// How they were chosen.
    pub rule: ThresholdRule,
    /// A probability at or above its attribute's value is a positive decision, see [`is_positive`].
    pub values: Vec<f32>,
}

impl Thresholds {
    /// The same threshold for `attributes` attributes: a probability of exactly `value` is positive.
    pub fn fixed(value: f32, attributes: usize) -> Self {
        Self { rule: ThresholdRule::Fixed, values: vec![value; attributes] }
    }

    /// The same threshold for `attributes` attributes: a probability of exactly `value` is negative.
    ///
    /// `above(0.5, n)` decides as `probability > 0.5` and `logit > 0` do, which is what most training code writes; it
    /// stores the next representable number.
    pub fn above(value: f32, attributes: usize) -> Self {
        Self::fixed(value.next_up(), attributes)
    }

    /// The thresholds of the highest F1, see [`ThresholdRule::BestF1`].
    ///
    /// Choose them on a validation split: on the images they were chosen on, scores are too optimistic.
    pub fn best_f1(predictions: &Predictions) -> Self {
        Self::choose(ThresholdRule::BestF1, predictions).thresholds
    }

    /// For each attribute the threshold that `rule` chooses on these predictions, which should be of a validation split.
    ///
    /// An attribute without known positives or without known negatives keeps 0.5: any choice would say more about the
    /// split than about the model.
    pub fn choose(rule: ThresholdRule, predictions: &Predictions) -> ChosenThresholds {
        let columns = 0..predictions.attributes().len();
        let rankings: Vec<Ranking> = columns.map(|column| Ranking::new(predictions.known(column).collect())).collect();
        let chosen = rule.thresholds(&rankings);
        let missed = predictions.attributes().iter().zip(&chosen).filter(|(_, (_, reached))| !reached);
        let unreached = missed.map(|(attribute, _)| attribute.clone()).collect();
        let thresholds = Self { rule, values: chosen.into_iter().map(|(threshold, _)| threshold).collect() };
        ChosenThresholds { thresholds, unreached }
    }

    /// Refuses thresholds that are not one finite number for each of these attributes.
    pub(crate) fn check(&self, attributes: &[String]) -> Result<(), Error> {
        if self.values.len() != attributes.len() {
            return Err(Error::ThresholdCount { thresholds: self.values.len(), attributes: attributes.len() });
        }
        match attributes.iter().zip(&self.values).find(|(_, value)| !value.is_finite()) {
            Some((attribute, &value)) => Err(Error::BadThreshold { attribute: attribute.clone(), value }),
            None => Ok(()),
        }
    }
}

/// Orders scores by how near one half they are, the nearest last, of two equally near the lower: of equally good thresholds,
/// the last is chosen.
fn nearer(a: f32, b: f32) -> Ordering {
    let distance = |score: f32| (f64::from(score) - f64::from(DEFAULT)).abs();
    distance(b).total_cmp(&distance(a)).then(b.total_cmp(&a))
}

fn best_f1(ranking: &Ranking) -> f32 {
    // F1 is 2 tp / (predicted + positives). Compared as fractions of integers, equal is equal.
    let better = |a: &Cut, b: &Cut| {
        let cross = |of: &Cut, with: &Cut| {
            u128::from(of.true_positives) * u128::from(with.predicted_positives + ranking.positives())
        };
        cross(a, b).cmp(&cross(b, a)).then(nearer(a.score, b.score))
    };
    ranking.cuts().max_by(better).map_or(DEFAULT, |cut| cut.score)
}

/// The threshold that predicts as many images positive, of two equally near the higher.
fn predicting(ranking: &Ranking, images: f64) -> f32 {
    // Of equal minima `min_by` returns the first, which is the higher.
    let distance = |cut: &Cut| (cut.predicted_positives as f64 - images).abs();
    ranking.cuts().min_by(|a, b| distance(a).total_cmp(&distance(b))).map_or(DEFAULT, |cut| cut.score)
}

/// The threshold of the highest recall at a precision of `level` or more, or with `precision` unset of the highest precision
/// at such a recall; and whether any threshold reaches the level.
fn at_least(ranking: &Ranking, precision: bool, level: f64) -> (f32, bool) {
    let measured = ranking.cuts().map(|cut| {
        let share = |of: u64| cut.true_positives as f64 / of as f64;
        let (of_predicted, of_present) = (share(cut.predicted_positives), share(ranking.positives()));
        if precision { (of_predicted, of_present, cut.score) } else { (of_present, of_predicted, cut.score) }
    });
    let best = measured.max_by(|a, b| {
        let rank = |&(wanted, other, _): &(f64, f64, f32)| {
            if wanted >= level { (true, other, wanted) } else { (false, wanted, other) }
        };
        let (a, b) = (rank(a), rank(b));
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.total_cmp(&b.2))
    });
    best.map_or((DEFAULT, false), |(wanted, _, score)| (score, wanted >= level))
}

#[cfg(test)]
mod tests;
