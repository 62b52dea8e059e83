//! Inference of convolutions row by row, on planar rows.
//!
//! ```text
//!   memory of a map's row:   [ margin | channel 0, columns 0 ... 255 | margin | channel 1, columns 0 ... 255 | margin ...
//!                              [ margin | channel 0, columns 256 ...  | margin | channel 1, columns 256 ...
//!
//!   layer 0   rows in a ring buffer:  . . 4 5 6 7        a layer computes its next two rows as soon as the rows
//!   layer 1                           . 3 4 5 6          under their windows exist, and overwrites rows that the
//!   layer 2                           2 3 4 5            next layer has used
//! ```
//!
//! Networks for small devices have few channels on large maps. Their layers do so little work on a value that NHWC kernels are
//! limited by two things: vectors along 24 channels leave lanes empty, and a map of a large image leaves the second-level cache
//! between two layers. Here vectors run along the columns, so that all lanes are used whatever the channels, and the rows pass
//! through all layers while they are in the cache: a layer keeps a few rows only. The result for an image of any size is that of
//! a convolution of the whole image.
//!
//! [`PlanarRows`] is the ring buffer, [`PlanarConv`] and [`PlanarSeparable`] are the layers. Each call of their `advance` computes
//! up to two rows on the calling thread.
#![allow(unsafe_code)]
// Register tiles read best, and are optimised most reliably, as loops over constant index ranges.
#![allow(clippy::needless_range_loop)]

mod product;

use std::ops::Range;

use crate::activation::Activation;
use crate::planar::product::{Columns, Product, Shortcut, Targets};
use crate::scratch;
use crate::shape::{Padding, Window, expect_len};
use crate::simd::{self, Kernel, Vector};

/// Zeros before the first column of each channel. A multiple of every vector's lanes, so that columns keep the alignment.
const MARGIN: usize = 16;
/// Columns of a strip. Wide maps are divided into strips: the distance between two channels is then less than 2 KiB, within which the
/// processor prefetches, and a depthwise convolution goes through a strip's memory from the first value to the last.
const STRIP: usize = 256;
/// Columns of the neighbouring strips that a strip's margins repeat.
const HALO: usize = 4;
/// Values after the last row that vectors may read: two vectors of columns and two columns.
const TAIL: usize = 64;
/// Rows that a layer computes together. Both use the weights, and in depthwise convolutions the source values, that one loads.
const PAIR: usize = 2;
/// Columns that a depthwise convolution computes before the product uses them, so that they stay in the first-level cache.
const PIECE: usize = 64;

/// The last rows of a feature map, `[row, strip, channel, column]`, in a ring buffer. Rows are appended from the first to the last.
#[derive(Debug)]
pub struct PlanarRows {
    channels: usize,
    height: usize,
    width: usize,
    capacity: usize,
    /// Rows so far.
    end: usize,
    /// Values from one channel to the next.
    channel_len: usize,
    /// Values from one strip to the next, and from one row to the next.
    strip_len: usize,
    row_len: usize,
    /// `capacity` rows, and one of zeros for the padding above and below.
    values: Vec<f32>,
    /// Index of the first row, aligned to a cache line.
    first: usize,
}

impl PlanarRows {
    /// Without rows yet, for a map of `height` by `width` of which the last `capacity` rows are kept.
    ///
    /// # Panics
    /// If a size is 0.
    #[must_use]
    pub fn new(channels: usize, [height, width]: [usize; 2], capacity: usize) -> Self {
        assert!(channels * height * width * capacity > 0, "planar rows without values");
        let capacity = capacity.min(height);
        let channel_len = MARGIN + width.next_multiple_of(MARGIN).min(STRIP);
        let strip_len = channels * channel_len;
        let row_len = width.div_ceil(STRIP) * strip_len;
        let values = vec![0.0; (capacity + 1) * row_len + MARGIN + TAIL];
        // At most a cache line, for which there is room.
        let first = values.as_ptr().align_offset(64).min(MARGIN);
        Self { channels, height, width, capacity, end: 0, channel_len, strip_len, row_len, values, first }
    }

