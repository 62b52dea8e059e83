//! Learning rate and momentum over the course of a run.

use std::f64::consts::PI;

use visage_run::{Anneal, DecayRecipe, OneCycle, OptimizerRecipe, ScheduleRecipe};

/// The learning rate and momentum of one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Learning rate.
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

/// A linear warm-up at the beginning of a run, as PyTorch's `LinearLR`: small steps while the optimiser's running means are
/// based on few gradients.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Warmup {
    /// Its length in steps; 0 for none.
    pub steps: u64,
    /// The first rate as a fraction of the full one, in 0..1.
    pub start: f64,
}

impl Warmup {
    /// The rate of `step` as a fraction of the full one.
    fn factor(self, step: u64) -> f64 {
        if step >= self.steps {
            return 1.0;
        }
        self.start + (1.0 - self.start) * step as f64 / self.steps as f64
    }
}

/// How the learning rate falls.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decay {
    /// Not at all, or only by a [`Plateau`](visage_run::Plateau).
    None,
    /// Along half a cosine from the end of the warm-up to the end of the run (Loshchilov and Hutter, 2017), as PyTorch's
    /// `CosineAnnealingLR` after a `LinearLR`.
    /// `end` is the last rate as a fraction of the full one.
    Cosine { end: f64 },
    /// By `factor` at intervals of `every` steps, at least 1, from the beginning of the run, as PyTorch's `StepLR`.
    Steps { every: u64, factor: f64 },
}

impl Decay {
    /// The rate of `step` as a fraction of the full one.
    fn factor(self, step: u64, warmup: u64, total_steps: u64) -> f64 {
        match self {
            Decay::None => 1.0,
            Decay::Cosine { .. } if step < warmup => 1.0,
            Decay::Cosine { end } => {
                let length = total_steps.saturating_sub(warmup).max(1);
                let fraction = (step - warmup).min(length) as f64 / length as f64;
                between(Anneal::Cosine, 1.0, end, fraction)
            }
            // No run has 2^31 falls.
            Decay::Steps { every, factor } => factor.powi((step / every.max(1)).min(1 << 30) as i32),
        }
    }
}

/// The rates of every step of a run: a pure function of the step, so that a resumed run needs nothing but its position.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Schedule {
    /// A warm-up to the peak and a decay from it, at constant momentum.
    Decay { peak: Rates, warmup: Warmup, decay: Decay, total_steps: u64 },
    /// One rise and one fall over `total_steps`; the momentum of `peak` is used when it is not cycled.
    OneCycle { peak: Rates, shape: OneCycle, total_steps: u64 },
}

impl Schedule {
    /// The recipe's schedule for a run of `total_steps` optimiser steps, `steps_per_epoch` of them in an epoch.
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

    /// The rates of a step, counted from 0. Steps after the last keep its rates.
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

    let rise_end = shape.pct_start * total_steps as f64 - 1.0;
    // The end of each phase, and the rates it leads from and to.
    let phases: &[_] = if shape.three_phase {
        &[
            (rise_end, warm, hot),
            (2.0 * shape.pct_start * total_steps as f64 - 2.0, hot, warm),
            (last as f64, warm, cold),
        ]
    } else {
        &[(rise_end, warm, hot), (last as f64, hot, cold)]
    };

    let position = step.min(last) as f64;
    let current = phases.iter().position(|&(end, ..)| position <= end).unwrap_or(phases.len() - 1);
    let (end, from, to) = phases[current];
    let start = if current == 0 { 0.0 } else { phases[current - 1].0 };
    // A phase without length (a rise of a single step) is at its end; PyTorch divides by zero there.
    let fraction = if end > start { (position - start) / (end - start) } else { 1.0 };
    let learning_rate = between(shape.anneal, from.0, to.0, fraction);
    let momentum = if shape.cycle_momentum { between(shape.anneal, from.1, to.1, fraction) } else { peak.momentum };
    Rates { learning_rate, momentum }
}

#[cfg(test)]
mod tests;
