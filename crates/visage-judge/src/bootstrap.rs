//! How much a metric would change with other images: the bootstrap (Efron and Tibshirani, 1993).
//!
//! A replicate draws as many images as there are, with replacement. It is never built: how often each image was drawn
//! is a weight, the images of an attribute are ranked once, and every metric of a replicate follows from one walk down
//! that ranking. Evaluations of the same images share the draws, which pairs them: what made one harder made all harder.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::calibration::{ECE_BINS, bin, log_cost, squared_distance};
use crate::confusion::ratio;
use crate::{Confusion, Error, Metric, Predictions, Scores, Thresholds, is_positive};

/// The share of replicates an interval holds.
pub const CONFIDENCE: f64 = 0.95;

/// The smallest share of replicates in which a metric must be defined to have an interval.
const DEFINED_OFTEN_ENOUGH: f64 = 0.5;

/// A confidence interval: the middle [`CONFIDENCE`] of the replicates (the percentile interval), or for a metric whose
/// replicates are biased [the basic one](Interval::basic). In JSON `[low, high]`.
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
    /// The interval of replicates, undefined ones left out; `None` where the metric is defined in less than half of them.
    #[must_use]
    pub fn of(replicates: impl Iterator<Item = Option<f64>>) -> Option<Self> {
        let (mut values, mut all) = (Vec::new(), 0_usize);
        for value in replicates {
            all += 1;
            values.extend(value);
        }
        if values.is_empty() || (values.len() as f64) < DEFINED_OFTEN_ENOUGH * all as f64 {
            return None;
        }
        values.sort_unstable_by(f64::total_cmp);
        let tail = (1.0 - CONFIDENCE) / 2.0;
        Some(Self { low: quantile(&values, tail), high: quantile(&values, 1.0 - tail) })
    }

    /// The basic interval (Davison and Hinkley, "Bootstrap Methods and their Application", 1997, section 5.2): the
    /// percentile interval mirrored at the estimate. Replicates that lie above the estimate say that the estimate lies as far
    /// above the truth. Where mirroring would leave the estimate itself outside, it reaches to it, and it begins at
    /// `least` or above.
    #[must_use]
    pub fn basic(estimate: f64, least: f64, replicates: impl Iterator<Item = Option<f64>>) -> Option<Self> {
        let Self { low, high } = Self::of(replicates)?;
        let mirrored = |end: f64| 2.0 * estimate - end;
        Some(Self { low: mirrored(high).min(estimate).max(least), high: mirrored(low).max(estimate) })
    }

    /// The interval of a metric. That of the expected calibration error is basic: noise in every bin adds to it, in a
    /// replicate once more than in the images themselves, so that percentiles lie above the estimate, which lies above the
    /// truth (Kumar, Liang and Ma, 2019, arXiv 1909.10155).
    pub(crate) fn of_metric(
        metric: Metric,
        estimate: Option<f64>,
        replicates: impl Iterator<Item = Option<f64>>,
    ) -> Option<Self> {
        match (metric, estimate) {
            (Metric::Ece, Some(estimate)) => Self::basic(estimate, 0.0, replicates),
            _ => Self::of(replicates),
        }
    }

    /// The interval of the difference of two values of a metric, as [`Self::of_metric`].
    pub(crate) fn of_difference(
        metric: Metric,
        estimate: Option<f64>,
        replicates: impl Iterator<Item = Option<f64>>,
    ) -> Option<Self> {
        match (metric, estimate) {
            (Metric::Ece, Some(estimate)) => Self::basic(estimate, f64::NEG_INFINITY, replicates),
            _ => Self::of(replicates),
        }
    }

    /// Whether it holds `value`.
    #[must_use]
    pub fn contains(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// The quantile of ascending values, between neighbours on a straight line (numpy's default). At least one value.
fn quantile(ascending: &[f64], share: f64) -> f64 {
    let position = share * (ascending.len() - 1) as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(ascending.len() - 1);
    ascending[below] + (ascending[above] - ascending[below]) * (position - below as f64)
}

/// Where replicates come from.
#[derive(Clone, Copy)]
pub struct Resampling<'a> {
    /// How many to draw; a thousand for intervals.
    pub replicates: usize,
    /// Adds to each image's count how often the replicate of a number, from 0 on, drew it. A function of the number alone,
    /// so that the same intervals come out of any number of threads.
    pub draw: &'a (dyn Fn(u64, &mut [u16]) + Sync),
}

