//! Depthwise convolution of NHWC images, one filter per channel, and its gradients.
//!
//! ```text
//! output[n, y, x, c] = epilogue(sum over r, s:
//!                      input[n, y * stride + r - top, x * stride + s - left, c] * weight[r, s, c])
//! ```
//!
//! Channels are the vectors. Forward and input gradient share one loop: a span of up to eight neighbouring target pixels
//! whose taps all lie inside the image holds its sums in registers while each weight is loaded once; a pixel at the
//! border is a span of one with the taps it has. The weight gradient walks the output row by row and keeps the sums of
//! a kernel row in registers along it. The forward pass of 3x3 and 5x5 windows has a faster loop (`sliding.rs`).
#![allow(unsafe_code)]
// Register tiles read best, and compile surest, as loops over constant index ranges.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use crate::epilogue::Epilogue;
use crate::geometry::{self, Grid, Tap};
use crate::parallel::{self, SharedMut};
use crate::scratch;
use crate::shape::{DepthwiseShape, expect_len};
use crate::simd::{self, Kernel, Level, Vector};
use crate::sliding;

/// Target values of a task, about.
const TASK: usize = 16 * 1024;
/// Partial weight gradients, at most.
const SEGMENTS: usize = 16;

/// Depthwise convolution of `[batch, in_height, in_width, channels]` to `[batch, out_height, out_width, channels]`.
///
/// `weight` is `[kernel_height, kernel_width, channels]`.
///
/// # Panics
/// If lengths do not match the shape.
pub fn depthwise_conv2d(shape: DepthwiseShape, input: &[f32], weight: &[f32], epilogue: Epilogue, output: &mut [f32]) {
    check(shape, input.len(), weight.len(), output.len());
    epilogue.check(shape.channels, output.len());
    forward(simd::level(), shape, input, weight, &epilogue, output);
}

/// Gradient of [`depthwise_conv2d`] for its input. `input_gradient` is overwritten.
///
/// # Panics
/// If lengths do not match the shape.
pub fn depthwise_conv2d_input_gradient(
    shape: DepthwiseShape,
    weight: &[f32],
    output_gradient: &[f32],
    input_gradient: &mut [f32],
) {
    check(shape, input_gradient.len(), weight.len(), output_gradient.len());
    backward_input(simd::level(), shape, weight, output_gradient, input_gradient);
}

/// Gradient of [`depthwise_conv2d`] for its weight. `weight_gradient` is overwritten.
///
/// # Panics
/// If lengths do not match the shape.
pub fn depthwise_conv2d_weight_gradient(
    shape: DepthwiseShape,
    input: &[f32],
    output_gradient: &[f32],
    weight_gradient: &mut [f32],
) {
    check(shape, input.len(), weight_gradient.len(), output_gradient.len());
    backward_weight(simd::level(), shape, input, output_gradient, weight_gradient);
}

#[track_caller]
fn check(shape: DepthwiseShape, input: usize, weight: usize, output: usize) {
    expect_len("input", input, shape.input_len());
    expect_len("weight", weight, shape.window.taps() * shape.channels);
    expect_len("output", output, shape.output_len());
}

fn forward(
    level: Level,
    shape: DepthwiseShape,
    input: &[f32],
    weight: &[f32],
    epilogue: &Epilogue,
    output: &mut [f32],
) {
    if sliding::applies(shape, epilogue) {
        sliding::forward(level, shape, input, weight, epilogue, output);
        return;
    }
    let grid = Grid::of_output(shape.batch, [shape.in_height, shape.in_width], shape.window);
    let taps = geometry::output_taps(shape.window);
    filter(level, grid, &taps, shape.channels, input, weight, epilogue, output);
}

fn backward_input(
    level: Level,
    shape: DepthwiseShape,
    weight: &[f32],
    output_gradient: &[f32],
    input_gradient: &mut [f32],
) {
    for (grid, taps) in geometry::input_classes(shape.batch, [shape.in_height, shape.in_width], shape.window) {
        filter(level, grid, &taps, shape.channels, output_gradient, weight, &Epilogue::default(), input_gradient);
    }
}

