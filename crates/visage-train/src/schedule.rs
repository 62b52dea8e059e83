//! How the learning rate and the momentum move over a run.

use std::f64::consts::PI;

use visage_run::{Anneal, DecayRecipe, OneCycle, OptimizerRecipe, ScheduleRecipe};

/// What the optimiser uses for one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Step size.
    pub learning_rate: f64,
    /// Decay of the running mean of gradients: Adam's first beta, SGD's momentum.
    pub momentum: f64,
}

/// The value a `fraction` of the way from `start` to `end`, by the same arithmetic as PyTorch.
fn between(anneal: Anneal, start: f64, end: f64, fraction: f64) -> f64 {
    match anneal {
        Anneal::Cosine => end + (start - end) / 2.0 * ((PI * fraction).cos() + 1.0),
        Anneal::Linear => (end - start) * fraction + start,
    }
}

/// A climb in a straight line at the beginning of a run, as PyTorch's `LinearLR` has it: small steps while the
/// optimiser's means are still of few gradients.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Warmup {
    /// Steps it takes; 0 for none.
    pub steps: u64,
    /// The first rate as a part of the full one, in 0..1.
    pub start: f64,
}

impl Warmup {
    /// The part of the full rate that `step` may use.
    fn factor(self, step: u64) -> f64 {
        if step >= self.steps {
            return 1.0;
        }
        self.start + (1.0 - self.start) * step as f64 / self.steps as f64
    }
}

/// How the full rate falls.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decay {
    /// Not at all, or only where a [`Plateau`](visage_run::Plateau) makes it.
    None,
    /// Down half a cosine from the end of the warm-up to the end of the run (Loshchilov and Hutter, 2017), as
    /// PyTorch's `CosineAnnealingLR` after a `LinearLR` has it.
    Cosine {
        /// The rate at the end as a part of the full one.
        end: f64,
    },
    /// By a factor every so often, counted from the beginning of the run, as PyTorch's `StepLR` has it.
    Steps {
        /// Optimiser steps between two falls, at least 1.
        every: u64,
        /// What the rate is multiplied by.
        factor: f64,
    },
}

impl Decay {
    /// The part of the full rate that is left at `step`.
    fn factor(self, step: u64, warmup: u64, total_steps: u64) -> f64 {
        match self {
            Decay::None => 1.0,
            Decay::Cosine { .. } if step < warmup => 1.0,
            Decay::Cosine { end } => {
                let length = total_steps.saturating_sub(warmup).max(1);
                let fraction = (step - warmup).min(length) as f64 / length as f64;
                between(Anneal::Cosine, 1.0, end, fraction)
            }
            // No run takes 2^31 falls.
            Decay::Steps { every, factor } => factor.powi((step / every.max(1)).min(1 << 30) as i32),
        }
    }
}

/// The rates of every step of a run: a pure function of the step, so that a resumed run needs nothing but its position.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Schedule {
    /// A warm-up to the peak, and a decay from it; the momentum stays.
    Decay {
        /// The full learning rate, and the momentum.
        peak: Rates,
        /// The climb at the beginning.
        warmup: Warmup,
        /// How the rate falls.
        decay: Decay,
        /// Number of optimiser steps in the whole run.
        total_steps: u64,
    },
    /// One climb and one descent over `total_steps`.
    OneCycle {
        /// The peak learning rate, and the momentum used when it is not cycled.
        peak: Rates,
        /// The shape of the cycle.
        shape: OneCycle,
        /// Number of optimiser steps in the whole run.
        total_steps: u64,
    },
}

