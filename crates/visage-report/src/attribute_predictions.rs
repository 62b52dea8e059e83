//! The predictions of one attribute in one run, ranked.

use visage_judge::{AttributeMetrics, Ranking};

use crate::run::Run;

/// The predictions of a run for one attribute.
pub struct AttributePredictions<'a> {
    /// Index of the run, which determines its colour.
    pub run: usize,
    pub name: &'a str,
    pub metrics: &'a AttributeMetrics,
    /// Probability and label of each image whose label is known.
    pub pairs: Vec<(f32, bool)>,
    /// The pairs by descending probability.
    pub ranking: Ranking,
    /// The pairs before calibration; empty without calibration.
    pub before: Vec<(f32, bool)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AtThreshold {
    pub threshold: f64,
    pub precision: f64,
    pub recall: f64,
    pub f1: f64,
    pub false_positive_rate: f64,
}

impl<'a> AttributePredictions<'a> {
    /// The predictions of every run that was evaluated on the attribute and kept them.
    pub fn of(attribute: &str, runs: &'a [Run]) -> Vec<Self> {
        let found = runs.iter().enumerate().filter_map(|(run, each)| {
            let judged = each.judged.as_ref()?;
            let metrics = judged.evaluation.attributes.iter().find(|metrics| metrics.attribute == attribute)?;
            let pairs = judged.predictions.as_ref()?.column(attribute).ok()?;
            let ranking = Ranking::new(pairs.clone());
            let before =
                judged.uncalibrated.as_ref().and_then(|before| before.column(attribute).ok()).unwrap_or_default();
            Some(Self { run, name: &each.name, metrics, pairs, ranking, before })
        });
        found.collect()
    }

    /// The metrics at each distinct threshold, in descending order. An undefined metric is 0.
    pub fn thresholds(&self) -> Vec<AtThreshold> {
        let (positives, negatives) = (self.ranking.positives() as f64, self.ranking.negatives() as f64);
        let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        let cuts = self.ranking.cuts().map(|cut| {
            let (found, called) = (cut.true_positives as f64, cut.predicted_positives as f64);
            AtThreshold {
                threshold: f64::from(cut.score),
                precision: share(found, called),
                recall: share(found, positives),
                f1: share(2.0 * found, called + positives),
                false_positive_rate: share(called - found, negatives),
            }
        });
        cuts.collect()
    }

    pub fn both_classes(&self) -> bool {
        self.ranking.positives() > 0 && self.ranking.negatives() > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_from_the_highest_down() {
        let predictions = visage_judge::Predictions::new(
            vec!["a".into()],
            vec![Some(true), Some(false), Some(true), Some(false)],
            vec![0.9, 0.8, 0.3, 0.1],
        )
        .unwrap();
        let thresholds = visage_judge::Thresholds::fixed(0.5, 1);
        let evaluation = visage_judge::evaluate(&predictions, &thresholds).unwrap();
        let pairs = predictions.column("a").unwrap();
        let ranking = Ranking::new(pairs.clone());
        let attribute = AttributePredictions {
            run: 0,
            name: "r",
            metrics: &evaluation.attributes[0],
            pairs,
            ranking,
            before: Vec::new(),
        };
        let at = attribute.thresholds();
        assert_eq!(at.iter().map(|at| at.recall).collect::<Vec<_>>(), [0.5, 0.5, 1.0, 1.0]);
        assert_eq!(at.iter().map(|at| at.false_positive_rate).collect::<Vec<_>>(), [0.0, 0.5, 0.5, 1.0]);
        assert_eq!(at[1].precision, 0.5);
        assert_eq!(at[2].f1, 0.8);
    }
}