/// Predictions and thresholds, made ready to be judged under any weights of the images.
pub struct Judged {
    images: usize,
    columns: Vec<Column>,
    /// All columns in one ranking.
    pooled: Vec<Entry>,
}

/// One known label in a ranking: the image, whether its tie ends here, whether it is present.
#[derive(Clone, Copy)]
struct Entry(u32);

impl Entry {
    fn image(self) -> usize {
        (self.0 >> 2) as usize
    }

    #[inline]
    fn ends_tie(self) -> bool {
        self.0 & 2 != 0
    }

    fn present(self) -> bool {
        self.0 & 1 != 0
    }

    /// Entries in descending order of probability.
    fn ranking(mut pairs: Vec<(f32, u32, bool)>) -> (Vec<Self>, Vec<f32>) {
        pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
        let ends = |at: usize| pairs.get(at + 1).is_none_or(|next| next.0 != pairs[at].0);
        let entries = pairs.iter().enumerate();
        let entries =
            entries.map(|(at, &(_, image, present))| Self(image << 2 | u32::from(ends(at)) << 1 | u32::from(present)));
        (entries.collect(), pairs.iter().map(|pair| pair.0).collect())
    }
}

/// One attribute.
struct Column {
    entries: Vec<Entry>,
    /// How many of them are positive decisions: those are the first.
    decided: usize,
    /// Squared distance, log loss, and probability minus outcome, of each.
    costs: Vec<[f64; 3]>,
    /// Where each calibration bin ends, from the highest bin down.
    bin_ends: [usize; ECE_BINS],
}

impl Judged {
    /// Makes ready the images for which `member` holds, given their number. Images keep their numbers, so that groups of
    /// one table can be resampled together.
    ///
    /// # Errors
    ///
    /// The thresholds are not one finite number per attribute, or there are too many images to number (2^30).
    pub fn new(
        predictions: &Predictions,
        thresholds: &Thresholds,
        member: impl Fn(usize) -> bool,
    ) -> Result<Self, Error> {
        thresholds.check(predictions.attributes())?;
        if predictions.images() >= 1 << 30 {
            return Err(Error::TooManyImages { images: predictions.images() });
        }
        let width = predictions.attributes().len();
        let members: Vec<bool> = (0..predictions.images()).map(member).collect();
        let known = |column: usize| {
            let cells = (0..predictions.images()).filter(|&image| members[image]);
            cells.filter_map(move |image| {
                let cell = image * width + column;
                predictions.labels()[cell].map(|present| (predictions.probabilities()[cell], image as u32, present))
            })
        };
        let columns = thresholds.values.iter().enumerate();
        let columns = columns.map(|(column, &threshold)| Column::new(known(column).collect(), threshold)).collect();
        let (pooled, _) = Entry::ranking((0..width).flat_map(known).collect());
        Ok(Self { images: predictions.images(), columns, pooled })
    }

    /// Everything measured on the images as they are.
    pub(crate) fn once(&self) -> Replicate {
        let [once, ..] = self.weighted(&vec![[1.0; LANES]; self.images]);
        once
    }

    /// Everything measured when each image counts as often as `weights` says, for each lane of weights.
    fn weighted(&self, weights: &[Lanes]) -> [Replicate; LANES] {
        let columns: Vec<[(Sums, Ranks); LANES]> = self.columns.iter().map(|column| column.measured(weights)).collect();
        let pooled = Walk::new().down(&self.pooled, weights).ranks();
        std::array::from_fn(|lane| {
            let attributes: Vec<Scores> = columns.iter().map(|column| column[lane].0.scores(column[lane].1)).collect();
            let (mut sums, mut commoner_class) = (Sums::default(), 0);
            for column in &columns {
                sums.add(&column[lane].0);
                commoner_class += column[lane].0.confusion.commoner_class();
            }
            let commoner_class_accuracy = ratio(commoner_class, sums.confusion.support());
            Replicate {
                macro_average: Scores::mean_where_defined(attributes.iter()),
                micro_average: Scores { commoner_class_accuracy, ..sums.scores(pooled[lane]) },
                attributes,
            }
        })
    }
}

