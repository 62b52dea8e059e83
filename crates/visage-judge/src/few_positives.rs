//! Attributes with too few positives to judge.

use crate::Interval;
use crate::evaluation::Evaluation;

/// The widest 95 % interval of the recall with which an attribute counts as judged.
pub const JUDGED_WIDTH: f64 = 0.2;

/// The 97.5 % quantile of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// An attribute whose recall is not known to within [`JUDGED_WIDTH`].
#[derive(Debug, Clone, PartialEq)]
pub struct FewPositives {
    /// Its name.
    pub attribute: String,
    /// Its positives.
    pub positives: u64,
    /// The share of them that is predicted positive; `None` without positives.
    pub recall: Option<f64>,
    /// The 95 % interval of this share; `None` without positives.
    pub interval: Option<Interval>,
    /// The positives from which the interval would be no wider than [`JUDGED_WIDTH`], at the same recall; at a recall of one half, which
    /// needs the most, where there are no positives.
    pub needed: u64,
}

/// The attributes of an evaluation that have too few positives for an interval of the recall no wider than [`JUDGED_WIDTH`], in its
/// order.
///
/// The interval is Wilson's ("Probable Inference, the Law of Succession, and Statistical Inference", 1927), which also holds where
/// all or none are predicted, as a bootstrap's does not.
pub fn few_positives(evaluation: &Evaluation) -> Vec<FewPositives> {
    let few = evaluation.attributes.iter().map(|attribute| {
        let (found, positives) = (attribute.confusion.true_positives, attribute.confusion.positives());
        let recall = (positives > 0).then(|| found as f64 / positives as f64);
        FewPositives {
            attribute: attribute.attribute.clone(),
            positives,
            recall,
            interval: recall.map(|recall| wilson(recall, positives as f64)),
            needed: needed(recall.unwrap_or(0.5)),
        }
    });
    few.filter(|attribute| attribute.positives < attribute.needed).collect()
}

/// The least number of trials with which the interval of a share is no wider than [`JUDGED_WIDTH`].
fn needed(share: f64) -> u64 {
    let is_narrow = |count: &u64| {
        let Interval { low, high } = wilson(share, *count as f64);
        high - low <= JUDGED_WIDTH
    };
    // 93 are enough for every share.
    (1..100).find(is_narrow).unwrap_or(100)
}

/// Wilson's 95 % interval of a share in a number of trials.
fn wilson(share: f64, count: f64) -> Interval {
    let ratio = Z * Z / count;
    let centre = share + ratio / 2.0;
    let half = (ratio * (share * (1.0 - share) + ratio / 4.0)).sqrt();
    Interval {
        low: ((centre - half) / (1.0 + ratio)).clamp(0.0, share),
        high: ((centre + half) / (1.0 + ratio)).clamp(share, 1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Predictions, Thresholds, evaluate};

    /// `proportion_confint(found, positives, 0.05, "wilson")` of statsmodels 0.15.0, and the least number of positives for which it
    /// is no wider than 0.2 at the same recall.
    const STATSMODELS: [(u64, u64, [f64; 2], u64); 5] = [
        (16, 26, [0.425_348_500_851_155_3, 0.775_714_055_642_872_1], 88),
        (0, 5, [0.0, 0.434_482_464_783_174_87], 16),
        (10, 10, [0.722_467_200_137_110_6, 1.0], 16),
        (48, 96, [0.401_924_024_529_863, 0.598_075_975_470_137], 93),
        (3, 200, [0.005_114_237_793_258_307, 0.043_165_728_792_690_275], 18),
    ];

    #[test]
    fn intervals_are_those_of_statsmodels() {
        for (found, positives, [low, high], expected) in STATSMODELS {
            let recall = found as f64 / positives as f64;
            let interval = wilson(recall, positives as f64);
            assert!((interval.low - low).abs() < 1e-12 && (interval.high - high).abs() < 1e-12, "{interval:?}");
            assert_eq!(needed(recall), expected);
        }
    }

    #[test]
    fn attributes_with_few_positives_are_named() {
        // Of 120 images: 26 positives of which 16 are found, 96 of which 48 are, none.
        let counts = [("rare", 16, 26), ("common", 48, 96), ("absent", 0, 0)];
        let cells = (0..120).flat_map(|row| counts.map(|(_, found, positives)| (row < found, row < positives)));
        let (decisions, labels): (Vec<bool>, Vec<Option<bool>>) =
            cells.map(|(decision, present)| (decision, Some(present))).unzip();
        let probabilities = decisions.into_iter().map(|decision| if decision { 0.9 } else { 0.1 }).collect();
        let names = counts.map(|(name, ..)| name.to_owned()).to_vec();
        let predictions = Predictions::new(names, labels, probabilities).unwrap();
        let found = few_positives(&evaluate(&predictions, &Thresholds::fixed(0.5, 3)).unwrap());
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].attribute.as_str(), found[0].positives, found[0].needed), ("rare", 26, 88));
        assert_eq!(found[0].recall, Some(16.0 / 26.0));
        assert_eq!(
            found[1],
            FewPositives { attribute: "absent".to_owned(), positives: 0, recall: None, interval: None, needed: 93 }
        );
    }
}
