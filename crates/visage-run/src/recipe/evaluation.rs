//! `[evaluation]`.

use serde::{Deserialize, Serialize};
use visage_judge::ThresholdRule;

use super::check::{Checks, refuse_unused};

/// `[evaluation]`: how probabilities become answers. Absent: a threshold of 0.5.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "EvaluationSection", into = "EvaluationSection")]
pub struct EvaluationRecipe {
    /// Where the thresholds stored in the model come from.
    pub thresholds: ThresholdSource,
}

impl Default for EvaluationRecipe {
    fn default() -> Self {
        Self { thresholds: ThresholdSource::Fixed(DEFAULT_THRESHOLD) }
    }
}

/// Where thresholds come from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ThresholdSource {
    /// The same probability for every attribute, in 0..1.
    Fixed(f64),
    /// For each attribute, the threshold that meets the rule on the validation split.
    Chosen(ThresholdRule),
}

impl EvaluationRecipe {
    pub(super) fn check(&self, checks: &mut Checks) {
        match self.thresholds {
            ThresholdSource::Fixed(threshold) => checks.between_0_and_1("evaluation.threshold", threshold),
            ThresholdSource::Chosen(ThresholdRule::Precision(level)) => {
                checks.above_0_to_1("evaluation.wanted_precision", level);
            }
            ThresholdSource::Chosen(ThresholdRule::Recall(level)) => {
                checks.above_0_to_1("evaluation.wanted_recall", level);
            }
            ThresholdSource::Chosen(ThresholdRule::Balanced(weight)) => {
                checks.at_least_0("evaluation.accuracy_weight", weight);
            }
            ThresholdSource::Chosen(
                ThresholdRule::Fixed | ThresholdRule::BestF1 | ThresholdRule::SmoothF1 | ThresholdRule::Prevalence,
            ) => {}
        }
    }
}

const DEFAULT_THRESHOLD: f64 = 0.5;
/// The precision or recall that is required if a recipe does not say.
const DEFAULT_LEVEL: f64 = 0.8;

/// `[evaluation]` as it is written in a file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EvaluationSection {
    thresholds: ThresholdsName,
    threshold: Option<f64>,
    accuracy_weight: Option<f64>,
    wanted_precision: Option<f64>,
    wanted_recall: Option<f64>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ThresholdsName {
    Fixed,
    BestF1,
    SmoothF1,
    Balanced,
    Prevalence,
    Precision,
    Recall,
}

impl TryFrom<EvaluationSection> for EvaluationRecipe {
    type Error = String;

    fn try_from(section: EvaluationSection) -> Result<Self, String> {
        let EvaluationSection { thresholds, threshold, accuracy_weight, wanted_precision, wanted_recall } = section;
        let keys = [
            ("threshold", threshold.is_some()),
            ("accuracy_weight", accuracy_weight.is_some()),
            ("wanted_precision", wanted_precision.is_some()),
            ("wanted_recall", wanted_recall.is_some()),
        ];
        let refuse_all_but = |used: &str, choice: &str| {
            refuse_unused(choice, &keys.into_iter().filter(|(key, _)| *key != used).collect::<Vec<_>>())
        };
        let thresholds = match thresholds {
            ThresholdsName::Fixed => {
                refuse_all_but("threshold", r#"thresholds = "fixed""#)?;
                ThresholdSource::Fixed(threshold.unwrap_or(DEFAULT_THRESHOLD))
            }
            ThresholdsName::BestF1 => {
                refuse_all_but("", r#"thresholds = "best_f1""#)?;
                ThresholdSource::Chosen(ThresholdRule::BestF1)
            }
            ThresholdsName::SmoothF1 => {
                refuse_all_but("", r#"thresholds = "smooth_f1""#)?;
                ThresholdSource::Chosen(ThresholdRule::SmoothF1)
            }
            ThresholdsName::Balanced => {
                refuse_all_but("accuracy_weight", r#"thresholds = "balanced""#)?;
                let weight = accuracy_weight.unwrap_or(ThresholdRule::ACCURACY_WEIGHT);
                ThresholdSource::Chosen(ThresholdRule::Balanced(weight))
            }
            ThresholdsName::Prevalence => {
                refuse_all_but("", r#"thresholds = "prevalence""#)?;
                ThresholdSource::Chosen(ThresholdRule::Prevalence)
            }
            ThresholdsName::Precision => {
                refuse_all_but("wanted_precision", r#"thresholds = "precision""#)?;
                ThresholdSource::Chosen(ThresholdRule::Precision(wanted_precision.unwrap_or(DEFAULT_LEVEL)))
            }
            ThresholdsName::Recall => {
                refuse_all_but("wanted_recall", r#"thresholds = "recall""#)?;
                ThresholdSource::Chosen(ThresholdRule::Recall(wanted_recall.unwrap_or(DEFAULT_LEVEL)))
            }
        };
        Ok(Self { thresholds })
    }
}

impl From<EvaluationRecipe> for EvaluationSection {
    fn from(recipe: EvaluationRecipe) -> Self {
        let section = |thresholds| Self {
            thresholds,
            threshold: None,
            accuracy_weight: None,
            wanted_precision: None,
            wanted_recall: None,
        };
        match recipe.thresholds {
            ThresholdSource::Fixed(threshold) => Self { threshold: Some(threshold), ..section(ThresholdsName::Fixed) },
            ThresholdSource::Chosen(ThresholdRule::Balanced(weight)) => {
                Self { accuracy_weight: Some(weight), ..section(ThresholdsName::Balanced) }
            }
            ThresholdSource::Chosen(ThresholdRule::Precision(level)) => {
                Self { wanted_precision: Some(level), ..section(ThresholdsName::Precision) }
            }
            ThresholdSource::Chosen(ThresholdRule::Recall(level)) => {
                Self { wanted_recall: Some(level), ..section(ThresholdsName::Recall) }
            }
            // `Chosen(Fixed)` is 0.5 for every attribute.
            ThresholdSource::Chosen(ThresholdRule::Fixed) => {
                Self { threshold: Some(DEFAULT_THRESHOLD), ..section(ThresholdsName::Fixed) }
            }
            ThresholdSource::Chosen(ThresholdRule::BestF1) => section(ThresholdsName::BestF1),
            ThresholdSource::Chosen(ThresholdRule::SmoothF1) => section(ThresholdsName::SmoothF1),
            ThresholdSource::Chosen(ThresholdRule::Prevalence) => section(ThresholdsName::Prevalence),
        }
    }
}