/// Replicates that share a walk, so that finding an image's place is paid for once and their sums are vectors.
const LANES: usize = 4;

/// A number for each replicate of a walk. Counts are whole numbers far below 2^53, which are exact.
type Lanes = [f64; LANES];

fn add(sum: &mut Lanes, by: impl Fn(usize) -> f64) {
    sum.iter_mut().enumerate().for_each(|(lane, sum)| *sum += by(lane));
}

/// Average precision and area under the ROC curve.
type Ranks = [Option<f64>; 2];

/// A walk down a ranking, which counts as [`crate::ranking::Ranking`] does.
#[derive(Default)]
struct Walk {
    true_positives: Lanes,
    predicted: Lanes,
    precisions: Lanes,
    twice_won: Lanes,
}

impl Walk {
    fn new() -> Self {
        Self::default()
    }

    /// Goes on over `entries`, which end where a tie does.
    fn down(mut self, entries: &[Entry], weights: &[Lanes]) -> Self {
        let (mut negatives, mut positives, mut found) = ([0.0; LANES], [0.0; LANES], false);
        for entry in entries {
            let weight = &weights[entry.image()];
            if entry.present() {
                add(&mut positives, |lane| weight[lane]);
                found = true;
            } else {
                add(&mut negatives, |lane| weight[lane]);
            }
            if entry.ends_tie() {
                add(&mut self.twice_won, |lane| negatives[lane] * (2.0 * self.true_positives[lane] + positives[lane]));
                add(&mut self.predicted, |lane| negatives[lane] + positives[lane]);
                if found {
                    add(&mut self.true_positives, |lane| positives[lane]);
                    let precision = |lane: usize| self.true_positives[lane] / self.predicted[lane].max(1.0);
                    // Where nothing was drawn yet this adds nothing; without the `max` it would add 0 / 0.
                    add(&mut self.precisions, |lane| positives[lane] * precision(lane));
                }
                (negatives, positives, found) = ([0.0; LANES], [0.0; LANES], false);
            }
        }
        self
    }

    /// What was counted up to here: positives and negatives.
    fn counts(&self, lane: usize) -> [u64; 2] {
        [self.true_positives[lane] as u64, (self.predicted[lane] - self.true_positives[lane]) as u64]
    }

    fn ranks(&self) -> [Ranks; LANES] {
        std::array::from_fn(|lane| {
            let (positives, precisions) = (self.true_positives[lane], self.precisions[lane]);
            let pairs = positives * (self.predicted[lane] - positives);
            [
                (positives > 0.0).then(|| precisions / positives),
                (pairs > 0.0).then(|| self.twice_won[lane] / (2.0 * pairs)),
            ]
        })
    }
}

impl Column {
    fn new(pairs: Vec<(f32, u32, bool)>, threshold: f32) -> Self {
        let (entries, scores) = Entry::ranking(pairs);
        let outcomes = scores.iter().zip(&entries).map(|(&score, entry)| (f64::from(score), entry.present()));
        let costs = outcomes.map(|(probability, present)| {
            let excess = probability - f64::from(u8::from(present));
            [squared_distance(probability, present), log_cost(probability, present), excess]
        });
        let above = |from: usize| scores.partition_point(|&score| bin(f64::from(score)) >= from);
        Self {
            decided: scores.partition_point(|&score| is_positive(score, threshold)),
            costs: costs.collect(),
            bin_ends: std::array::from_fn(|from_above| above(ECE_BINS - 1 - from_above)),
            entries,
        }
    }

