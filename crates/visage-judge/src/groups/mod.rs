//! Fairness: metrics per group of images, and the gaps between groups.

mod gap;
mod grouping;

use serde::{Deserialize, Serialize};

pub use self::gap::{Criterion, Gap, SMALL_GROUP, widest_gaps};
use self::gap::{Side, gaps_between};
pub use self::grouping::Grouping;
use self::grouping::Part;
use crate::bootstrap::{Resampling, ScoreIntervals, WeightedEvaluator, resample, score_intervals};
use crate::error::Error;
use crate::evaluation::{Evaluation, evaluate};
use crate::predictions::Predictions;
use crate::scores::Scores;
use crate::thresholds::Thresholds;

/// The metrics of one group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Name of the attribute or column that defines the groups.
    pub group: String,
    /// Name of the group: `present` or `absent` for an attribute.
    pub value: String,
    /// Number of images.
    pub images: usize,
    /// Each metric's mean over the attributes where it is defined.
    pub macro_average: Scores,
    /// The intervals of those means.
    #[serde(default)]
    pub intervals: ScoreIntervals,
    /// Whether there are fewer than [`SMALL_GROUP`] images.
    #[serde(default)]
    pub too_small: bool,
}

/// Evaluates each group of every grouping, and the gaps between the groups.
///
/// # Errors
///
/// The thresholds are not one finite number per attribute, or there are 2^30 images or more.
pub fn judge_groups(
    predictions: &Predictions,
    thresholds: &Thresholds,
    groupings: &[Grouping],
    resampling: &Resampling<'_>,
) -> Result<(Vec<Group>, Vec<Gap>), Error> {
    let (mut groups, mut gaps) = (Vec::new(), Vec::new());
    for grouping in groupings {
        let sides = sides(predictions, thresholds, grouping, resampling)?;
        groups.extend(sides.iter().take(grouping.values.len()).map(|(_, side)| group(grouping, side)));
        let side = |part: Part| sides.iter().find(|(other, _)| *other == part).map(|(_, side)| side);
        for [one, other] in grouping.pairs() {
            if let (Some(one), Some(other)) = (side(one), side(other)) {
                gaps.extend(Criterion::ALL.into_iter().flat_map(|of| gaps_between(&grouping.name, of, [one, other])));
            }
        }
    }
    Ok((groups, gaps))
}

/// Every group, then the complements that groups are compared with, on the same bootstrap draws.
fn sides(
    predictions: &Predictions,
    thresholds: &Thresholds,
    grouping: &Grouping,
    resampling: &Resampling<'_>,
) -> Result<Vec<(Part, Side)>, Error> {
    let mut parts: Vec<Part> = (0..grouping.values.len()).map(Part::Of).collect();
    parts.extend(grouping.pairs().into_iter().map(|[_, other]| other).filter(|part| matches!(part, Part::NotOf(_))));
    let evaluators =
        parts.iter().map(|&part| WeightedEvaluator::new(predictions, thresholds, |image| grouping.holds(part, image)));
    let replicates = resample(&evaluators.collect::<Result<Vec<_>, _>>()?, resampling)?;
    let side = |(part, replicates)| {
        let evaluation = evaluate(&predictions.rows(|image| grouping.holds(part, image)), thresholds)?;
        Ok((part, Side { name: grouping.part_name(part), evaluation, replicates }))
    };
    parts.into_iter().zip(replicates).map(side).collect()
}

fn group(grouping: &Grouping, side: &Side) -> Group {
    let Evaluation { images, macro_average, .. } = side.evaluation;
    Group {
        group: grouping.name.clone(),
        value: side.name.clone(),
        images,
        macro_average,
        intervals: score_intervals(&macro_average, &side.replicates, |replicate| replicate.macro_average),
        too_small: (images as u64) < SMALL_GROUP,
    }
}

#[cfg(test)]
mod tests;
