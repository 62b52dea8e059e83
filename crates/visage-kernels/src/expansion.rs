//! A pointwise convolution and the depthwise one behind it, as inverted residual blocks begin, in one.
//!
//! ```text
//! expanded[n, y, x, c] = activation(sum over i: input[n, y, x, i] * filter[i, c] + bias[c])
//! output = depthwise convolution of `expanded`
//!
//!   input rows            ring: a panel of channels of `kernel` rows        output rows
//!   y + 2  ------------>  [0] a a a a a 0      the product writes row y + 2
//!                         [0] b b b b b 0      over row y - 1, which no
//!                         [0] c c c c c 0      window needs any more         ------------>  y
//! ```
//!
//! The expanded map is six times as large as the input and is read once: whole, it would leave the cache between the two. So one
//! that is large never exists as a whole. A panel of its channels, as wide as a register tile of the product, is made row by row, in a ring
//! of as many rows as the window has, and the depthwise convolution follows it down the image. Columns of zeros on both sides
//! of the ring are the padding.
//!
//! Tiling: a task is some panels of some rows of one image's output. The rows that two tasks' windows share are made twice.
#![allow(unsafe_code)]

use std::ops::Range;

use crate::activation::{Activation, Function, with_activation};
use crate::conv::{self, conv2d_packed};
use crate::depthwise::depthwise_conv2d;
use crate::epilogue::{Epilogue, UNBOUNDED};
use crate::gather::{Ends, Heights, Start, Tile};
use crate::panel::{self, Panel};
use crate::parallel::{self, SharedMut};
use crate::scratch;
use crate::shape::{ConvShape, DepthwiseShape, Padding, Window, covered, expect_len};
use crate::simd::{self, Kernel, Level, Vector};
use crate::sliding::{self, Evenly, KernelRow, Span, each_span, with_window};

/// Fewest output rows of a task, where an image is cut at all.
const BAND: usize = 8;
/// Values of an image's expanded map from which on it is better not made: less stays in the second-level cache. Where threads share
/// the work it never is, and they wait for one another once.
const LARGE: usize = 32 * 1024;

/// The first of the two convolutions: of one pixel, to the channels of the second.
#[derive(Clone, Copy, Debug)]
pub struct Expansion<'a> {
    /// Channels of the input.
    pub in_channels: usize,
    /// As [`pack_conv2d`](crate::pack_conv2d) lays out the filters of a window of one pixel.
    pub filters: &'a [f32],
    /// `[channels]`
    pub bias: &'a [f32],
    /// What comes last.
    pub activation: Activation,
}

impl Expansion<'_> {
    fn shape(&self, shape: DepthwiseShape) -> ConvShape {
        let DepthwiseShape { batch, in_height, in_width, channels, .. } = shape;
        let window = Window::square(1, 1, 0);
        ConvShape { batch, in_height, in_width, in_channels: self.in_channels, out_channels: channels, window }
    }

    fn epilogue(&self) -> Epilogue<'_> {
        Epilogue { bias: Some(self.bias), residual: None, activation: self.activation }
    }
}

/// Expands `[batch, in_height, in_width, expansion.in_channels]` to `[batch, in_height, in_width, channels]` and convolves
/// that depthwise, `weight` as of [`depthwise_conv2d`], to `[batch, out_height, out_width, channels]`.
///
/// `epilogue` follows the depthwise convolution.
///
/// # Panics
/// If lengths do not match the shape.
pub fn expanded_depthwise_conv2d(
    shape: DepthwiseShape,
    input: &[f32],
    expansion: Expansion,
    weight: &[f32],
    epilogue: Epilogue,
    output: &mut [f32],
) {
    let dense = expansion.shape(shape);
    expect_len("input", input.len(), dense.input_len());
    expect_len("filters", expansion.filters.len(), conv::filters_len(dense, simd::level()));
    expect_len("weight", weight.len(), shape.window.taps() * shape.channels);
    expect_len("output", output.len(), shape.output_len());
    expansion.epilogue().check(shape.channels, dense.output_len());
    epilogue.check(shape.channels, output.len());
    let is_large = shape.in_height * shape.in_width * shape.channels >= LARGE;
    if (is_large || parallel::tasks() > 1) && sliding::applies(shape, &epilogue) {
        forward(simd::level(), shape, input, &expansion, weight, &epilogue, output);
        return;
    }
    scratch::with_buffer(dense.output_len(), |expanded| {
        conv2d_packed(dense, input, expansion.filters, expansion.epilogue(), expanded);
        depthwise_conv2d(shape, expanded, weight, epilogue, output);
    });
}

