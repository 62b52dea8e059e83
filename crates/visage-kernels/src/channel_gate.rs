//! Channel gates: each channel of each image multiplied by a factor, the last step of squeeze-and-excitation.

use rayon::prelude::*;

use crate::shape::{MapShape, expect_len};
use crate::simd::vectorized;

/// Pixels per task. The gate's gradient is summed task by task.
const PIXELS: usize = 64;

/// `output[n, p, c] = input[n, p, c] * gate[n, c]` for pixels p.
///
/// `input` and `output` are `[batch, pixels, channels]`, `gate` is `[batch, channels]`.
///
/// # Panics
/// If lengths do not match.
pub fn channel_gate(shape: MapShape, input: &[f32], gate: &[f32], output: &mut [f32]) {
    check(shape, input.len(), gate.len());
    expect_len("output", output.len(), input.len());
    if input.is_empty() {
        return;
    }
    let (channels, image_len, block_len) = (shape.channels, shape.image_len(), PIXELS * shape.channels);
    let images = output.par_chunks_mut(image_len).zip(input.par_chunks(image_len)).zip(gate.par_chunks(channels));
    images.for_each(|((output, input), gate)| {
        let blocks = output.par_chunks_mut(block_len).zip(input.par_chunks(block_len));
        blocks.for_each(|(output, input)| {
            vectorized(
                #[inline(always)]
                || {
                    for (y, x) in output.chunks_mut(channels).zip(input.chunks(channels)) {
                        for ((y, x), gate) in y.iter_mut().zip(x).zip(gate) {
                            *y = x * gate;
                        }
                    }
                },
            );
        });
    });
}

/// Gradients of [`channel_gate`] with respect to its input and its gate. Both are overwritten.
///
/// # Panics
/// If lengths do not match.
pub fn channel_gate_backward(
    shape: MapShape,
    input: &[f32],
    gate: &[f32],
    output_gradient: &[f32],
    input_gradient: &mut [f32],
    gate_gradient: &mut [f32],
) {
    check(shape, input.len(), gate.len());
    expect_len("output gradient", output_gradient.len(), input.len());
    expect_len("input gradient", input_gradient.len(), input.len());
    expect_len("gate gradient", gate_gradient.len(), gate.len());
    gate_gradient.fill(0.0);
    if input.is_empty() {
        return;
    }
    let (channels, image_len, block_len) = (shape.channels, shape.image_len(), PIXELS * shape.channels);
    let images = input_gradient.par_chunks_mut(image_len).zip(gate_gradient.par_chunks_mut(channels)).enumerate();
    images.for_each(|(image, (input_gradient, gate_gradient))| {
        let gate = &gate[image * channels..][..channels];
        let input = &input[image * image_len..][..image_len];
        let output_gradient = &output_gradient[image * image_len..][..image_len];
        let blocks = input_gradient
            .par_chunks_mut(block_len)
            .zip(input.par_chunks(block_len).zip(output_gradient.par_chunks(block_len)));
        let sums: Vec<Vec<f32>> = blocks
            .map(|(dx, (x, dy))| {
                vectorized(
                    #[inline(always)]
                    || backward_block(channels, x, gate, dy, dx),
                )
            })
            .collect();
        for sums in &sums {
            for (total, sum) in gate_gradient.iter_mut().zip(sums) {
                *total += sum;
            }
        }
    });
}

/// Fills the block's input gradient and returns its part of the gate's gradient.
#[inline(always)]
fn backward_block(channels: usize, x: &[f32], gate: &[f32], dy: &[f32], dx: &mut [f32]) -> Vec<f32> {
    let mut sums = vec![0.0f32; channels];
    for ((x, dy), dx) in x.chunks(channels).zip(dy.chunks(channels)).zip(dx.chunks_mut(channels)) {
        for ((((dx, dy), x), gate), sum) in dx.iter_mut().zip(dy).zip(x).zip(gate).zip(&mut sums) {
            *sum += dy * x;
            *dx = dy * gate;
        }
    }
    sums
}

#[track_caller]
fn check(shape: MapShape, input: usize, gate: usize) {
    expect_len("input", input, shape.len());
    expect_len("gate", gate, shape.batch * shape.channels);
}

#[cfg(test)]
mod tests;