/// Fills the grid's pixels of `target`.
#[expect(clippy::too_many_arguments, reason = "one for each operand")]
fn filter(
    level: Level,
    grid: Grid,
    taps: &[Tap],
    channels: usize,
    source: &[f32],
    weight: &[f32],
    epilogue: &Epilogue,
    target: &mut [f32],
) {
    if grid.pixels() == 0 || channels == 0 {
        return;
    }
    let rows = grid.batch * grid.size[0];
    let step = TASK.div_ceil(grid.size[1] * channels);
    let target = SharedMut::new(target);
    parallel::for_each(rows.div_ceil(step), |task| {
        let rows = task * step..rows.min((task + 1) * step);
        simd::dispatch(level, Filter { grid, taps, channels, source, weight, epilogue, target, rows });
    });
}

/// Some rows of the grid, counted over all images.
struct Filter<'a> {
    grid: Grid,
    taps: &'a [Tap],
    channels: usize,
    source: &'a [f32],
    weight: &'a [f32],
    epilogue: &'a Epilogue<'a>,
    target: SharedMut,
    rows: Range<usize>,
}

/// What one tap reads for the first pixel of a span.
#[derive(Clone, Copy)]
struct Operand {
    source: *const f32,
    weight: *const f32,
}

impl Kernel for Filter<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let (grid, channels) = (self.grid, self.channels);
        let width = grid.size[1];
        // The columns where every tap is inside the image.
        let interior = self.taps.iter().map(|tap| grid.inside(tap.at[1])).fold(0..width, |all, inside| {
            let start = all.start.max(inside.start);
            start..all.end.min(inside.end).max(start)
        });
        let interior = interior.start.min(width)..interior.end.min(width);
        let mut operands = Vec::with_capacity(self.taps.len());
        for row in self.rows.clone() {
            let (image, y) = (row / grid.size[0], row % grid.size[0]);
            let mut x = 0;
            while x < width {
                let span = match interior.end.saturating_sub(x) {
                    _ if x < interior.start => 1,
                    8.. => 8,
                    4.. => 4,
                    _ => 1,
                };
                operands.clear();
                for tap in self.taps {
                    if let Some(pixel) = grid.source_pixel([image, y, x], tap.at) {
                        // Also the last pixel of the span must lie in the slice.
                        let last = (pixel + (span - 1) * grid.source_step[1] + 1) * channels;
                        assert!(last <= self.source.len(), "taps overrun the source");
                        operands.push(Operand {
                            source: self.source[pixel * channels..].as_ptr(),
                            weight: self.weight[tap.position * channels..][..channels].as_ptr(),
                        });
                    }
                }
                let steps = [grid.source_step[1] * channels, grid.target_step[1] * channels];
                // SAFETY: every operand has `span` source pixels `steps[0]` apart and a weight, both of `channels`
                // values; the span's target pixels exist and no other task has this row.
                unsafe {
                    let first = grid.target_pixel([image, y, x]) * channels;
                    let target = self.target.at(first);
                    match span {
                        8 => self.span::<V, 8, 1>(&operands, steps, target),
                        4 => self.span::<V, 4, 2>(&operands, steps, target),
                        _ => self.span::<V, 1, 4>(&operands, steps, target),
                    }
                    for pixel in 0..span {
                        let sums = std::slice::from_raw_parts_mut(target.add(pixel * steps[1]), channels);
                        self.epilogue.finish::<V>(first + pixel * steps[1], sums);
                    }
                }
                x += span;
            }
        }
    }
}

