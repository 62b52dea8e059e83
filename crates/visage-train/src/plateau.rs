//! Lowering the learning rate when the monitored metric stops improving.

use serde::{Deserialize, Serialize};
use visage_run::{Monitor, Plateau};

/// The state of a [`Plateau`] schedule. Part of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlateauState {
    /// The current rate as a fraction of the full one.
    pub scale: f64,
    /// The best value of the metric.
    best: Option<f64>,
    /// Epochs without an improvement.
    stale: u32,
    /// Epochs left in which patience is not used up.
    cooling: u32,
}

impl Default for PlateauState {
    fn default() -> Self {
        Self { scale: 1.0, best: None, stale: 0, cooling: 0 }
    }
}

impl PlateauState {
    /// Takes the value of an epoch into account. A value that is undefined or NaN is no improvement.
    pub fn observe(&mut self, plateau: &Plateau, monitor: Monitor, value: Option<f64>) {
        let improved = match (value.filter(|value| !value.is_nan()), self.best) {
            (Some(value), Some(best)) if monitor.lower_is_better() => value < best * (1.0 - plateau.threshold),
            (Some(value), Some(best)) => value > best * (1.0 + plateau.threshold),
            (value, None) => value.is_some(),
            (None, Some(_)) => false,
        };
        if improved {
            self.best = value;
            self.stale = 0;
        } else {
            self.stale += 1;
        }
        if self.cooling > 0 {
            self.cooling -= 1;
            self.stale = 0;
        }
        if self.stale > plateau.patience {
            self.scale = (self.scale * plateau.factor).max(plateau.min_factor);
            self.cooling = plateau.cooldown;
            self.stale = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_fall_when_pytorchs_do() {
        let golden = crate::golden::training("plateaus");
        let shape = |factor, patience, threshold, cooldown, min_factor| Plateau {
            factor,
            patience,
            threshold,
            cooldown,
            min_factor,
        };
        let table = [
            ("losses", Monitor::ValidationLoss, shape(0.5, 1, 1e-4, 0, 0.0)),
            ("losses with a cooldown and a floor", Monitor::ValidationLoss, shape(0.1, 0, 0.05, 2, 0.05)),
            ("scores", Monitor::F1, shape(0.1, 2, 1e-4, 1, 0.0)),
        ];
        assert_eq!(table.len(), golden.as_object().unwrap().len(), "every golden case is tested");
        for (name, monitor, plateau) in table {
            let case = &golden[name];
            let (values, rates) = (case["values"].as_array().unwrap(), case["rates"].as_array().unwrap());
            let mut state = PlateauState::default();
            for (epoch, (value, rate)) in values.iter().zip(rates).enumerate() {
                state.observe(&plateau, monitor, value.as_f64());
                let (found, expected) = (0.1 * state.scale, rate.as_f64().unwrap());
                assert!((found - expected).abs() <= 1e-12 * expected, "{name}, epoch {epoch}: {found}, {expected}");
            }
        }
    }
}