fn forward(
    level: Level,
    shape: DepthwiseShape,
    input: &[f32],
    expansion: &Expansion,
    weight: &[f32],
    epilogue: &Epilogue,
    output: &mut [f32],
) {
    if output.is_empty() {
        return;
    }
    let height = shape.out_height();
    let panels = panel::cut(shape.channels, level);
    // Sooner panels than rows, of which neighbours share some.
    let tasks = parallel::tasks();
    let groups = tasks.div_ceil(shape.batch).min(panels.len());
    let bands = tasks.div_ceil(shape.batch * groups).clamp(1, (height / BAND).max(1));
    let Padding { left, right, .. } = shape.window.padding;
    let row = (left + shape.in_width + right) * panels[0].vectors * level.lanes();
    let output = SharedMut::new(output);
    parallel::for_each(shape.batch * groups * bands, |task| {
        let (image, group, band) = (task / (groups * bands), task / bands % groups, task % bands);
        scratch::with_buffer(shape.window.kernel[0] * row, |ring| {
            let task = Task {
                shape,
                input,
                expansion,
                weight,
                epilogue,
                image,
                panels: &panels[panels.len() * group / groups..panels.len() * (group + 1) / groups],
                rows: height * band / bands..height * (band + 1) / bands,
                ring,
                output,
            };
            simd::dispatch(level, task);
        });
    });
}

/// Some panels of some output rows of one image.
struct Task<'a> {
    shape: DepthwiseShape,
    input: &'a [f32],
    expansion: &'a Expansion<'a>,
    weight: &'a [f32],
    epilogue: &'a Epilogue<'a>,
    image: usize,
    panels: &'a [Panel],
    rows: Range<usize>,
    /// As many rows as the window has, each padded, of the widest panel.
    ring: &'a mut [f32],
    output: SharedMut,
}

impl Kernel for Task<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        with_activation!(self.epilogue.activation, F => {
            with_window!(self.shape.window, KERNEL, STRIDE, WIDE => {
                // SAFETY: the caller vouches for the instructions.
                unsafe { self.panels::<V, F, KERNEL, STRIDE, WIDE>() }
            });
        });
    }
}

