//! Thresholds: from probability to decision.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::predictions::Predictions;
use crate::ranking::{Cut, Ranking};

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
    /// The rule in words, with the split the thresholds were chosen on, if they were chosen.
    pub fn on(self, split: &str) -> String {
        match self {
            Self::Fixed => self.to_string(),
            rule => format!("{rule} on the {split} split"),
        }
    }

    /// The threshold that this rule chooses for one attribute, and whether it reaches what the rule asks for. Exact: every
    /// distinct decision is tried, the threshold being the lowest score predicted positive.
    fn threshold(self, ranking: &Ranking) -> (f32, bool) {
        if ranking.positives() == 0 || ranking.negatives() == 0 {
            return (DEFAULT, true);
        }
        match self {
            Self::Fixed => (DEFAULT, true),
            Self::BestF1 => (best_f1(ranking), true),
            Self::Precision(level) => at_least(ranking, true, level),
            Self::Recall(level) => at_least(ranking, false, level),
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
        let mut unreached = Vec::new();
        let columns = predictions.attributes().iter().enumerate();
        let values = columns.map(|(column, attribute)| {
            let (threshold, reached) = rule.threshold(&Ranking::new(predictions.known(column).collect()));
            unreached.extend((!reached).then(|| attribute.clone()));
            threshold
        });
        let thresholds = Self { rule, values: values.collect() };
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

fn best_f1(ranking: &Ranking) -> f32 {
    // F1 is 2 tp / (predicted + positives). Compared as fractions of integers, equal is equal.
    let better = |a: &Cut, b: &Cut| {
        let cross = |of: &Cut, with: &Cut| {
            u128::from(of.true_positives) * u128::from(with.predicted_positives + ranking.positives())
        };
        let distance = |cut: &Cut| (f64::from(cut.score) - f64::from(DEFAULT)).abs();
        cross(a, b).cmp(&cross(b, a)).then(distance(b).total_cmp(&distance(a))).then(b.score.total_cmp(&a.score))
    };
    ranking.cuts().max_by(better).map_or(DEFAULT, |cut| cut.score)
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