impl Filter<'_> {
    /// # Safety
    /// The processor has `V`'s instructions. Every operand has a weight and `PIXELS` source pixels `steps[0]` values
    /// apart, `target` has as many pixels `steps[1]` apart, all of `channels` values.
    #[inline(always)]
    unsafe fn span<V: Vector, const PIXELS: usize, const VECTORS: usize>(
        &self,
        operands: &[Operand],
        steps: [usize; 2],
        target: *mut f32,
    ) {
        let mut channel = 0;
        // SAFETY: blocks keep to the channels.
        unsafe {
            while channel + VECTORS * V::LANES <= self.channels {
                self.block::<V, PIXELS, VECTORS>(operands, steps, target, channel, V::LANES);
                channel += VECTORS * V::LANES;
            }
            while channel < self.channels {
                let lanes = (self.channels - channel).min(V::LANES);
                self.block::<V, PIXELS, 1>(operands, steps, target, channel, lanes);
                channel += V::LANES;
            }
        }
    }

    /// `VECTORS` vectors of channels from `channel` on; where `lanes` is less than a vector, the first `lanes` channels.
    ///
    /// # Safety
    /// As [`span`](Self::span), and the channels exist.
    #[inline(always)]
    unsafe fn block<V: Vector, const PIXELS: usize, const VECTORS: usize>(
        &self,
        operands: &[Operand],
        steps: [usize; 2],
        target: *mut f32,
        channel: usize,
        lanes: usize,
    ) {
        // SAFETY: all pointers stay within what the caller vouches for.
        unsafe {
            let mut sums = [[V::splat(0.0); VECTORS]; PIXELS];
            if let Some(bias) = self.epilogue.bias {
                for vector in 0..VECTORS {
                    let bias = V::load_first(bias[channel..].as_ptr().add(vector * V::LANES), lanes);
                    for sums in &mut sums {
                        sums[vector] = bias;
                    }
                }
            }
            if lanes == V::LANES {
                for operand in operands {
                    for vector in 0..VECTORS {
                        let at = channel + vector * V::LANES;
                        let weight = V::load(operand.weight.add(at));
                        for pixel in 0..PIXELS {
                            let value = V::load(operand.source.add(at + pixel * steps[0]));
                            sums[pixel][vector] = value.mul_add(weight, sums[pixel][vector]);
                        }
                    }
                }
                for pixel in 0..PIXELS {
                    for vector in 0..VECTORS {
                        let to = target.add(channel + vector * V::LANES + pixel * steps[1]);
                        sums[pixel][vector].store(to);
                    }
                }
            } else {
                for operand in operands {
                    let weight = V::load_first(operand.weight.add(channel), lanes);
                    for pixel in 0..PIXELS {
                        let value = V::load_first(operand.source.add(channel + pixel * steps[0]), lanes);
                        sums[pixel][0] = value.mul_add(weight, sums[pixel][0]);
                    }
                }
                for pixel in 0..PIXELS {
                    sums[pixel][0].store_first(target.add(channel + pixel * steps[1]), lanes);
                }
            }
        }
    }
}

fn backward_weight(
    level: Level,
    shape: DepthwiseShape,
    input: &[f32],
    output_gradient: &[f32],
    weight_gradient: &mut [f32],
) {
    let len = weight_gradient.len();
    let grid = Grid::of_output(shape.batch, [shape.in_height, shape.in_width], shape.window);
    let rows = grid.batch * grid.size[0];
    if rows == 0 || len == 0 {
        weight_gradient.fill(0.0);
        return;
    }
    let segments = (output_gradient.len() / TASK).clamp(1, SEGMENTS.min(rows));
    scratch::with_buffer(segments * len, |partials| {
        let shared = SharedMut::new(partials);
        parallel::for_each(segments, |segment| {
            // SAFETY: the segment's part of `partials`, which no other task touches.
            let partial = unsafe { std::slice::from_raw_parts_mut(shared.at(segment * len), len) };
            partial.fill(0.0);
            let rows = rows * segment / segments..rows * (segment + 1) / segments;
            simd::dispatch(level, Correlate { grid, shape, input, output_gradient, partial, rows });
        });
        let (first, rest) = partials.split_at(len);
        weight_gradient.copy_from_slice(first);
        for partial in rest.chunks_exact(len) {
            for (sum, value) in weight_gradient.iter_mut().zip(partial) {
                *sum += value;
            }
        }
    });
}