    /// Rows appended so far.
    #[must_use]
    pub fn end(&self) -> usize {
        self.end
    }

    /// Rows of the whole map.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// Columns.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Begins another map of the same size.
    pub fn restart(&mut self) {
        self.end = 0;
    }

    /// The value at a row, a channel and a column.
    ///
    /// # Panics
    /// If the row is not kept, or the channel or the column does not exist.
    #[must_use]
    pub fn value(&self, row: usize, channel: usize, column: usize) -> f32 {
        assert!(channel < self.channels && column < self.width, "no channel {channel} or no column {column}");
        self.values[self.start(Some(row)) + channel * self.channel_len + self.offset(column)]
    }

    /// Appends a row. `fill` gets a channel, a column and the values from this column on, at most those of a strip, to be overwritten.
    ///
    /// # Panics
    /// If the map has all its rows.
    pub fn append(&mut self, mut fill: impl FnMut(usize, usize, &mut [f32])) {
        assert!(self.end < self.height, "the map has {} rows", self.height);
        self.end += 1;
        let start = self.start(Some(self.end - 1));
        for channel in 0..self.channels {
            for column in (0..self.width).step_by(STRIP) {
                let at = start + channel * self.channel_len + self.offset(column);
                fill(channel, column, &mut self.values[at..at + STRIP.min(self.width - column)]);
            }
        }
        self.repeat_borders(self.end - 1..self.end);
    }

    /// The distance of a column from the first of its row.
    #[inline(always)]
    fn offset(&self, column: usize) -> usize {
        column / STRIP * self.strip_len + column % STRIP
    }

    /// Copies the borders of strips to the margins of their neighbours.
    fn repeat_borders(&mut self, rows: Range<usize>) {
        for row in rows {
            for strip in 1..self.row_len / self.strip_len {
                let right = self.start(Some(row)) + strip * self.strip_len;
                for channel in 0..self.channels {
                    let right = right + channel * self.channel_len;
                    let left_end = right - self.strip_len + STRIP;
                    self.copy_halo(left_end - HALO, right - HALO);
                    self.copy_halo(right, left_end);
                }
            }
        }
    }

    fn copy_halo(&mut self, from: usize, to: usize) {
        let values: [f32; HALO] = std::array::from_fn(|index| self.values[from + index]);
        self.values[to..to + HALO].copy_from_slice(&values);
    }

    /// Index of the first column of the first channel of a row, or of the row of zeros.
    #[track_caller]
    fn start(&self, row: Option<usize>) -> usize {
        let slot = match row {
            Some(row) => {
                assert!(row < self.end && row + self.capacity >= self.end, "row {row} of {} is not kept", self.end);
                row % self.capacity
            }
            None => self.capacity,
        };
        self.first + slot * self.row_len + MARGIN
    }

    /// Address of the first column of the first channel of row `row - before`, or of a row of zeros outside the map.
    #[track_caller]
    fn source(&self, row: usize, before: usize) -> *const f32 {
        // Derived from the whole buffer: a window begins before the first column.
        self.values.as_ptr().wrapping_add(self.start(row.checked_sub(before).filter(|row| *row < self.height)))
    }

    /// The targets of the next `count` rows, which are appended.
    fn append_targets(&mut self, count: usize) -> Targets {
        let first = self.end;
        self.end += count;
        let starts = [first, first + count - 1].map(|row| self.start(Some(row)));
        let values = self.values.as_mut_ptr();
        let rows = starts.map(|start| values.wrapping_add(start));
        let Self { channel_len, strip_len, width, .. } = *self;
        Targets { rows, count, channel_len, strip_len, width }
    }
}

/// The number of output rows that can be computed now: two if possible.
///
/// With a vertical stride, a single row waits for the next: otherwise all layers that follow would compute single rows.
fn ready(window: &Window, input: &PlanarRows, output: &PlanarRows) -> usize {
    let wanted = PAIR.min(output.height - output.end);
    let fits = |rows: usize| {
        let last = (output.end + rows - 1) * window.stride[0] + window.kernel[0];
        last.saturating_sub(window.padding.top).min(input.height) <= input.end
    };
    let least = if window.stride[0] == 1 { 1 } else { wanted };
    (least..=wanted).rev().find(|&rows| rows > 0 && fits(rows)).unwrap_or(0)
}