impl Schedule {
    /// The recipe's schedule for a run of `total_steps` optimiser steps, `steps_per_epoch` of them in an epoch.
    #[must_use]
    pub fn of_recipe(
        recipe: &ScheduleRecipe,
        optimizer: &OptimizerRecipe,
        total_steps: u64,
        steps_per_epoch: u64,
    ) -> Self {
        let peak = Rates { learning_rate: optimizer.learning_rate, momentum: optimizer.kind.momentum() };
        match *recipe {
            ScheduleRecipe::OneCycle(shape) => Self::OneCycle { peak, shape, total_steps },
            ScheduleRecipe::Decay { warmup_epochs, warmup_start, decay } => {
                let steps = (warmup_epochs * steps_per_epoch as f64).round() as u64;
                let decay = match decay {
                    DecayRecipe::Constant | DecayRecipe::Plateau(_) => Decay::None,
                    DecayRecipe::Cosine { final_factor } => Decay::Cosine { end: final_factor },
                    DecayRecipe::Step { step_epochs, factor } => {
                        Decay::Steps { every: u64::from(step_epochs) * steps_per_epoch, factor }
                    }
                };
                Self::Decay { peak, warmup: Warmup { steps, start: warmup_start }, decay, total_steps }
            }
        }
    }

    /// The rates of one step, counted from 0. A step beyond the last keeps the last rates.
    #[must_use]
    pub fn at(&self, step: u64) -> Rates {
        match *self {
            Schedule::Decay { peak, warmup, decay, total_steps } => {
                let part = warmup.factor(step) * decay.factor(step, warmup.steps, total_steps);
                Rates { learning_rate: peak.learning_rate * part, ..peak }
            }
            Schedule::OneCycle { peak, shape, total_steps } => one_cycle(peak, &shape, total_steps, step),
        }
    }
}

