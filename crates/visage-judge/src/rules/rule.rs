//! One rule: its syntax and its clauses.

use super::RuleError;

/// The index of an attribute, and whether it has to be present.
pub(super) type Literal = (usize, bool);

/// A disjunction: at least one literal has to hold.
pub(super) type Clause = Vec<Literal>;

/// A rule in conjunctive normal form: every clause has to hold.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rule {
    pub text: String,
    pub clauses: Vec<Clause>,
}

impl Rule {
    /// Reads `A and not B => C or D` or `at most one of A, B, C`.
    pub fn parse(text: &str, attributes: &[String]) -> Result<Self, RuleError> {
        let literals = |words: &mut dyn Iterator<Item = &str>| -> Result<Clause, RuleError> {
            words.map(|word| parse_literal(text, word, attributes)).collect()
        };
        let clauses = if let Some(list) = text.trim().strip_prefix("at most one of ") {
            let members = literals(&mut list.split(','))?;
            if members.len() < 2 {
                return Err(syntax_error(text, "one attribute alone needs no rule"));
            }
            let pairs = |first: usize| (first + 1..members.len()).map(move |second| [first, second]);
            let not_both = |pair: [usize; 2]| pair.map(|member| negated(members[member])).to_vec();
            (0..members.len()).flat_map(pairs).map(not_both).collect()
        } else {
            let (left, right) = text.split_once("=>").ok_or_else(|| syntax_error(text, "it has no =>"))?;
            let left = literals(&mut left.split(" and "))?;
            let right = literals(&mut right.split(" or "))?;
            vec![left.into_iter().map(negated).chain(right).collect()]
        };
        Ok(Self { text: text.trim().to_owned(), clauses })
    }

    /// Whether the values of an image violate the rule; an unknown value violates nothing.
    pub fn is_violated(&self, values: &[Option<bool>]) -> bool {
        self.clauses.iter().any(|clause| is_violated(clause, values))
    }
}

/// Whether no literal of a clause holds or may hold.
pub(super) fn is_violated(clause: &[Literal], values: &[Option<bool>]) -> bool {
    clause.iter().all(|&(column, present)| values[column] == Some(!present))
}

fn negated((column, present): Literal) -> Literal {
    (column, !present)
}

/// Reads `A` or `not A` of the rule `rule`.
fn parse_literal(rule: &str, word: &str, attributes: &[String]) -> Result<Literal, RuleError> {
    let word = word.trim();
    let (name, present) = word.strip_prefix("not ").map_or((word, true), |name| (name.trim(), false));
    if name.is_empty() {
        return Err(syntax_error(rule, "an attribute is missing"));
    }
    match attributes.iter().position(|attribute| attribute == name) {
        Some(column) => Ok((column, present)),
        None => Err(RuleError::UnknownAttribute { rule: rule.to_owned(), attribute: name.to_owned() }),
    }
}

fn syntax_error(rule: &str, reason: &str) -> RuleError {
    RuleError::Syntax { rule: rule.to_owned(), reason: reason.to_owned() }
}