#[track_caller]
fn check(window: &Window, channels: [usize; 2], input: &PlanarRows, output: &PlanarRows, phases: usize) {
    expect_len("input channels", input.channels, channels[0]);
    expect_len("output channels", output.channels, channels[1]);
    expect_len("output rows", output.height, window.out_height(input.height));
    expect_len("output columns", output.width, window.out_width(input.width * phases));
}

/// A dense convolution on planar rows.
///
/// With a horizontal stride of `s`, the input has `s` channels for each of the convolution's: channel `i * s + p` has the columns
/// `p`, `p + s`, ... of channel `i`.
#[derive(Debug)]
pub struct PlanarConv {
    window: Window,
    in_channels: usize,
    product: Product,
}

impl PlanarConv {
    /// From the weight `[out_channels, kernel_height, kernel_width, in_channels]` and the bias `[out_channels]`, followed by a ReLU
    /// or nothing.
    ///
    /// # Panics
    /// If lengths do not match, or the window has more columns than one and four strides.
    #[must_use]
    pub fn new(window: Window, in_channels: usize, weight: &[f32], bias: &[f32], relu: bool) -> Self {
        let Padding { left, right, .. } = window.padding;
        assert!(window.kernel[1].max(left).max(right) <= HALO * window.stride[1] + 1, "a window of too many columns");
        expect_len("weight", weight.len(), bias.len() * window.taps() * in_channels);
        let activation = if relu { Activation::Relu } else { Activation::Identity };
        Self { window, in_channels, product: Product::new(simd::level(), weight, bias, activation) }
    }

    /// Computes up to two more rows of the output, if the input has the rows under their windows. Returns the number.
    ///
    /// # Panics
    /// If channels or sizes do not match, or the input no longer has a row that is needed.
    pub fn advance(&self, input: &PlanarRows, output: &mut PlanarRows) -> usize {
        let Self { window, in_channels, product } = self;
        let phases = window.stride[1];
        check(window, [in_channels * phases, product.rows()], input, output, phases);
        let (first, count) = (output.end, ready(window, input, output));
        if count == 0 {
            return 0;
        }
        let mut columns = Vec::with_capacity(product.depth());
        for r in 0..window.kernel[0] {
            let rows = [first, first + count - 1].map(|y| input.source(y * window.stride[0] + r, window.padding.top));
            for s in 0..window.kernel[1] {
                // Column `x * phases + s - left` is column `x + shift` of a phase; both are offset to stay positive.
                let column = s + MARGIN * phases - window.padding.left;
                let (shift, phase) = (column / phases, column % phases);
                for channel in 0..*in_channels {
                    let at = (channel * phases + phase) * input.channel_len + shift;
                    columns.push(rows.map(|row| row.wrapping_add(at).wrapping_sub(MARGIN)));
                }
            }
        }
        let targets = output.append_targets(count);
        let strip_len = input.strip_len;
        simd::dispatch(product.level(), Dense { product, columns: &columns, strip_len, targets: &targets });
        output.repeat_borders(first..first + count);
        count
    }
}

/// A task: some rows of a dense convolution.
struct Dense<'a> {
    product: &'a Product,
    columns: Columns<'a>,
    /// Values from one strip of the input to the next.
    strip_len: usize,
    targets: &'a Targets,
}

impl Kernel for Dense<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        for x in (0..self.targets.width).step_by(V::LANES) {
            // SAFETY: the level is the product's. Columns are inside the input's rows from the margin before them to the one
            // behind, of which vectors may read as much as a margin or the tail. The targets are rows of the output.
            let at = x / STRIP * self.strip_len + x % STRIP;
            unsafe { self.product.multiply::<V>(self.columns, at, None, self.targets, x) };
        }
    }
}

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

#[cfg(test)]
mod tests;
