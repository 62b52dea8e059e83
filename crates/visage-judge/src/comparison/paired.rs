//! Paired comparison: intervals of every difference, significance tests, and a verdict per attribute.

use serde::{Deserialize, Serialize};

use super::significance::{holm, mcnemar, normal_p};
use super::{Comparison, RunPredictions};
use crate::bootstrap::{Interval, Replicate, Resampling, WeightedEvaluator, resample};
use crate::error::Error;
use crate::evaluation::{Evaluation, evaluate};
use crate::scores::{Metric, Scores};
use crate::thresholds::is_positive;

/// The family-wise error rate: a difference whose corrected p-value is lower is significant.
const SIGNIFICANCE: f64 = 0.05;

/// An attribute with fewer positives than this has too uncertain an F1 to be tested.
const MIN_POSITIVES: u64 = 10;

/// The tests of one attribute in a later evaluation against the first, on the same images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Index of the later evaluation.
    pub evaluation: usize,
    /// Images that only the first evaluation classifies correctly.
    pub only_first_right: u64,
    /// Images that only this evaluation classifies correctly.
    pub only_this_right: u64,
    /// P-value of the difference in accuracy by McNemar's exact test, corrected by Holm over the attributes.
    pub accuracy_p: f64,
    /// P-value of the difference in F1 by its bootstrap standard error, corrected likewise. `None` where there are fewer than
    /// 10 positives, or the F1 of either is undefined.
    pub f1_p: Option<f64>,
    /// The outcome of both tests.
    pub verdict: Verdict,
}

/// The outcome of the tests of accuracy and F1, each at a family-wise error rate of 0.05.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// One of them rose significantly and neither fell.
    Better,
    /// One of them fell significantly and neither rose.
    Worse,
    /// One of them rose significantly and the other fell.
    Mixed,
    /// Neither difference is significant.
    Undecided,
}

impl Verdict {
    /// From the signs of the significant differences in accuracy and F1, 0 where a difference is not significant.
    fn new(accuracy: i8, f1: i8) -> Self {
        match (accuracy, f1) {
            (0, 0) => Self::Undecided,
            (1, -1) | (-1, 1) => Self::Mixed,
            (1, _) | (_, 1) => Self::Better,
            _ => Self::Worse,
        }
    }
}

impl Comparison {
    /// Compares runs on the same images, as [`RunPredictions::align`] returns them. Also returns the evaluation of each.
    ///
    /// # Errors
    ///
    /// As [`Comparison::new`]; also thresholds that are not one finite number per attribute, or 2^30 images or more.
    pub fn paired(runs: &[RunPredictions], resampling: &Resampling<'_>) -> Result<(Self, Vec<Evaluation>), Error> {
        let evaluations = runs.iter().map(|run| evaluate(&run.predictions, &run.thresholds));
        let evaluations = evaluations.collect::<Result<Vec<_>, _>>()?;
        let named: Vec<(&str, &Evaluation)> =
            runs.iter().map(|run| run.name.as_str()).zip(evaluations.iter()).collect();
        let mut comparison = Self::new(&named)?;

        let paired = Paired::new(runs, resampling)?;
        comparison.macro_average.set_intervals(|other, metric| paired.interval(other, metric, &|r| r.macro_average));
        comparison.micro_average.set_intervals(|other, metric| paired.interval(other, metric, &|r| r.micro_average));
        for (column, row) in comparison.attributes.iter_mut().enumerate() {
            row.set_intervals(|other, metric| paired.interval(other, metric, &|r| r.attributes[column]));
        }
        for other in 1..runs.len() {
            let accuracy_p = accuracy_p_values(&runs[0], &runs[other], comparison.attributes.len());
            let f1_p = comparison.attributes.iter().zip(&evaluations[0].attributes).enumerate();
            let f1_p = f1_p.map(|(column, (row, metrics))| {
                let spread = standard_error(&paired.differences(other, Metric::F1, &|r| r.attributes[column]))?;
                let difference = row.f1.differences[other - 1]?;
                (metrics.positives >= MIN_POSITIVES && spread > 0.0).then(|| normal_p(difference / spread))
            });
            let f1_p = holm(&f1_p.collect::<Vec<_>>());
            for ((row, (discordant, accuracy_p)), f1_p) in comparison.attributes.iter_mut().zip(accuracy_p).zip(f1_p) {
                let sign = |difference: Option<f64>, p: Option<f64>| match difference {
                    Some(difference) if p.is_some_and(|p| p < SIGNIFICANCE) => difference.signum() as i8,
                    _ => 0,
                };
                let accuracy = sign(row.accuracy.differences[other - 1], Some(accuracy_p));
                let f1 = sign(row.f1.differences[other - 1], f1_p);
                let ([only_first_right, only_this_right], verdict) = (discordant, Verdict::new(accuracy, f1));
                row.changes.push(Change {
                    evaluation: other,
                    only_first_right,
                    only_this_right,
                    accuracy_p,
                    f1_p,
                    verdict,
                });
            }
        }
        Ok((comparison, evaluations))
    }
}

