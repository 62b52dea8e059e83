//! Probabilities of one attribute in descending order, and the metrics of that order.

/// Images that share one score: every threshold decides them alike.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Tie {
    score: f32,
    positives: u64,
    negatives: u64,
}

/// Distinct scores in descending order, with the labels behind each.
#[derive(Debug)]
pub struct Ranking {
    ties: Vec<Tie>,
    positives: u64,
    negatives: u64,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct RankScores {
    pub average_precision: Option<f64>,
    pub roc_auc: Option<f64>,
}

/// The decisions of a threshold placed at one of the scores.
#[derive(Debug, Clone, Copy)]
pub struct Cut {
    /// The threshold: images that score at least this are predicted positive.
    pub score: f32,
    /// Positives at or above the threshold.
    pub true_positives: u64,
    /// Images at or above the threshold.
    pub predicted_positives: u64,
}

impl Ranking {
    /// Ranks (probability, label) pairs; probabilities from 0 to 1, none NaN.
    pub fn new(mut pairs: Vec<(f32, bool)>) -> Self {
        pairs.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        let ties: Vec<Tie> = pairs
            .chunk_by(|a, b| a.0 == b.0)
            .map(|tied| {
                let positives = tied.iter().filter(|pair| pair.1).count() as u64;
                Tie { score: tied[0].0, positives, negatives: tied.len() as u64 - positives }
            })
            .collect();
        let positives = ties.iter().map(|tie| tie.positives).sum();
        let negatives = ties.iter().map(|tie| tie.negatives).sum();
        Self { ties, positives, negatives }
    }

    /// Number of positives.
    pub fn positives(&self) -> u64 {
        self.positives
    }

    /// Number of negatives.
    pub fn negatives(&self) -> u64 {
        self.negatives
    }

    /// Whether positives and negatives both occur.
    pub fn has_both_classes(&self) -> bool {
        self.positives > 0 && self.negatives > 0
    }

    /// Every distinct set of decisions that some threshold makes, in descending order of score; without the one that
    /// predicts no image positive.
    pub fn cuts(&self) -> impl Iterator<Item = Cut> + '_ {
        self.ties.iter().scan((0, 0), |(true_positives, predicted_positives), tie| {
            *true_positives += tie.positives;
            *predicted_positives += tie.positives + tie.negatives;
            Some(Cut { score: tie.score, true_positives: *true_positives, predicted_positives: *predicted_positives })
        })
    }

    pub(crate) fn scores(&self) -> RankScores {
        RankScores { average_precision: self.average_precision(), roc_auc: self.roc_auc() }
    }

    /// Average precision: the precision at each distinct score, weighted by the recall gained there; no interpolation
    /// (scikit-learn's `average_precision_score`). Undefined without positives.
    fn average_precision(&self) -> Option<f64> {
        let gained = self
            .cuts()
            .zip(&self.ties)
            .map(|(cut, tie)| tie.positives as f64 * (cut.true_positives as f64 / cut.predicted_positives as f64));
        (self.positives > 0).then(|| gained.sum::<f64>() / self.positives as f64)
    }

    /// Area under the ROC curve: the probability that a positive outranks a negative, a tie counting one half.
    /// Undefined where one of the classes does not occur.
    fn roc_auc(&self) -> Option<f64> {
        let mut above = 0;
        let mut twice_won: u128 = 0; // in halves, so that the count stays exact
        for tie in &self.ties {
            twice_won += u128::from(tie.negatives) * u128::from(2 * above + tie.positives);
            above += tie.positives;
        }
        let pairs = u128::from(self.positives) * u128::from(self.negatives);
        (pairs > 0).then(|| twice_won as f64 / (2 * pairs) as f64)
    }
}
