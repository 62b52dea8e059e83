//! Depthwise convolution, pointwise convolution and shortcut in one, on planar rows.
#![allow(unsafe_code)]
// Register tiles read best, and are optimised most reliably, as loops over constant index ranges.
#![allow(clippy::needless_range_loop)]

use super::product::{Columns, Product, Shortcut, Targets};
use super::{MARGIN, PAIR, PlanarRows, STRIP, check, ready};
use crate::activation::Activation;
use crate::scratch;
use crate::shape::{Padding, Window, expect_len};
use crate::simd::{self, Kernel, Vector};

/// Columns that a depthwise convolution computes before the product uses them, so that they stay in the first-level cache.
const PIECE: usize = 64;

/// A depthwise convolution of 3x3, followed by a pointwise one, a shortcut and a ReLU, on planar rows: the block of BlazeFace.
///
/// ```text
/// output = relu(pointwise(depthwise(input)) + shortcut)
/// ```
///
/// With a stride of 1 the shortcut is the input, with a stride of 2 its maximum over 2x2 pixels. Output channels beyond the input's
/// have no shortcut.
#[derive(Debug)]
pub struct PlanarSeparable {
    window: Window,
    in_channels: usize,
    /// For each input channel nine weights and the bias.
    depthwise: Vec<[f32; 10]>,
    product: Product,
    has_shortcut: bool,
}

impl PlanarSeparable {
    /// From the weight `[3, 3, in_channels]` and the bias `[in_channels]` of the depthwise convolution, and those of the pointwise one,
    /// `[out_channels, in_channels]` and `[out_channels]`.
    ///
    /// # Panics
    /// If lengths do not match, or the window is none of [`windows`](Self::windows).
    #[must_use]
    pub fn new(window: Window, depthwise: [&[f32]; 2], pointwise: [&[f32]; 2], has_shortcut: bool) -> Self {
        assert!(Self::windows().contains(&window), "{window:?} is not supported");
        let in_channels = depthwise[1].len();
        expect_len("depthwise weight", depthwise[0].len(), 9 * in_channels);
        expect_len("pointwise weight", pointwise[0].len(), in_channels * pointwise[1].len());
        let value = |channel: usize, index: usize| match index {
            9 => depthwise[1][channel],
            _ => depthwise[0][index * in_channels + channel],
        };
        Self {
            window,
            in_channels,
            depthwise: (0..in_channels).map(|channel| std::array::from_fn(|index| value(channel, index))).collect(),
            product: Product::new(simd::level(), pointwise[0], pointwise[1], Activation::Relu),
            has_shortcut,
        }
    }

    /// The windows of the depthwise convolution: 3x3 with a stride of 1, or of 2 with TensorFlow's padding of even sizes.
    #[must_use]
    pub fn windows() -> [Window; 2] {
        let padding = Padding { top: 0, left: 0, bottom: 1, right: 1 };
        [Window::square(3, 1, 1), Window { kernel: [3; 2], stride: [2; 2], padding }]
    }

    /// The rows of its input that must be kept, if the layer before computes two at a time: those under the windows of two rows, and
    /// with a stride of 2 one that arrives too early.
    #[must_use]
    pub fn kept_rows(&self) -> usize {
        if self.window.stride[0] == 1 { 4 } else { 6 }
    }

    /// Computes up to two more rows of the output, if the input has the rows under their windows. Returns the number.
    ///
    /// # Panics
    /// If channels or sizes do not match, or the input no longer has a row that is needed. With a stride of 2 the input's height and
    /// width must be even.
    pub fn advance(&self, input: &PlanarRows, output: &mut PlanarRows) -> usize {
        let Self { window, in_channels, product, .. } = self;
        check(window, [*in_channels, product.rows()], input, output, 1);
        let step = window.stride[0];
        assert!(
            input.height.is_multiple_of(step) && input.width.is_multiple_of(step),
            "a stride of 2 over an odd size"
        );
        let (first, count) = (output.end, ready(window, input, output));
        if count == 0 {
            return 0;
        }
        // The rows under the windows of both output rows. A missing second one repeats the last.
        let last = (first + count - 1) * step + 2;
        let rows = std::array::from_fn(|row| input.source((first * step + row).min(last), window.padding.top));
        let targets = output.append_targets(count);
        let pieces = PIECE / product.lanes();
        // The results of the depthwise convolution, and the shortcut of a stride of 2.
        let len = pieces * in_channels * PAIR * product.lanes();
        scratch::with_buffer(2 * len + MARGIN, |buffer| {
            let aligned = buffer.as_ptr().align_offset(64).min(MARGIN);
            let (sums, pooled) = buffer[aligned..][..2 * len].split_at_mut(len);
            let (sums, pooled) = (sums.as_mut_ptr(), pooled.as_mut_ptr());
            let column = |channel: usize| {
                [0, 1].map(|row| sums.wrapping_add((channel * PAIR + row) * product.lanes()).cast_const())
            };
            let columns: Vec<_> = (0..*in_channels).map(column).collect();
            let PlanarRows { channel_len, strip_len, .. } = *input;
            let task = Separable {
                layer: self,
                rows,
                channel_len,
                strip_len,
                sums,
                pooled,
                columns: &columns,
                targets: &targets,
            };
            simd::dispatch(product.level(), task);
        });
        output.repeat_borders(first..first + count);
        count
    }
}

/// A task: one or two rows of a separable convolution.
struct Separable<'a> {
    layer: &'a PlanarSeparable,
    /// The rows under the windows: four with a stride of 1, five with a stride of 2.
    rows: [*const f32; 5],
    /// Values from one channel of the input to the next, and from one strip to the next.
    channel_len: usize,
    strip_len: usize,
    /// `[vector of the piece, channel, row, lane]`, as is `pooled`.
    sums: *mut f32,
    pooled: *mut f32,
    /// The addresses of the sums of the piece's first vector.
    columns: Columns<'a>,
    targets: &'a Targets,
}

