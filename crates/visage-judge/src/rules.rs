//! What answers about one image cannot be true together.
//!
//! Models break the logic of their own attributes unless it is checked (arXiv 2311.11208). A rule is a line of text:
//!
//! - `Goatee => not No_Beard`: who has the left has the right. The left may be several joined by `and`, the right several
//!   joined by `or`, each with or without `not`.
//! - `at most one of Black_Hair, Blond_Hair, Brown_Hair, Gray_Hair`

use serde::{Deserialize, Serialize};

use crate::{Predictions, Thresholds, is_positive};

/// The rules of CelebA's attributes, in TOML.
const CELEBA: &str = include_str!("../rules/celeba.toml");

/// Consistent answers about attributes that rules connect are listed; there may be at most this many.
const MOST_ANSWERS: usize = 1 << 16;

/// Why rules were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// The file is no TOML, or has something else than `rules`, a list of texts.
    #[error("not a file of rules: {reason}; write rules = [\"Goatee => not No_Beard\", ...]")]
    File {
        /// What is wrong.
        reason: String,
    },
    /// A rule that cannot be read.
    #[error("rule {rule:?} cannot be read: {reason}; write \"A and not B => C or D\" or \"at most one of A, B, C\"")]
    Syntax {
        /// The rule.
        rule: String,
        /// What is wrong.
        reason: String,
    },
    /// A rule about an attribute that is not there.
    #[error("rule {rule:?} is about {attribute:?}, which is none of the attributes")]
    UnknownAttribute {
        /// The rule.
        rule: String,
        /// The attribute.
        attribute: String,
    },
    /// No answer meets all rules.
    #[error("the rules about {} contradict each other: no answer meets them all", attributes.join(", "))]
    Contradiction {
        /// The attributes.
        attributes: Vec<String>,
    },
    /// Too many answers meet the rules to compare them all.
    #[error("the rules connect {} attributes so loosely that more than {MOST_ANSWERS} answers meet them: leave out some", attributes.len())]
    TooLoose {
        /// The attributes.
        attributes: Vec<String>,
    },
}

/// Rules about attributes by name.
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
    /// Never: the rules are part of the program, and tested.
    pub fn celeba() -> Result<Self, RuleError> {
        Self::parse(CELEBA)
    }

    /// Reads rules written in TOML: `rules = ["Goatee => not No_Beard"]`.
    ///
    /// # Errors
    ///
    /// When it is something else.
    pub fn parse(toml: &str) -> Result<Self, RuleError> {
        toml::from_str(toml)
            .map_err(|error: toml::de::Error| RuleError::File { reason: error.to_string().trim().to_owned() })
    }

    /// The rules for these attributes. Those about other attributes are passed over if `partly`, and an error otherwise.
    ///
    /// # Errors
    ///
    /// A rule that cannot be read or is about another attribute; rules that contradict each other.
    pub fn bind(&self, attributes: &[String], partly: bool) -> Result<Rules, RuleError> {
        let mut rules = Vec::new();
        for text in &self.rules {
            match Rule::parse(text, attributes) {
                Ok(rule) => rules.push(rule),
                Err(RuleError::UnknownAttribute { .. }) if partly => {}
                Err(error) => return Err(error),
            }
        }
        Rules::new(rules, attributes)
    }
}

/// An attribute's number, and whether it is to be present.
type Literal = (usize, bool);

/// A rule, as clauses of which each must hold, by at least one literal.
#[derive(Debug, Clone, PartialEq)]
struct Rule {
    text: String,
    clauses: Vec<Vec<Literal>>,
}

