//! Isotonic regression.

use serde::{Deserialize, Serialize};

use super::{both_classes, sigmoid};

/// A piecewise linear curve from logit to probability, constant beyond its ends. Without points, the sigmoid.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Curve {
    /// Logits of the points, ascending.
    pub logits: Vec<f32>,
    /// Probabilities of the points, 0 to 1, non-decreasing.
    pub probabilities: Vec<f32>,
}

impl Curve {
    /// Fits (logit, label) pairs by pooling adjacent violators; keeps the points that scikit-learn's `IsotonicRegression`
    /// keeps.
    pub(super) fn fit(mut pairs: Vec<(f32, bool)>) -> Self {
        /// Neighbouring logits that share one probability.
        struct Block {
            first: f32,
            last: f32,
            present: u64,
            all: u64,
        }

        if !both_classes(&pairs) {
            return Self::default();
        }
        pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let mut blocks: Vec<Block> = Vec::new();
        for tied in pairs.chunk_by(|a, b| a.0 == b.0) {
            let present = tied.iter().filter(|pair| pair.1).count() as u64;
            let mut block = Block { first: tied[0].0, last: tied[0].0, present, all: tied.len() as u64 };
            // Fractions compared in integers, so that equality is exact.
            while let Some(before) = blocks.pop_if(|before| before.present * block.all >= block.present * before.all) {
                block = Block {
                    first: before.first,
                    last: block.last,
                    present: before.present + block.present,
                    all: before.all + block.all,
                };
            }
            blocks.push(block);
        }
        let mut curve = Self::default();
        for block in blocks {
            let probability = (block.present as f64 / block.all as f64) as f32;
            curve.logits.push(block.first);
            curve.probabilities.push(probability);
            if block.last > block.first {
                curve.logits.push(block.last);
                curve.probabilities.push(probability);
            }
        }
        curve
    }

    pub(super) fn at(&self, logit: f32) -> f32 {
        let above = self.logits.partition_point(|&point| point < logit);
        let (Some(&first), Some(&last)) = (self.probabilities.first(), self.probabilities.last()) else {
            return sigmoid(logit);
        };
        match above {
            0 => first,
            _ if above == self.logits.len() => last,
            _ => {
                let part = (logit - self.logits[above - 1]) / (self.logits[above] - self.logits[above - 1]);
                let (low, high) = (self.probabilities[above - 1], self.probabilities[above]);
                // Rounding must not exceed the higher point.
                (low + (high - low) * part).min(high)
            }
        }
    }

    pub(super) fn is_valid(&self) -> bool {
        self.logits.len() == self.probabilities.len()
            && self.logits.iter().all(|logit| logit.is_finite())
            && self.logits.is_sorted_by(|a, b| a < b)
            && self.probabilities.iter().all(|probability| (0.0..=1.0).contains(probability))
            && self.probabilities.is_sorted()
    }
}
