//! Optimiser steps, each one pass over a parameter.

use rayon::prelude::*;

use crate::shape::expect_len;
use crate::simd::vectorized;

/// Values per task.
const BLOCK: usize = 16 * 1024;

/// How weight decay is applied.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum WeightDecay {
    /// AdamW's: the parameter shrinks by `learning_rate * decay` before the step (Loshchilov and Hutter,
    /// "Decoupled Weight Decay Regularization").
    Decoupled(f64),
    /// Adam's: `decay * parameter` is added to the gradient.
    L2(f64),
}

/// The hyperparameters of one step of Adam or AdamW.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamStep {
    /// Learning rate.
    pub learning_rate: f64,
    /// Decay of the first moment. It may change from step to step; the bias correction uses the current one.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the square root of the second moment.
    pub epsilon: f64,
    /// Weight decay; `L2(0.0)` for none.
    pub weight_decay: WeightDecay,
    /// Number of the step, from 1.
    pub step: u64,
}

/// One step of Adam (Kingma and Ba) or AdamW, with the arithmetic of PyTorch's `torch.optim.Adam` and `AdamW`: scalars are
/// computed in f64 and rounded to f32 before they are applied.
///
/// ```text
/// parameter    *= 1 - learning_rate * decay                        (decoupled decay)
/// gradient     += decay * parameter                                (L2 decay)
/// first_moment += (gradient - first_moment) * (1 - beta1)
/// second_moment = second_moment * beta2 + (1 - beta2) * gradient^2
/// parameter    -= learning_rate / (1 - beta1^step) * first_moment
///                 / (sqrt(second_moment) / sqrt(1 - beta2^step) + epsilon)
/// ```
///
/// # Panics
/// If lengths do not match or the step is 0.
pub fn adam_step(
    step: AdamStep,
    parameter: &mut [f32],
    gradient: &[f32],
    first_moment: &mut [f32],
    second_moment: &mut [f32],
) {
    assert!(step.step > 0, "steps are counted from 1");
    expect_len("gradient", gradient.len(), parameter.len());
    expect_len("first moment", first_moment.len(), parameter.len());
    expect_len("second moment", second_moment.len(), parameter.len());
    let power = step.step as f64;
    let (shrink, l2) = match step.weight_decay {
        WeightDecay::Decoupled(decay) => (1.0 - step.learning_rate * decay, 0.0),
        WeightDecay::L2(decay) => (1.0, decay),
    };
    let factors = Factors {
        shrink: shrink as f32,
        l2: l2 as f32,
        first: (1.0 - step.beta1) as f32,
        keep_second: step.beta2 as f32,
        second: (1.0 - step.beta2) as f32,
        second_correction: (1.0 - step.beta2.powf(power)).sqrt() as f32,
        epsilon: step.epsilon as f32,
        size: (step.learning_rate / (1.0 - step.beta1.powf(power))) as f32,
    };
    parameter
        .par_chunks_mut(BLOCK)
        .zip(gradient.par_chunks(BLOCK))
        .zip(first_moment.par_chunks_mut(BLOCK))
        .zip(second_moment.par_chunks_mut(BLOCK))
        .for_each(|(((parameter, gradient), first), second)| {
            vectorized(
                #[inline(always)]
                || factors.apply(parameter, gradient, first, second),
            );
        });
}

struct Factors {
    shrink: f32,
    l2: f32,
    first: f32,
    keep_second: f32,
    second: f32,
    second_correction: f32,
    epsilon: f32,
    size: f32,
}

impl Factors {
    #[inline(always)]
    fn apply(&self, parameter: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32]) {
        for (((p, g), m), v) in parameter.iter_mut().zip(gradient).zip(first).zip(second) {
            let value = *p * self.shrink;
            let g = g + self.l2 * value;
            // As `torch.lerp`, which starts from the nearer end.
            *m = if self.first < 0.5 { *m + self.first * (g - *m) } else { g - (g - *m) * (1.0 - self.first) };
            *v = *v * self.keep_second + self.second * g * g;
            let denominator = v.sqrt() / self.second_correction + self.epsilon;
            *p = value - self.size * *m / denominator;
        }
    }
}

/// The hyperparameters of one step of stochastic gradient descent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdStep {
    /// Learning rate.
    pub learning_rate: f64,
    /// Decay of the velocity; 0 for no momentum. It may change from step to step.
    pub momentum: f64,
    /// Whether to use Nesterov momentum.
    pub nesterov: bool,
    /// `decay * parameter` is added to the gradient.
    pub weight_decay: f64,
}

/// One step of stochastic gradient descent, with the arithmetic of PyTorch's `torch.optim.SGD` without dampening. PyTorch
/// initialises the velocity to the first gradient; here the same results from a velocity of zeros.
///
/// ```text
/// gradient  += decay * parameter
/// velocity   = momentum * velocity + gradient
/// parameter -= learning_rate * velocity                                (plain)
/// parameter -= learning_rate * (gradient + momentum * velocity)        (Nesterov)
/// ```
///
/// # Panics
/// If lengths do not match.
pub fn sgd_step(step: SgdStep, parameter: &mut [f32], gradient: &[f32], velocity: &mut [f32]) {
    expect_len("gradient", gradient.len(), parameter.len());
    expect_len("velocity", velocity.len(), parameter.len());
    let [rate, momentum, decay] = [step.learning_rate, step.momentum, step.weight_decay].map(|factor| factor as f32);
    // The step is `direct * gradient + lasting * velocity`.
    let (direct, lasting) = if step.nesterov { (1.0, momentum) } else { (0.0, 1.0) };
    parameter.par_chunks_mut(BLOCK).zip(gradient.par_chunks(BLOCK)).zip(velocity.par_chunks_mut(BLOCK)).for_each(
        |((parameter, gradient), velocity)| {
            vectorized(
                #[inline(always)]
                || {
                    for ((p, g), v) in parameter.iter_mut().zip(gradient).zip(velocity) {
                        let g = g + decay * *p;
                        *v = momentum * *v + g;
                        *p -= rate * (direct * g + lasting * *v);
                    }
                },
            );
        },
    );
}

/// The sum of squares, in f32 within blocks and in f64 across them.
#[must_use]
pub fn sum_of_squares(values: &[f32]) -> f64 {
    /// Independent sums within a block.
    const LANES: usize = 64;
    let block_sum = |block: &[f32]| {
        vectorized(
            #[inline(always)]
            || {
                let mut lanes = [0.0f32; LANES];
                for values in block.chunks(LANES) {
                    for (sum, value) in lanes.iter_mut().zip(values) {
                        *sum += value * value;
                    }
                }
                lanes.iter().map(|sum| f64::from(*sum)).sum::<f64>()
            },
        )
    };
    let blocks: Vec<f64> = values.par_chunks(BLOCK).map(block_sum).collect();
    blocks.iter().sum()
}

#[cfg(test)]
mod tests;