impl Rule {
    fn parse(text: &str, attributes: &[String]) -> Result<Self, RuleError> {
        let syntax = |reason: &str| RuleError::Syntax { rule: text.to_owned(), reason: reason.to_owned() };
        let literal = |word: &str| -> Result<Literal, RuleError> {
            let word = word.trim();
            let (name, present) = word.strip_prefix("not ").map_or((word, true), |name| (name.trim(), false));
            if name.is_empty() {
                return Err(syntax("an attribute is missing"));
            }
            let unknown = || RuleError::UnknownAttribute { rule: text.to_owned(), attribute: name.to_owned() };
            Ok((attributes.iter().position(|attribute| attribute == name).ok_or_else(unknown)?, present))
        };
        let clauses = if let Some(list) = text.trim().strip_prefix("at most one of ") {
            let members = list.split(',').map(literal).collect::<Result<Vec<_>, _>>()?;
            if members.len() < 2 {
                return Err(syntax("one attribute alone needs no rule"));
            }
            let pairs = |first: usize| (first + 1..members.len()).map(move |second| (first, second));
            let both_not =
                |(first, second): (usize, usize)| [first, second].map(|m| (members[m].0, !members[m].1)).to_vec();
            (0..members.len()).flat_map(pairs).map(both_not).collect()
        } else {
            let (left, right) = text.split_once("=>").ok_or_else(|| syntax("it has no =>"))?;
            let left = left.split(" and ").map(|word| literal(word).map(|(column, present)| (column, !present)));
            let right = right.split(" or ").map(literal);
            vec![left.chain(right).collect::<Result<Vec<_>, _>>()?]
        };
        Ok(Self { text: text.trim().to_owned(), clauses })
    }
}

/// Rules about the attributes of a model, ready to be checked and met.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    rules: Vec<Rule>,
    components: Vec<Component>,
}

/// Attributes that rules connect, and every answer about them that meets the rules.
#[derive(Debug, Clone, PartialEq)]
struct Component {
    columns: Vec<usize>,
    answers: Vec<Vec<bool>>,
}

impl Rules {
    fn new(rules: Vec<Rule>, attributes: &[String]) -> Result<Self, RuleError> {
        let clauses: Vec<&Vec<Literal>> = rules.iter().flat_map(|rule| &rule.clauses).collect();
        // Connected by the clauses: each attribute's representative, until nothing changes.
        let mut representative: Vec<usize> = (0..attributes.len()).collect();
        loop {
            let before = representative.clone();
            for clause in &clauses {
                let lowest = clause.iter().map(|&(column, _)| representative[column]).min().unwrap_or_default();
                clause.iter().for_each(|&(column, _)| representative[column] = lowest);
            }
            if representative == before {
                break;
            }
        }
        let mut components = Vec::new();
        for first in 0..attributes.len() {
            let columns: Vec<usize> = (0..attributes.len()).filter(|&column| representative[column] == first).collect();
            let own: Vec<&Vec<Literal>> =
                clauses.iter().copied().filter(|clause| columns.contains(&clause[0].0)).collect();
            if own.is_empty() {
                continue;
            }
            let names = || columns.iter().map(|&column| attributes[column].clone()).collect();
            let mut answers = Vec::new();
            if !extend(&mut vec![None; attributes.len()], &columns, &own, &mut answers) {
                return Err(RuleError::TooLoose { attributes: names() });
            }
            if answers.is_empty() {
                return Err(RuleError::Contradiction { attributes: names() });
            }
            components.push(Component { columns, answers });
        }
        Ok(Self { rules, components })
    }

    /// Whether there is no rule.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The most probable answer about one image that breaks no rule.
    ///
    /// Each probability counts by how far its logit is from its threshold's, so that a threshold of one half makes it the
    /// assignment of the highest probability, the attributes taken as independent; any other threshold is where an answer is
    /// undecided. Decisions that break no rule stay as they are. Exact: every consistent answer about attributes that rules
    /// connect is compared. `probabilities` and `thresholds` hold one value an attribute.
    #[must_use]
    pub fn consistent(&self, probabilities: &[f32], thresholds: &[f32]) -> Vec<bool> {
        let cells = probabilities.iter().zip(thresholds);
        let mut answer: Vec<bool> =
            cells.map(|(&probability, &threshold)| is_positive(probability, threshold)).collect();
        for Component { columns, answers } in &self.components {
            let decided: Vec<bool> = columns.iter().map(|&column| answer[column]).collect();
            if answers.contains(&decided) {
                continue;
            }
            let costs: Vec<f64> =
                columns.iter().map(|&column| distance(probabilities[column], thresholds[column])).collect();
            let cost = |candidate: &[bool]| -> f64 {
                let changed = candidate.iter().zip(&decided).zip(&costs);
                changed.filter(|((now, before), _)| now != before).map(|(_, cost)| cost).sum()
            };
            if let Some(best) = answers.iter().min_by(|a, b| cost(a).total_cmp(&cost(b))) {
                columns.iter().zip(best).for_each(|(&column, &present)| answer[column] = present);
            }
        }
        answer
    }

