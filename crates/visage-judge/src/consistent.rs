//! What answers are worth that do not contradict one another.

use serde::{Deserialize, Serialize};

use crate::confusion::ratio;
use crate::{Confusion, Error, Predictions, Rules, Scores, Thresholds, is_positive};

/// How consistent answers score, beside the plain ones. Metrics of probabilities are undefined: consistent answers have none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConsistentScores {
    /// Images of which some answer is another than the plain one.
    pub images_changed: u64,
    /// Answers that are.
    pub answers_changed: u64,
    /// Each metric's mean over the attributes where it is defined.
    pub macro_average: Scores,
    /// All answers as one pile.
    pub micro_average: Scores,
    /// The attributes, in the order of the predictions.
    pub attributes: Vec<ConsistentAttribute>,
}

/// One attribute's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConsistentAttribute {
    /// Its name.
    pub attribute: String,
    /// Answers that are others than the plain ones.
    pub changed: u64,
    /// The metrics.
    #[serde(flatten)]
    pub scores: Scores,
}

impl Rules {
    /// Judges the most probable answers that break no rule, see [`Rules::consistent`].
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
            let answers = self.consistent(probabilities, &thresholds.values);
            let before = changed.iter().sum::<u64>();
            for (column, &answer) in answers.iter().enumerate() {
                changed[column] += u64::from(answer != is_positive(probabilities[column], thresholds.values[column]));
                if let Some(present) = labels[column] {
                    confusions[column].add(answer, present);
                }
            }
            images_changed += u64::from(changed.iter().sum::<u64>() > before);
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
        let (mut pooled, mut commoner_class) = (Confusion::default(), 0);
        for confusion in &confusions {
            pooled += *confusion;
            commoner_class += confusion.commoner_class();
        }
        let commoner_class_accuracy = ratio(commoner_class, pooled.support());
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
    fn a_mended_answer_is_judged_as_mended() {
        let names = ["Goatee", "No_Beard"].map(str::to_owned).to_vec();
        let rules = RuleSet::parse("rules = [\"Goatee => not No_Beard\"]").unwrap().bind(&names, false).unwrap();
        let (yes, no) = (Some(true), Some(false));
        // The first image is said to have both, and the goatee is the less sure; the last label is unknown.
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
        // Nothing to mend: what is left is the evaluation, of decisions alone.
        let alone = predictions.select(&["Goatee"]).unwrap();
        let none = RuleSet::celeba().unwrap().bind(alone.attributes(), true).unwrap();
        let found = none.judge(&alone, &Thresholds::fixed(0.5, 1)).unwrap();
        let plain = evaluate(&alone, &Thresholds::fixed(0.5, 1)).unwrap();
        assert_eq!((found.answers_changed, found.macro_average.f1), (0, plain.macro_average.f1));
        assert_eq!(found.macro_average.ece, None);
    }
}
