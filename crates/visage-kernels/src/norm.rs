//! Normalisation over the rows of a `[rows, channels]` matrix, fused with the residual sum and the activation.
//!
//! ```text
//! z[r, c] = (x[r, c] - mean[c]) * inverse_std[c] * gamma[c] + beta[c] + residual[r, c]
//! y[r, c] = activation(z[r, c])
//! ```
//!
//! A batch of NHWC images is such a matrix with `rows = batch * height * width`. With statistics of the batch this is
//! batch norm in training; with constants it is [`scale_shift`], a frozen or folded norm.
//!
//! Every pass cuts the matrix into blocks small enough to be read twice from the cache. Sums run in f32 within a block
//! and in f64 across blocks, in the blocks' order. Parameters are repeated to a period of some hundred values, so that
//! inner loops are long even with 16 channels.

#![allow(unsafe_code)]

use std::marker::PhantomData;

use rayon::prelude::*;

use crate::activation::{Activation, Function, with_activation};
use crate::shape::expect_len;
use crate::simd::{self, Kernel, Vector, each_vector, load, vectorized};

/// Values of a block: 128 KiB.
const BLOCK: usize = 32 * 1024;
/// Least values of an inner loop, when the matrix has as many.
const PERIOD: usize = 256;
/// Lanes of the widest vector: a period is whole vectors.
const MOST_LANES: usize = 16;

/// What batch norm learnt of a batch, per channel.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchStatistics {
    /// Mean over the rows.
    pub mean: Vec<f32>,
    /// Biased variance over the rows (divided by `rows`). PyTorch's running variance takes the unbiased one: multiply
    /// by `rows / (rows - 1)`.
    pub variance: Vec<f32>,
    /// `1 / sqrt(variance + epsilon)`.
    pub inverse_std: Vec<f32>,
}

/// Batch norm in training, then the residual sum, then the activation. Fills `output`, returns the batch's statistics.
///
/// `input`, `residual` and `output` are `[rows, channels]`; `gamma` and `beta` are `[channels]`.
///
/// Variances are summed from deviations within blocks and combined by Chan, Golub and LeVeque's formula, so a mean far
/// from zero costs no digits.
///
/// # Panics
/// If lengths do not match.
pub fn batch_norm_train(
    input: &[f32],
    gamma: &[f32],
    beta: &[f32],
    epsilon: f64,
    activation: Activation,
    residual: Option<&[f32]>,
    output: &mut [f32],
) -> BatchStatistics {
    let layout = Layout::new(input, gamma, beta, residual, output.len());
    let statistics = statistics(layout, input, epsilon);
    batch_norm_apply(input, gamma, beta, &statistics, activation, residual, output);
    statistics
}

/// What [`batch_norm_train`] filled `output` with, once more and to the same bits, from the statistics it returned.
///
/// # Panics
/// If lengths do not match.
pub fn batch_norm_apply(
    input: &[f32],
    gamma: &[f32],
    beta: &[f32],
    statistics: &BatchStatistics,
    activation: Activation,
    residual: Option<&[f32]>,
    output: &mut [f32],
) {
    let layout = Layout::new(input, gamma, beta, residual, output.len());
    expect_len("mean", statistics.mean.len(), layout.channels);
    expect_len("inverse_std", statistics.inverse_std.len(), layout.channels);
    let scale: Vec<f32> = gamma.iter().zip(&statistics.inverse_std).map(|(g, s)| g * s).collect();
    let affine = Affine::new(layout, &statistics.mean, &scale, beta);
    forward(layout, input, &affine, activation, residual, output);
}