impl Kernel for Separable<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        // SAFETY: as the caller guarantees.
        unsafe {
            match self.layer.window.stride[0] {
                1 => self.pieces::<V, 1>(),
                _ => self.pieces::<V, 2>(),
            }
        }
    }
}

impl Separable<'_> {
    /// # Safety
    /// The processor must support `V`, and `STEP` must be the stride.
    #[inline(always)]
    unsafe fn pieces<V: Vector, const STEP: usize>(&self) {
        let Self { layer, targets, .. } = self;
        let vectors = targets.width.div_ceil(V::LANES);
        let pair = PAIR * V::LANES;
        for first in (0..vectors).step_by(PIECE / V::LANES) {
            let count = (PIECE / V::LANES).min(vectors - first);
            // A piece, and what it reads, is in one strip.
            let column = first * V::LANES * STEP;
            let from = column / STRIP * self.strip_len + column % STRIP;
            // SAFETY: both buffers have `PIECE` columns of every channel for two rows. Vectors of the input read behind its last
            // column at most what `TAIL` allows.
            unsafe {
                for channel in 0..layer.in_channels {
                    if STEP == 1 {
                        self.stride_1::<V>(channel, from, count);
                    } else {
                        self.stride_2::<V>(channel, from, count);
                    }
                }
                for vector in 0..count {
                    let (x, at) = ((first + vector) * V::LANES, vector * layer.in_channels * pair);
                    let shortcut = match STEP {
                        _ if !layer.has_shortcut => None,
                        // The rows in the middle of the windows.
                        1 => Some(Shortcut {
                            rows: [1, 2].map(|row| self.rows[row].add(from + vector * V::LANES)),
                            channel_len: self.channel_len,
                            channels: layer.in_channels,
                        }),
                        _ => Some(Shortcut {
                            rows: [self.pooled.add(at), self.pooled.add(at + V::LANES)].map(<*mut f32>::cast_const),
                            channel_len: pair,
                            channels: layer.in_channels,
                        }),
                    };
                    layer.product.multiply::<V>(self.columns, at, shortcut, targets, x);
                }
            }
        }
    }

    /// The depthwise convolution of a channel with a stride of 1: `count` vectors of columns in two rows. The first is at distance `from`.
    ///
    /// # Safety
    /// The processor must support `V`. The channel and the vectors must exist.
    #[inline(always)]
    unsafe fn stride_1<V: Vector>(&self, channel: usize, from: usize, count: usize) {
        let Self { layer, channel_len, sums, .. } = *self;
        let pair = PAIR * V::LANES;
        // SAFETY: as the caller guarantees.
        unsafe {
            let weights = layer.depthwise[channel].map(|weight| V::splat(weight));
            let at = channel * channel_len + from;
            let [a, b, c, d] = [0, 1, 2, 3].map(|row| self.rows[row].add(at));
            for vector in 0..count {
                let x = vector * V::LANES;
                let mut upper = weights[9];
                let mut lower = weights[9];
                for s in 0..3 {
                    let load = |row: *const f32| V::load(row.add(x + s).sub(1));
                    upper = load(a).mul_add(weights[s], upper);
                    let value = load(b);
                    upper = value.mul_add(weights[3 + s], upper);
                    lower = value.mul_add(weights[s], lower);
                    let value = load(c);
                    upper = value.mul_add(weights[6 + s], upper);
                    lower = value.mul_add(weights[3 + s], lower);
                    lower = load(d).mul_add(weights[6 + s], lower);
                }
                let to = sums.add((vector * layer.in_channels + channel) * pair);
                upper.store(to);
                lower.store(to.add(V::LANES));
            }
        }
    }

    /// The depthwise convolution of a channel with a stride of 2, and the shortcut's maximum.
    ///
    /// # Safety
    /// As [`stride_1`](Self::stride_1).
    #[inline(always)]
    unsafe fn stride_2<V: Vector>(&self, channel: usize, from: usize, count: usize) {
        let Self { layer, channel_len, sums, pooled, .. } = *self;
        let pair = PAIR * V::LANES;
        // SAFETY: as the caller guarantees.
        unsafe {
            let weights = layer.depthwise[channel].map(|weight| V::splat(weight));
            let at = channel * channel_len + from;
            for vector in 0..count {
                let x = at + 2 * vector * V::LANES;
                let mut outputs = [weights[9]; PAIR];
                let mut maxima = [weights[9]; PAIR];
                for row in 0..5 {
                    let from = self.rows[row].add(x);
                    let [even, odd] = V::load(from).deinterleave(V::load(from.add(V::LANES)));
                    let [next, _] = V::load(from.add(2)).deinterleave(V::load(from.add(V::LANES + 2)));
                    for output in 0..PAIR {
                        if row >= 2 * output && row < 2 * output + 3 {
                            let first = 3 * (row - 2 * output);
                            for (s, value) in [even, odd, next].into_iter().enumerate() {
                                outputs[output] = value.mul_add(weights[first + s], outputs[output]);
                            }
                        }
                    }
                    if row < 4 {
                        let maximum = even.maximum(odd);
                        maxima[row / 2] = if row % 2 == 0 { maximum } else { maxima[row / 2].maximum(maximum) };
                    }
                }
                let to = (vector * layer.in_channels + channel) * pair;
                for output in 0..PAIR {
                    outputs[output].store(sums.add(to + output * V::LANES));
                    maxima[output].store(pooled.add(to + output * V::LANES));
                }
            }
        }
    }
}