fn one_cycle(peak: Rates, shape: &OneCycle, total_steps: u64, step: u64) -> Rates {
    let last = total_steps.saturating_sub(1);
    let first_rate = peak.learning_rate / shape.div_factor;
    let last_rate = first_rate / shape.final_div_factor;
    let warm = (first_rate, shape.max_momentum);
    let hot = (peak.learning_rate, shape.base_momentum);
    let cold = (last_rate, shape.max_momentum);

    let climb_end = shape.pct_start * total_steps as f64 - 1.0;
    // Where each phase ends, and what it leads from and to.
    let phases: &[_] = if shape.three_phase {
        &[
            (climb_end, warm, hot),
            (2.0 * shape.pct_start * total_steps as f64 - 2.0, hot, warm),
            (last as f64, warm, cold),
        ]
    } else {
        &[(climb_end, warm, hot), (last as f64, hot, cold)]
    };

    let position = step.min(last) as f64;
    let current = phases.iter().position(|&(end, ..)| position <= end).unwrap_or(phases.len() - 1);
    let (end, from, to) = phases[current];
    let start = if current == 0 { 0.0 } else { phases[current - 1].0 };
    // A phase of no length (a climb of a single step) is at its end; PyTorch divides by zero there.
    let fraction = if end > start { (position - start) / (end - start) } else { 1.0 };
    let learning_rate = between(shape.anneal, from.0, to.0, fraction);
    let momentum = if shape.cycle_momentum { between(shape.anneal, from.1, to.1, fraction) } else { peak.momentum };
    Rates { learning_rate, momentum }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/schedules.json"));

    fn peak(learning_rate: f64) -> Rates {
        Rates { learning_rate, momentum: 0.9 }
    }

    #[test]
    fn one_cycle_equals_pytorchs() {
        let file: serde_json::Value = serde_json::from_str(GOLDEN).unwrap();
        let three_phase = OneCycle { anneal: Anneal::Linear, three_phase: true, ..OneCycle::default() };
        let table = [
            ("max_lr 3e-4, total_steps 100", 3e-4, OneCycle::default(), 100),
            ("max_lr 1e-2, total_steps 7, linear, three_phase", 1e-2, three_phase, 7),
        ];
        assert_eq!(table.len(), file["one_cycle"].as_object().unwrap().len(), "every golden case is tested");
        for (name, learning_rate, shape, total_steps) in table {
            let schedule = Schedule::OneCycle { peak: peak(learning_rate), shape, total_steps };
            let rows = file["one_cycle"][name].as_array().unwrap();
            assert_eq!(rows.len() as u64, total_steps);
            for (step, row) in rows.iter().enumerate() {
                let rates = schedule.at(step as u64);
                for (value, expected) in [(rates.learning_rate, &row[0]), (rates.momentum, &row[1])] {
                    let expected = expected.as_f64().unwrap();
                    // The last rate is the small difference of two large ones, in PyTorch as here.
                    let tolerance = 1e-12 * expected + 1e-16 * learning_rate;
                    assert!((value - expected).abs() <= tolerance, "{name}, step {step}: {value}, expected {expected}");
                }
            }
        }
    }

    #[test]
    fn every_step_of_a_short_run_has_rates() {
        for total_steps in 0..12 {
            for pct_start in [0.0, 0.1, 0.3, 0.5, 1.0] {
                for three_phase in [false, pct_start <= 0.5] {
                    let shape = OneCycle { pct_start, three_phase, ..OneCycle::default() };
                    let schedule = Schedule::OneCycle { peak: peak(1e-3), shape, total_steps };
                    for step in 0..total_steps + 2 {
                        let Rates { learning_rate, momentum } = schedule.at(step);
                        let context = format!("{total_steps} steps, climb {pct_start}, step {step}");
                        assert!((0.0..=1.000_001e-3).contains(&learning_rate), "{context}: {learning_rate}");
                        assert!((0.849_999..=0.950_001).contains(&momentum), "{context}: {momentum}");
                    }
                }
            }
        }
    }

    #[test]
    fn momentum_stays_when_it_is_not_cycled() {
        let shape = OneCycle { cycle_momentum: false, ..OneCycle::default() };
        let schedule = Schedule::OneCycle { peak: peak(1e-3), shape, total_steps: 10 };
        assert!((0..10).all(|step| schedule.at(step).momentum == 0.9));
    }

    fn decaying(learning_rate: f64, warmup: Warmup, decay: Decay, total_steps: u64) -> Schedule {
        Schedule::Decay { peak: peak(learning_rate), warmup, decay, total_steps }
    }

    const NO_WARMUP: Warmup = Warmup { steps: 0, start: 0.0 };

    #[test]
    fn decays_and_warm_ups_equal_pytorchs() {
        const GOLDEN: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/training.json"));
        let file: serde_json::Value = serde_json::from_str(GOLDEN).unwrap();
        let cosine = |end| Decay::Cosine { end };
        let steps = |every, factor| Decay::Steps { every, factor };
        let table = [
            ("cosine", decaying(1e-3, NO_WARMUP, cosine(0.0), 20)),
            ("cosine to a tenth", decaying(2e-2, NO_WARMUP, cosine(0.1), 13)),
            ("warm-up then cosine", decaying(1e-3, Warmup { steps: 5, start: 0.01 }, cosine(0.0), 25)),
            ("steps", decaying(0.1, NO_WARMUP, steps(4, 0.1), 14)),
            ("warm-up with steps", decaying(0.1, Warmup { steps: 6, start: 0.25 }, steps(4, 0.5), 14)),
            ("warm-up", decaying(3e-4, Warmup { steps: 8, start: 0.5 }, Decay::None, 12)),
        ];
        let golden = file["schedules"].as_object().unwrap();
        assert_eq!(table.len(), golden.len(), "every golden case is tested");
        for (name, schedule) in table {
            for (step, expected) in golden[name].as_array().unwrap().iter().enumerate() {
                let (found, expected) = (schedule.at(step as u64).learning_rate, expected.as_f64().unwrap());
                // PyTorch multiplies its way from step to step, and its last cosine is what rounding left of 0.
                let tolerance = 1e-12 * expected + 1e-17;
                assert!((found - expected).abs() <= tolerance, "{name}, step {step}: {found}, expected {expected}");
            }
        }
    }

    #[test]
    fn constant_is_constant() {
        let schedule = decaying(1e-3, NO_WARMUP, Decay::None, 5);
        assert!([0, 1, 1_000_000].iter().all(|&step| schedule.at(step) == peak(1e-3)));
    }

    #[test]
    fn every_step_of_a_short_decay_has_a_rate() {
        for total_steps in 0..6 {
            for warmup in 0..8 {
                for decay in [Decay::None, Decay::Cosine { end: 0.0 }, Decay::Steps { every: 2, factor: 0.1 }] {
                    let schedule = decaying(1.0, Warmup { steps: warmup, start: 0.0 }, decay, total_steps);
                    assert!((0..9).all(|step| (0.0..=1.0).contains(&schedule.at(step).learning_rate)));
                }
            }
        }
    }
}
