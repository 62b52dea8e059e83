//! How much each parameter matters by itself.

use serde::Serialize;
use visage_run::space::{Domain, Parameter};

/// Parts of a range that are told apart.
const PARTS: usize = 3;

/// The first-order effect of a parameter on the metric of a search.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Importance {
    /// The key of the parameter.
    pub key: String,
    /// The share of the metric's variance between the trials that the parameter explains by itself (the correlation ratio), 0 to
    /// 1. Effects that need two parameters together are not in it.
    pub share: f64,
    /// The share that a parameter without any effect has on average, for lack of trials.
    pub by_chance: f64,
}

/// The importance of each parameter over trials, each its values in the order of the parameters and its metric. Empty if there are
/// fewer than three trials, or all are equally good.
///
/// A range is cut into three parts with as many trials each; equal values are in the same part.
pub(super) fn importance(parameters: &[Parameter], trials: &[(Vec<String>, f64)]) -> Vec<Importance> {
    let metric: Vec<f64> = trials.iter().map(|(_, metric)| *metric).collect();
    if trials.len() < PARTS || metric.iter().all(|value| *value == metric[0]) {
        return Vec::new();
    }
    let of = |(number, parameter): (usize, &Parameter)| {
        let values: Vec<&str> = trials.iter().map(|(values, _)| values[number].as_str()).collect();
        let groups = match &parameter.domain {
            Domain::Choice(choices) => {
                values.iter().map(|value| choices.iter().position(|choice| choice == value)).collect()
            }
            Domain::Range { .. } => parts(&values),
        };
        let (share, groups) = correlation_ratio(&groups, &metric);
        let by_chance = (groups - 1) as f64 / (metric.len() - 1) as f64;
        Importance { key: parameter.key.clone(), share, by_chance }
    };
    parameters.iter().enumerate().map(of).collect()
}

/// The part of each number, by its rank.
fn parts(values: &[&str]) -> Vec<Option<usize>> {
    let numbers: Vec<f64> = values.iter().map(|value| value.parse().unwrap_or(f64::NAN)).collect();
    let below = |number: f64| numbers.iter().filter(|other| other.total_cmp(&number).is_lt()).count();
    numbers.iter().map(|&number| Some(below(number) * PARTS / numbers.len())).collect()
}

/// The variance between groups as a share of the whole variance, which is not 0; and the number of groups.
fn correlation_ratio(groups: &[Option<usize>], metric: &[f64]) -> (f64, usize) {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let overall = mean(metric);
    let mut names = groups.to_vec();
    names.sort_unstable();
    names.dedup();
    let between = names.iter().map(|name| {
        let members: Vec<f64> =
            groups.iter().zip(metric).filter(|(group, _)| *group == name).map(|(_, value)| *value).collect();
        members.len() as f64 * (mean(&members) - overall).powi(2)
    });
    let whole: f64 = metric.iter().map(|value| (value - overall).powi(2)).sum();
    ((between.sum::<f64>() / whole).min(1.0), names.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(domain: &str, trials: &[(&str, f64)]) -> Option<(f64, f64)> {
        let parameters = [Parameter { key: "loss.gamma".to_owned(), domain: Domain::parse(domain).unwrap() }];
        let trials: Vec<(Vec<String>, f64)> =
            trials.iter().map(|(value, metric)| (vec![(*value).to_owned()], *metric)).collect();
        importance(&parameters, &trials).pop().map(|found| (found.share, found.by_chance))
    }

    fn assert_near(found: Option<(f64, f64)>, expected: (f64, f64)) {
        let (share, by_chance) = found.unwrap();
        assert!((share - expected.0).abs() < 1e-12 && (by_chance - expected.1).abs() < 1e-12, "{share}, {by_chance}");
    }

    /// Worked out by hand.
    #[test]
    fn shares_of_the_variance() {
        // The means of the choices are 1.5 and 3.5, 1 from the mean 2.5: 4 x 1 of 2.25 + 0.25 + 0.25 + 2.25.
        assert_near(found("a,b", &[("a", 1.0), ("a", 2.0), ("b", 3.0), ("b", 4.0)]), (0.8, 1.0 / 3.0));
        // The choice c was never drawn.
        assert_near(found("a,b,c", &[("a", 1.0), ("a", 2.0), ("b", 3.0), ("b", 4.0)]), (0.8, 1.0 / 3.0));
        // No effect: both means are 2.
        assert_near(found("a,b", &[("a", 1.0), ("a", 3.0), ("b", 3.0), ("b", 1.0)]), (0.0, 1.0 / 3.0));
        // Thirds {0.1, 0.2}, {0.3, 0.9}, {1, 2.5}, with means 1, 4, 1, around the mean 2: 2 (1 + 4 + 1) = 12 of 16.
        let thirds = [("0.9", 4.0), ("0.1", 0.0), ("2.5", 2.0), ("0.2", 2.0), ("1", 0.0), ("0.3", 4.0)];
        assert_near(found("0:3", &thirds), (0.75, 0.4));
        // Equal numbers are not told apart: {1, 1, 1}, {4}, with means 2 and 6.
        assert_near(found("1:4", &[("1", 1.0), ("4", 6.0), ("1", 2.0), ("1", 3.0)]), (12.0 / 14.0, 1.0 / 3.0));
    }

    #[test]
    fn without_a_difference_there_is_no_importance() {
        assert_eq!(found("a,b", &[("a", 1.0), ("b", 1.0), ("b", 1.0)]), None);
        assert_eq!(found("a,b", &[("a", 1.0), ("b", 2.0)]), None);
    }
}
