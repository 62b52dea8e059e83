//! Flags: what accuracy hides.

use serde::{Deserialize, Serialize};

use crate::scores::Scores;

/// A predicted-positive rate below this share of the prevalence is a collapse: at least half of the positives are missed
/// even if every positive decision is right.
const COLLAPSE_RATIO: f64 = 0.5;

/// A smaller F1 loss than this (one point) beside an accuracy gain is not flagged: some attributes of any two runs differ
/// as much by chance.
const F1_LOSS_MARGIN: f64 = 0.01;

impl Scores {
    /// The predicted-positive rate and the prevalence, if the rate is less than half of the prevalence.
    pub fn collapse(&self) -> Option<(f64, f64)> {
        self.predicted_positive_rate
            .zip(self.prevalence)
            .filter(|(rate, prevalence)| *rate < COLLAPSE_RATIO * prevalence)
    }
}

/// Something about one evaluation (an index into [`super::Comparison::evaluations`]) that its accuracy hides.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "flag", rename_all = "snake_case")]
pub enum Flag {
    /// The predicted-positive rate is less than half of the prevalence: recall is low.
    Collapse {
        /// Index of the evaluation.
        evaluation: usize,
        /// Share of positive decisions.
        predicted_positive_rate: f64,
        /// Share of positive labels.
        prevalence: f64,
    },
    /// Accuracy is higher than the first evaluation's while F1 is lower by at least 0.01.
    AccuracyGainWithF1Loss {
        /// Index of the evaluation.
        evaluation: usize,
        /// Increase in accuracy, above 0.
        accuracy_gain: f64,
        /// Decrease in F1, above 0.
        f1_loss: f64,
    },
    /// The number of labels or of positives differs from the first evaluation's: the images differ.
    DifferentLabels {
        /// Index of the evaluation.
        evaluation: usize,
    },
}

/// Flags the evaluations whose attribute collapses; one entry of `scores` per evaluation.
pub(super) fn collapses(scores: &[Scores]) -> Vec<Flag> {
    let flag = |(evaluation, scores): (usize, &Scores)| {
        let (predicted_positive_rate, prevalence) = scores.collapse()?;
        Some(Flag::Collapse { evaluation, predicted_positive_rate, prevalence })
    };
    scores.iter().enumerate().filter_map(flag).collect()
}

/// Flags the evaluations from index `first` on, at least 1, whose accuracy is above the first evaluation's and whose F1 is
/// well below. Takes the differences of every later evaluation from the first.
pub(super) fn gains_with_losses(accuracy: &[Option<f64>], f1: &[Option<f64>], first: usize) -> Vec<Flag> {
    let differences = accuracy.iter().zip(f1).enumerate().skip(first - 1);
    let flag = |(other, (accuracy, f1)): (usize, (&Option<f64>, &Option<f64>))| {
        let (accuracy_gain, f1_loss) = ((*accuracy)?, -(*f1)?);
        let flagged = accuracy_gain > 0.0 && f1_loss >= F1_LOSS_MARGIN;
        flagged.then_some(Flag::AccuracyGainWithF1Loss { evaluation: other + 1, accuracy_gain, f1_loss })
    };
    differences.filter_map(flag).collect()
}