    fn measured(&self, weights: &[Lanes]) -> [(Sums, Ranks); LANES] {
        // Images of one score are decided alike and fall in one bin, so that both end where a tie ends.
        let walk = Walk::new().down(&self.entries[..self.decided], weights);
        let decided: [[u64; 2]; LANES] = std::array::from_fn(|lane| walk.counts(lane));
        let walk = walk.down(&self.entries[self.decided..], weights);
        let ranks = walk.ranks();

        let (mut squared, mut log) = ([0.0; LANES], [0.0; LANES]);
        let mut excess = [[0.0; LANES]; ECE_BINS];
        let mut start = 0;
        for (excess, &end) in excess.iter_mut().zip(&self.bin_ends) {
            for (entry, costs) in self.entries[start..end].iter().zip(&self.costs[start..end]) {
                let weight = &weights[entry.image()];
                add(&mut squared, |lane| weight[lane] * costs[0]);
                add(&mut log, |lane| weight[lane] * costs[1]);
                add(excess, |lane| weight[lane] * costs[2]);
            }
            start = end;
        }
        std::array::from_fn(|lane| {
            let [positives, negatives] = walk.counts(lane);
            let [true_positives, false_positives] = decided[lane];
            let confusion = Confusion {
                true_positives,
                false_positives,
                true_negatives: negatives - false_positives,
                false_negatives: positives - true_positives,
            };
            let excess = excess.map(|excess| excess[lane]);
            (Sums { confusion, squared: squared[lane], log: log[lane], excess }, ranks[lane])
        })
    }
}

/// What adds up over attributes.
#[derive(Default)]
struct Sums {
    confusion: Confusion,
    squared: f64,
    log: f64,
    /// Probability minus outcome by calibration bin.
    excess: [f64; ECE_BINS],
}

impl Sums {
    fn add(&mut self, other: &Self) {
        self.confusion += other.confusion;
        self.squared += other.squared;
        self.log += other.log;
        self.excess.iter_mut().zip(&other.excess).for_each(|(sum, excess)| *sum += excess);
    }

    fn scores(&self, [average_precision, roc_auc]: Ranks) -> Scores {
        let support = self.confusion.support();
        let mean = |sum: f64| (support > 0).then(|| sum / support as f64);
        Scores {
            average_precision,
            roc_auc,
            brier: mean(self.squared),
            log_loss: mean(self.log),
            ece: mean(self.excess.iter().map(|excess| excess.abs()).sum()),
            ..Scores::of_decisions(&self.confusion)
        }
    }
}

/// Everything measured on one replicate.
#[derive(Debug, Clone, PartialEq)]
pub struct Replicate {
    /// The attributes, in the order of the predictions.
    pub attributes: Vec<Scores>,
    /// The mean over the attributes where a metric is defined.
    pub macro_average: Scores,
    /// All known labels as one pile.
    pub micro_average: Scores,
}

/// Judges every item on the same replicates: an entry an item, each with a [`Replicate`] a draw.
///
/// # Errors
///
/// The items have different numbers of images.
pub fn resample(items: &[Judged], resampling: &Resampling<'_>) -> Result<Vec<Vec<Replicate>>, Error> {
    let images = items.first().map_or(0, |item| item.images);
    if let Some(other) = items.iter().find(|item| item.images != images) {
        return Err(Error::DifferentImages { first: images, other: other.images });
    }
    let drawn: Vec<Vec<[Replicate; LANES]>> = (0..resampling.replicates.div_ceil(LANES) as u64)
        .into_par_iter()
        .map(|walk| {
            let mut lanes = vec![[0.0; LANES]; images];
            let mut weights = vec![0; images];
            // The last walk may draw more than were asked for; they are left out below.
            for lane in 0..LANES {
                weights.fill(0);
                (resampling.draw)(walk * LANES as u64 + lane as u64, &mut weights);
                lanes.iter_mut().zip(&weights).for_each(|(lanes, &weight)| lanes[lane] = f64::from(weight));
            }
            items.iter().map(|item| item.weighted(&lanes)).collect()
        })
        .collect();
    let mut by_item: Vec<Vec<Replicate>> = items.iter().map(|_| Vec::with_capacity(resampling.replicates)).collect();
    for walk in drawn {
        by_item.iter_mut().zip(walk).for_each(|(item, replicates)| item.extend(replicates));
    }
    by_item.iter_mut().for_each(|item| item.truncate(resampling.replicates));
    Ok(by_item)
}

