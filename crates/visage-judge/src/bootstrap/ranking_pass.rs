//! Average precision and ROC AUC of several replicates in one pass down a ranking.

use crate::ranking::RankScores;

/// One known label in a ranking, packed: the index of the image, whether its tie ends here, whether it is present.
#[derive(Clone, Copy)]
pub(super) struct RankedLabel(u32);

impl RankedLabel {
    pub fn image(self) -> usize {
        (self.0 >> 2) as usize
    }

    #[inline]
    fn ends_tie(self) -> bool {
        self.0 & 2 != 0
    }

    pub fn present(self) -> bool {
        self.0 & 1 != 0
    }

    /// Ranks (probability, image, label) triples. Returns them in descending order of probability, and the probabilities.
    pub fn ranking(mut pairs: Vec<(f32, u32, bool)>) -> (Vec<Self>, Vec<f32>) {
        pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
        let ends = |at: usize| pairs.get(at + 1).is_none_or(|next| next.0 != pairs[at].0);
        let labels = pairs.iter().enumerate();
        let labels =
            labels.map(|(at, &(_, image, present))| Self(image << 2 | u32::from(ends(at)) << 1 | u32::from(present)));
        (labels.collect(), pairs.iter().map(|pair| pair.0).collect())
    }
}

/// Replicates evaluated in one pass: each random access to an image's weights serves all of them, and their sums are vectors.
pub(super) const LANES: usize = 4;

/// A number per replicate of a pass. Counts are integers far below 2^53, so they are exact.
pub(super) type Lanes = [f64; LANES];

/// Adds `by(lane)` to each lane.
pub(super) fn add(sum: &mut Lanes, by: impl Fn(usize) -> f64) {
    sum.iter_mut().enumerate().for_each(|(lane, sum)| *sum += by(lane));
}

/// One pass down a ranking, which counts as [`crate::ranking::Ranking`] does but with weighted images.
#[derive(Default)]
pub(super) struct RankingPass {
    true_positives: Lanes,
    predicted: Lanes,
    precisions: Lanes,
    twice_won: Lanes,
}

impl RankingPass {
    /// Continues over `labels`, whose last one ends a tie. `weights` are indexed by image.
    pub fn over(mut self, labels: &[RankedLabel], weights: &[Lanes]) -> Self {
        let (mut negatives, mut positives, mut found) = ([0.0; LANES], [0.0; LANES], false);
        for label in labels {
            let weight = &weights[label.image()];
            if label.present() {
                add(&mut positives, |lane| weight[lane]);
                found = true;
            } else {
                add(&mut negatives, |lane| weight[lane]);
            }
            if label.ends_tie() {
                add(&mut self.twice_won, |lane| negatives[lane] * (2.0 * self.true_positives[lane] + positives[lane]));
                add(&mut self.predicted, |lane| negatives[lane] + positives[lane]);
                if found {
                    add(&mut self.true_positives, |lane| positives[lane]);
                    let precision = |lane: usize| self.true_positives[lane] / self.predicted[lane].max(1.0);
                    // Before the first drawn image this adds 0; without the `max` it would add 0 / 0.
                    add(&mut self.precisions, |lane| positives[lane] * precision(lane));
                }
                (negatives, positives, found) = ([0.0; LANES], [0.0; LANES], false);
            }
        }
        self
    }

    /// Weighted numbers of positives and negatives so far.
    pub fn counts(&self, lane: usize) -> [u64; 2] {
        [self.true_positives[lane] as u64, (self.predicted[lane] - self.true_positives[lane]) as u64]
    }

    /// The metrics of the ranking, per lane.
    pub fn scores(&self) -> [RankScores; LANES] {
        std::array::from_fn(|lane| {
            let (positives, precisions) = (self.true_positives[lane], self.precisions[lane]);
            let pairs = positives * (self.predicted[lane] - positives);
            RankScores {
                average_precision: (positives > 0.0).then(|| precisions / positives),
                roc_auc: (pairs > 0.0).then(|| self.twice_won[lane] / (2.0 * pairs)),
            }
        })
    }
}