/// Gradients of [`batch_norm_train`], the dependence of the statistics on the input included.
///
/// `residual` is the one of the forward pass; it is only looked at when the activation needs it. All gradients are
/// overwritten, none added to.
///
/// # Panics
/// If lengths do not match.
#[expect(clippy::too_many_arguments, reason = "one slice for each operand and each gradient")]
pub fn batch_norm_train_backward(
    input: &[f32],
    gamma: &[f32],
    beta: &[f32],
    statistics: &BatchStatistics,
    activation: Activation,
    residual: Option<&[f32]>,
    output_gradient: &[f32],
    input_gradient: &mut [f32],
    gamma_gradient: &mut [f32],
    beta_gradient: &mut [f32],
    residual_gradient: Option<&mut [f32]>,
) {
    let layout = Layout::new(input, gamma, beta, residual, output_gradient.len());
    expect_len("mean", statistics.mean.len(), layout.channels);
    expect_len("inverse_std", statistics.inverse_std.len(), layout.channels);
    layout.expect_gradients(input_gradient, gamma_gradient, beta_gradient, residual_gradient.as_deref());

    let scale: Vec<f32> = gamma.iter().zip(&statistics.inverse_std).map(|(g, s)| g * s).collect();
    let affine = Affine::new(layout, &statistics.mean, &scale, beta);
    let operands = Operands { input, residual, output_gradient };

    // The gradient at z is the residual's gradient. Where it is asked for it is stored by the first pass and read by
    // the second; otherwise it is cheaper to compute it again than to write and read it.
    let (sums, stored) = match residual_gradient {
        Some(stored) => (gradient_sums(layout, &operands, &affine, activation, Some(&mut *stored)), Some(&*stored)),
        None => (gradient_sums(layout, &operands, &affine, activation, None), None),
    };
    let rows = input.len() as f64 / layout.channels as f64;
    let mut mean_gradient = vec![0.0; layout.channels];
    let mut mean_projection = vec![0.0; layout.channels];
    for c in 0..layout.channels {
        let inverse_std = f64::from(statistics.inverse_std[c]);
        gamma_gradient[c] = (sums.deviation[c] * inverse_std) as f32;
        beta_gradient[c] = sums.plain[c] as f32;
        mean_gradient[c] = (sums.plain[c] / rows) as f32;
        mean_projection[c] = (sums.deviation[c] * inverse_std * inverse_std / rows) as f32;
    }
    let mean_gradient = layout.repeat(&mean_gradient);
    let mean_projection = layout.repeat(&mean_projection);
    match stored {
        Some(stored) => {
            let operands = Operands { input, residual: None, output_gradient: stored };
            let identity = Activation::Identity;
            centred_gradient(layout, &operands, &affine, identity, &mean_gradient, &mean_projection, input_gradient);
        }
        None => {
            centred_gradient(layout, &operands, &affine, activation, &mean_gradient, &mean_projection, input_gradient);
        }
    }
}

/// `y = activation(x * scale[c] + shift[c] + residual)`: a norm with constant statistics.
///
/// `input`, `residual` and `output` are `[rows, channels]`; `scale` and `shift` are `[channels]`.
///
/// # Panics
/// If lengths do not match.
pub fn scale_shift(
    input: &[f32],
    scale: &[f32],
    shift: &[f32],
    activation: Activation,
    residual: Option<&[f32]>,
    output: &mut [f32],
) {
    let layout = Layout::new(input, scale, shift, residual, output.len());
    let affine = Affine::new(layout, &vec![0.0; layout.channels], scale, shift);
    forward(layout, input, &affine, activation, residual, output);
}

/// Gradients of [`scale_shift`]. All are overwritten, none added to.
///
/// # Panics
/// If lengths do not match.
#[expect(clippy::too_many_arguments, reason = "one slice for each operand and each gradient")]
pub fn scale_shift_backward(
    input: &[f32],
    scale: &[f32],
    shift: &[f32],
    activation: Activation,
    residual: Option<&[f32]>,
    output_gradient: &[f32],
    input_gradient: &mut [f32],
    scale_gradient: &mut [f32],
    shift_gradient: &mut [f32],
    residual_gradient: Option<&mut [f32]>,
) {
    let layout = Layout::new(input, scale, shift, residual, output_gradient.len());
    layout.expect_gradients(input_gradient, scale_gradient, shift_gradient, residual_gradient.as_deref());
    let affine = Affine::new(layout, &vec![0.0; layout.channels], scale, shift);
    // The gradient at z goes where there is room for it, and becomes the input's by the scale.
    let operands = Operands { input, residual, output_gradient };
    let sums = match residual_gradient {
        Some(stored) => {
            let sums = gradient_sums(layout, &operands, &affine, activation, Some(stored));
            scaled(layout, stored, &affine.scale, input_gradient);
            sums
        }
        None => {
            let sums = gradient_sums(layout, &operands, &affine, activation, Some(input_gradient));
            scale_in_place(layout, input_gradient, &affine.scale);
            sums
        }
    };
    for c in 0..layout.channels {
        scale_gradient[c] = sums.deviation[c] as f32;
        shift_gradient[c] = sums.plain[c] as f32;
    }
}

/// How a matrix of so many channels is cut.
#[derive(Clone, Copy)]
struct Layout {
    /// Values of the matrix.
    len: usize,
    channels: usize,
    /// Values of an inner loop, a multiple of the channels.
    period: usize,
    /// Values of a block, a multiple of the period.
    block: usize,
}

