//! The confusion matrix, and the metrics that follow from it alone.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// The confusion matrix of one attribute: numbers of right and wrong decisions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// Present and predicted present.
    pub true_positives: u64,
    /// Absent but predicted present.
    pub false_positives: u64,
    /// Absent and predicted absent.
    pub true_negatives: u64,
    /// Present but predicted absent.
    pub false_negatives: u64,
}

impl Confusion {
    pub(crate) fn add(&mut self, decision: bool, present: bool) {
        let cell = match (decision, present) {
            (true, true) => &mut self.true_positives,
            (true, false) => &mut self.false_positives,
            (false, false) => &mut self.true_negatives,
            (false, true) => &mut self.false_negatives,
        };
        *cell += 1;
    }

    /// Number of decisions, which is the number of known labels.
    pub fn support(&self) -> u64 {
        self.positives() + self.negatives()
    }

    /// Number of labels that are present.
    pub fn positives(&self) -> u64 {
        self.true_positives + self.false_negatives
    }

    /// Number of labels that are absent.
    pub fn negatives(&self) -> u64 {
        self.true_negatives + self.false_positives
    }

    /// Number of positive decisions.
    pub fn predicted_positives(&self) -> u64 {
        self.true_positives + self.false_positives
    }

    fn predicted_negatives(&self) -> u64 {
        self.true_negatives + self.false_negatives
    }

    pub(crate) fn accuracy(&self) -> Option<f64> {
        ratio(self.true_positives + self.true_negatives, self.support())
    }

    /// Mean recall over the classes that occur, so with one class only it is the recall of that class
    /// (scikit-learn's `balanced_accuracy_score`).
    pub(crate) fn balanced_accuracy(&self) -> Option<f64> {
        match (self.recall(), ratio(self.true_negatives, self.negatives())) {
            (Some(recall), Some(specificity)) => Some((recall + specificity) / 2.0),
            (one, other) => one.or(other),
        }
    }

    pub(crate) fn precision(&self) -> Option<f64> {
        ratio(self.true_positives, self.predicted_positives())
    }

    pub(crate) fn recall(&self) -> Option<f64> {
        ratio(self.true_positives, self.positives())
    }

    /// 2 tp / (2 tp + fp + fn): the harmonic mean of precision and recall where that is defined, and 0 where positives
    /// exist but none was predicted.
    pub(crate) fn f1(&self) -> Option<f64> {
        ratio(2 * self.true_positives, self.predicted_positives() + self.positives())
    }

    /// Matthews correlation coefficient, -1 to 1; undefined where all labels or all decisions are equal.
    pub(crate) fn mcc(&self) -> Option<f64> {
        let margins = [self.predicted_positives(), self.positives(), self.negatives(), self.predicted_negatives()];
        let scale = margins.map(|margin| margin as f64).iter().product::<f64>().sqrt();
        // In integers, as two large products may almost cancel.
        let product = |a: u64, b: u64| i128::from(a) * i128::from(b);
        let agreement =
            product(self.true_positives, self.true_negatives) - product(self.false_positives, self.false_negatives);
        (scale > 0.0).then(|| (agreement as f64 / scale).clamp(-1.0, 1.0))
    }

    pub(crate) fn predicted_positive_rate(&self) -> Option<f64> {
        ratio(self.predicted_positives(), self.support())
    }

    pub(crate) fn prevalence(&self) -> Option<f64> {
        ratio(self.positives(), self.support())
    }
}

/// Accuracy of always answering the commoner class of each attribute, over all labels of all attributes.
pub(crate) fn commoner_class_accuracy<'a>(attributes: impl Iterator<Item = &'a Confusion>) -> Option<f64> {
    let (right, all) = attributes.fold((0, 0), |(right, all), confusion| {
        (right + confusion.positives().max(confusion.negatives()), all + confusion.support())
    });
    ratio(right, all)
}

impl AddAssign for Confusion {
    fn add_assign(&mut self, other: Self) {
        self.true_positives += other.true_positives;
        self.false_positives += other.false_positives;
        self.true_negatives += other.true_negatives;
        self.false_negatives += other.false_negatives;
    }
}

/// `part / whole`, undefined where `whole` is 0.
pub(crate) fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undefined_metrics_are_none() {
        let confusion = |tp, fp, tn, fn_| Confusion {
            true_positives: tp,
            false_positives: fp,
            true_negatives: tn,
            false_negatives: fn_,
        };
        // Counts; precision, recall, F1, MCC, balanced accuracy.
        let table = [
            (confusion(0, 0, 0, 0), [None, None, None, None, None]),
            (confusion(0, 0, 5, 0), [None, None, None, None, Some(1.0)]), // no positives, none predicted
            (confusion(0, 2, 2, 0), [Some(0.0), None, Some(0.0), None, Some(0.5)]), // no positives, some predicted
            (confusion(0, 0, 3, 1), [None, Some(0.0), Some(0.0), None, Some(0.5)]), // positives, none predicted
            (confusion(4, 0, 0, 0), [Some(1.0), Some(1.0), Some(1.0), None, Some(1.0)]), // no negatives
            (confusion(2, 0, 2, 0), [Some(1.0); 5]),
            (confusion(0, 2, 0, 2), [Some(0.0), Some(0.0), Some(0.0), Some(-1.0), Some(0.0)]),
        ];
        for (c, expected) in table {
            assert_eq!([c.precision(), c.recall(), c.f1(), c.mcc(), c.balanced_accuracy()], expected, "{c:?}");
        }
    }
}
