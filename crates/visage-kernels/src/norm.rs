//! Normalisation of the rows of a `[rows, channels]` matrix, fused with the residual sum and the activation.
//!
//! ```text
//! z[r, c] = (x[r, c] - mean[c]) * inverse_std[c] * gamma[c] + beta[c] + residual[r, c]
//! y[r, c] = activation(z[r, c])
//! ```
//!
//! A batch of NHWC images is such a matrix, with `rows = batch * height * width`. With the statistics of the batch this is batch
//! norm in training; with constants it is [`scale_shift`], a norm with frozen statistics.
//!
//! Every pass divides the matrix into blocks small enough to be read twice from the cache. Sums are f32 within a block and f64
//! across blocks, in the order of the blocks. The parameters are repeated to a period of a few hundred values, so that inner
//! loops are long even with 16 channels.

#![allow(unsafe_code)]

mod apply;
mod backward;
mod statistics;

use crate::activation::Activation;
use crate::shape::expect_len;

use apply::Affine;
use backward::{Operands, centred_gradient, gradient_sums, scale_rows};

/// Values of a block: 128 KiB.
const BLOCK: usize = 32 * 1024;
/// Fewest values of an inner loop, if the matrix has as many.
const PERIOD: usize = 256;
/// Lanes of the widest vector; a period is whole vectors.
const MOST_LANES: usize = 16;

/// The operands of a normalisation.
#[derive(Clone, Copy, Debug)]
pub struct NormOperands<'a> {
    /// `[rows, channels]`.
    pub input: &'a [f32],
    /// `[channels]`; gamma in a batch norm.
    pub scale: &'a [f32],
    /// `[channels]`; beta in a batch norm.
    pub shift: &'a [f32],
    /// The shortcut, `[rows, channels]`; zero if `None`.
    pub residual: Option<&'a [f32]>,
    /// Applied last.
    pub activation: Activation,
}

/// The gradients with respect to [`NormOperands`]. A backward pass overwrites them.
#[derive(Debug)]
pub struct NormGradients<'a> {
    /// `[rows, channels]`.
    pub input: &'a mut [f32],
    /// `[channels]`.
    pub scale: &'a mut [f32],
    /// `[channels]`.
    pub shift: &'a mut [f32],
    /// `[rows, channels]`; not stored if `None`.
    pub residual: Option<&'a mut [f32]>,
}

/// Statistics of a batch, per channel.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchStatistics {
    /// Mean over the rows.
    pub mean: Vec<f32>,
    /// Biased variance over the rows (divided by `rows`). PyTorch's running variance uses the unbiased one: multiply by
    /// `rows / (rows - 1)`.
    pub variance: Vec<f32>,
    /// `1 / sqrt(variance + epsilon)`.
    pub inverse_std: Vec<f32>,
}

/// Batch norm in training, followed by the residual sum and the activation. Fills `output`, `[rows, channels]`, and returns the
/// statistics of the batch.
///
/// Variances are sums of squared deviations within blocks, combined by the formula of Chan, Golub and LeVeque, so that a mean far
/// from zero costs no precision.
///
/// # Panics
/// If lengths do not match.
pub fn batch_norm_train(operands: NormOperands, epsilon: f64, output: &mut [f32]) -> BatchStatistics {
    let layout = Layout::new(&operands, output.len());
    let statistics = statistics::compute(layout, operands.input, epsilon);
    batch_norm_apply(operands, &statistics, output);
    statistics
}

/// Computes the output of [`batch_norm_train`] again, with the same bits, from the statistics it returned.
///
/// # Panics
/// If lengths do not match.
pub fn batch_norm_apply(operands: NormOperands, statistics: &BatchStatistics, output: &mut [f32]) {
    let layout = Layout::new(&operands, output.len());
    apply::forward(layout, &operands, &Affine::batch_norm(layout, &operands, statistics), output);
}

