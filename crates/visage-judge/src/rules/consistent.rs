//! Metrics of decisions made consistent with rules.

use serde::{Deserialize, Serialize};

use super::Rules;
use super::component::decisions;
use crate::confusion::{Confusion, commoner_class_accuracy};
use crate::error::Error;
use crate::predictions::Predictions;
use crate::scores::Scores;
use crate::thresholds::Thresholds;

/// The metrics of consistent decisions. Metrics of probabilities are undefined.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConsistentScores {
    /// Images with at least one changed decision.
    pub images_changed: u64,
    /// Decisions that were changed.
    pub answers_changed: u64,
    /// Each metric's mean over the attributes where it is defined.
    pub macro_average: Scores,
    /// The metrics of all decisions pooled.
    pub micro_average: Scores,
    /// The attributes, in the order of the predictions.
    pub attributes: Vec<ConsistentAttribute>,
}

/// The metrics of one attribute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConsistentAttribute {
    /// Its name.
    pub attribute: String,
    /// Decisions that were changed.
    pub changed: u64,
    /// The metrics.
    #[serde(flatten)]
    pub scores: Scores,
}

impl Rules {
    /// Evaluates the most probable decisions that violate no rule, see [`Rules::consistent`].
    ///
    /// # Errors
    ///
    /// The thresholds are not one finite number per attribute.
    pub fn judge(&self, predictions: &Predictions, thresholds: &Thresholds) -> Result<ConsistentScores, Error> {
        thresholds.check(predictions.attributes())?;
        let width = predictions.attributes().len();
        let mut confusions = vec![Confusion::default(); width];
        let mut changed = vec![0; width];
        let mut images_changed = 0;
        let rows = predictions.labels().chunks_exact(width).zip(predictions.probabilities().chunks_exact(width));
        for (labels, probabilities) in rows {
            let (plain, consistent) =
                (decisions(probabilities, &thresholds.values), self.consistent(probabilities, &thresholds.values));
            images_changed += u64::from(plain != consistent);
            for (column, (plain, consistent)) in plain.into_iter().zip(consistent).enumerate() {
                changed[column] += u64::from(plain != consistent);
                if let Some(present) = labels[column] {
                    confusions[column].add(consistent, present);
                }
            }
        }
        let attributes: Vec<ConsistentAttribute> = predictions
            .attributes()
            .iter()
            .zip(confusions.iter().zip(&changed))
            .map(|(attribute, (confusion, &changed))| ConsistentAttribute {
                attribute: attribute.clone(),
                changed,
                scores: Scores::of_decisions(confusion),
            })
            .collect();
        let mut pooled = Confusion::default();
        confusions.iter().for_each(|confusion| pooled += *confusion);
        let commoner_class_accuracy = commoner_class_accuracy(confusions.iter());
        Ok(ConsistentScores {
            images_changed,
            answers_changed: changed.iter().sum(),
            macro_average: Scores::mean_where_defined(attributes.iter().map(|attribute| &attribute.scores)),
            micro_average: Scores { commoner_class_accuracy, ..Scores::of_decisions(&pooled) },
            attributes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RuleSet, evaluate};

    #[test]
    fn changed_decisions_are_evaluated() {
        let names = ["Goatee", "No_Beard"].map(str::to_owned).to_vec();
        let rules = RuleSet::parse("rules = [\"Goatee => not No_Beard\"]").unwrap().bind(&names, false).unwrap();
        let (yes, no) = (Some(true), Some(false));
        // The first image is predicted to have both, the goatee with less confidence; the last label is unknown.
        let labels = vec![no, yes, yes, no, no, None];
        let predictions = Predictions::new(names, labels, vec![0.6, 0.9, 0.8, 0.1, 0.2, 0.3]).unwrap();
        let thresholds = Thresholds::fixed(0.5, 2);
        let found = rules.judge(&predictions, &thresholds).unwrap();
        assert_eq!((found.images_changed, found.answers_changed), (1, 1));
        assert_eq!(found.attributes.iter().map(|attribute| attribute.changed).collect::<Vec<_>>(), [1, 0]);
        let plain = evaluate(&predictions, &thresholds).unwrap();
        assert_eq!(plain.attributes[0].scores.precision, Some(0.5));
        assert_eq!(found.attributes[0].scores.precision, Some(1.0));
        assert_eq!(found.micro_average.accuracy, Some(1.0));
        // Without rules it is the evaluation of the decisions.
        let alone = predictions.select(&["Goatee"]).unwrap();
        let none = RuleSet::celeba().unwrap().bind(alone.attributes(), true).unwrap();
        let found = none.judge(&alone, &Thresholds::fixed(0.5, 1)).unwrap();
        let plain = evaluate(&alone, &Thresholds::fixed(0.5, 1)).unwrap();
        assert_eq!((found.answers_changed, found.macro_average.f1), (0, plain.macro_average.f1));
        assert_eq!(found.macro_average.ece, None);
    }
}
