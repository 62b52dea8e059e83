//! Judging a classifier that answers many yes/no questions about one image: metrics, thresholds, comparison.
//!
//! Everything here is a pure function of labels and probabilities: no files, no networks, no clock.
//!
//! - [`Predictions`] holds the labels and probabilities of a split, checked once.
//! - [`Thresholds`] turns probabilities into decisions: fixed, or chosen per attribute for the best F1.
//! - [`evaluate`] gives an [`Evaluation`]: every metric per attribute, and averaged.
//! - [`Comparison`] sets two or more evaluations side by side and flags what a single mean hides. With the [`Answers`] of
//!   each to the same images it has paired intervals ([`resample`]), tests and a [`Verdict`] an attribute.
//! - [`Calibration`] makes probabilities mean what they say.
//! - [`judge_groups`] says whether groups are served alike, [`Rules`] which answers contradict one another.
//! - [`audit()`] finds labels that are likely wrong.
//! - [`Intervals`] say how much of an evaluation is the luck of its images.
//!
//! Unknown labels are masked out: a metric of an attribute is computed on the images whose label is known, and is
//! the same number as if the others had never been there. What is undefined (the recall of an attribute without
//! positives) is `None`, never a number that reads as a result. Definitions follow scikit-learn, except that it
//! warns and answers 0 where this crate answers `None`.

mod answers;
mod audit;
mod bootstrap;
mod calibration;
mod calibrator;
mod comparison;
mod confusion;
mod consistent;
mod error;
mod evaluation;
mod groups;
mod paired;
mod predictions;
mod published;
mod ranking;
mod rules;
mod scores;
mod significance;
mod thresholds;

pub use answers::{Aligned, Answers, LeftOut};
pub use audit::{AttributeAudit, Audit, LabelDoubt, audit};
pub use bootstrap::{CONFIDENCE, Interval, Intervals, Judged, Replicate, Resampling, ScoreIntervals, resample};
pub use calibration::ECE_BINS;
pub use calibrator::{Calibration, CalibrationMethod, Curve, probabilities, sigmoid};
pub use comparison::{COLLAPSE_RATIO, Compared, ComparedRow, Comparison, F1_LOSS_MARGIN, Flag};
pub use confusion::Confusion;
pub use consistent::{ConsistentAttribute, ConsistentScores};
pub use error::{Error, Mismatch};
pub use evaluation::{AttributeMetrics, Evaluation, OriginalMeans, evaluate};
pub use groups::{Criterion, Gap, Group, Grouping, SMALL_GROUP, judge_groups, widest_gaps};
pub use paired::{Change, SIGNIFICANCE, TOO_FEW, Verdict};
pub use predictions::Predictions;
pub use published::{ORIGINAL_TEST_IMAGES, PublishedMean, published_means};
pub use ranking::{Cut, Ranking};
pub use rules::{Broken, Consistency, RuleError, RuleSet, Rules};
pub use scores::{Metric, Scores};
pub use significance::{holm, mcnemar, normal_p};
pub use thresholds::{Chosen, ThresholdRule, Thresholds, is_positive};
