//! Pooling.

use rayon::prelude::*;

use crate::shape::{PoolShape, expect_len};
use crate::simd::vectorized;

/// Maximum of every window, and where it lies: `winners` holds `row * in_width + column` within the image.
///
/// `input` is `[batch, in_height, in_width, channels]`; `output` and `winners` are
/// `[batch, out_height, out_width, channels]`. As in PyTorch padding never wins, the first of equals in reading order
/// does, and NaN beats every number.
///
/// # Panics
/// If lengths do not match, or a window lies wholly in the padding.
pub fn max_pool2d(shape: PoolShape, input: &[f32], output: &mut [f32], winners: &mut [u32]) {
    check(shape, input.len(), output.len(), winners.len());
    let row = shape.out_width() * shape.channels;
    if output.is_empty() {
        return;
    }
    output.par_chunks_mut(row).zip(winners.par_chunks_mut(row)).enumerate().for_each(|(index, (output, winners))| {
        let (image, y) = (index / shape.out_height(), index % shape.out_height());
        let image_len = shape.in_height * shape.in_width * shape.channels;
        vectorized(
            #[inline(always)]
            || max_pool_row(shape, &input[image * image_len..][..image_len], y, output, winners),
        );
    });
}

#[inline(always)]
fn max_pool_row(shape: PoolShape, image: &[f32], y: usize, output: &mut [f32], winners: &mut [u32]) {
    let PoolShape { in_height, in_width, channels, window, .. } = shape;
    let rows = covered(y, window.kernel[0], window.stride[0], window.padding.top, in_height);
    for (x, (best, winner)) in output.chunks_mut(channels).zip(winners.chunks_mut(channels)).enumerate() {
        let columns = covered(x, window.kernel[1], window.stride[1], window.padding.left, in_width);
        let first = (rows.start * in_width + columns.start) as u32;
        best.copy_from_slice(&image[first as usize * channels..][..channels]);
        winner.fill(first);
        for row in rows.clone() {
            for column in columns.clone() {
                let at = row * in_width + column;
                let candidates = &image[at * channels..][..channels];
                for ((best, winner), candidate) in best.iter_mut().zip(winner.iter_mut()).zip(candidates) {
                    let better = *candidate > *best || candidate.is_nan();
                    *best = if better { *candidate } else { *best };
                    *winner = if better { at as u32 } else { *winner };
                }
            }
        }
    }
}

/// The rows or columns of the image that window `index` covers.
fn covered(index: usize, kernel: usize, stride: usize, padding: usize, size: usize) -> std::ops::Range<usize> {
    (index * stride).saturating_sub(padding)..(index * stride + kernel).saturating_sub(padding).min(size)
}

/// Gradient of [`max_pool2d`]: each output gradient goes to its winner. `input_gradient` is overwritten.
///
/// # Panics
/// If lengths do not match, or a winner lies outside the image.
pub fn max_pool2d_backward(shape: PoolShape, output_gradient: &[f32], winners: &[u32], input_gradient: &mut [f32]) {
    check(shape, input_gradient.len(), output_gradient.len(), winners.len());
    let in_len = shape.in_height * shape.in_width * shape.channels;
    let out_len = shape.out_height() * shape.out_width() * shape.channels;
    if output_gradient.is_empty() {
        return;
    }
    input_gradient
        .par_chunks_mut(in_len)
        .zip(output_gradient.par_chunks(out_len).zip(winners.par_chunks(out_len)))
        .for_each(|(image, (gradient, winners))| {
            image.fill(0.0);
            for (gradient, winners) in gradient.chunks(shape.channels).zip(winners.chunks(shape.channels)) {
                for (channel, (gradient, winner)) in gradient.iter().zip(winners).enumerate() {
                    image[*winner as usize * shape.channels + channel] += gradient;
                }
            }
        });
}

#[track_caller]
fn check(shape: PoolShape, input: usize, output: usize, winners: usize) {
    let PoolShape { in_height, in_width, window, .. } = shape;
    let padding = window.padding;
    assert!(
        padding.top < window.kernel[0] && padding.left < window.kernel[1],
        "the first window lies wholly in the padding"
    );
    let last = [(shape.out_height() - 1) * window.stride[0], (shape.out_width() - 1) * window.stride[1]];
    assert!(
        last[0] < in_height + padding.top && last[1] < in_width + padding.left,
        "the last window lies wholly in the padding"
    );
    expect_len("input", input, shape.input_len());
    expect_len("output", output, shape.output_len());
    expect_len("winners", winners, shape.output_len());
}

/// Mean over each image's rows: `[batch, rows, channels]` to `[batch, channels]`, `rows = height * width`.
///
/// # Panics
/// If lengths do not match or `rows` is zero.
pub fn global_average_pool(batch: usize, rows: usize, channels: usize, input: &[f32], output: &mut [f32]) {
    check_average(batch, rows, channels, input.len(), output.len());
    if output.is_empty() {
        return;
    }
    let image_len = rows * channels;
    output.par_chunks_mut(channels).zip(input.par_chunks(image_len)).for_each(|(mean, image)| {
        vectorized(
            #[inline(always)]
            || {
                // Sums of at most 64 rows in f32, of those sums in f32 again: pairwise enough for a feature map.
                mean.fill(0.0);
                let mut partial = vec![0.0f32; channels];
                for block in image.chunks(64 * channels) {
                    partial.fill(0.0);
                    for row in block.chunks(channels) {
                        for (sum, x) in partial.iter_mut().zip(row) {
                            *sum += x;
                        }
                    }
                    for (sum, partial) in mean.iter_mut().zip(&partial) {
                        *sum += partial;
                    }
                }
                for mean in mean.iter_mut() {
                    *mean /= rows as f32;
                }
            },
        );
    });
}

/// Gradient of [`global_average_pool`]. `input_gradient` is overwritten.
///
/// # Panics
/// If lengths do not match or `rows` is zero.
pub fn global_average_pool_backward(
    batch: usize,
    rows: usize,
    channels: usize,
    output_gradient: &[f32],
    input_gradient: &mut [f32],
) {
    check_average(batch, rows, channels, input_gradient.len(), output_gradient.len());
    if output_gradient.is_empty() {
        return;
    }
    let share = 1.0 / rows as f32;
    let image_len = rows * channels;
    input_gradient.par_chunks_mut(image_len).zip(output_gradient.par_chunks(channels)).for_each(|(image, gradient)| {
        let (first, rest) = image.split_at_mut(channels);
        for (to, from) in first.iter_mut().zip(gradient) {
            *to = from * share;
        }
        for row in rest.chunks_mut(channels) {
            row.copy_from_slice(first);
        }
    });
}

#[track_caller]
fn check_average(batch: usize, rows: usize, channels: usize, input: usize, output: usize) {
    assert!(rows > 0, "an image has no rows");
    expect_len("input", input, batch * rows * channels);
    expect_len("output", output, batch * channels);
}