impl Layout {
    #[track_caller]
    fn new(input: &[f32], scale: &[f32], shift: &[f32], residual: Option<&[f32]>, output_len: usize) -> Self {
        let channels = scale.len();
        assert!(
            channels > 0 && input.len().is_multiple_of(channels),
            "input holds {} values, not a multiple of {channels} channels",
            input.len()
        );
        expect_len("shift", shift.len(), channels);
        expect_len("output", output_len, input.len());
        if let Some(residual) = residual {
            expect_len("residual", residual.len(), input.len());
        }
        let step = channels * (MOST_LANES / greatest_common_divisor(channels, MOST_LANES));
        let period = step * PERIOD.div_ceil(step);
        Self { len: input.len(), channels, period, block: period * BLOCK.div_ceil(period) }
    }

    #[track_caller]
    fn expect_gradients(&self, input: &[f32], scale: &[f32], shift: &[f32], residual: Option<&[f32]>) {
        expect_len("input gradient", input.len(), self.len);
        expect_len("residual gradient", residual.map_or(self.len, <[f32]>::len), self.len);
        expect_len("scale gradient", scale.len(), self.channels);
        expect_len("shift gradient", shift.len(), self.channels);
    }

    /// A parameter per channel, repeated to the period.
    fn repeat(&self, parameter: &[f32]) -> Vec<f32> {
        parameter.repeat(self.period / self.channels)
    }

    /// Sums over lanes of the period become sums over channels.
    fn fold(&self, lanes: &[f32], sums: &mut [f64]) {
        for lanes in lanes.chunks_exact(self.channels) {
            for (sum, lane) in sums.iter_mut().zip(lanes) {
                *sum += f64::from(*lane);
            }
        }
    }
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// `z = (x - mean) * scale + shift`, each repeated to the period. Subtracting the mean first keeps the digits that
/// `x * scale + (shift - mean * scale)` would cancel.
struct Affine {
    mean: Vec<f32>,
    scale: Vec<f32>,
    shift: Vec<f32>,
}

impl Affine {
    fn new(layout: Layout, mean: &[f32], scale: &[f32], shift: &[f32]) -> Self {
        Self { mean: layout.repeat(mean), scale: layout.repeat(scale), shift: layout.repeat(shift) }
    }

    /// `x - mean`.
    ///
    /// # Safety
    /// The processor has `V`'s instructions; `x` and the period have `lanes` values from `at` on.
    #[inline(always)]
    unsafe fn deviation<V: Vector>(&self, x: &[f32], at: usize, lanes: usize) -> V {
        // SAFETY: passed on.
        unsafe { load::<V>(x, at, lanes).sub(load(&self.mean, at, lanes)) }
    }

