//! From probability to decision.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ranking::{Cut, Ranking};
use crate::{Error, Predictions};

/// The threshold of an attribute that gives no ground to choose one.
const UNINFORMED: f32 = 0.5;

/// Whether a probability counts as a positive decision: at or above the threshold.
#[must_use]
pub fn is_positive(probability: f32, threshold: f32) -> bool {
    probability >= threshold
}

/// How thresholds were chosen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThresholdRule {
    /// Set in advance.
    Fixed,
    /// Chosen per attribute for the best F1 on some split.
    BestF1,
    /// Chosen per attribute for the highest recall at this precision or more, above 0 to 1.
    Precision(f64),
    /// Chosen per attribute for the highest precision at this recall or more, above 0 to 1.
    Recall(f64),
}

impl fmt::Display for ThresholdRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed => f.write_str("fixed in advance"),
            Self::BestF1 => f.write_str("best F1 of each attribute"),
            Self::Precision(wanted) => {
                write!(f, "for each attribute a precision of {wanted} or more, and the most recall")
            }
            Self::Recall(wanted) => {
                write!(f, "for each attribute a recall of {wanted} or more, and the most precision")
            }
        }
    }
}

impl ThresholdRule {
    /// The rule in words, with the split it looked at, if it looked at one.
    #[must_use]
    pub fn on(self, split: &str) -> String {
        match self {
            Self::Fixed => self.to_string(),
            rule => format!("{rule} on the {split} split"),
        }
    }
}

/// Thresholds that were chosen, and where the wish was not to be had.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    /// The thresholds.
    pub thresholds: Thresholds,
    /// Attributes of which no threshold reaches what was wanted. They have the threshold that comes nearest.
    pub unreached: Vec<String>,
}

/// One threshold per attribute, in the order of the attributes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Thresholds {
    /// How they were chosen.
    pub rule: ThresholdRule,
    /// A probability at or above its attribute's value is a positive decision, see [`is_positive`].
    pub values: Vec<f32>,
}

impl Thresholds {
    /// The same threshold for `attributes` attributes: a probability of exactly `value` is positive.
    #[must_use]
    pub fn fixed(value: f32, attributes: usize) -> Self {
        Self { rule: ThresholdRule::Fixed, values: vec![value; attributes] }
    }

    /// The threshold that asks for more than `value`: a probability of exactly `value` is negative.
    ///
    /// `above(0.5, n)` decides as `probability > 0.5` and `logit > 0` do, which is what most training code writes; it
    /// stores the next number up.
    #[must_use]
    pub fn above(value: f32, attributes: usize) -> Self {
        Self::fixed(value.next_up(), attributes)
    }

    /// The threshold of the highest F1 for each attribute, exact: every distinct decision is tried, the threshold
    /// being the lowest score it calls positive.
    ///
    /// Of equally good thresholds the one nearest to 0.5 is taken, of two equally near the lower. An attribute
    /// without known positives or without known negatives keeps 0.5: every F1 there says more about the split than
    /// about the model.
    ///
    /// Choose on a validation split; on the data they are judged on, these thresholds flatter.
    #[must_use]
    pub fn best_f1(predictions: &Predictions) -> Self {
        let columns = 0..predictions.attributes().len();
        let values = columns.map(|column| best_f1(&Ranking::new(predictions.known(column).collect()))).collect();
        Self { rule: ThresholdRule::BestF1, values }
    }

    /// For each attribute the threshold that meets `rule` on these predictions; 0.5 by [`ThresholdRule::Fixed`].
    ///
    /// With [`ThresholdRule::Precision`] it is the one of the highest recall among those of enough precision, of equals that
    /// of the highest precision; where none has enough, the one of the highest precision. [`ThresholdRule::Recall`] the
    /// other way round; it is always to be had. As in [`Thresholds::best_f1`] an attribute without known positives or
    /// negatives keeps 0.5, and the split should be the validation split.
    #[must_use]
    pub fn choose(rule: ThresholdRule, predictions: &Predictions) -> Chosen {
        let attributes = predictions.attributes();
        let mut unreached = Vec::new();
        let mut wanted = |precision: bool, level: f64| {
            let mut choose = |column: usize| {
                let ranking = Ranking::new(predictions.known(column).collect());
                let (threshold, reached) = at_least(&ranking, precision, level);
                if !reached {
                    unreached.push(attributes[column].clone());
                }
                threshold
            };
            Self { rule, values: (0..attributes.len()).map(&mut choose).collect() }
        };
        let thresholds = match rule {
            ThresholdRule::Fixed => Self::fixed(UNINFORMED, attributes.len()),
            ThresholdRule::BestF1 => Self::best_f1(predictions),
            ThresholdRule::Precision(level) => wanted(true, level),
            ThresholdRule::Recall(level) => wanted(false, level),
        };
        Chosen { thresholds, unreached }
    }

    /// Refuses thresholds that are not one finite number for each of these attributes.
    pub(crate) fn check(&self, attributes: &[String]) -> Result<(), Error> {
        if self.values.len() != attributes.len() {
            return Err(Error::ThresholdCount { thresholds: self.values.len(), attributes: attributes.len() });
        }
        match attributes.iter().zip(&self.values).find(|(_, value)| !value.is_finite()) {
            Some((attribute, &value)) => Err(Error::BadThreshold { attribute: attribute.clone(), value }),
            None => Ok(()),
        }
    }
}

