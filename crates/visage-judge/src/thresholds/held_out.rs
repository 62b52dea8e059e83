//! What threshold rules are worth on images that they did not choose on.

use super::{ThresholdRule, is_positive};
use crate::confusion::Confusion;
use crate::predictions::Predictions;
use crate::ranking::Ranking;

/// What the thresholds of a rule are worth: macro averages over the attributes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeldOutScores {
    /// The rule.
    pub rule: ThresholdRule,
    /// The mean F1, from 0 to 1.
    pub f1: f64,
    /// The mean accuracy, from 0 to 1.
    pub accuracy: f64,
}

impl ThresholdRule {
    /// Scores of the rules on `predictions` by cross-fitting in two halves: the thresholds that a rule chooses on every second image
    /// decide about the others, and the reverse; counts of both halves are added. [`Fixed`](Self::Fixed) is 0.5 for every attribute.
    ///
    /// Attributes for which a score is undefined do not count. A rule without any score is left out.
    #[must_use]
    pub fn held_out_scores(rules: &[ThresholdRule], predictions: &Predictions) -> Vec<HeldOutScores> {
        let columns = 0..predictions.attributes().len();
        let halves = [0, 1].map(|half| predictions.rows(|image| image % 2 == half));
        let rankings = halves.each_ref().map(|half| -> Vec<Ranking> {
            columns.clone().map(|column| Ranking::new(half.known(column).collect())).collect()
        });
        let scores = |&rule: &ThresholdRule| {
            let mut counts = vec![Confusion::default(); columns.len()];
            for (chosen_on, decided) in rankings.iter().zip(halves.iter().rev()) {
                for ((column, count), (threshold, _)) in counts.iter_mut().enumerate().zip(rule.thresholds(chosen_on)) {
                    decided.known(column).for_each(|(probability, present)| {
                        count.add(is_positive(probability, threshold), present);
                    });
                }
            }
            let mean = |of: fn(&Confusion) -> Option<f64>| {
                let defined: Vec<f64> = counts.iter().filter_map(of).collect();
                (!defined.is_empty()).then(|| defined.iter().sum::<f64>() / defined.len() as f64)
            };
            Some(HeldOutScores { rule, f1: mean(Confusion::f1)?, accuracy: mean(Confusion::accuracy)? })
        };
        rules.iter().filter_map(scores).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thresholds_of_each_half_decide_about_the_other() {
        // Even images choose 0.3 for the best F1, odd ones 0.7: each decides wrongly about one image of the other half.
        let probabilities = vec![0.2, 0.6, 0.3, 0.7, 0.3, 0.7, 0.1, 0.65];
        let labels = [false, false, true, true, true, true, false, false].map(Some).to_vec();
        let predictions = Predictions::new(vec!["A".into()], labels, probabilities).unwrap();
        let rules = [ThresholdRule::BestF1, ThresholdRule::Fixed];
        let [best, fixed] = ThresholdRule::held_out_scores(&rules, &predictions)[..] else { panic!("two rules") };
        // Of the even images none reaches 0.7: two positives are missed. Of the odd ones all reach 0.3.
        assert_eq!((best.rule, best.accuracy, best.f1), (ThresholdRule::BestF1, 0.5, 2.0 * 2.0 / (4.0 + 4.0)));
        // At 0.5 all odd images are predicted positive, and no even one.
        assert_eq!((fixed.accuracy, fixed.f1), (0.5, 0.5));
        let unknown = Predictions::new(vec!["A".into()], vec![None, None], vec![0.5; 2]).unwrap();
        assert_eq!(ThresholdRule::held_out_scores(&rules, &unknown), []);
    }
}