    /// # Safety
    /// The processor has `V`'s instructions, and the period has `lanes` values from `at` on.
    #[inline(always)]
    unsafe fn z<V: Vector>(&self, deviation: V, at: usize, lanes: usize) -> V {
        // SAFETY: passed on.
        unsafe { deviation.mul_add(load(&self.scale, at, lanes), load(&self.shift, at, lanes)) }
    }
}

/// Mean and sum of squared deviations of one block.
struct Moments {
    rows: f64,
    mean: Vec<f64>,
    squares: Vec<f64>,
}

fn statistics(layout: Layout, input: &[f32], epsilon: f64) -> BatchStatistics {
    let blocks: Vec<Moments> = input
        .par_chunks(layout.block)
        .map(|block| {
            vectorized(
                #[inline(always)]
                || block_moments(layout, block),
            )
        })
        .collect();
    let mut rows = 0.0;
    let mut mean = vec![0.0; layout.channels];
    let mut squares = vec![0.0; layout.channels];
    for block in &blocks {
        let total = rows + block.rows;
        let (share, cross) = (block.rows / total, rows * block.rows / total);
        for c in 0..layout.channels {
            let delta = block.mean[c] - mean[c];
            mean[c] += delta * share;
            squares[c] += block.squares[c] + delta * delta * cross;
        }
        rows = total;
    }
    let variance: Vec<f64> = squares.iter().map(|sum| sum / f64::max(rows, 1.0)).collect();
    BatchStatistics {
        mean: mean.iter().map(|m| *m as f32).collect(),
        inverse_std: variance.iter().map(|v| (1.0 / (v + epsilon).sqrt()) as f32).collect(),
        variance: variance.iter().map(|v| *v as f32).collect(),
    }
}

#[inline(always)]
fn block_moments(layout: Layout, block: &[f32]) -> Moments {
    let rows = (block.len() / layout.channels) as f64;
    let mut lanes = vec![0.0f32; layout.period];
    for x in block.chunks(layout.period) {
        for (sum, x) in lanes.iter_mut().zip(x) {
            *sum += x;
        }
    }
    let mut mean = vec![0.0f64; layout.channels];
    layout.fold(&lanes, &mut mean);
    // Deviations are taken from the mean as f32 has it; the second pass also sums them, which corrects for that.
    let centre: Vec<f32> = mean.iter().map(|sum| (sum / rows) as f32).collect();
    let centres = layout.repeat(&centre);
    let mut squared_lanes = vec![0.0f32; layout.period];
    lanes.fill(0.0);
    for x in block.chunks(layout.period) {
        for (((sum, squared_sum), x), centre) in lanes.iter_mut().zip(&mut squared_lanes).zip(x).zip(&centres) {
            let deviation = x - centre;
            *sum += deviation;
            *squared_sum += deviation * deviation;
        }
    }
    let mut remainder = vec![0.0f64; layout.channels];
    let mut squares = vec![0.0f64; layout.channels];
    layout.fold(&lanes, &mut remainder);
    layout.fold(&squared_lanes, &mut squares);
    for c in 0..layout.channels {
        mean[c] = f64::from(centre[c]) + remainder[c] / rows;
        squares[c] -= remainder[c] * remainder[c] / rows;
    }
    Moments { rows, mean, squares }
}

fn forward(
    layout: Layout,
    input: &[f32],
    affine: &Affine,
    activation: Activation,
    residual: Option<&[f32]>,
    output: &mut [f32],
) {
    let (block, level) = (layout.block, simd::level());
    with_activation!(activation, F => {
        input.par_chunks(block).zip(output.par_chunks_mut(block)).enumerate().for_each(|(index, (x, y))| {
            let residual = residual.map(|residual| &residual[index * block..][..x.len()]);
            simd::dispatch(level, Forward::<F> { x, affine, residual, y, function: PhantomData });
        });
    });
}

/// One block of the way forward.
struct Forward<'a, F> {
    x: &'a [f32],
    affine: &'a Affine,
    residual: Option<&'a [f32]>,
    y: &'a mut [f32],
    function: PhantomData<F>,
}

impl<F: Function> Kernel for Forward<'_, F> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Self { x, affine, residual, y, .. } = self;
        let period = affine.mean.len();
        for (index, (x, y)) in x.chunks(period).zip(y.chunks_mut(period)).enumerate() {
            let residual = residual.map(|residual| &residual[index * period..][..x.len()]);
            each_vector::<V>(
                x.len(),
                #[inline(always)]
                |at, lanes| {
                    // SAFETY: the caller vouches for the instructions; all slices have `lanes` values from `at` on.
                    unsafe {
                        let z = affine.z::<V>(affine.deviation(x, at, lanes), at, lanes);
                        let z = residual.map_or(z, |residual| z.add(load(residual, at, lanes)));
                        F::lanes(z).store_up_to(y.as_mut_ptr().add(at), lanes);
                    }
                },
            );
        }
    }
}

/// What the gradient at `z` is computed from.
struct Operands<'a> {
    input: &'a [f32],
    residual: Option<&'a [f32]>,
    output_gradient: &'a [f32],
}

impl<'a> Operands<'a> {
    /// The `index`-th part of `len` values; the last may be shorter.
    #[inline(always)]
    fn part(&self, index: usize, len: usize) -> Operands<'a> {
        let values = index * len..self.input.len().min((index + 1) * len);
        Operands {
            input: &self.input[values.clone()],
            residual: self.residual.map(|residual| &residual[values.clone()]),
            output_gradient: &self.output_gradient[values],
        }
    }

    /// # Safety
    /// The processor has `V`'s instructions, and all operands have `lanes` values from `at` on.
    #[inline(always)]
    unsafe fn gradient_at_z<V: Vector, F: Function>(
        &self,
        affine: &Affine,
        deviation: V,
        at: usize,
        lanes: usize,
    ) -> V {
        // SAFETY: passed on.
        unsafe {
            let gradient = load(self.output_gradient, at, lanes);
            if !F::CURVED {
                return gradient;
            }
            let z = affine.z(deviation, at, lanes);
            let z = self.residual.map_or(z, |residual| z.add(load(residual, at, lanes)));
            F::backward(z, gradient)
        }
    }
}

