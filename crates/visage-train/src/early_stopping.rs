//! Early stopping, and the choice of the best epoch.

use serde::{Deserialize, Serialize};
use visage_run::TrainingRecipe;

/// The best epoch so far. Part of a checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BestEpoch {
    /// The best value of the metric, once it has been defined.
    pub value: Option<f64>,
    /// The epoch of that value, from 1; 0 before the first.
    pub epoch: u32,
    /// Epochs since then without an improvement.
    pub stale: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub improved: bool,
    pub stop: bool,
}

impl BestEpoch {
    /// Takes the value of an epoch, counted from 1, into account.
    ///
    /// A value that is undefined or NaN is no improvement, so that a diverging run stops too.
    pub fn observe(&mut self, recipe: &TrainingRecipe, epoch: u32, value: Option<f64>) -> Verdict {
        let improved = match (value.filter(|value| !value.is_nan()), self.value) {
            (Some(value), Some(best)) if recipe.monitor.lower_is_better() => value < best - recipe.min_delta,
            (Some(value), Some(best)) => value > best + recipe.min_delta,
            (value, None) => value.is_some(),
            (None, Some(_)) => false,
        };
        if improved {
            *self = Self { value, epoch, stale: 0 };
        } else {
            self.stale += 1;
        }
        Verdict { improved, stop: recipe.patience.is_some_and(|patience| self.stale >= patience) }
    }
}

#[cfg(test)]
mod tests {
    use visage_run::Monitor;

    use super::*;

    /// The epochs that improved, and the epoch after which training stopped.
    fn run(recipe: &TrainingRecipe, values: &[Option<f64>]) -> (Vec<u32>, Option<u32>) {
        let mut best = BestEpoch::default();
        let mut improved = Vec::new();
        for (epoch, &value) in (1..).zip(values) {
            let verdict = best.observe(recipe, epoch, value);
            if verdict.improved {
                improved.push(epoch);
                assert_eq!((best.epoch, best.value), (epoch, value));
            }
            if verdict.stop {
                return (improved, Some(epoch));
            }
            // A checkpoint in between must not change anything.
            best = serde_json::from_str(&serde_json::to_string(&best).unwrap()).unwrap();
        }
        (improved, None)
    }

    #[test]
    fn stops_when_patience_runs_out() {
        use Monitor::{F1, ValidationLoss};
        let some = |values: &[f64]| values.iter().copied().map(Some).collect::<Vec<_>>();
        let nan = f64::NAN;
        let table = [
            (ValidationLoss, Some(2), 0.0, some(&[3.0, 2.0, 2.5, 1.0, 1.0, 1.5]), vec![1, 2, 4], Some(6)),
            (ValidationLoss, Some(1), 0.0, some(&[1.0, 1.0]), vec![1], Some(2)),
            (ValidationLoss, None, 0.0, some(&[1.0, 2.0, 3.0]), vec![1], None),
            (ValidationLoss, Some(2), 0.1, some(&[1.0, 0.95, 0.85, 0.8, 0.76]), vec![1, 3], Some(5)),
            (ValidationLoss, Some(2), 0.0, some(&[nan, nan, 1.0]), vec![], Some(2)),
            (ValidationLoss, Some(3), 0.0, some(&[nan, 1.0, nan, 0.5]), vec![2, 4], None),
            (F1, Some(2), 0.0, some(&[0.1, 0.3, 0.2, 0.3]), vec![1, 2], Some(4)),
            (F1, Some(2), 0.0, vec![None, Some(0.1), None, None], vec![2], Some(4)),
        ];
        for (monitor, patience, min_delta, values, improved, stopped) in table {
            let recipe = TrainingRecipe { monitor, patience, min_delta, ..TrainingRecipe::default() };
            assert_eq!(run(&recipe, &values), (improved, stopped), "{monitor:?}, {patience:?} on {values:?}");
        }
    }
}
