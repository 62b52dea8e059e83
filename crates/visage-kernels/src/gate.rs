//! Channel gates: every channel of every image times one number, as squeeze and excitation has it.

use rayon::prelude::*;

use crate::shape::expect_len;
use crate::simd::vectorized;

/// Rows of a task; the gate's gradient is summed task by task.
const ROWS: usize = 64;

/// `y[n, r, c] = x[n, r, c] * gate[n, c]`, with `rows = height * width`.
///
/// # Panics
/// If lengths do not match.
pub fn channel_gate(batch: usize, rows: usize, channels: usize, input: &[f32], gate: &[f32], output: &mut [f32]) {
    check(batch, rows, channels, input.len(), gate.len());
    expect_len("output", output.len(), input.len());
    if input.is_empty() {
        return;
    }
    let image_len = rows * channels;
    let images = output.par_chunks_mut(image_len).zip(input.par_chunks(image_len)).zip(gate.par_chunks(channels));
    images.for_each(|((output, input), gate)| {
        let blocks = output.par_chunks_mut(ROWS * channels).zip(input.par_chunks(ROWS * channels));
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

/// Gradients of [`channel_gate`] for the input and for the gate. Both are overwritten.
///
/// # Panics
/// If lengths do not match.
#[expect(clippy::too_many_arguments, reason = "three sizes, and one slice for each operand and each gradient")]
pub fn channel_gate_backward(
    batch: usize,
    rows: usize,
    channels: usize,
    input: &[f32],
    gate: &[f32],
    output_gradient: &[f32],
    input_gradient: &mut [f32],
    gate_gradient: &mut [f32],
) {
    check(batch, rows, channels, input.len(), gate.len());
    expect_len("output gradient", output_gradient.len(), input.len());
    expect_len("input gradient", input_gradient.len(), input.len());
    expect_len("gate gradient", gate_gradient.len(), gate.len());
    gate_gradient.fill(0.0);
    if input.is_empty() {
        return;
    }
    let (image_len, block_len) = (rows * channels, ROWS * channels);
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

/// Fills the block's input gradient and returns its share of the gate's.
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
fn check(batch: usize, rows: usize, channels: usize, input: usize, gate: usize) {
    expect_len("input", input, batch * rows * channels);
    expect_len("gate", gate, batch * channels);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reference::{assert_close, assert_same_on_any_threads, values};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]
        #[test]
        fn gate_agrees_with_the_definition(batch in 1usize..4, rows in 1usize..200, channels in 1usize..50) {
            let len = batch * rows * channels;
            let (input, gate, gradient) = (values(1, len), values(2, batch * channels), values(3, len));
            let gate_of = |i: usize| i / (rows * channels) * channels + i % channels;
            let product = |a: &[f32], b: &[f32]| -> Vec<f64> {
                (0..len).map(|i| f64::from(a[i]) * f64::from(b[gate_of(i)])).collect()
            };
            let mut gate_gradient = vec![0.0f64; gate.len()];
            for i in 0..len {
                gate_gradient[gate_of(i)] += f64::from(gradient[i]) * f64::from(input[i]);
            }
            let (mut y, mut dx, mut dg) = (vec![f32::NAN; len], vec![f32::NAN; len], vec![f32::NAN; gate.len()]);
            channel_gate(batch, rows, channels, &input, &gate, &mut y);
            channel_gate_backward(batch, rows, channels, &input, &gate, &gradient, &mut dx, &mut dg);
            assert_close("output", &y, &product(&input, &gate), 1e-6);
            assert_close("input gradient", &dx, &product(&gradient, &gate), 1e-6);
            assert_close("gate gradient", &dg, &gate_gradient, 1e-6);
        }
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let (batch, rows, channels) = (3, 1000, 24);
        let (input, gate) = (values(1, batch * rows * channels), values(2, batch * channels));
        assert_same_on_any_threads(|| {
            let (mut dx, mut dg) = (vec![0.0; input.len()], vec![0.0; gate.len()]);
            channel_gate_backward(batch, rows, channels, &input, &gate, &input, &mut dx, &mut dg);
            [dx, dg].concat()
        });
    }
}
