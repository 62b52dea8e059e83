//! Evaluation of classifiers that answer many yes/no questions about one image.
//!
//! Everything here is a pure function of labels and probabilities: no files, no networks, no clock.
//!
//! - [`Predictions`] holds the labels and probabilities of a split, validated once.
//! - [`Thresholds`] turn probabilities into decisions: fixed, or chosen per attribute by a [`ThresholdRule`].
//! - [`evaluate`] computes an [`Evaluation`]: every metric per attribute, macro-averaged and micro-averaged.
//! - [`Intervals`] are bootstrap confidence intervals of these metrics.
//! - [`Comparison`] sets two or more evaluations side by side and flags what a single mean hides. With the
//!   [`RunPredictions`] of each run on the same images it adds paired intervals, significance tests and a [`Verdict`].
//! - [`Calibration`] maps logits to calibrated probabilities; [`probabilities`] applies one, or the sigmoid.
//! - [`judge_groups`] measures fairness gaps between groups of images; [`Rules`] find contradictory attributes.
//! - [`few_positives()`] names the attributes that have too few positives to be judged.
//! - [`audit()`] finds labels that are likely wrong.
//!
//! Unknown labels are masked out: a metric of an attribute is computed on the images whose label is known. An undefined
//! metric (the recall of an attribute without positives) is `None`. Definitions follow scikit-learn, except that it warns
//! and returns 0 where this crate returns `None`.
//!
//! ```
//! use visage_judge::{Predictions, Thresholds, evaluate};
//!
//! // Two images, two attributes, row-major; the second image's label of `Hat` is unknown.
//! let labels = vec![Some(true), Some(false), Some(true), None];
//! let probabilities = vec![0.9, 0.2, 0.4, 0.7];
//! let predictions = Predictions::new(vec!["Smiling".into(), "Hat".into()], labels, probabilities)?;
//!
//! let evaluation = evaluate(&predictions, &Thresholds::fixed(0.5, 2))?;
//! assert_eq!(evaluation.attributes[0].scores.recall, Some(0.5));
//! assert_eq!(evaluation.attributes[1].scores.recall, None); // no positives
//! assert_eq!(evaluation.macro_average.accuracy, Some(0.75));
//! # Ok::<(), visage_judge::Error>(())
//! ```

mod audit;
mod bootstrap;
mod calibration;
mod comparison;
mod confusion;
mod error;
mod evaluation;
mod few_positives;
#[cfg(test)]
mod golden;
mod groups;
mod predictions;
mod probability_metrics;
mod ranking;
mod recalibration;
mod rules;
mod scores;
mod tally;
mod thresholds;

pub use audit::{AttributeAudit, Audit, LabelDoubt, audit};
pub use bootstrap::{Interval, Intervals, Resampling, ScoreIntervals};
pub use calibration::{Calibration, CalibrationMethod, Curve, probabilities, sigmoid};
pub use comparison::{
    Aligned, Change, Compared, ComparedRow, Comparison, Flag, ORIGINAL_TEST_IMAGES, PublishedMean, RunPredictions,
    Unmatched, Verdict, published_means,
};
pub use confusion::Confusion;
pub use error::{AttributeMismatch, Error};
pub use evaluation::{AttributeMetrics, Evaluation, OriginalMeans, evaluate};
pub use few_positives::{FewPositives, JUDGED_WIDTH, few_positives};
pub use groups::{Criterion, Gap, Group, Grouping, SMALL_GROUP, judge_groups, widest_gaps};
pub use predictions::Predictions;
pub use probability_metrics::{ReliabilityBin, reliability_bins};
pub use ranking::{Cut, Ranking};
pub use recalibration::{CalibrationChange, Recalibration, ThresholdChoice};
pub use rules::{Consistency, ConsistentAttribute, ConsistentScores, RuleError, RuleSet, RuleViolations, Rules};
pub use scores::{Metric, Scores};
pub use thresholds::{ChosenThresholds, HeldOutScores, ThresholdRule, Thresholds, is_positive};
