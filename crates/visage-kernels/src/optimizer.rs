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

/// The numbers of one step of stochastic gradient descent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdStep {
    /// Learning rate.
    pub learning_rate: f64,
    /// How much of the velocity is kept; 0 for none. It may change from step to step.
    pub momentum: f64,
    /// Whether the step looks ahead by one momentum (Nesterov's).
    pub nesterov: bool,
    /// `decay * parameter` is added to the gradient.
    pub weight_decay: f64,
}

/// One step of stochastic gradient descent with the arithmetic of PyTorch's `torch.optim.SGD` without dampening, whose
/// first velocity, the gradient itself, is what a velocity of zeros gives here.
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
    // What the step is made of: `direct * gradient + lasting * velocity`.
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

/// The sum of the squares, in f32 within blocks and in f64 across them.
#[must_use]
pub fn sum_of_squares(values: &[f32]) -> f64 {
    /// Sums kept side by side in a block.
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
mod tests {
    use super::*;
    use crate::reference::{assert_close, assert_same_on_any_threads, values};

    /// PyTorch's single-tensor Adam and AdamW in f64.
    fn reference(step: AdamStep, p: &mut [f64], gradient: &[f32], m: &mut [f64], v: &mut [f64]) {
        let t = step.step as i32;
        for i in 0..p.len() {
            let mut g = f64::from(gradient[i]);
            match step.weight_decay {
                WeightDecay::Decoupled(decay) => p[i] *= 1.0 - step.learning_rate * decay,
                WeightDecay::L2(decay) => g += decay * p[i],
            }
            m[i] = step.beta1 * m[i] + (1.0 - step.beta1) * g;
            v[i] = step.beta2 * v[i] + (1.0 - step.beta2) * g * g;
            let denominator = v[i].sqrt() / (1.0 - step.beta2.powi(t)).sqrt() + step.epsilon;
            p[i] -= step.learning_rate / (1.0 - step.beta1.powi(t)) * m[i] / denominator;
        }
    }

    #[test]
    fn squares_are_summed() {
        let values = values(1, 2 * BLOCK + 77);
        let expected: f64 = values.iter().map(|value| f64::from(*value) * f64::from(*value)).sum();
        assert!((sum_of_squares(&values) / expected - 1.0).abs() < 1e-6);
        assert_eq!(sum_of_squares(&[]), 0.0);
    }

    #[test]
    fn steps_follow_pytorch() {
        let len = 3 * BLOCK + 5;
        for weight_decay in [WeightDecay::Decoupled(0.1), WeightDecay::L2(0.1), WeightDecay::L2(0.0)] {
            let mut parameter = values(1, len);
            let (mut first, mut second) = (vec![0.0; len], vec![0.0; len]);
            let mut expected: Vec<f64> = parameter.iter().map(|p| f64::from(*p)).collect();
            let (mut expected_first, mut expected_second) = (vec![0.0; len], vec![0.0; len]);
            for number in 1..=6 {
                // Rate and first decay change from step to step, as one cycle has it; 0.4 takes the lerp's other end.
                let beta1 = [0.95, 0.9, 0.85, 0.4, 0.85, 0.95][number as usize - 1];
                let step = AdamStep {
                    learning_rate: 1e-2 * number as f64,
                    beta1,
                    beta2: 0.999,
                    epsilon: 1e-8,
                    weight_decay,
                    step: number,
                };
                let gradient = values(10 + number, len);
                adam_step(step, &mut parameter, &gradient, &mut first, &mut second);
                reference(step, &mut expected, &gradient, &mut expected_first, &mut expected_second);
            }
            assert_close("parameter", &parameter, &expected, 1e-6);
            assert_close("first moment", &first, &expected_first, 1e-6);
            assert_close("second moment", &second, &expected_second, 1e-6);
        }
    }

    /// PyTorch's single-tensor SGD in f64; `None` is the velocity before the first step.
    fn sgd_reference(step: SgdStep, p: &mut [f64], gradient: &[f32], velocity: &mut Option<Vec<f64>>) {
        let mut g: Vec<f64> = gradient.iter().zip(&*p).map(|(g, p)| f64::from(*g) + step.weight_decay * p).collect();
        let moved = match velocity.take() {
            None => g.clone(),
            Some(before) => before.iter().zip(&g).map(|(v, g)| step.momentum * v + g).collect(),
        };
        if step.nesterov {
            g.iter_mut().zip(&moved).for_each(|(g, v)| *g += step.momentum * v);
        } else {
            g.clone_from(&moved);
        }
        *velocity = Some(moved);
        p.iter_mut().zip(g).for_each(|(p, g)| *p -= step.learning_rate * g);
    }

    #[test]
    fn descent_follows_pytorch() {
        let len = 2 * BLOCK + 3;
        for (nesterov, weight_decay) in [(false, 0.0), (false, 0.1), (true, 0.1)] {
            let mut parameter = values(1, len);
            let mut velocity = vec![0.0; len];
            let mut expected: Vec<f64> = parameter.iter().map(|p| f64::from(*p)).collect();
            let mut expected_velocity = None;
            for number in 1..=5 {
                let momentum = [0.95, 0.9, 0.0, 0.85, 0.9][number as usize - 1];
                let step = SgdStep { learning_rate: 1e-2 * number as f64, momentum, nesterov, weight_decay };
                let gradient = values(10 + number, len);
                sgd_step(step, &mut parameter, &gradient, &mut velocity);
                sgd_reference(step, &mut expected, &gradient, &mut expected_velocity);
            }
            assert_close("parameter", &parameter, &expected, 1e-6);
            assert_close("velocity", &velocity, &expected_velocity.unwrap(), 1e-6);
        }
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let step = AdamStep {
            learning_rate: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: WeightDecay::Decoupled(0.01),
            step: 1,
        };
        let gradient = values(1, 100_000);
        assert_same_on_any_threads(|| {
            let (mut p, mut m, mut v) = (values(2, 100_000), vec![0.0; 100_000], vec![0.0; 100_000]);
            adam_step(step, &mut p, &gradient, &mut m, &mut v);
            [p, m, v].concat()
        });
        let step = SgdStep { learning_rate: 1e-3, momentum: 0.9, nesterov: true, weight_decay: 0.01 };
        assert_same_on_any_threads(|| {
            let (mut p, mut v) = (values(2, 100_000), vec![0.0; 100_000]);
            sgd_step(step, &mut p, &gradient, &mut v);
            [p, v].concat()
        });
    }

    #[test]
    #[should_panic(expected = "second moment holds 1 values, the shape needs 2")]
    fn a_wrong_length_is_named() {
        let step = AdamStep {
            learning_rate: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: WeightDecay::L2(0.0),
            step: 1,
        };
        adam_step(step, &mut [0.0; 2], &[0.0; 2], &mut [0.0; 2], &mut [0.0; 1]);
    }
}
