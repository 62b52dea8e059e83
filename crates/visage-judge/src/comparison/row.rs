//! The rows of a comparison.

use serde::{Deserialize, Serialize};

use super::flags::{Flag, collapses, gains_with_losses};
use super::paired::Change;
use crate::bootstrap::Interval;
use crate::scores::{Metric, Scores};

/// The metrics of one attribute, or of one kind of average, in every evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparedRow {
    /// Name of the attribute, or of the average.
    pub name: String,
    /// Accuracy.
    pub accuracy: Compared,
    /// Precision.
    pub precision: Compared,
    /// Recall.
    pub recall: Compared,
    /// F1.
    pub f1: Compared,
    /// Average precision, which does not depend on thresholds.
    pub average_precision: Compared,
    /// Share of positive decisions.
    pub predicted_positive_rate: Compared,
    /// What accuracy hides.
    pub flags: Vec<Flag>,
    /// Significance tests of each later evaluation against the first; empty without paired predictions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
}

/// One metric in every evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// The value in each evaluation.
    pub values: Vec<Option<f64>>,
    /// Each later evaluation's value minus the first's: one fewer than `values`, `None` where either is undefined.
    pub differences: Vec<Option<f64>>,
    /// The paired bootstrap interval of each difference; empty without paired predictions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub intervals: Vec<Option<Interval>>,
}

impl ComparedRow {
    /// The metrics of a row, in the order of a table's columns.
    pub const METRICS: [Metric; 6] = [
        Metric::Accuracy,
        Metric::Precision,
        Metric::Recall,
        Metric::F1,
        Metric::AveragePrecision,
        Metric::PredictedPositiveRate,
    ];

    /// The values of one of [`Self::METRICS`]; `None` for any other.
    pub fn get(&self, metric: Metric) -> Option<&Compared> {
        match metric {
            Metric::Accuracy => Some(&self.accuracy),
            Metric::Precision => Some(&self.precision),
            Metric::Recall => Some(&self.recall),
            Metric::F1 => Some(&self.f1),
            Metric::AveragePrecision => Some(&self.average_precision),
            Metric::PredictedPositiveRate => Some(&self.predicted_positive_rate),
            _ => None,
        }
    }

    /// The metrics in the order of [`Self::METRICS`].
    fn metrics_mut(&mut self) -> [&mut Compared; 6] {
        [
            &mut self.accuracy,
            &mut self.precision,
            &mut self.recall,
            &mut self.f1,
            &mut self.average_precision,
            &mut self.predicted_positive_rate,
        ]
    }

    pub(super) fn set_intervals(&mut self, interval: impl Fn(usize, Metric) -> Option<Interval>) {
        for (metric, compared) in Self::METRICS.into_iter().zip(self.metrics_mut()) {
            let differences = compared.differences.iter().enumerate();
            // An undefined difference has no interval, even if replicates define one.
            compared.intervals =
                differences.map(|(other, difference)| difference.and_then(|_| interval(other + 1, metric))).collect();
        }
    }

    /// Appends later evaluations. Their differences and flags are taken anew from this row's first evaluation.
    pub(super) fn append(&mut self, later: &Self) {
        let before = self.accuracy.values.len();
        for (metric, own) in Self::METRICS.into_iter().zip(self.metrics_mut()) {
            let Some(later) = later.get(metric) else { continue };
            let first = own.values.first().copied().flatten();
            own.differences.extend(later.values.iter().map(|value| Some((*value)? - first?)));
            own.values.extend(&later.values);
        }
        self.flags.extend(later.flags.iter().filter_map(|flag| match *flag {
            // Relative to the first of the later evaluations.
            Flag::AccuracyGainWithF1Loss { .. } | Flag::DifferentLabels { .. } => None,
            Flag::Collapse { evaluation, predicted_positive_rate, prevalence } => {
                Some(Flag::Collapse { evaluation: evaluation + before, predicted_positive_rate, prevalence })
            }
        }));
        self.flags.extend(gains_with_losses(&self.accuracy.differences, &self.f1.differences, before));
    }

    pub(super) fn new(name: &str, scores: &[Scores]) -> Self {
        let compared = |metric| Compared::new(scores.iter().map(|scores| scores.get(metric)).collect());
        let (accuracy, f1) = (compared(Metric::Accuracy), compared(Metric::F1));

        let mut flags = collapses(scores);
        flags.extend(gains_with_losses(&accuracy.differences, &f1.differences, 1));
        Self {
            name: name.to_owned(),
            precision: compared(Metric::Precision),
            recall: compared(Metric::Recall),
            average_precision: compared(Metric::AveragePrecision),
            predicted_positive_rate: compared(Metric::PredictedPositiveRate),
            changes: Vec::new(),
            accuracy,
            f1,
            flags,
        }
    }
}

impl Compared {
    fn new(values: Vec<Option<f64>>) -> Self {
        let first = values.first().copied().flatten();
        let differences = values.iter().skip(1).map(|value| Some((*value)? - first?)).collect();
        Self { values, differences, intervals: Vec::new() }
    }
}
