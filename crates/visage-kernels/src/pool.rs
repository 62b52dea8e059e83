//! Pooling.

use rayon::prelude::*;

use crate::parallel;
use crate::shape::{DepthwiseShape, MapShape, covered, expect_len};
use crate::simd::vectorized;

/// The maximum of every window, and its index in the image: `argmax` is `row * in_width + column`.
///
/// `input` is `[batch, in_height, in_width, channels]`; `output` and `argmax` are
/// `[batch, out_height, out_width, channels]`. As in PyTorch, padding is never the maximum, the first of equal values in
/// row-major order is, and NaN is greater than every number.
///
/// # Panics
/// If lengths do not match, or a window lies entirely in the padding.
pub fn max_pool2d(shape: DepthwiseShape, input: &[f32], output: &mut [f32], argmax: &mut [u32]) {
    check(shape, input.len(), output.len(), argmax.len());
    let row = shape.out_width() * shape.channels;
    if output.is_empty() {
        return;
    }
    let rows = output.par_chunks_mut(row).zip(argmax.par_chunks_mut(row));
    let min_len = parallel::min_len(shape.batch * shape.out_height());
    rows.with_min_len(min_len).enumerate().for_each(|(index, (output, argmax))| {
        let (image, y) = (index / shape.out_height(), index % shape.out_height());
        let image_len = shape.in_height * shape.in_width * shape.channels;
        vectorized(
            #[inline(always)]
            || max_pool_row(shape, &input[image * image_len..][..image_len], y, output, argmax),
        );
    });
}

#[inline(always)]
fn max_pool_row(shape: DepthwiseShape, image: &[f32], y: usize, output: &mut [f32], argmax: &mut [u32]) {
    let DepthwiseShape { in_height, in_width, channels, window, .. } = shape;
    let rows = covered(y, window.kernel[0], window.stride[0], window.padding.top, in_height);
    for (x, (best, index)) in output.chunks_mut(channels).zip(argmax.chunks_mut(channels)).enumerate() {
        let columns = covered(x, window.kernel[1], window.stride[1], window.padding.left, in_width);
        let first = (rows.start * in_width + columns.start) as u32;
        best.copy_from_slice(&image[first as usize * channels..][..channels]);
        index.fill(first);
        for row in rows.clone() {
            for column in columns.clone() {
                let at = row * in_width + column;
                let candidates = &image[at * channels..][..channels];
                for ((best, index), candidate) in best.iter_mut().zip(index.iter_mut()).zip(candidates) {
                    let better = *candidate > *best || candidate.is_nan();
                    *best = if better { *candidate } else { *best };
                    *index = if better { at as u32 } else { *index };
                }
            }
        }
    }
}

/// Gradient of [`max_pool2d`]: each output gradient is added to its window's maximum. `input_gradient` is overwritten.
///
/// # Panics
/// If lengths do not match, or an index is outside the image.
pub fn max_pool2d_backward(shape: DepthwiseShape, output_gradient: &[f32], argmax: &[u32], input_gradient: &mut [f32]) {
    check(shape, input_gradient.len(), output_gradient.len(), argmax.len());
    let in_len = shape.in_height * shape.in_width * shape.channels;
    let out_len = shape.out_height() * shape.out_width() * shape.channels;
    if output_gradient.is_empty() {
        return;
    }
    input_gradient
        .par_chunks_mut(in_len)
        .zip(output_gradient.par_chunks(out_len).zip(argmax.par_chunks(out_len)))
        .for_each(|(image, (gradient, argmax))| {
            image.fill(0.0);
            for (gradient, argmax) in gradient.chunks(shape.channels).zip(argmax.chunks(shape.channels)) {
                for (channel, (gradient, index)) in gradient.iter().zip(argmax).enumerate() {
                    image[*index as usize * shape.channels + channel] += gradient;
                }
            }
        });
}

#[track_caller]
fn check(shape: DepthwiseShape, input: usize, output: usize, argmax: usize) {
    let DepthwiseShape { in_height, in_width, window, .. } = shape;
    let padding = window.padding;
    assert!(
        padding.top < window.kernel[0] && padding.left < window.kernel[1],
        "the first window lies entirely in the padding"
    );
    let last = [(shape.out_height() - 1) * window.stride[0], (shape.out_width() - 1) * window.stride[1]];
    assert!(
        last[0] < in_height + padding.top && last[1] < in_width + padding.left,
        "the last window lies entirely in the padding"
    );
    expect_len("input", input, shape.input_len());
    expect_len("output", output, shape.output_len());
    expect_len("argmax", argmax, shape.output_len());
}

/// Mean over each image's pixels: `[batch, pixels, channels]` to `[batch, channels]`.
///
/// # Panics
/// If lengths do not match or `shape.pixels` is zero.
pub fn global_average_pool(shape: MapShape, input: &[f32], output: &mut [f32]) {
    check_average(shape, input.len(), output.len());
    if output.is_empty() {
        return;
    }
    let channels = shape.channels;
    let images = output.par_chunks_mut(channels).zip(input.par_chunks(shape.image_len()));
    images.with_min_len(parallel::min_len(shape.batch)).for_each(|(mean, image)| {
        vectorized(
            #[inline(always)]
            || {
                // Sums of blocks of 64 pixels, then their sum: f32 is accurate enough in these two steps.
                mean.fill(0.0);
                let mut partial = vec![0.0f32; channels];
                for block in image.chunks(64 * channels) {
                    partial.fill(0.0);
                    for pixel in block.chunks(channels) {
                        for (sum, x) in partial.iter_mut().zip(pixel) {
                            *sum += x;
                        }
                    }
                    for (sum, partial) in mean.iter_mut().zip(&partial) {
                        *sum += partial;
                    }
                }
                for mean in mean.iter_mut() {
                    *mean /= shape.pixels as f32;
                }
            },
        );
    });
}

/// Gradient of [`global_average_pool`]. `input_gradient` is overwritten.
///
/// # Panics
/// If lengths do not match or `shape.pixels` is zero.
pub fn global_average_pool_backward(shape: MapShape, output_gradient: &[f32], input_gradient: &mut [f32]) {
    check_average(shape, input_gradient.len(), output_gradient.len());
    if output_gradient.is_empty() {
        return;
    }
    let channels = shape.channels;
    let factor = 1.0 / shape.pixels as f32;
    input_gradient.par_chunks_mut(shape.image_len()).zip(output_gradient.par_chunks(channels)).for_each(
        |(image, gradient)| {
            let (first, rest) = image.split_at_mut(channels);
            for (to, from) in first.iter_mut().zip(gradient) {
                *to = from * factor;
            }
            for pixel in rest.chunks_mut(channels) {
                pixel.copy_from_slice(first);
            }
        },
    );
}

#[track_caller]
fn check_average(shape: MapShape, input: usize, output: usize) {
    assert!(shape.pixels > 0, "an image has no pixels");
    expect_len("input", input, shape.len());
    expect_len("output", output, shape.batch * shape.channels);
}

#[cfg(test)]
mod tests;
