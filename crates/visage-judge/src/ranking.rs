//! The scores of one attribute in descending order, and what depends on their order alone.

/// Images that share one score: no threshold can tell them apart.
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

/// What a threshold at one of the scores would decide.
#[derive(Debug, Clone, Copy)]
pub struct Cut {
    /// The threshold: everything that scores at least this is called positive.
    pub score: f32,
    /// Positives at or above it.
    pub true_positives: u64,
    /// Images at or above it.
    pub predicted_positives: u64,
}

impl Ranking {
    /// Ranks (probability, label) pairs; probabilities from 0 to 1, none NaN.
    #[must_use]
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
    #[must_use]
    pub fn positives(&self) -> u64 {
        self.positives
    }

    /// Number of negatives.
    #[must_use]
    pub fn negatives(&self) -> u64 {
        self.negatives
    }

    /// Every distinct decision that some threshold makes, but for "none is positive", in descending order of score.
    pub fn cuts(&self) -> impl Iterator<Item = Cut> + '_ {
        self.ties.iter().scan((0, 0), |(true_positives, predicted_positives), tie| {
            *true_positives += tie.positives;
            *predicted_positives += tie.positives + tie.negatives;
            Some(Cut { score: tie.score, true_positives: *true_positives, predicted_positives: *predicted_positives })
        })
    }

    /// Average precision: the precision at each distinct score, weighted by the recall gained there; no interpolation
    /// (scikit-learn's `average_precision_score`). Undefined without positives.
    #[must_use]
    pub fn average_precision(&self) -> Option<f64> {
        let gained = self
            .cuts()
            .zip(&self.ties)
            .map(|(cut, tie)| tie.positives as f64 * (cut.true_positives as f64 / cut.predicted_positives as f64));
        (self.positives > 0).then(|| gained.sum::<f64>() / self.positives as f64)
    }

    /// Area under the ROC curve: the chance that a positive outranks a negative, a tie counting one half.
    /// Undefined where one of the classes does not occur.
    #[must_use]
    pub fn roc_auc(&self) -> Option<f64> {
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
