//! The bootstrap: how much a metric would vary with other images (Efron and Tibshirani, 1993).
//!
//! A replicate draws as many images as there are, with replacement. It is never built: an image's weight is the number of
//! times it was drawn, the images of an attribute are ranked once, and every metric of a replicate follows from one pass
//! down that ranking. Evaluations of the same images share the draws, which pairs them.

mod evaluator;
mod interval;
mod ranking_pass;

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub(crate) use self::evaluator::WeightedEvaluator;
use self::interval::CONFIDENCE;
pub use self::interval::Interval;
use self::ranking_pass::LANES;
use crate::error::Error;
use crate::predictions::Predictions;
use crate::scores::{Metric, Scores};
use crate::thresholds::Thresholds;

/// The random draws behind bootstrap replicates.
#[derive(Clone, Copy)]
pub struct Resampling<'a> {
    /// Number of replicates; 1,000 suffice for intervals.
    pub replicates: usize,
    /// Draws the replicate of the given number, counted from 0: adds to each image's weight how often it was drawn. It must
    /// depend on the number alone, so that intervals are the same on any number of threads.
    pub draw: &'a (dyn Fn(u64, &mut [u16]) + Sync),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Replicate {
    /// The attributes, in the order of the predictions.
    pub attributes: Vec<Scores>,
    /// The mean over the attributes where a metric is defined.
    pub macro_average: Scores,
    /// The metrics of all known labels pooled.
    pub micro_average: Scores,
}

/// Evaluates every item on the same draws, which pairs them. Returns the replicates of each item.
pub(crate) fn resample(items: &[WeightedEvaluator], resampling: &Resampling<'_>) -> Result<Vec<Vec<Replicate>>, Error> {
    let images = items.first().map_or(0, |item| item.images());
    if let Some(other) = items.iter().find(|item| item.images() != images) {
        return Err(Error::DifferentImages { first: images, other: other.images() });
    }
    let drawn: Vec<Vec<[Replicate; LANES]>> = (0..resampling.replicates.div_ceil(LANES) as u64)
        .into_par_iter()
        .map(|pass| {
            let mut lanes = vec![[0.0; LANES]; images];
            let mut weights = vec![0; images];
            // The last pass may draw more than requested; the surplus is dropped below.
            for lane in 0..LANES {
                weights.fill(0);
                (resampling.draw)(pass * LANES as u64 + lane as u64, &mut weights);
                lanes.iter_mut().zip(&weights).for_each(|(lanes, &weight)| lanes[lane] = f64::from(weight));
            }
            items.iter().map(|item| item.weighted(&lanes)).collect()
        })
        .collect();
    let mut by_item: Vec<Vec<Replicate>> = items.iter().map(|_| Vec::with_capacity(resampling.replicates)).collect();
    for pass in drawn {
        by_item.iter_mut().zip(pass).for_each(|(item, replicates)| item.extend(replicates));
    }
    by_item.iter_mut().for_each(|item| item.truncate(resampling.replicates));
    Ok(by_item)
}

/// The interval of each metric; a metric defined in less than half of the replicates has none.
pub type ScoreIntervals = BTreeMap<Metric, Interval>;

/// The intervals of scores with this estimate, `of` taking them from a replicate.
pub(crate) fn score_intervals(
    estimate: &Scores,
    replicates: &[Replicate],
    of: impl Fn(&Replicate) -> Scores,
) -> ScoreIntervals {
    let interval = |metric: Metric| {
        let drawn = replicates.iter().map(|replicate| of(replicate).get(metric));
        Some((metric, Interval::of_metric(metric, 0.0, estimate.get(metric), drawn)?))
    };
    Metric::ALL.into_iter().filter_map(interval).collect()
}

/// The confidence intervals of an [`crate::Evaluation`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Intervals {
    /// The confidence level, 0.95.
    pub confidence: f64,
    /// Number of replicates.
    pub replicates: usize,
    /// Intervals of the macro average.
    pub macro_average: ScoreIntervals,
    /// Intervals of the micro average.
    pub micro_average: ScoreIntervals,
    /// Intervals of each attribute, in the order of the evaluation.
    pub attributes: Vec<ScoreIntervals>,
}

impl Intervals {
    /// The intervals of every metric of `predictions` under `thresholds`.
    ///
    /// # Errors
    ///
    /// The thresholds are not one finite number per attribute, or there are 2^30 images or more.
    pub fn new(predictions: &Predictions, thresholds: &Thresholds, resampling: &Resampling<'_>) -> Result<Self, Error> {
        let items = [WeightedEvaluator::new(predictions, thresholds, |_| true)?];
        let replicates = resample(&items, resampling)?.swap_remove(0);
        let estimates = items[0].unweighted();
        let of = |scores: &dyn Fn(&Replicate) -> Scores| score_intervals(&scores(&estimates), &replicates, scores);
        let columns = 0..predictions.attributes().len();
        Ok(Self {
            confidence: CONFIDENCE,
            replicates: resampling.replicates,
            macro_average: of(&|replicate| replicate.macro_average),
            micro_average: of(&|replicate| replicate.micro_average),
            attributes: columns.into_par_iter().map(|column| of(&|replicate| replicate.attributes[column])).collect(),
        })
    }
}

#[cfg(test)]
mod tests;
