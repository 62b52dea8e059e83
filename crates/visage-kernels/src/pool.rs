//! Pooling.

use rayon::prelude::*;

use crate::parallel;
use crate::shape::{PoolShape, covered, expect_len};
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
    let rows = output.par_chunks_mut(row).zip(winners.par_chunks_mut(row));
    let least = parallel::least(shape.batch * shape.out_height());
    rows.with_min_len(least).enumerate().for_each(|(index, (output, winners))| {
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
    let images = output.par_chunks_mut(channels).zip(input.par_chunks(image_len));
    images.with_min_len(parallel::least(batch)).for_each(|(mean, image)| {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reference::{assert_close, assert_same_on_any_threads, depthwise_shapes, pairs, values};
    use crate::shape::{Padding, Window};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]
        #[test]
        fn max_pool_agrees_with_the_definition(shape in depthwise_shapes()) {
            let c = shape.channels;
            // As PyTorch demands, at most half the window may hang over the border.
            let [height, width] = shape.window.kernel.map(|kernel| kernel / 2);
            let padding = shape.window.padding;
            let padding = Padding {
                top: padding.top.min(height),
                bottom: padding.bottom.min(height),
                left: padding.left.min(width),
                right: padding.right.min(width),
            };
            let window = Window { padding, ..shape.window };
            let shape = PoolShape {
                batch: shape.batch, in_height: shape.in_height, in_width: shape.in_width, channels: c, window,
            };
            // Few different values, so that there are ties.
            let input: Vec<f32> = values(1, shape.input_len()).iter().map(|x| (x * 4.0).round()).collect();
            let gradient = values(2, shape.output_len());
            let image = shape.in_height * shape.in_width;
            let mut output = vec![f32::NEG_INFINITY; shape.output_len()];
            let mut winners = vec![0u32; output.len()];
            for [to, _, from] in pairs(shape.batch, shape.in_height, shape.in_width, window) {
                for channel in 0..c {
                    let candidate = input[from * c + channel];
                    if candidate > output[to * c + channel] {
                        output[to * c + channel] = candidate;
                        winners[to * c + channel] = (from % image) as u32;
                    }
                }
            }
            let mut input_gradient = vec![0.0f64; input.len()];
            let out_image = shape.out_height() * shape.out_width() * c;
            for (index, winner) in winners.iter().enumerate() {
                let at = (index / out_image * image + *winner as usize) * c + index % c;
                input_gradient[at] += f64::from(gradient[index]);
            }
            let (mut actual, mut actual_winners) = (vec![f32::NAN; output.len()], vec![u32::MAX; output.len()]);
            max_pool2d(shape, &input, &mut actual, &mut actual_winners);
            prop_assert_eq!(&actual, &output);
            prop_assert_eq!(&actual_winners, &winners);
            let mut actual = vec![f32::NAN; input.len()];
            max_pool2d_backward(shape, &gradient, &winners, &mut actual);
            assert_close("input gradient", &actual, &input_gradient, 1e-6);
        }

        #[test]
        fn global_average_agrees_with_the_definition(batch in 1usize..4, rows in 1usize..200, channels in 1usize..50) {
            let input = values(1, batch * rows * channels);
            let mut expected = vec![0.0f64; batch * channels];
            for (index, x) in input.iter().enumerate() {
                expected[index / (rows * channels) * channels + index % channels] += f64::from(*x) / rows as f64;
            }
            let mut output = vec![f32::NAN; batch * channels];
            global_average_pool(batch, rows, channels, &input, &mut output);
            assert_close("mean", &output, &expected, 1e-6);
            let gradient = values(2, batch * channels);
            let mut input_gradient = vec![f32::NAN; input.len()];
            global_average_pool_backward(batch, rows, channels, &gradient, &mut input_gradient);
            let expected: Vec<f64> = (0..input.len())
                .map(|i| f64::from(gradient[i / (rows * channels) * channels + i % channels]) / rows as f64)
                .collect();
            assert_close("input gradient", &input_gradient, &expected, 1e-6);
        }
    }

    #[test]
    fn the_first_of_equals_wins_and_nan_beats_all() {
        let shape = PoolShape { batch: 1, in_height: 2, in_width: 3, channels: 1, window: Window::square(2, 1, 0) };
        let (mut output, mut winners) = ([0.0; 2], [9; 2]);
        max_pool2d(shape, &[1.0, 1.0, 0.0, 1.0, 1.0, f32::NAN], &mut output, &mut winners);
        assert_eq!((output[0], winners), (1.0, [0, 5]));
        assert!(output[1].is_nan());
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let shape = PoolShape { batch: 5, in_height: 33, in_width: 31, channels: 20, window: Window::square(3, 2, 1) };
        let input = values(1, shape.input_len());
        assert_same_on_any_threads(|| {
            let (mut output, mut winners) = (vec![0.0; shape.output_len()], vec![0; shape.output_len()]);
            max_pool2d(shape, &input, &mut output, &mut winners);
            let mut gradient = vec![0.0; input.len()];
            max_pool2d_backward(shape, &output, &winners, &mut gradient);
            let mut mean = vec![0.0; 5 * 20];
            global_average_pool(5, 33 * 31, 20, &input, &mut mean);
            [output, gradient, mean].concat()
        });
    }
}
