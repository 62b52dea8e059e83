//! Lowering the learning rate when the monitor stops getting better.

use serde::{Deserialize, Serialize};

use crate::early_stopping::Monitor;

/// When to lower the learning rate, and by how much; PyTorch's `ReduceLROnPlateau` in its relative mode.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plateau {
    /// What the rate is multiplied by, in 0..1.
    pub factor: f64,
    /// Epochs without an improvement that are borne; the next one lowers the rate.
    pub patience: u32,
    /// An improvement smaller than this part of the best value counts as none.
    pub threshold: f64,
    /// Epochs after a fall in which no patience is lost.
    pub cooldown: u32,
    /// The rate never falls below this part of the full one.
    pub min_factor: f64,
}

impl Default for Plateau {
    /// PyTorch's defaults.
    fn default() -> Self {
        Self { factor: 0.1, patience: 10, threshold: 1e-4, cooldown: 0, min_factor: 0.0 }
    }
}

/// How far a [`Plateau`] has come. Part of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlateauState {
    /// The part of the full learning rate that is left.
    pub scale: f64,
    /// The best value of the monitor.
    best: Option<f64>,
    /// Epochs without an improvement.
    stale: u32,
    /// Epochs left in which no patience is lost.
    cooling: u32,
}

impl Default for PlateauState {
    fn default() -> Self {
        Self { scale: 1.0, best: None, stale: 0, cooling: 0 }
    }
}

impl Plateau {
    /// Takes note of an epoch's value. A value that is undefined or not a number is no improvement.
    pub fn observe(&self, state: &mut PlateauState, monitor: Monitor, value: Option<f64>) {
        let improved = match (value.filter(|value| !value.is_nan()), state.best) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(value), Some(best)) => {
                if monitor.wants_less() {
                    value < best * (1.0 - self.threshold)
                } else {
                    value > best * (1.0 + self.threshold)
                }
            }
        };
        if improved {
            state.best = value;
            state.stale = 0;
        } else {
            state.stale += 1;
        }
        if state.cooling > 0 {
            state.cooling -= 1;
            state.stale = 0;
        }
        if state.stale > self.patience {
            state.scale = (state.scale * self.factor).max(self.min_factor);
            state.cooling = self.cooldown;
            state.stale = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_fall_when_pytorchs_do() {
        const GOLDEN: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/training.json"));
        let file: serde_json::Value = serde_json::from_str(GOLDEN).unwrap();
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
        let golden = file["plateaus"].as_object().unwrap();
        assert_eq!(table.len(), golden.len(), "every golden case is tested");
        for (name, monitor, plateau) in table {
            let case = &golden[name];
            let (values, rates) = (case["values"].as_array().unwrap(), case["rates"].as_array().unwrap());
            let mut state = PlateauState::default();
            for (epoch, (value, rate)) in values.iter().zip(rates).enumerate() {
                plateau.observe(&mut state, monitor, value.as_f64());
                let (found, expected) = (0.1 * state.scale, rate.as_f64().unwrap());
                assert!((found - expected).abs() <= 1e-12 * expected, "{name}, epoch {epoch}: {found}, {expected}");
            }
        }
    }
}