fn best_f1(ranking: &Ranking) -> f32 {
    if ranking.positives() == 0 || ranking.negatives() == 0 {
        return UNINFORMED;
    }
    // F1 is 2 tp / (predicted + positives). Compared as fractions of integers, equal is equal.
    let better = |a: &Cut, b: &Cut| {
        let cross = |of: &Cut, with: &Cut| {
            u128::from(of.true_positives) * u128::from(with.predicted_positives + ranking.positives())
        };
        let distance = |cut: &Cut| (f64::from(cut.score) - f64::from(UNINFORMED)).abs();
        cross(a, b).cmp(&cross(b, a)).then(distance(b).total_cmp(&distance(a))).then(b.score.total_cmp(&a.score))
    };
    ranking.cuts().max_by(better).map_or(UNINFORMED, |cut| cut.score)
}

/// The threshold of the most recall at a precision of `level` or more, or with `precision` unset the other way round; and
/// whether there is one.
fn at_least(ranking: &Ranking, precision: bool, level: f64) -> (f32, bool) {
    if ranking.positives() == 0 || ranking.negatives() == 0 {
        return (UNINFORMED, true);
    }
    let measured = ranking.cuts().map(|cut| {
        let share = |of: u64| cut.true_positives as f64 / of as f64;
        let (of_called, of_present) = (share(cut.predicted_positives), share(ranking.positives()));
        if precision { (of_called, of_present, cut.score) } else { (of_present, of_called, cut.score) }
    });
    let best = measured.max_by(|a, b| {
        let rank = |&(wanted, other, _): &(f64, f64, f32)| {
            if wanted >= level { (true, other, wanted) } else { (false, wanted, other) }
        };
        let (a, b) = (rank(a), rank(b));
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.total_cmp(&b.2))
    });
    best.map_or((UNINFORMED, false), |(wanted, _, score)| (score, wanted >= level))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pairs = [(f32, Option<bool>)];

    fn best(pairs: &Pairs) -> f32 {
        let (probabilities, labels) = pairs.iter().copied().unzip();
        Thresholds::best_f1(&Predictions::new(vec!["a".into()], labels, probabilities).unwrap()).values[0]
    }

    #[test]
    fn the_best_threshold_of_small_cases() {
        let (yes, no) = (Some(true), Some(false));
        let table: [(&Pairs, f32, &str); 7] = [
            (&[], 0.5, "no image"),
            (&[(0.9, yes), (0.2, yes)], 0.5, "no negative"),
            (&[(0.9, no), (0.2, no)], 0.5, "no positive"),
            (&[(0.9, yes), (0.2, no)], 0.9, "separable"),
            (&[(0.9, yes), (0.2, None), (0.1, no)], 0.9, "an unknown in between changes nothing"),
            // tp 1 of 2 predicted, 1 positive: 2/3 at 0.3; 0.8 finds nothing.
            (&[(0.8, no), (0.3, yes)], 0.3, "only the lower finds the positive"),
            // F1 is 2/3 at 0.9 (1 found, nothing false) and at 0.4 (2 found, 2 false); 0.4 is nearer to 0.5.
            (&[(0.9, yes), (0.7, no), (0.6, no), (0.4, yes)], 0.4, "a tie goes towards one half"),
        ];
        for (pairs, expected, what) in table {
            assert_eq!(best(pairs), expected, "{what}");
        }
        // The same F1 at 0.75 and 0.25, equally far from one half: the lower.
        assert_eq!(best(&[(0.75, yes), (0.5, no), (0.5, no), (0.25, yes)]), 0.25);
    }

    #[test]
    fn a_probability_on_the_threshold() {
        assert!(is_positive(0.5, Thresholds::fixed(0.5, 1).values[0]));
        assert!(!is_positive(0.5, Thresholds::above(0.5, 1).values[0]));
        assert!(is_positive(0.5_f32.next_up(), Thresholds::above(0.5, 1).values[0]));
    }

    #[test]
    fn a_wanted_precision_or_recall() {
        let (yes, no) = (Some(true), Some(false));
        let choose = |rule, pairs: &Pairs| {
            let (probabilities, labels) = pairs.iter().copied().unzip();
            let Chosen { thresholds, unreached } =
                Thresholds::choose(rule, &Predictions::new(vec!["a".into()], labels, probabilities).unwrap());
            assert_eq!(thresholds.rule, rule);
            (thresholds.values[0], unreached.is_empty())
        };
        let pairs = [(0.9, yes), (0.8, no), (0.7, yes), (0.6, yes), (0.5, no), (0.4, no), (0.3, yes)];
        let table = [
            (ThresholdRule::Precision(0.7), 0.6, true),
            (ThresholdRule::Precision(0.76), 0.9, true),
            (ThresholdRule::Precision(0.5), 0.3, true),
            (ThresholdRule::Recall(0.5), 0.6, true), // 0.75 there, at a precision of 3/4; of 2/3 at 0.7
            (ThresholdRule::Recall(0.25), 0.9, true),
            (ThresholdRule::Recall(1.0), 0.3, true),
        ];
        for (rule, threshold, reached) in table {
            assert_eq!(choose(rule, &pairs), (threshold, reached), "{rule}");
        }
        // The surest is wrong: no threshold has more than two thirds.
        let unsure = [(0.9, no), (0.8, yes), (0.7, yes), (0.6, no)];
        assert_eq!(choose(ThresholdRule::Precision(0.9), &unsure), (0.7, false));
        assert_eq!(choose(ThresholdRule::Precision(0.9), &[(0.9, no)]), (0.5, true));
    }

    #[test]
    fn refuses_what_does_not_fit_the_attributes() {
        let attributes = ["a".to_owned(), "b".to_owned()];
        let error = Thresholds::fixed(0.5, 3).check(&attributes).unwrap_err();
        assert_eq!(error, Error::ThresholdCount { thresholds: 3, attributes: 2 });
        let error = Thresholds { rule: ThresholdRule::Fixed, values: vec![0.5, f32::NAN] }.check(&attributes);
        assert!(matches!(error, Err(Error::BadThreshold { attribute, .. }) if attribute == "b"));
    }
}
