//! Logical rules between attributes.
//!
//! Models contradict themselves unless consistency is checked (arXiv 2311.11208). A rule is a line of text:
//!
//! - `Goatee => not No_Beard`: the left implies the right. The left may be several attributes joined by `and`, the right
//!   several joined by `or`, each with or without `not`.
//! - `at most one of Black_Hair, Blond_Hair, Brown_Hair, Gray_Hair`

mod component;
mod consistent;
mod rule;

use serde::{Deserialize, Serialize};

use self::component::{Component, MAX_ASSIGNMENTS, decisions};
pub use self::consistent::{ConsistentAttribute, ConsistentScores};
use self::rule::Rule;
use crate::predictions::Predictions;
use crate::thresholds::Thresholds;

const CELEBA: &str = include_str!("../../rules/celeba.toml");

/// Invalid rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages explain the variants and their fields")]
pub enum RuleError {
    #[error("not a file of rules: {reason}; write rules = [\"Goatee => not No_Beard\", ...]")]
    File { reason: String },
    #[error("rule {rule:?} cannot be read: {reason}; write \"A and not B => C or D\" or \"at most one of A, B, C\"")]
    Syntax { rule: String, reason: String },
    #[error("rule {rule:?} names {attribute:?}, which is not an attribute of the model")]
    UnknownAttribute { rule: String, attribute: String },
    #[error("the rules about {} contradict each other: no assignment satisfies them all", attributes.join(", "))]
    Contradiction { attributes: Vec<String> },
    #[error("the rules connect {} attributes but allow more than {MAX_ASSIGNMENTS} assignments of them: leave out some rules", attributes.len())]
    TooLoose { attributes: Vec<String> },
}

/// Rules as written, before they are bound to the attributes of a model.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleSet {
    rules: Vec<String>,
}

impl RuleSet {
    /// The rules of CelebA's attributes.
    ///
    /// # Errors
    ///
    /// Never: the rules are embedded and tested.
    pub fn celeba() -> Result<Self, RuleError> {
        Self::parse(CELEBA)
    }

    /// Reads rules written in TOML: `rules = ["Goatee => not No_Beard"]`.
    ///
    /// # Errors
    ///
    /// The text is not such TOML.
    pub fn parse(toml: &str) -> Result<Self, RuleError> {
        toml::from_str(toml)
            .map_err(|error: toml::de::Error| RuleError::File { reason: error.to_string().trim().to_owned() })
    }

    /// Binds the rules to these attributes. Rules that name other attributes are skipped if `partly`, and an error otherwise.
    ///
    /// # Errors
    ///
    /// A syntax error, an unknown attribute, or rules that contradict each other.
    pub fn bind(&self, attributes: &[String], partly: bool) -> Result<Rules, RuleError> {
        let mut rules = Vec::new();
        for text in &self.rules {
            match Rule::parse(text, attributes) {
                Ok(rule) => rules.push(rule),
                Err(RuleError::UnknownAttribute { .. }) if partly => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Rules { components: Component::of(&rules, attributes)?, rules })
    }
}

/// Rules bound to the attributes of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    rules: Vec<Rule>,
    components: Vec<Component>,
}

impl Rules {
    /// Whether there are no rules.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The most probable decisions on one image that violate no rule.
    ///
    /// A changed decision costs the distance between its probability and its threshold in logits, and the decisions of the
    /// lowest total cost are taken. With thresholds of one half and attributes independent these are the most probable ones.
    /// Decisions that violate no rule stay. The search is exact: all consistent assignments of connected attributes are
    /// compared. `probabilities` and `thresholds` hold one value per attribute.
    pub fn consistent(&self, probabilities: &[f32], thresholds: &[f32]) -> Vec<bool> {
        let mut decisions = decisions(probabilities, thresholds);
        for component in &self.components {
            component.make_consistent(&mut decisions, probabilities, thresholds);
        }
        decisions
    }

    /// Counts the images whose labels and whose decisions violate each rule.
    pub fn count(&self, predictions: &Predictions, thresholds: &Thresholds) -> Consistency {
        let width = predictions.attributes().len();
        let none = |rule: &Rule| RuleViolations { rule: rule.text.clone(), labels: 0, predictions: 0 };
        let mut found = Consistency { labels: 0, predictions: 0, rules: self.rules.iter().map(none).collect() };
        let rows = predictions.labels().chunks_exact(width).zip(predictions.probabilities().chunks_exact(width));
        for (labels, probabilities) in rows {
            let decisions: Vec<Option<bool>> =
                decisions(probabilities, &thresholds.values).into_iter().map(Some).collect();
            let (mut any_label, mut any_prediction) = (false, false);
            for (rule, violations) in self.rules.iter().zip(&mut found.rules) {
                let (label, prediction) = (rule.is_violated(labels), rule.is_violated(&decisions));
                violations.labels += u64::from(label);
                violations.predictions += u64::from(prediction);
                any_label |= label;
                any_prediction |= prediction;
            }
            found.labels += u64::from(any_label);
            found.predictions += u64::from(any_prediction);
        }
        found
    }
}

/// Numbers of images that violate rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consistency {
    /// Images whose known labels violate any rule.
    pub labels: u64,
    /// Images whose decisions violate any rule.
    pub predictions: u64,
    /// The rules, each alone.
    pub rules: Vec<RuleViolations>,
}

/// Numbers of images that violate one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleViolations {
    /// The rule.
    pub rule: String,
    /// Images whose known labels violate it.
    pub labels: u64,
    /// Images whose decisions violate it.
    pub predictions: u64,
}

#[cfg(test)]
mod tests;