/// Per channel, the gradient at `z` summed over the rows, plainly and times the input's deviation from the mean.
struct Sums {
    plain: Vec<f64>,
    deviation: Vec<f64>,
}

/// Sums the gradient at `z`, and stores it where `store` says.
fn gradient_sums(
    layout: Layout,
    operands: &Operands,
    affine: &Affine,
    activation: Activation,
    store: Option<&mut [f32]>,
) -> Sums {
    let (block, level) = (layout.block, simd::level());
    let count = operands.input.len().div_ceil(block);
    let blocks: Vec<Sums> = with_activation!(activation, F => {
        let sums = |index: usize, dz: Option<&mut [f32]>| {
            let operands = operands.part(index, block);
            simd::dispatch(level, GradientSums::<F> { layout, operands, affine, dz, function: PhantomData })
        };
        match store {
            None => (0..count).into_par_iter().map(|index| sums(index, None)).collect(),
            Some(dz) => dz.par_chunks_mut(block).enumerate().map(|(index, dz)| sums(index, Some(dz))).collect(),
        }
    });
    let mut sums = Sums { plain: vec![0.0; layout.channels], deviation: vec![0.0; layout.channels] };
    for block in &blocks {
        for c in 0..layout.channels {
            sums.plain[c] += block.plain[c];
            sums.deviation[c] += block.deviation[c];
        }
    }
    sums
}

/// One block of [`gradient_sums`].
struct GradientSums<'a, F> {
    layout: Layout,
    operands: Operands<'a>,
    affine: &'a Affine,
    dz: Option<&'a mut [f32]>,
    function: PhantomData<F>,
}

impl<F: Function> Kernel for GradientSums<'_, F> {
    type Output = Sums;

    #[inline(always)]
    unsafe fn run<V: Vector>(self) -> Sums {
        let Self { layout, operands, affine, mut dz, .. } = self;
        let period = layout.period;
        let mut plain = vec![0.0f32; period];
        let mut deviation = vec![0.0f32; period];
        for index in 0..operands.input.len().div_ceil(period) {
            let operands = operands.part(index, period);
            let len = operands.input.len();
            let mut dz = dz.as_mut().map(|dz| &mut dz[index * period..][..len]);
            each_vector::<V>(
                len,
                #[inline(always)]
                |at, lanes| {
                    // SAFETY: the caller vouches for the instructions; all slices have `lanes` values from `at` on.
                    unsafe {
                        let d = affine.deviation::<V>(operands.input, at, lanes);
                        let g = operands.gradient_at_z::<V, F>(affine, d, at, lanes);
                        if let Some(dz) = &mut dz {
                            g.store_up_to(dz.as_mut_ptr().add(at), lanes);
                        }
                        load::<V>(&plain, at, lanes).add(g).store_up_to(plain.as_mut_ptr().add(at), lanes);
                        let sum = g.mul_add(d, load(&deviation, at, lanes));
                        sum.store_up_to(deviation.as_mut_ptr().add(at), lanes);
                    }
                },
            );
        }
        let mut sums = Sums { plain: vec![0.0; layout.channels], deviation: vec![0.0; layout.channels] };
        layout.fold(&plain, &mut sums.plain);
        layout.fold(&deviation, &mut sums.deviation);
        sums
    }
}

/// The input's gradient: the gradient at `z` less its mean and its projection on the normalised input, times the scale.
fn centred_gradient(
    layout: Layout,
    operands: &Operands,
    affine: &Affine,
    activation: Activation,
    mean_gradient: &[f32],
    mean_projection: &[f32],
    input_gradient: &mut [f32],
) {
    let (block, level) = (layout.block, simd::level());
    let means = [mean_gradient, mean_projection];
    with_activation!(activation, F => {
        input_gradient.par_chunks_mut(block).enumerate().for_each(|(index, dx)| {
            let operands = operands.part(index, block);
            simd::dispatch(level, Centred::<F> { operands, affine, means, dx, function: PhantomData });
        });
    });
}

/// One block of [`centred_gradient`].
struct Centred<'a, F> {
    operands: Operands<'a>,
    affine: &'a Affine,
    /// Mean gradient and mean projection.
    means: [&'a [f32]; 2],
    dx: &'a mut [f32],
    function: PhantomData<F>,
}