impl Task<'_> {
    /// # Safety
    /// The processor has `V`'s instructions, and the window is of `KERNEL` and `STRIDE`.
    #[inline(always)]
    unsafe fn panels<V: Vector, F: Function, const KERNEL: usize, const STRIDE: usize, const WIDE: usize>(mut self) {
        let DepthwiseShape { in_height, window, .. } = self.shape;
        let inside = |y| covered(y, KERNEL, STRIDE, window.padding.top, in_height);
        for panel in self.panels {
            // The padding, and the lanes that are no channels.
            self.ring.fill(0.0);
            let mut next = inside(self.rows.start).start;
            for y in self.rows.clone() {
                // SAFETY: passed on; the rows exist, and the ring then has the last `KERNEL` of them.
                unsafe {
                    while next < inside(y).end {
                        match V::TILE_ROWS {
                            8 => self.expand::<V, 8>(*panel, next),
                            6 => self.expand::<V, 6>(*panel, next),
                            _ => self.expand::<V, 4>(*panel, next),
                        }
                        next += 1;
                    }
                    self.slide::<V, F, KERNEL, STRIDE, WIDE>(*panel, y);
                }
            }
        }
    }

    /// Values of a row of the ring.
    #[inline(always)]
    fn ring_row(&self, width: usize) -> usize {
        let Padding { left, right, .. } = self.shape.window.padding;
        (left + self.shape.in_width + right) * width
    }

    /// Makes row `y` of the expanded map.
    ///
    /// # Safety
    /// The processor has `V`'s instructions; the row and the panel exist.
    #[inline(always)]
    unsafe fn expand<V: Vector, const ROWS: usize>(&mut self, panel: Panel, y: usize) {
        let DepthwiseShape { in_height, in_width, channels, window, .. } = self.shape;
        let (depth, width) = (self.expansion.in_channels, panel.vectors * V::LANES);
        let source = &self.input[(self.image * in_height + y) * in_width * depth..][..in_width * depth];
        let packed = &self.expansion.filters[panel.column * depth..][..width * depth];
        let bias = &self.expansion.bias[panel.column..];
        let row = self.ring_row(width);
        let to = &mut self.ring[y % window.kernel[0] * row..][..row];
        let to = &mut to[window.padding.left * width..][..in_width * width];
        let epilogue = self.expansion.epilogue();
        let bounds = epilogue.bounds();
        let ends = Ends { start: Start::Bias(bias.as_ptr()), bounds: bounds.unwrap_or(UNBOUNDED) };
        let tiles = Heights::of(in_width, ROWS);
        for index in 0..tiles.count() {
            let first = tiles.first(index);
            let rows = tiles.height(index).min(in_width - first);
            // Pixels beyond the last repeat it and are not stored.
            let pixels: [usize; ROWS] = std::array::from_fn(|row| (first + row).min(in_width - 1));
            // SAFETY: pixels are of the row, in the source and in the ring; `packed` has `width` values for each of the `depth`, the bias
            // the panel's channels.
            unsafe {
                let tile = Tile {
                    sources: &[pixels.map(|pixel| source.as_ptr().add(pixel * depth))],
                    depth,
                    packed: packed.as_ptr(),
                    ends,
                    targets: pixels.map(|pixel| to.as_mut_ptr().add(pixel * width)),
                    rows,
                    last_lanes: panel.last_lanes(V::LANES, channels),
                };
                tile.multiply::<V>(panel.vectors, tiles.height(index));
            }
        }
        if bounds.is_none() {
            // SAFETY: the caller vouches for the instructions.
            unsafe { epilogue.finish::<V>(0, to) };
        }
    }

    /// Makes row `y` of the output.
    ///
    /// # Safety
    /// The processor has `V`'s instructions, the window is of `KERNEL` and `STRIDE`, the row and the panel exist, and the ring has the
    /// rows of the expanded map that they need.
    #[inline(always)]
    unsafe fn slide<V: Vector, F: Function, const KERNEL: usize, const STRIDE: usize, const WIDE: usize>(
        &self,
        panel: Panel,
        y: usize,
    ) {
        let DepthwiseShape { in_height, channels, window, .. } = self.shape;
        let (step, out_width) = (panel.vectors * V::LANES, self.shape.out_width());
        let len = self.ring_row(step);
        let mut rows = [(Evenly { first: self.ring.as_ptr(), step }, self.weight.as_ptr()); KERNEL];
        let inside = covered(y, KERNEL, STRIDE, window.padding.top, in_height);
        let count = inside.len();
        for ((columns, weight), row) in rows.iter_mut().zip(inside) {
            columns.first = self.ring[row % KERNEL * len..][..len].as_ptr();
            let r = row + window.padding.top - y * STRIDE;
            *weight = self.weight[r * KERNEL * channels..][..KERNEL * channels].as_ptr();
        }
        let (rows, pixel) = (&rows[..count], (self.image * self.shape.out_height() + y) * out_width);
        // SAFETY: passed on; a row of the ring has a column for every one that the last pixel's window reaches.
        each_span::<WIDE>(
            out_width,
            #[inline(always)]
            |x| unsafe { self.span::<V, F, KERNEL, STRIDE, WIDE>(panel, rows, pixel, x) },
            #[inline(always)]
            |x| unsafe { self.span::<V, F, KERNEL, STRIDE, 4>(panel, rows, pixel, x) },
            #[inline(always)]
            |x| unsafe { self.span::<V, F, KERNEL, STRIDE, 1>(panel, rows, pixel, x) },
        );
    }

    /// `PIXELS` pixels from the `x`-th of a row on, which begins at `pixel`, of the panel's channels.
    ///
    /// # Safety
    /// As [`slide`](Self::slide), the pixels exist, and `rows` are those of the ring under them.
    #[inline(always)]
    unsafe fn span<V: Vector, F: Function, const KERNEL: usize, const STRIDE: usize, const PIXELS: usize>(
        &self,
        panel: Panel,
        rows: &[KernelRow<Evenly>],
        pixel: usize,
        x: usize,
    ) {
        let (bias, channels) = (self.epilogue.bias, self.shape.channels);
        // SAFETY: every column has the panel's lanes, weights and bias have all channels, and this task alone writes the panel's.
        unsafe {
            let target = self.output.at((pixel + x) * channels);
            let span = Span::<_, KERNEL, STRIDE, PIXELS> { rows, bias, channels, target };
            for vector in 0..panel.vectors {
                let column = vector * V::LANES;
                let at = x * STRIDE * panel.vectors * V::LANES + column;
                span.vector::<V, F>(at, panel.column + column);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::conv::pack_filters;
    use crate::reference::{assert_finished, assert_same_on_any_threads, depthwise_sums, finished, values};

    const ACTIVATIONS: [Activation; 4] = [Activation::Identity, Activation::Relu, Activation::Relu6, Activation::Silu];

    /// The definition: the depthwise sums, in f64.
    fn sums(shape: DepthwiseShape, depth: usize, activation: Activation, operands: [&[f32]; 4]) -> Vec<f64> {
        let [input, filter, filter_bias, weight] = operands;
        let channels = shape.channels;
        let products: Vec<f64> = (0..shape.input_len())
            .map(|index| {
                let (pixel, c) = (index / channels, index % channels);
                (0..depth).map(|i| f64::from(input[pixel * depth + i]) * f64::from(filter[c * depth + i])).sum()
            })
            .collect();
        let epilogue = Epilogue { bias: Some(filter_bias), residual: None, activation };
        depthwise_sums(shape, &finished(&products, &epilogue), weight)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]
        #[test]
        fn all_levels_agree_with_the_definition(
            kernel in prop::sample::select(vec![3usize, 5]),
            stride in 1usize..3,
            padding in [0usize..3, 0usize..3, 0usize..3, 0usize..3],
            extra in [0usize..30, 0usize..22],
            batch in 1usize..4,
            depth in prop::sample::select(vec![1usize, 5, 16, 24]),
            channels in prop::sample::select(vec![1usize, 8, 15, 16, 24, 40, 100, 144]),
            activations in [0usize..4, 0usize..4],
        ) {
            let [top, left, bottom, right] = padding;
            let window =
                Window { kernel: [kernel; 2], stride: [stride; 2], padding: Padding { top, left, bottom, right } };
            let [in_height, in_width] = extra.map(|extra| kernel + extra);
            let shape = DepthwiseShape { batch, in_height, in_width, channels, window };
            let [inner, outer] = activations.map(|index| ACTIVATIONS[index]);
            let input = values(1, batch * in_height * in_width * depth);
            let (filter, filter_bias) = (values(2, channels * depth), values(3, channels));
            let (weight, bias) = (values(4, window.taps() * channels), values(5, channels));
            let sums = sums(shape, depth, inner, [&input, &filter, &filter_bias, &weight]);
            for bias in [None, Some(&bias[..])] {
                let epilogue = Epilogue { bias, residual: None, activation: outer };
                for level in simd::available() {
                    let expansion = Expansion { in_channels: depth, filters: &[], bias: &filter_bias, activation: inner };
                    let dense = expansion.shape(shape);
                    let mut filters = vec![f32::NAN; conv::filters_len(dense, level)];
                    pack_filters(level, dense, &filter, &mut filters);
                    let mut actual = vec![f32::NAN; sums.len()];
                    forward(level, shape, &input, &Expansion { filters: &filters, ..expansion }, &weight, &epilogue, &mut actual);
                    assert_finished(&actual, &sums, &epilogue, 1e-5);
                }
            }
        }
    }

    /// Both of the ways that [`expanded_depthwise_conv2d`] may go.
    #[test]
    fn small_and_large_maps_agree_with_the_definition() {
        for size in [8, 42] {
            let (depth, channels) = (12, 48);
            let window = Window::square(3, 2, 1);
            let shape = DepthwiseShape { batch: 2, in_height: size, in_width: size, channels, window };
            assert_eq!(size * size * channels >= LARGE, size == 42);
            let input = values(1, 2 * size * size * depth);
            let (filter, filter_bias) = (values(2, channels * depth), values(3, channels));
            let (weight, bias) = (values(4, window.taps() * channels), values(5, channels));
            let sums = sums(shape, depth, Activation::Relu6, [&input, &filter, &filter_bias, &weight]);
            let epilogue = Epilogue { bias: Some(&bias), residual: None, activation: Activation::Silu };
            let expansion =
                Expansion { in_channels: depth, filters: &[], bias: &filter_bias, activation: Activation::Relu6 };
            let filters = conv::pack_conv2d(expansion.shape(shape), &filter);
            let run = || {
                let mut output = vec![f32::NAN; sums.len()];
                let expansion = Expansion { filters: &filters, ..expansion };
                expanded_depthwise_conv2d(shape, &input, expansion, &weight, epilogue, &mut output);
                output
            };
            assert_finished(&run(), &sums, &epilogue, 1e-5);
            assert_finished(&parallel::alone(run), &sums, &epilogue, 1e-5);
            assert_same_on_any_threads(run);
        }
    }
}