/// The intervals of every metric, by name; a metric that is seldom defined has none.
pub type ScoreIntervals = std::collections::BTreeMap<Metric, Interval>;

/// The confidence intervals of an [`crate::Evaluation`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Intervals {
    /// The share of replicates inside each.
    pub confidence: f64,
    /// How many replicates were drawn.
    pub replicates: usize,
    /// Of the means over the attributes.
    pub macro_average: ScoreIntervals,
    /// Of the pooled decisions.
    pub micro_average: ScoreIntervals,
    /// Of each attribute, in the order of the evaluation.
    pub attributes: Vec<ScoreIntervals>,
}

impl Intervals {
    /// The intervals of every metric of `predictions` under `thresholds`.
    ///
    /// # Errors
    ///
    /// As [`Judged::new`].
    pub fn new(predictions: &Predictions, thresholds: &Thresholds, resampling: &Resampling<'_>) -> Result<Self, Error> {
        let items = [Judged::new(predictions, thresholds, |_| true)?];
        let replicates = resample(&items, resampling)?.swap_remove(0);
        let once = items[0].once();
        let of = |scores: &(dyn Fn(&Replicate) -> Scores + Sync)| -> ScoreIntervals {
            let interval = |metric| {
                let drawn = replicates.iter().map(|replicate| scores(replicate).get(metric));
                Interval::of_metric(metric, scores(&once).get(metric), drawn)
            };
            Metric::ALL.into_iter().filter_map(|metric| Some((metric, interval(metric)?))).collect()
        };
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
mod tests {
    use super::*;
    use crate::evaluate;

    /// Every image once: what is measured then is what [`evaluate`] measures.
    fn once(_: u64, weights: &mut [u16]) {
        weights.fill(1);
    }

    fn predictions() -> Predictions {
        let cell = |i: u32| i.wrapping_mul(2_654_435_761) >> 16;
        let labels = (0..600).map(|i| (cell(i) % 11 > 0).then(|| cell(i + 7000) % 5 < 2)).collect();
        // Few distinct probabilities, so that ties are everywhere.
        let probabilities = (0..600).map(|i| (cell(i + 9000) % 41) as f32 / 40.0).collect();
        Predictions::new(["a", "b", "c"].map(str::to_owned).to_vec(), labels, probabilities).unwrap()
    }

    #[track_caller]
    fn assert_same(found: &Scores, expected: &Scores) {
        for metric in Metric::ALL {
            let (found, expected) = (found.get(metric), expected.get(metric));
            let same = match (found, expected) {
                (Some(a), Some(b)) => (a - b).abs() < 1e-12,
                (a, b) => a == b,
            };
            assert!(same, "{metric}: {found:?} and not {expected:?}");
        }
    }

    #[test]
    fn drawing_every_image_once_is_the_evaluation() {
        let (predictions, thresholds) = (predictions(), Thresholds::fixed(0.4, 3));
        let items = [Judged::new(&predictions, &thresholds, |_| true).unwrap()];
        let found = resample(&items, &Resampling { replicates: 1, draw: &once }).unwrap().remove(0).remove(0);
        let expected = evaluate(&predictions, &thresholds).unwrap();
        assert_same(&found.macro_average, &expected.macro_average);
        assert_same(&found.micro_average, &expected.micro_average);
        for (found, expected) in found.attributes.iter().zip(&expected.attributes) {
            assert_same(found, &expected.scores);
        }
    }

    #[test]
    fn a_weight_is_an_image_that_is_there_so_often() {
        let (all, thresholds) = (predictions(), Thresholds::fixed(0.4, 3));
        let weight = |image: usize| [0, 2, 1, 0, 3][image % 5];
        let draw = |_: u64, weights: &mut [u16]| {
            weights.iter_mut().enumerate().for_each(|(image, count)| *count = weight(image));
        };
        // The first half only, as a group.
        let items = [Judged::new(&all, &thresholds, |image| image < 100).unwrap()];
        let found = resample(&items, &Resampling { replicates: 1, draw: &draw }).unwrap().remove(0).remove(0);

        let rows = (0..100).flat_map(|image| std::iter::repeat_n(image, usize::from(weight(image))));
        let cells: Vec<usize> = rows.flat_map(|image| image * 3..(image + 1) * 3).collect();
        let labels = cells.iter().map(|&cell| all.labels()[cell]).collect();
        let probabilities = cells.iter().map(|&cell| all.probabilities()[cell]).collect();
        let repeated = Predictions::new(all.attributes().to_vec(), labels, probabilities).unwrap();
        let expected = evaluate(&repeated, &thresholds).unwrap();
        assert_same(&found.micro_average, &expected.micro_average);
        for (found, expected) in found.attributes.iter().zip(&expected.attributes) {
            assert_same(found, &expected.scores);
        }
    }

    #[test]
    fn intervals_are_percentiles_where_the_metric_is_mostly_defined() {
        let values = (0..1000).rev().map(|value| Some(f64::from(value)));
        let Interval { low, high } = Interval::of(values).unwrap();
        assert!((low - 24.975).abs() < 1e-9 && (high - 974.025).abs() < 1e-9, "{low} to {high}");
        assert_eq!(Interval::of([Some(1.0), None, None].into_iter()), None);
        assert_eq!(Interval::of([Some(1.0), Some(1.0), None].into_iter()), Some(Interval { low: 1.0, high: 1.0 }));
        assert_eq!(Interval::of(std::iter::empty()), None);
        assert_eq!(serde_json::to_string(&Interval { low: 0.25, high: 0.5 }).unwrap(), "[0.25,0.5]");
    }

    #[test]
    fn a_biased_metric_has_an_interval_that_holds_estimate_and_truth() {
        // Every probability is 0.05 too low, so that the error is 0.05 and known: 200 tables of 300 images.
        const TRUTH: f64 = 0.05;
        let mut state = 1_u64;
        let mut random = move || {
            state = state * 16_807 % 2_147_483_647;
            state as f64 / 2_147_483_647.0
        };
        let draw = |number: u64, weights: &mut [u16]| {
            let mut state = (number + 1) * 48_271 % 2_147_483_647;
            for _ in 0..weights.len() {
                state = state * 48_271 % 2_147_483_647;
                weights[state as usize % weights.len()] += 1;
            }
        };
        let (mut covered, mut covered_by_percentiles) = (0, 0);
        for _ in 0..200 {
            let probabilities: Vec<f32> = (0..300).map(|_| (0.9 * random()) as f32).collect();
            let labels = probabilities.iter().map(|&p| Some(random() < f64::from(p) + TRUTH)).collect();
            let predictions = Predictions::new(vec!["a".into()], labels, probabilities).unwrap();
            let (thresholds, resampling) = (Thresholds::fixed(0.5, 1), Resampling { replicates: 100, draw: &draw });
            let intervals = Intervals::new(&predictions, &thresholds, &resampling).unwrap();
            let estimate = evaluate(&predictions, &thresholds).unwrap().attributes[0].scores.ece.unwrap();
            let ece = intervals.attributes[0][&Metric::Ece];
            assert!(ece.contains(estimate) && ece.low >= 0.0, "{estimate} in {ece:?}");
            covered += usize::from(ece.contains(TRUTH));
            let items = [Judged::new(&predictions, &thresholds, |_| true).unwrap()];
            let drawn = resample(&items, &resampling).unwrap().remove(0);
            let percentiles = Interval::of(drawn.iter().map(|replicate| replicate.attributes[0].ece)).unwrap();
            covered_by_percentiles += usize::from(percentiles.contains(TRUTH));
        }
        assert!(covered >= 160, "{covered} of 200");
        assert!(covered_by_percentiles <= 60, "{covered_by_percentiles} of 200: percentiles would have done");
    }

    #[test]
    fn tables_of_different_images_do_not_share_draws() {
        let thresholds = Thresholds::fixed(0.4, 3);
        let few = Predictions::new(predictions().attributes().to_vec(), vec![None; 3], vec![0.5; 3]).unwrap();
        let items = [&predictions(), &few].map(|table| Judged::new(table, &thresholds, |_| true).unwrap());
        let error = resample(&items, &Resampling { replicates: 1, draw: &once }).unwrap_err();
        assert_eq!(error, Error::DifferentImages { first: 200, other: 1 });
    }
}
