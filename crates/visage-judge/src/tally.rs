//! Sums over labels from which the metrics follow.

use std::ops::AddAssign;

use crate::confusion::Confusion;
use crate::probability_metrics::{ECE_BINS, calibration_bin, excess, log_loss, squared_error};
use crate::ranking::RankScores;
use crate::scores::Scores;

/// Sums over known labels. Two tallies of different labels add up to the tally of both.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    pub confusion: Confusion,
    /// Sum of squared errors.
    pub squared: f64,
    /// Sum of log losses, in nats.
    pub log: f64,
    /// Probability minus outcome, summed per calibration bin.
    pub excess: [f64; ECE_BINS],
}

impl Tally {
    /// `target` is the probability that the label is present.
    pub fn add(&mut self, probability: f32, decision: bool, present: bool, target: f64) {
        self.confusion.add(decision, present);
        let probability = f64::from(probability);
        self.squared += squared_error(probability, present);
        self.log += log_loss(probability, target);
        self.excess[calibration_bin(probability)] += excess(probability, present);
    }

    /// The metrics of the labels added; those of their ranking, which no sum holds, come from the caller.
    pub fn scores(&self, RankScores { average_precision, roc_auc }: RankScores) -> Scores {
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

impl AddAssign<&Self> for Tally {
    fn add_assign(&mut self, other: &Self) {
        self.confusion += other.confusion;
        self.squared += other.squared;
        self.log += other.log;
        self.excess.iter_mut().zip(&other.excess).for_each(|(sum, excess)| *sum += excess);
    }
}
