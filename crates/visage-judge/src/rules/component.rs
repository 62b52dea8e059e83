//! Assignments of the attributes that rules connect.

use super::RuleError;
use super::rule::{Literal, Rule, is_violated};
use crate::thresholds::is_positive;

/// The assignments of connected attributes are listed; there may be at most this many.
pub(super) const MAX_ASSIGNMENTS: usize = 1 << 16;

/// Attributes that rules connect, and every assignment of them that satisfies the rules.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Component {
    columns: Vec<usize>,
    assignments: Vec<Vec<bool>>,
}

impl Component {
    /// The connected components of the attributes that `rules` name.
    pub fn of(rules: &[Rule], attributes: &[String]) -> Result<Vec<Self>, RuleError> {
        let clauses: Vec<&[Literal]> = rules.iter().flat_map(|rule| &rule.clauses).map(Vec::as_slice).collect();
        // The lowest index of each attribute's component, propagated until nothing changes.
        let mut lowest: Vec<usize> = (0..attributes.len()).collect();
        loop {
            let before = lowest.clone();
            for clause in &clauses {
                let least = clause.iter().map(|&(column, _)| lowest[column]).min().unwrap_or_default();
                clause.iter().for_each(|&(column, _)| lowest[column] = least);
            }
            if lowest == before {
                break;
            }
        }
        let mut components = Vec::new();
        for first in 0..attributes.len() {
            let columns: Vec<usize> = (0..attributes.len()).filter(|&column| lowest[column] == first).collect();
            let own: Vec<&[Literal]> =
                clauses.iter().copied().filter(|clause| columns.contains(&clause[0].0)).collect();
            if own.is_empty() {
                continue;
            }
            let names = || columns.iter().map(|&column| attributes[column].clone()).collect();
            let mut assignments = Vec::new();
            if !enumerate(&mut vec![None; attributes.len()], &columns, &own, &mut assignments) {
                return Err(RuleError::TooLoose { attributes: names() });
            }
            if assignments.is_empty() {
                return Err(RuleError::Contradiction { attributes: names() });
            }
            components.push(Self { columns, assignments });
        }
        Ok(components)
    }

    /// Replaces the decisions on the component's attributes, if they violate a rule, by the assignment that changes the
    /// smallest total distance between probabilities and thresholds.
    pub fn make_consistent(&self, decisions: &mut [bool], probabilities: &[f32], thresholds: &[f32]) {
        let own: Vec<bool> = self.columns.iter().map(|&column| decisions[column]).collect();
        if self.assignments.contains(&own) {
            return;
        }
        let costs: Vec<f64> =
            self.columns.iter().map(|&column| logit_distance(probabilities[column], thresholds[column])).collect();
        let cost = |candidate: &[bool]| -> f64 {
            let changed = candidate.iter().zip(&own).zip(&costs);
            changed.filter(|((new, old), _)| new != old).map(|(_, cost)| cost).sum()
        };
        if let Some(best) = self.assignments.iter().min_by(|a, b| cost(a).total_cmp(&cost(b))) {
            self.columns.iter().zip(best).for_each(|(&column, &present)| decisions[column] = present);
        }
    }
}

pub(super) fn decisions(probabilities: &[f32], thresholds: &[f32]) -> Vec<bool> {
    probabilities.iter().zip(thresholds).map(|(&probability, &threshold)| is_positive(probability, threshold)).collect()
}

/// The distance between a probability and its threshold, in logits.
fn logit_distance(probability: f32, threshold: f32) -> f64 {
    /// Single precision rounds the sigmoid of large logits to 0 or 1, which must stay finite in logits.
    const MARGIN: f64 = 1e-9;
    let logit = |value: f32| {
        let value = f64::from(value).clamp(MARGIN, 1.0 - MARGIN);
        (value / (1.0 - value)).ln()
    };
    (logit(probability) - logit(threshold)).abs()
}

/// Appends every assignment of `columns` that agrees with the `values` already set and violates none of `clauses`. False if
/// there are too many.
fn enumerate(
    values: &mut Vec<Option<bool>>,
    columns: &[usize],
    clauses: &[&[Literal]],
    assignments: &mut Vec<Vec<bool>>,
) -> bool {
    if clauses.iter().any(|clause| is_violated(clause, values)) {
        return true;
    }
    let Some(&next) = columns.iter().find(|&&column| values[column].is_none()) else {
        assignments.push(columns.iter().map(|&column| values[column] == Some(true)).collect());
        return assignments.len() <= MAX_ASSIGNMENTS;
    };
    let both = [false, true].into_iter().all(|value| {
        values[next] = Some(value);
        enumerate(values, columns, clauses, assignments)
    });
    values[next] = None;
    both
}