    /// Counts the images whose labels and whose decisions break each rule.
    #[must_use]
    pub fn count(&self, predictions: &Predictions, thresholds: &Thresholds) -> Consistency {
        let width = predictions.attributes().len();
        let mut rules: Vec<Broken> =
            self.rules.iter().map(|rule| Broken { rule: rule.text.clone(), labels: 0, predictions: 0 }).collect();
        let (mut labels_any, mut predictions_any) = (0, 0);
        for image in 0..predictions.images() {
            let cells = image * width..(image + 1) * width;
            let labels = &predictions.labels()[cells.clone()];
            let decided = predictions.probabilities()[cells].iter().zip(&thresholds.values);
            let decided: Vec<Option<bool>> = decided.map(|(&p, &threshold)| Some(is_positive(p, threshold))).collect();
            let (mut any_label, mut any_prediction) = (false, false);
            for (rule, broken) in self.rules.iter().zip(&mut rules) {
                let breaks = |answers: &[Option<bool>]| {
                    rule.clauses.iter().any(|clause| clause.iter().all(|&(column, is)| answers[column] == Some(!is)))
                };
                let (label, prediction) = (breaks(labels), breaks(&decided));
                broken.labels += u64::from(label);
                broken.predictions += u64::from(prediction);
                any_label |= label;
                any_prediction |= prediction;
            }
            labels_any += u64::from(any_label);
            predictions_any += u64::from(any_prediction);
        }
        Consistency { labels: labels_any, predictions: predictions_any, rules }
    }
}

/// How often rules are broken, by images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consistency {
    /// Images whose known labels break a rule.
    pub labels: u64,
    /// Images whose decisions break a rule.
    pub predictions: u64,
    /// Each rule.
    pub rules: Vec<Broken>,
}

/// How often one rule is broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broken {
    /// The rule.
    pub rule: String,
    /// Images whose known labels break it.
    pub labels: u64,
    /// Images whose decisions break it.
    pub predictions: u64,
}

/// How far a probability is from the threshold that decided it, in logits.
fn distance(probability: f32, threshold: f32) -> f64 {
    /// Probabilities of exactly 0 and 1, which single precision makes of large logits, are no certainty.
    const FARTHEST: f64 = 1e-9;
    let logit = |value: f32| {
        let value = f64::from(value).clamp(FARTHEST, 1.0 - FARTHEST);
        (value / (1.0 - value)).ln()
    };
    (logit(probability) - logit(threshold)).abs()
}