impl<F: Function> Kernel for Centred<'_, F> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Self { operands, affine, means: [mean_gradient, mean_projection], dx, .. } = self;
        let period = affine.mean.len();
        for (index, dx) in dx.chunks_mut(period).enumerate() {
            let operands = operands.part(index, period);
            each_vector::<V>(
                dx.len(),
                #[inline(always)]
                |at, lanes| {
                    // SAFETY: the caller vouches for the instructions; all slices have `lanes` values from `at` on.
                    unsafe {
                        let d = affine.deviation::<V>(operands.input, at, lanes);
                        let g = operands.gradient_at_z::<V, F>(affine, d, at, lanes);
                        let projected = d.mul_add(load(mean_projection, at, lanes), load(mean_gradient, at, lanes));
                        let value = g.sub(projected).mul(load(&affine.scale, at, lanes));
                        value.store_up_to(dx.as_mut_ptr().add(at), lanes);
                    }
                },
            );
        }
    }
}

/// `y[r, c] = x[r, c] * scale[c]`.
fn scaled(layout: Layout, x: &[f32], scale: &[f32], y: &mut [f32]) {
    x.par_chunks(layout.block).zip(y.par_chunks_mut(layout.block)).for_each(|(x, y)| {
        vectorized(
            #[inline(always)]
            || {
                for (x, y) in x.chunks(layout.period).zip(y.chunks_mut(layout.period)) {
                    for ((y, x), scale) in y.iter_mut().zip(x).zip(scale) {
                        *y = x * scale;
                    }
                }
            },
        );
    });
}