/// Adds some rows of the output, counted over all images, to a weight gradient.
struct Correlate<'a> {
    grid: Grid,
    shape: DepthwiseShape,
    input: &'a [f32],
    output_gradient: &'a [f32],
    partial: &'a mut [f32],
    rows: Range<usize>,
}

impl Kernel for Correlate<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let (grid, channels, window) = (self.grid, self.shape.channels, self.shape.window);
        let [kernel_height, kernel_width] = window.kernel;
        for row in self.rows.clone() {
            let (image, y) = (row / grid.size[0], row % grid.size[0]);
            let output = &self.output_gradient[row * grid.size[1] * channels..][..grid.size[1] * channels];
            for r in 0..kernel_height {
                let tap_row = r as isize - window.padding.top as isize;
                let Some(source_row) = grid.source_row(image, y, tap_row) else { continue };
                let source_len = self.shape.in_width * channels;
                let source = &self.input[source_row * source_len..][..source_len];
                let mut s = 0;
                while s < kernel_width {
                    let first_tap = s as isize - window.padding.left as isize;
                    let sums = self.partial[(r * kernel_width + s) * channels..].as_mut_ptr();
                    let line = Line { grid, channels, output, source, first_tap, sums };
                    // SAFETY: `sums` has `channels` values for each of the taps, of which there are as many left.
                    s += unsafe {
                        match kernel_width - s {
                            5.. => line.taps::<V, 5>(),
                            3.. => line.taps::<V, 3>(),
                            _ => line.taps::<V, 1>(),
                        }
                    };
                }
            }
        }
    }
}

/// One row of the output and the row of the input under one kernel row.
struct Line<'a> {
    grid: Grid,
    channels: usize,
    output: &'a [f32],
    source: &'a [f32],
    /// Column of the first tap.
    first_tap: isize,
    /// Its weight gradient.
    sums: *mut f32,
}