/// Appends every assignment of `columns` that breaks none of `clauses` and agrees with what is `set` already. False if
/// there are too many.
fn extend(
    set: &mut Vec<Option<bool>>,
    columns: &[usize],
    clauses: &[&Vec<Literal>],
    answers: &mut Vec<Vec<bool>>,
) -> bool {
    if clauses.iter().any(|clause| clause.iter().all(|&(column, is)| set[column] == Some(!is))) {
        return true;
    }
    let Some(&next) = columns.iter().find(|&&column| set[column].is_none()) else {
        answers.push(columns.iter().map(|&column| set[column] == Some(true)).collect());
        return answers.len() <= MOST_ANSWERS;
    };
    let both = [false, true].into_iter().all(|value| {
        set[next] = Some(value);
        extend(set, columns, clauses, answers)
    });
    set[next] = None;
    both
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn rules(attributes: &str, rules: &[&str]) -> Result<Rules, RuleError> {
        RuleSet { rules: rules.iter().map(ToString::to_string).collect() }.bind(&names(attributes), false)
    }

    #[test]
    fn the_answer_is_the_most_probable_of_all_consistent_ones() {
        // Against every assignment, on drawn probabilities and thresholds.
        let attributes = "A B C D E F";
        let texts = ["A and not B => C or not D", "at most one of D, E, F", "F => not A", "B => E"];
        let rules = rules(attributes, &texts).unwrap();
        let mut state = 1_u64;
        let mut draw = || {
            state = state * 16_807 % 2_147_483_647;
            (state % 999 + 1) as f32 / 1000.0
        };
        let holds = |a: &[bool]| {
            (!a[0] || a[1] || a[2] || !a[3])
                && a[3..].iter().filter(|&&present| present).count() <= 1
                && (!a[5] || !a[0])
                && (!a[1] || a[4])
        };
        let mut changed = 0;
        for round in 0..300 {
            let probabilities: Vec<f32> = (0..6).map(|_| draw()).collect();
            let thresholds: Vec<f32> = (0..6).map(|_| if round % 2 == 0 { 0.5 } else { draw() }).collect();
            let found = rules.consistent(&probabilities, &thresholds);
            assert!(holds(&found), "{found:?}");
            let logit = |p: f32| f64::from(p / (1.0 - p)).ln();
            let score = |a: &[bool]| -> f64 {
                let cells = probabilities.iter().zip(&thresholds).zip(a);
                cells.map(|((&p, &t), &present)| if present { logit(p) - logit(t) } else { 0.0 }).sum()
            };
            let best = (0..64_u32).map(|bits| (0..6).map(|bit| bits >> bit & 1 == 1).collect::<Vec<bool>>());
            let best = best.filter(|a| holds(a)).map(|a| score(&a)).fold(f64::NEG_INFINITY, f64::max);
            assert!((score(&found) - best).abs() < 1e-4, "{found:?} scores {}, the best {best}", score(&found));
            let plain: Vec<bool> = probabilities.iter().zip(&thresholds).map(|(p, t)| p >= t).collect();
            changed += usize::from(found != plain);
            assert!(!holds(&plain) || found == plain, "what breaks no rule stays");
        }
        assert!(changed > 50, "{changed}");
    }

    #[test]
    fn broken_rules_are_counted_in_labels_and_decisions() {
        let rules = rules("Goatee No_Beard Bald", &["Goatee => not No_Beard", "Bald => No_Beard"]).unwrap();
        let (yes, no) = (Some(true), Some(false));
        let labels = vec![yes, yes, no, yes, None, yes, no, no, yes];
        let probabilities = vec![0.9, 0.9, 0.1, 0.1, 0.1, 0.9, 0.9, 0.4, 0.1];
        let predictions = Predictions::new(names("Goatee No_Beard Bald"), labels, probabilities).unwrap();
        let found = rules.count(&predictions, &Thresholds::fixed(0.5, 3));
        // An unknown label breaks nothing.
        assert_eq!((found.labels, found.predictions), (2, 2));
        assert_eq!(
            found.rules.iter().map(|rule| (rule.labels, rule.predictions)).collect::<Vec<_>>(),
            [(1, 1), (1, 1)]
        );
    }

    #[test]
    fn rules_that_make_no_sense_say_so() {
        let cases = [
            (rules("A B", &["A implies B"]), "it has no =>"),
            (rules("A B", &["A => "]), "an attribute is missing"),
            (rules("A B", &["A => C"]), "about \"C\""),
            (rules("A B", &["at most one of A"]), "needs no rule"),
            (rules("A B", &["A => B", "A => not B", "not A => B", "not A => not B"]), "contradict each other"),
        ];
        for (result, message) in cases {
            let error = result.unwrap_err().to_string();
            assert!(error.contains(message), "{error:?} should say {message:?}");
        }
        let many = (0..40).map(|number| format!("a{number}")).collect::<Vec<_>>();
        let chain: Vec<String> = (1..40).map(|number| format!("a0 => a{number}")).collect();
        let error = RuleSet { rules: chain }.bind(&many, false).unwrap_err();
        assert!(matches!(error, RuleError::TooLoose { .. }), "{error}");
        assert!(RuleSet::parse("rule = []").unwrap_err().to_string().contains("rules = ["));
        assert!(RuleSet::parse("rules = [\"A => B\"]").unwrap().bind(&names("A"), true).unwrap().is_empty());
    }
}
