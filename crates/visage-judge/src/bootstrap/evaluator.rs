//! Evaluation of predictions under weights of their images.

use super::Replicate;
use super::ranking_pass::{LANES, Lanes, RankedLabel, RankingPass, add};
use crate::confusion::{Confusion, commoner_class_accuracy};
use crate::error::Error;
use crate::predictions::Predictions;
use crate::probability_metrics::{ECE_BINS, calibration_bin, excess, log_loss, squared_error};
use crate::ranking::RankScores;
use crate::scores::Scores;
use crate::tally::Tally;
use crate::thresholds::{Thresholds, is_positive};

/// Predictions ranked once, to be evaluated under any weights of their images.
pub(crate) struct WeightedEvaluator {
    images: usize,
    columns: Vec<Column>,
    /// The known labels of all columns in one ranking.
    pooled: Vec<RankedLabel>,
}

/// The known labels of one attribute, in descending order of probability.
struct Column {
    labels: Vec<RankedLabel>,
    /// The number of positive decisions: those are the first.
    predicted: usize,
    /// Squared error, log loss, and probability minus outcome, of each.
    terms: Vec<[f64; 3]>,
    /// The end of each calibration bin in `labels`, from the highest bin down.
    bin_ends: [usize; ECE_BINS],
}

impl WeightedEvaluator {
    /// Ranks the images whose index satisfies `member`. Images keep their indices, so that groups of one table can be
    /// resampled together.
    ///
    /// # Errors
    ///
    /// The thresholds are not one finite number per attribute, or there are 2^30 images or more.
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
        let columns = columns.map(|(column, &threshold)| {
            let target = |image: usize, present| predictions.target(image * width + column, present);
            Column::new(known(column).collect(), target, threshold)
        });
        let columns = columns.collect();
        let (pooled, _) = RankedLabel::ranking((0..width).flat_map(known).collect());
        Ok(Self { images: predictions.images(), columns, pooled })
    }

    pub(super) fn images(&self) -> usize {
        self.images
    }

    pub fn unweighted(&self) -> Replicate {
        let [unweighted, ..] = self.weighted(&vec![[1.0; LANES]; self.images]);
        unweighted
    }

    /// The metrics with each image counted as often as its weight, per lane.
    pub(super) fn weighted(&self, weights: &[Lanes]) -> [Replicate; LANES] {
        let columns: Vec<[(Tally, RankScores); LANES]> =
            self.columns.iter().map(|column| column.weighted(weights)).collect();
        let pooled = RankingPass::default().over(&self.pooled, weights).scores();
        std::array::from_fn(|lane| {
            let attributes: Vec<Scores> = columns.iter().map(|column| column[lane].0.scores(column[lane].1)).collect();
            let mut sum = Tally::default();
            columns.iter().for_each(|column| sum += &column[lane].0);
            let commoner_class_accuracy =
                commoner_class_accuracy(columns.iter().map(|column| &column[lane].0.confusion));
            Replicate {
                macro_average: Scores::mean_where_defined(attributes.iter()),
                micro_average: Scores { commoner_class_accuracy, ..sum.scores(pooled[lane]) },
                attributes,
            }
        })
    }
}

impl Column {
    /// `target` of an image and its label is the probability that this is present.
    fn new(pairs: Vec<(f32, u32, bool)>, target: impl Fn(usize, bool) -> f64, threshold: f32) -> Self {
        let (labels, scores) = RankedLabel::ranking(pairs);
        let terms = scores.iter().zip(&labels).map(|(&score, label)| {
            let (probability, present) = (f64::from(score), label.present());
            let log = log_loss(probability, target(label.image(), present));
            [squared_error(probability, present), log, excess(probability, present)]
        });
        let above = |from: usize| scores.partition_point(|&score| calibration_bin(f64::from(score)) >= from);
        Self {
            predicted: scores.partition_point(|&score| is_positive(score, threshold)),
            terms: terms.collect(),
            bin_ends: std::array::from_fn(|from_above| above(ECE_BINS - 1 - from_above)),
            labels,
        }
    }

    fn weighted(&self, weights: &[Lanes]) -> [(Tally, RankScores); LANES] {
        // Images of one score are decided alike and fall into one bin, so positive decisions and bins end where a tie ends.
        let pass = RankingPass::default().over(&self.labels[..self.predicted], weights);
        let predicted: [[u64; 2]; LANES] = std::array::from_fn(|lane| pass.counts(lane));
        let pass = pass.over(&self.labels[self.predicted..], weights);
        let rank_scores = pass.scores();

        let (mut squared, mut log) = ([0.0; LANES], [0.0; LANES]);
        let mut excess = [[0.0; LANES]; ECE_BINS];
        let mut start = 0;
        for (excess, &end) in excess.iter_mut().zip(&self.bin_ends) {
            for (label, terms) in self.labels[start..end].iter().zip(&self.terms[start..end]) {
                let weight = &weights[label.image()];
                add(&mut squared, |lane| weight[lane] * terms[0]);
                add(&mut log, |lane| weight[lane] * terms[1]);
                add(excess, |lane| weight[lane] * terms[2]);
            }
            start = end;
        }
        std::array::from_fn(|lane| {
            let [positives, negatives] = pass.counts(lane);
            let [true_positives, false_positives] = predicted[lane];
            let confusion = Confusion {
                true_positives,
                false_positives,
                true_negatives: negatives - false_positives,
                false_negatives: positives - true_positives,
            };
            let excess = excess.map(|excess| excess[lane]);
            (Tally { confusion, squared: squared[lane], log: log[lane], excess }, rank_scores[lane])
        })
    }
}