/// Gradients of [`batch_norm_train`], including those through the statistics.
///
/// The operands are those of the forward pass. The residual is only read if the activation's derivative depends on it.
///
/// # Panics
/// If lengths do not match.
pub fn batch_norm_train_backward(
    operands: NormOperands,
    statistics: &BatchStatistics,
    output_gradient: &[f32],
    gradients: NormGradients,
) {
    let layout = Layout::new(&operands, output_gradient.len());
    layout.check_gradients(&gradients);
    let affine = Affine::batch_norm(layout, &operands, statistics);
    let NormOperands { input, residual, activation, .. } = operands;
    let operands = Operands { input, residual, output_gradient, activation };

    // The gradient at z is the residual's gradient. If that is wanted, the first pass stores it and the second reads it.
    // Otherwise computing it twice is cheaper than writing and reading it.
    let (sums, operands) = match gradients.residual {
        Some(stored) => {
            let sums = gradient_sums(layout, &operands, &affine, Some(&mut *stored));
            let activation = Activation::Identity;
            (sums, Operands { input, residual: None, output_gradient: stored, activation })
        }
        None => (gradient_sums(layout, &operands, &affine, None), operands),
    };
    let rows = input.len() as f64 / layout.channels as f64;
    let mut mean_gradient = vec![0.0; layout.channels];
    let mut mean_projection = vec![0.0; layout.channels];
    for c in 0..layout.channels {
        let inverse_std = f64::from(statistics.inverse_std[c]);
        gradients.scale[c] = (sums.deviation[c] * inverse_std) as f32;
        gradients.shift[c] = sums.plain[c] as f32;
        mean_gradient[c] = (sums.plain[c] / rows) as f32;
        mean_projection[c] = (sums.deviation[c] * inverse_std * inverse_std / rows) as f32;
    }
    let [mean_gradient, mean_projection] = [mean_gradient, mean_projection].map(|means| layout.repeat(&means));
    centred_gradient(layout, &operands, &affine, [&mean_gradient, &mean_projection], gradients.input);
}

/// `y = activation(x * scale[c] + shift[c] + residual)`: a norm with constant statistics. `output` is `[rows, channels]`.
///
/// # Panics
/// If lengths do not match.
pub fn scale_shift(operands: NormOperands, output: &mut [f32]) {
    let layout = Layout::new(&operands, output.len());
    apply::forward(layout, &operands, &Affine::constant(layout, &operands), output);
}

/// Gradients of [`scale_shift`].
///
/// # Panics
/// If lengths do not match.
pub fn scale_shift_backward(operands: NormOperands, output_gradient: &[f32], gradients: NormGradients) {
    let layout = Layout::new(&operands, output_gradient.len());
    layout.check_gradients(&gradients);
    let affine = Affine::constant(layout, &operands);
    let NormOperands { input, residual, activation, .. } = operands;
    let operands = Operands { input, residual, output_gradient, activation };
    // The gradient at z is stored as the residual's gradient or in place of the input's, which is this times the scale.
    let sums = match gradients.residual {
        Some(stored) => {
            let sums = gradient_sums(layout, &operands, &affine, Some(&mut *stored));
            scale_rows(layout, Some(stored), &affine.scale, gradients.input);
            sums
        }
        None => {
            let sums = gradient_sums(layout, &operands, &affine, Some(&mut *gradients.input));
            scale_rows(layout, None, &affine.scale, gradients.input);
            sums
        }
    };
    for c in 0..layout.channels {
        gradients.scale[c] = sums.deviation[c] as f32;
        gradients.shift[c] = sums.plain[c] as f32;
    }
}

/// Division of a matrix into blocks and periods.
#[derive(Clone, Copy)]
struct Layout {
    /// Length of the matrix.
    len: usize,
    channels: usize,
    /// Values of an inner loop, a multiple of the channels.
    period: usize,
    /// Values of a block, a multiple of the period.
    block: usize,
}

impl Layout {
    #[track_caller]
    fn new(operands: &NormOperands, output_len: usize) -> Self {
        let NormOperands { input, scale, shift, residual, .. } = operands;
        let channels = scale.len();
        assert!(
            channels > 0 && input.len().is_multiple_of(channels),
            "input holds {} values, not a multiple of {channels} channels",
            input.len()
        );
        expect_len("shift", shift.len(), channels);
        expect_len("output", output_len, input.len());
        expect_len("residual", residual.map_or(input.len(), <[f32]>::len), input.len());
        let step = channels * (MOST_LANES / greatest_common_divisor(channels, MOST_LANES));
        let period = step * PERIOD.div_ceil(step);
        Self { len: input.len(), channels, period, block: period * BLOCK.div_ceil(period) }
    }

    #[track_caller]
    fn check_gradients(&self, gradients: &NormGradients) {
        let NormGradients { input, scale, shift, residual } = gradients;
        expect_len("input gradient", input.len(), self.len);
        expect_len("residual gradient", residual.as_ref().map_or(self.len, |residual| residual.len()), self.len);
        expect_len("scale gradient", scale.len(), self.channels);
        expect_len("shift gradient", shift.len(), self.channels);
    }

    /// A parameter per channel, repeated to the period.
    fn repeat(&self, parameter: &[f32]) -> Vec<f32> {
        parameter.repeat(self.period / self.channels)
    }

    /// Adds sums per value of the period to sums per channel.
    fn fold(&self, period: &[f32], sums: &mut [f64]) {
        for values in period.chunks_exact(self.channels) {
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum += f64::from(*value);
            }
        }
    }
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests;
