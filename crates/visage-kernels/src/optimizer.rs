//! Optimiser steps, one pass over a parameter.

use rayon::prelude::*;

use crate::shape::expect_len;
use crate::simd::vectorized;

/// Values of a task.
const BLOCK: usize = 16 * 1024;

/// How weight decay acts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum WeightDecay {
    /// AdamW's: the parameter shrinks by `learning_rate * decay` before the step (Loshchilov and Hutter,
    /// "Decoupled Weight Decay Regularization").
    Decoupled(f64),
    /// Adam's: `decay * parameter` is added to the gradient.
    L2(f64),
}

/// The numbers of one step of Adam or AdamW.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamStep {
    /// Learning rate.
    pub learning_rate: f64,
    /// Decay of the first moment. It may change from step to step; the bias correction takes the present one.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Weight decay; `L2(0.0)` for none.
    pub weight_decay: WeightDecay,
    /// Which step this is, counted from 1.
    pub step: u64,
}

/// One step of Adam (Kingma and Ba) or AdamW with the arithmetic of PyTorch's `torch.optim.Adam` and `AdamW`: scalars
/// in f64, rounded to f32 where they meet the values.
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
            // PyTorch's lerp works from the nearer end.
            *m = if self.first < 0.5 { *m + self.first * (g - *m) } else { g - (g - *m) * (1.0 - self.first) };
            *v = *v * self.keep_second + self.second * g * g;
            let denominator = v.sqrt() / self.second_correction + self.epsilon;
            *p = value - self.size * *m / denominator;
        }
    }
}