impl Line<'_> {
    /// Adds to the gradients of `TAPS` neighbouring taps; returns `TAPS`.
    ///
    /// # Safety
    /// The processor has `V`'s instructions; `sums` has `TAPS * channels` values that are this task's alone.
    #[inline(always)]
    unsafe fn taps<V: Vector, const TAPS: usize>(&self) -> usize {
        let mut channel = 0;
        // SAFETY: blocks keep to the channels.
        unsafe {
            while channel + 2 * V::LANES <= self.channels {
                self.block::<V, TAPS, 2>(channel, V::LANES);
                channel += 2 * V::LANES;
            }
            while channel < self.channels {
                self.block::<V, TAPS, 1>(channel, (self.channels - channel).min(V::LANES));
                channel += V::LANES;
            }
        }
        TAPS
    }

    /// # Safety
    /// As [`taps`](Self::taps), and the channels exist.
    #[inline(always)]
    unsafe fn block<V: Vector, const TAPS: usize, const VECTORS: usize>(&self, channel: usize, lanes: usize) {
        let width = self.grid.size[1];
        let step = self.grid.source_step[1];
        // Columns where the first and the last tap, and so all between, are inside the image.
        let first = self.grid.inside(self.first_tap);
        let last = self.grid.inside(self.first_tap + TAPS as isize - 1);
        let interior = last.start.max(first.start).min(width)..first.end.min(last.end);
        let source_width = self.source.len() / self.channels;
        // SAFETY: a tap is read only where its column is inside the source row; the channels exist.
        unsafe {
            let sums = self.sums.add(channel);
            let mut totals = [[V::splat(0.0); VECTORS]; TAPS];
            for tap in 0..TAPS {
                for vector in 0..VECTORS {
                    totals[tap][vector] = V::load_first(sums.add(tap * self.channels + vector * V::LANES), lanes);
                }
            }
            let mut x = 0;
            while x < width {
                let gradient = self.output.as_ptr().add(x * self.channels + channel);
                let column = (x * step) as isize + self.first_tap;
                if interior.contains(&x) && lanes == V::LANES {
                    let source = self.source.as_ptr().add(column as usize * self.channels + channel);
                    for vector in 0..VECTORS {
                        let gradient = V::load(gradient.add(vector * V::LANES));
                        for tap in 0..TAPS {
                            let value = V::load(source.add(tap * self.channels + vector * V::LANES));
                            totals[tap][vector] = value.mul_add(gradient, totals[tap][vector]);
                        }
                    }
                } else {
                    for tap in 0..TAPS {
                        let column = column + tap as isize;
                        if column >= 0 && (column as usize) < source_width {
                            let source = self.source.as_ptr().add(column as usize * self.channels + channel);
                            for vector in 0..VECTORS {
                                let gradient = V::load_first(gradient.add(vector * V::LANES), lanes);
                                let value = V::load_first(source.add(vector * V::LANES), lanes);
                                totals[tap][vector] = value.mul_add(gradient, totals[tap][vector]);
                            }
                        }
                    }
                }
                x += 1;
            }
            for tap in 0..TAPS {
                for vector in 0..VECTORS {
                    totals[tap][vector].store_first(sums.add(tap * self.channels + vector * V::LANES), lanes);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::activation::Activation;
    use crate::reference::{
        assert_close, assert_finished, assert_same_on_any_threads, depthwise_shapes, pairs, values,
    };
    use crate::shape::Window;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn all_levels_agree_with_the_definition(shape in depthwise_shapes()) {
            let c = shape.channels;
            let weight_len = shape.window.taps() * c;
            let (input, weight) = (values(1, shape.input_len()), values(2, weight_len));
            let (bias, gradient) = (values(3, c), values(4, shape.output_len()));

            let mut output = vec![0.0; shape.output_len()];
            let mut input_gradient = vec![0.0; input.len()];
            let mut weight_gradient = vec![0.0; weight_len];
            for [to, tap, from] in pairs(shape.batch, shape.in_height, shape.in_width, shape.window) {
                for channel in 0..c {
                    let [x, w, dy] = [input[from * c + channel], weight[tap * c + channel], gradient[to * c + channel]]
                        .map(f64::from);
                    output[to * c + channel] += x * w;
                    input_gradient[from * c + channel] += dy * w;
                    weight_gradient[tap * c + channel] += dy * x;
                }
            }

            for level in simd::available() {
                for epilogue in [
                    Epilogue::default(),
                    Epilogue { bias: Some(&bias), residual: Some(&gradient), activation: Activation::Silu },
                    Epilogue { bias: Some(&bias), residual: None, activation: Activation::Relu6 },
                ] {
                    let mut actual = vec![f32::NAN; output.len()];
                    forward(level, shape, &input, &weight, &epilogue, &mut actual);
                    assert_finished(&actual, &output, &epilogue, 5e-6);
                }
                let mut actual = vec![f32::NAN; input.len()];
                backward_input(level, shape, &weight, &gradient, &mut actual);
                assert_close("input gradient", &actual, &input_gradient, 5e-6);
                let mut actual = vec![f32::NAN; weight_len];
                backward_weight(level, shape, &input, &gradient, &mut actual);
                assert_close("weight gradient", &actual, &weight_gradient, 5e-6);
            }
        }
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        for window in [Window::square(3, 1, 1), Window::square(5, 2, 2)] {
            let shape = DepthwiseShape { batch: 5, in_height: 31, in_width: 33, channels: 40, window };
            let (input, weight) = (values(1, shape.input_len()), values(2, window.taps() * 40));
            let gradient = values(3, shape.output_len());
            assert_same_on_any_threads(|| {
                let mut output = vec![0.0; shape.output_len()];
                depthwise_conv2d(shape, &input, &weight, Epilogue::default(), &mut output);
                let mut input_gradient = vec![0.0; shape.input_len()];
                depthwise_conv2d_input_gradient(shape, &weight, &gradient, &mut input_gradient);
                let mut weight_gradient = vec![0.0; weight.len()];
                depthwise_conv2d_weight_gradient(shape, &input, &gradient, &mut weight_gradient);
                [output, input_gradient, weight_gradient].concat()
            });
        }
    }
}
