//! Confidence intervals from bootstrap replicates.

use serde::{Deserialize, Serialize};

use crate::scores::Metric;

/// The confidence level: the share of replicates inside an interval.
pub(super) const CONFIDENCE: f64 = 0.95;

/// The smallest share of replicates in which a metric must be defined to have an interval.
const MIN_DEFINED: f64 = 0.5;

/// A 95 % confidence interval. A bootstrap interval is the percentile interval, the middle 95 % of the replicates; for a
/// metric whose replicates are biased, the basic interval. In JSON `[low, high]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "[f64; 2]", into = "[f64; 2]")]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl From<[f64; 2]> for Interval {
    fn from([low, high]: [f64; 2]) -> Self {
        Self { low, high }
    }
}

impl From<Interval> for [f64; 2] {
    fn from(interval: Interval) -> Self {
        [interval.low, interval.high]
    }
}

impl Interval {
    /// The percentile interval of the defined replicates; `None` where less than half are defined.
    pub(crate) fn percentile(replicates: impl Iterator<Item = Option<f64>>) -> Option<Self> {
        let (mut values, mut all) = (Vec::new(), 0_usize);
        for value in replicates {
            all += 1;
            values.extend(value);
        }
        if values.is_empty() || (values.len() as f64) < MIN_DEFINED * all as f64 {
            return None;
        }
        values.sort_unstable_by(f64::total_cmp);
        let tail = (1.0 - CONFIDENCE) / 2.0;
        Some(Self { low: quantile(&values, tail), high: quantile(&values, 1.0 - tail) })
    }

    /// The basic interval (Davison and Hinkley, "Bootstrap Methods and their Application", 1997, section 5.2): the
    /// percentile interval mirrored at the estimate, because the replicates exceed the estimate by as much as the estimate
    /// exceeds the truth. It is extended to hold the estimate, and cut off below `lowest`, the metric's smallest value.
    fn basic(estimate: f64, lowest: f64, replicates: impl Iterator<Item = Option<f64>>) -> Option<Self> {
        let Self { low, high } = Self::percentile(replicates)?;
        let mirrored = |end: f64| 2.0 * estimate - end;
        Some(Self { low: mirrored(high).min(estimate).max(lowest), high: mirrored(low).max(estimate) })
    }

    /// The interval of a metric whose smallest value is `lowest`, or of a difference between two of its values. That of the
    /// expected calibration error is the basic one: sampling noise biases the error upwards, and replicates once more, so that the
    /// percentile interval lies above the estimate and the estimate above the truth (Kumar, Liang and Ma, 2019, arXiv 1909.10155).
    pub(crate) fn of_metric(
        metric: Metric,
        lowest: f64,
        estimate: Option<f64>,
        replicates: impl Iterator<Item = Option<f64>>,
    ) -> Option<Self> {
        match (metric, estimate) {
            (Metric::Ece, Some(estimate)) => Self::basic(estimate, lowest, replicates),
            _ => Self::percentile(replicates),
        }
    }

    /// Whether `value` lies inside.
    pub fn contains(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// The quantile of at least one ascending value, interpolated linearly (numpy's default).
fn quantile(ascending: &[f64], share: f64) -> f64 {
    let position = share * (ascending.len() - 1) as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(ascending.len() - 1);
    ascending[below] + (ascending[above] - ascending[below]) * (position - below as f64)
}