/// Which scores of a replicate to take.
type ScoresOf<'a> = &'a dyn Fn(&Replicate) -> Scores;

/// The runs evaluated on the same bootstrap draws.
struct Paired {
    /// On the images themselves, per run.
    estimates: Vec<Replicate>,
    /// Per run.
    replicates: Vec<Vec<Replicate>>,
}

impl Paired {
    fn new(runs: &[RunPredictions], resampling: &Resampling<'_>) -> Result<Self, Error> {
        let evaluators = runs.iter().map(|run| WeightedEvaluator::new(&run.predictions, &run.thresholds, |_| true));
        let evaluators = evaluators.collect::<Result<Vec<_>, _>>()?;
        let replicates = resample(&evaluators, resampling)?;
        Ok(Self { estimates: evaluators.iter().map(WeightedEvaluator::unweighted).collect(), replicates })
    }

    /// The difference of run `other` from the first, per replicate.
    fn differences(&self, other: usize, metric: Metric, of: ScoresOf<'_>) -> Vec<Option<f64>> {
        let pairs = self.replicates[0].iter().zip(&self.replicates[other]);
        pairs.map(|(first, other)| difference(first, other, metric, of)).collect()
    }

    /// The interval of the difference of run `other` from the first.
    fn interval(&self, other: usize, metric: Metric, of: ScoresOf<'_>) -> Option<Interval> {
        let estimate = difference(&self.estimates[0], &self.estimates[other], metric, of);
        Interval::of_metric(metric, f64::NEG_INFINITY, estimate, self.differences(other, metric, of).into_iter())
    }
}

fn difference(first: &Replicate, other: &Replicate, metric: Metric, of: ScoresOf<'_>) -> Option<f64> {
    Some(of(other).get(metric)? - of(first).get(metric)?)
}

/// For each attribute the numbers of images that only the first, and only the other, run classifies correctly; and
/// McNemar's p-value of them, corrected by Holm.
fn accuracy_p_values(first: &RunPredictions, other: &RunPredictions, attributes: usize) -> Vec<([u64; 2], f64)> {
    let discordant: Vec<[u64; 2]> = (0..attributes).map(|column| discordant(first, other, column)).collect();
    let p: Vec<Option<f64>> = discordant.iter().map(|&[first, other]| Some(mcnemar(first, other))).collect();
    discordant.into_iter().zip(holm(&p).into_iter().map(|p| p.unwrap_or(1.0))).collect()
}

/// The numbers of images that only the first, and only the other, run classifies correctly.
fn discordant(first: &RunPredictions, other: &RunPredictions, column: usize) -> [u64; 2] {
    let correct = |run: &RunPredictions| -> Vec<bool> {
        let threshold = run.thresholds.values[column];
        let known = run.predictions.known(column);
        known.map(|(probability, present)| is_positive(probability, threshold) == present).collect()
    };
    let (first, other) = (correct(first), correct(other));
    let only =
        |right: &[bool], wrong: &[bool]| right.iter().zip(wrong).filter(|(right, wrong)| **right && !**wrong).count();
    [only(&first, &other) as u64, only(&other, &first) as u64]
}

/// The standard deviation of replicates; `None` where fewer than half of them, or fewer than two, are defined.
fn standard_error(replicates: &[Option<f64>]) -> Option<f64> {
    let values: Vec<f64> = replicates.iter().copied().flatten().collect();
    if values.len() < 2 || 2 * values.len() < replicates.len() {
        return None;
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}

#[cfg(test)]
mod tests;