fn scale_in_place(layout: Layout, x: &mut [f32], scale: &[f32]) {
    x.par_chunks_mut(layout.block).for_each(|x| {
        vectorized(
            #[inline(always)]
            || {
                for x in x.chunks_mut(layout.period) {
                    for (x, scale) in x.iter_mut().zip(scale) {
                        *x *= scale;
                    }
                }
            },
        );
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reference::{assert_close, assert_same_on_any_threads, values};

    const ACTIVATIONS: [Activation; 4] = [Activation::Identity, Activation::Relu, Activation::Relu6, Activation::Silu];

    fn activate(activation: Activation, z: f64) -> [f64; 2] {
        let sigmoid = 1.0 / (1.0 + (-z).exp());
        match activation {
            Activation::Identity => [z, 1.0],
            Activation::Relu => [z.max(0.0), f64::from(z > 0.0)],
            Activation::Relu6 => [z.clamp(0.0, 6.0), f64::from(z > 0.0 && z < 6.0)],
            Activation::Silu => [z * sigmoid, sigmoid * (1.0 + z * (1.0 - sigmoid))],
        }
    }

    /// Operands of one case; the residual is empty when there is none.
    struct Case {
        channels: usize,
        input: Vec<f32>,
        gamma: Vec<f32>,
        beta: Vec<f32>,
        residual: Vec<f32>,
        gradient: Vec<f32>,
    }

    impl Case {
        fn new(rows: usize, channels: usize, with_residual: bool) -> Self {
            let len = rows * channels;
            // A mean of its own for every channel, and a slope wide enough to reach 6.
            let input = values(1, len).iter().enumerate().map(|(i, x)| x + (i % channels % 7) as f32).collect();
            let gamma = values(2, channels).iter().map(|g| 2.0 * g).collect();
            let residual = if with_residual { values(4, len) } else { Vec::new() };
            Self { channels, input, gamma, beta: values(3, channels), residual, gradient: values(5, len) }
        }

        fn residual(&self) -> Option<&[f32]> {
            (!self.residual.is_empty()).then_some(&self.residual[..])
        }

        /// `[mean, biased variance]` of each channel.
        fn moments(&self) -> Vec<[f64; 2]> {
            let rows = (self.input.len() / self.channels) as f64;
            (0..self.channels)
                .map(|c| {
                    let column = || self.input.iter().skip(c).step_by(self.channels).map(|x| f64::from(*x));
                    let mean = column().sum::<f64>() / rows;
                    [mean, column().map(|x| (x - mean).powi(2)).sum::<f64>() / rows]
                })
                .collect()
        }

        /// Output and gradient at z, given each channel's `z = x * a + b`.
        fn at_z(&self, activation: Activation, affine: &[[f64; 2]]) -> (Vec<f64>, Vec<f64>) {
            (0..self.input.len())
                .map(|i| {
                    let [a, b] = affine[i % self.channels];
                    let residual = self.residual.get(i).map_or(0.0, |r| f64::from(*r));
                    let [value, slope] = activate(activation, f64::from(self.input[i]) * a + b + residual);
                    (value, slope * f64::from(self.gradient[i]))
                })
                .unzip()
        }
    }

    /// Values whose z lies so near a kink that f32 may fall on its other side would spoil a comparison of slopes.
    fn near_a_kink(case: &Case, activation: Activation, affine: &[[f64; 2]]) -> bool {
        let kinks: &[f64] = match activation {
            Activation::Identity | Activation::Silu => &[],
            Activation::Relu => &[0.0],
            Activation::Relu6 => &[0.0, 6.0],
        };
        (0..case.input.len()).any(|i| {
            let [a, b] = affine[i % case.channels];
            let residual = case.residual.get(i).map_or(0.0, |r| f64::from(*r));
            let z = f64::from(case.input[i]) * a + b + residual;
            kinks.iter().any(|kink| (z - kink).abs() < 1e-5)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]
        #[test]
        fn batch_norm_agrees_with_the_definition(
            rows in 8usize..300,
            channels in prop::sample::select(vec![1usize, 3, 16, 24, 40, 255, 256, 300]),
            activation in prop::sample::select(ACTIVATIONS.to_vec()),
            with_residual in any::<bool>(),
        ) {
            let case = Case::new(rows, channels, with_residual);
            let (len, epsilon) = (rows * channels, 1e-3);
            let moments = case.moments();
            let affine: Vec<[f64; 2]> = (0..channels).map(|c| {
                let [mean, variance] = moments[c];
                let a = f64::from(case.gamma[c]) / (variance + epsilon).sqrt();
                [a, f64::from(case.beta[c]) - mean * a]
            }).collect();
            prop_assume!(!near_a_kink(&case, activation, &affine));
            let (output, dz) = case.at_z(activation, &affine);

            let mut actual = vec![f32::NAN; len];
            let statistics = batch_norm_train(
                &case.input, &case.gamma, &case.beta, epsilon, activation, case.residual(), &mut actual,
            );
            assert_close("output", &actual, &output, 5e-6);
            assert_close("mean", &statistics.mean, &moments.iter().map(|m| m[0]).collect::<Vec<_>>(), 1e-6);
            assert_close("variance", &statistics.variance, &moments.iter().map(|m| m[1]).collect::<Vec<_>>(), 1e-6);

            let normalised = |i: usize| {
                let [mean, variance] = moments[i % channels];
                (f64::from(case.input[i]) - mean) / (variance + epsilon).sqrt()
            };
            let sum = |c: usize, term: &dyn Fn(usize) -> f64| (c..len).step_by(channels).map(term).sum::<f64>();
            let beta_gradient: Vec<f64> = (0..channels).map(|c| sum(c, &|i| dz[i])).collect();
            let gamma_gradient: Vec<f64> = (0..channels).map(|c| sum(c, &|i| dz[i] * normalised(i))).collect();
            let input_gradient: Vec<f64> = (0..len).map(|i| {
                let c = i % channels;
                affine[c][0] * (dz[i] - (beta_gradient[c] + normalised(i) * gamma_gradient[c]) / rows as f64)
            }).collect();
            let (mut dx, mut dr) = (vec![f32::NAN; len], vec![f32::NAN; len]);
            let (mut dg, mut db) = (vec![f32::NAN; channels], vec![f32::NAN; channels]);
            for store_residual_gradient in [false, true] {
                batch_norm_train_backward(
                    &case.input, &case.gamma, &case.beta, &statistics, activation, case.residual(), &case.gradient,
                    &mut dx, &mut dg, &mut db, store_residual_gradient.then_some(&mut dr[..]),
                );
                assert_close("input gradient", &dx, &input_gradient, 1e-5);
                assert_close("gamma gradient", &dg, &gamma_gradient, 1e-5);
                assert_close("beta gradient", &db, &beta_gradient, 1e-5);
            }
            assert_close("residual gradient", &dr, &dz, 1e-5);
        }

        #[test]
        fn scale_shift_agrees_with_the_definition(
            rows in 1usize..300,
            channels in prop::sample::select(vec![1usize, 3, 16, 24, 255, 300]),
            activation in prop::sample::select(ACTIVATIONS.to_vec()),
            with_residual in any::<bool>(),
        ) {
            let case = Case::new(rows, channels, with_residual);
            let len = rows * channels;
            let affine: Vec<[f64; 2]> =
                (0..channels).map(|c| [f64::from(case.gamma[c]) / (c + 1) as f64, f64::from(case.beta[c])]).collect();
            let scale: Vec<f32> = affine.iter().map(|a| a[0] as f32).collect();
            prop_assume!(!near_a_kink(&case, activation, &affine));
            let (output, dz) = case.at_z(activation, &affine);
            let mut actual = vec![f32::NAN; len];
            scale_shift(&case.input, &scale, &case.beta, activation, case.residual(), &mut actual);
            assert_close("output", &actual, &output, 5e-6);

            let sum = |c: usize, term: &dyn Fn(usize) -> f64| (c..len).step_by(channels).map(term).sum::<f64>();
            let shift_gradient: Vec<f64> = (0..channels).map(|c| sum(c, &|i| dz[i])).collect();
            let scale_gradient: Vec<f64> =
                (0..channels).map(|c| sum(c, &|i| dz[i] * f64::from(case.input[i]))).collect();
            let input_gradient: Vec<f64> = (0..len).map(|i| dz[i] * affine[i % channels][0]).collect();
            let (mut dx, mut dr) = (vec![f32::NAN; len], vec![f32::NAN; len]);
            let (mut ds, mut dt) = (vec![f32::NAN; channels], vec![f32::NAN; channels]);
            for store_residual_gradient in [false, true] {
                scale_shift_backward(
                    &case.input, &scale, &case.beta, activation, case.residual(), &case.gradient,
                    &mut dx, &mut ds, &mut dt, store_residual_gradient.then_some(&mut dr[..]),
                );
                assert_close("input gradient", &dx, &input_gradient, 5e-6);
                assert_close("scale gradient", &ds, &scale_gradient, 5e-6);
                assert_close("shift gradient", &dt, &shift_gradient, 5e-6);
            }
            assert_close("residual gradient", &dr, &dz, 5e-6);
        }
    }

    #[test]
    fn a_mean_far_from_zero_costs_the_variance_no_digits() {
        let (rows, channels) = (20_000, 24);
        let input: Vec<f32> = values(1, rows * channels).iter().map(|x| 4096.0 + x).collect();
        let case = Case { input, ..Case::new(rows, channels, false) };
        let mut output = vec![0.0; rows * channels];
        let statistics =
            batch_norm_train(&case.input, &case.gamma, &case.beta, 0.0, Activation::Identity, None, &mut output);
        let moments = case.moments();
        for (c, (variance, [_, expected])) in statistics.variance.iter().zip(moments).enumerate() {
            let relative = f64::from(*variance) / expected - 1.0;
            assert!(relative.abs() < 1e-6, "channel {c}: {relative}");
        }
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let (rows, channels) = (20_001, 24);
        let case = Case::new(rows, channels, true);
        assert_same_on_any_threads(|| {
            let len = rows * channels;
            let mut output = vec![0.0; len];
            let statistics = batch_norm_train(
                &case.input,
                &case.gamma,
                &case.beta,
                1e-5,
                Activation::Silu,
                case.residual(),
                &mut output,
            );
            let (mut dx, mut dg, mut db) = (vec![0.0; len], vec![0.0; channels], vec![0.0; channels]);
            batch_norm_train_backward(
                &case.input,
                &case.gamma,
                &case.beta,
                &statistics,
                Activation::Silu,
                case.residual(),
                &case.gradient,
                &mut dx,
                &mut dg,
                &mut db,
                None,
            );
            [output, dx, dg, db, statistics.mean, statistics.inverse_std].concat()
        });
    }

    #[test]
    #[should_panic(expected = "residual gradient holds 2 values, the shape needs 4")]
    fn a_wrong_length_is_named() {
        let (x, parameter) = ([0.0; 4], [1.0; 2]);
        let (mut dx, mut ds, mut dt) = ([0.0; 4], [0.0; 2], [0.0; 2]);
        let (relu, mut residual) = (Activation::Relu, [0.0; 2]);
        scale_shift_backward(
            &x,
            &parameter,
            &parameter,
            relu,
            None,
            &x,
            &mut dx,
            &mut ds,
            &mut dt,
            Some(&mut residual),
        );
    }

    #[test]
    fn a_diverged_input_shows() {
        for activation in ACTIVATIONS {
            let mut output = [0.0; 4];
            scale_shift(&[1.0, f32::NAN, 2.0, 3.0], &[1.0, 1.0], &[0.0, 0.0], activation, None, &mut output);
            assert!(output[1].is_nan() && !output[3].is_nan(), "{activation:?}");
        }
    }
}
