//! A pointwise convolution fused with the depthwise convolution after it: the beginning of an inverted residual block.
//!
//! ```text
//! expanded[n, y, x, c] = activation(sum over i: input[n, y, x, i] * filter[i, c] + bias[c])
//! output = depthwise convolution of `expanded`
//!
//!   input rows            ring buffer: one panel of channels            output rows
//!                         of as many rows as the kernel has
//!   y + 2  ------------>  [0] a a a a a 0      row y + 2 overwrites
//!                         [0] b b b b b 0      row y - 1, which no
//!                         [0] c c c c c 0      window needs any more    ------------>  y
//! ```
//!
//! The expanded map is typically six times as large as the input and is read once. A large one would leave the cache between
//! the two convolutions, so it is never stored whole. One panel of its channels, as wide as a register tile of the product, is
//! computed row by row into a ring buffer, and the depthwise convolution follows it down the image. Columns of zeros on both
//! sides of the ring buffer are the padding.
//!
//! Tiling: a task is some panels of some rows of one image's output. Rows under the windows of two tasks are computed twice.
#![allow(unsafe_code)]

use std::ops::Range;

use crate::activation::{Activation, Function, UNBOUNDED, with_activation_of_clamped};
use crate::conv::{self, conv2d_packed};
use crate::depthwise::depthwise_conv2d;
use crate::depthwise::small_window::{self, EvenColumns, KernelRow, Span, for_each_span, with_window};
use crate::epilogue::Epilogue;
use crate::micro_kernel::{Init, RegisterTile, RowTiling, with_tile_rows};
use crate::packing::{self, Panel};
use crate::parallel::{self, SharedMut};
use crate::scratch;
use crate::shape::{ConvShape, DepthwiseShape, Padding, Window, covered, expect_len};
use crate::simd::{self, Kernel, Level, Vector};

/// Fewest output rows of a task if an image is divided at all.
const BAND: usize = 8;
/// Length of an image's expanded map from which on the fused kernel is faster on one thread: a smaller map stays in the
/// second-level cache. With several threads the fused kernel is always faster, because they synchronise once instead of twice.
const LARGE: usize = 32 * 1024;

/// The pointwise convolution before the depthwise one.
#[derive(Clone, Copy, Debug)]
pub struct Expansion<'a> {
    /// Channels of the input.
    pub in_channels: usize,
    /// Filters of a 1x1 window, packed by [`pack_conv2d`](crate::pack_conv2d).
    pub filters: &'a [f32],
    /// `[channels]`.
    pub bias: &'a [f32],
    /// Activation between the two convolutions.
    pub activation: Activation,
}

impl Expansion<'_> {
    /// The shape of the pointwise convolution.
    fn shape(&self, shape: DepthwiseShape) -> ConvShape {
        let DepthwiseShape { batch, in_height, in_width, channels, .. } = shape;
        let window = Window::square(1, 1, 0);
        ConvShape { batch, in_height, in_width, in_channels: self.in_channels, out_channels: channels, window }
    }

    fn epilogue(&self) -> Epilogue<'_> {
        Epilogue { bias: Some(self.bias), residual: None, activation: self.activation }
    }
}

/// Expands `[batch, in_height, in_width, expansion.in_channels]` to `[batch, in_height, in_width, channels]` and applies a
/// depthwise convolution to `[batch, out_height, out_width, channels]`.
///
/// `weight` is as in [`depthwise_conv2d`]; `epilogue` follows the depthwise convolution.
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
    expect_len("filters", expansion.filters.len(), conv::filters_len(dense));
    expect_len("weight", weight.len(), shape.window.taps() * shape.channels);
    expect_len("output", output.len(), shape.output_len());
    expansion.epilogue().check(shape.channels, dense.output_len());
    epilogue.check(shape.channels, output.len());
    let is_large = shape.in_height * shape.in_width * shape.channels >= LARGE;
    if (is_large || parallel::task_count() > 1) && small_window::applies(shape, &epilogue) {
        let operands = Operands { shape, input, expansion: &expansion, weight, epilogue: &epilogue };
        fused(simd::level(), &operands, output);
        return;
    }
    scratch::with_buffer(dense.output_len(), |expanded| {
        conv2d_packed(dense, input, expansion.filters, expansion.epilogue(), expanded);
        depthwise_conv2d(shape, expanded, weight, epilogue, output);
    });
}

/// The operands of both convolutions.
struct Operands<'a> {
    shape: DepthwiseShape,
    input: &'a [f32],
    expansion: &'a Expansion<'a>,
    weight: &'a [f32],
    epilogue: &'a Epilogue<'a>,
}

fn fused(level: Level, operands: &Operands, output: &mut [f32]) {
    if output.is_empty() {
        return;
    }
    let shape = operands.shape;
    let height = shape.out_height();
    let panels = packing::panels(shape.channels, level);
    // Divide the panels before the rows: neighbouring bands of rows have work in common.
    let tasks = parallel::task_count();
    let groups = tasks.div_ceil(shape.batch).min(panels.len());
    let bands = tasks.div_ceil(shape.batch * groups).clamp(1, (height / BAND).max(1));
    let Padding { left, right, .. } = shape.window.padding;
    let row = (left + shape.in_width + right) * panels[0].vectors * level.lanes();
    let output = SharedMut::new(output);
    parallel::for_each(shape.batch * groups * bands, |task| {
        let (image, group, band) = (task / (groups * bands), task / bands % groups, task % bands);
        scratch::with_buffer(shape.window.kernel[0] * row, |ring| {
            let task = Task {
                level,
                operands,
                image,
                panels: &panels[parallel::part(panels.len(), group, groups)],
                rows: parallel::part(height, band, bands),
                ring,
                output,
            };
            simd::dispatch(level, task);
        });
    });
}

/// Some panels of some output rows of one image.
struct Task<'a> {
    level: Level,
    operands: &'a Operands<'a>,
    image: usize,
    panels: &'a [Panel],
    rows: Range<usize>,
    /// The ring buffer: as many padded rows of the widest panel as the kernel has. Row y is at index `y % kernel`.
    ring: &'a mut [f32],
    output: SharedMut,
}

impl Kernel for Task<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        with_activation_of_clamped!(self.operands.epilogue.activation, F => {
            with_window!(self.operands.shape.window, KERNEL, STRIDE, WIDE => {
                // SAFETY: as the caller guarantees.
                unsafe { self.panels::<V, F, KERNEL, STRIDE, WIDE>() }
            });
        });
    }
}

impl Task<'_> {
    /// # Safety
    /// The processor must support `V`, and `KERNEL` and `STRIDE` must be the window's.
    #[inline(always)]
    unsafe fn panels<V: Vector, F: Function, const KERNEL: usize, const STRIDE: usize, const WIDE: usize>(mut self) {
        let DepthwiseShape { in_height, window, .. } = self.operands.shape;
        let inside = |y| covered(y, KERNEL, STRIDE, window.padding.top, in_height);
        for panel in self.panels {
            // The padding, and the lanes beyond the last channel.
            self.ring.fill(0.0);
            let mut next = inside(self.rows.start).start;
            for y in self.rows.clone() {
                // SAFETY: as the caller guarantees; the rows exist. After the loop the ring buffer has the last `KERNEL` rows.
                unsafe {
                    while next < inside(y).end {
                        self.expand_row(*panel, next);
                        next += 1;
                    }
                    self.convolve_row::<V, F, KERNEL, STRIDE, WIDE>(*panel, y);
                }
            }
        }
    }

    /// Length of a row of the ring buffer for a panel `width` values wide.
    #[inline(always)]
    fn ring_row(&self, width: usize) -> usize {
        let DepthwiseShape { in_width, window: Window { padding: Padding { left, right, .. }, .. }, .. } =
            self.operands.shape;
        (left + in_width + right) * width
    }

    /// Computes row `y` of the expanded map.
    fn expand_row(&mut self, panel: Panel, y: usize) {
        let Self { level, operands, image, .. } = *self;
        let DepthwiseShape { in_width, window, .. } = operands.shape;
        let width = panel.vectors * level.lanes();
        let row = self.ring_row(width);
        let to = &mut self.ring[y % window.kernel[0] * row..][..row];
        let to = &mut to[window.padding.left * width..][..in_width * width];
        simd::dispatch(level, ExpandedRow { operands, image, panel, y, to });
    }

    /// Computes row `y` of the output.
    ///
    /// # Safety
    /// The processor must support `V`, and `KERNEL` and `STRIDE` must be the window's. The row and the panel must exist, and the
    /// ring buffer must have the rows of the expanded map under the row's windows.
    #[inline(always)]
    unsafe fn convolve_row<V: Vector, F: Function, const KERNEL: usize, const STRIDE: usize, const WIDE: usize>(
        &self,
        panel: Panel,
        y: usize,
    ) {
        let Operands { shape, weight: all_weights, .. } = *self.operands;
        let DepthwiseShape { in_height, channels, window, .. } = shape;
        let (step, out_width) = (panel.vectors * V::LANES, shape.out_width());
        let len = self.ring_row(step);
        let mut rows = [(EvenColumns { first: self.ring.as_ptr(), step }, all_weights.as_ptr()); KERNEL];
        let inside = covered(y, KERNEL, STRIDE, window.padding.top, in_height);
        let count = inside.len();
        for ((columns, weight), row) in rows.iter_mut().zip(inside) {
            columns.first = self.ring[row % KERNEL * len..][..len].as_ptr();
            let r = row + window.padding.top - y * STRIDE;
            *weight = all_weights[r * KERNEL * channels..][..KERNEL * channels].as_ptr();
        }
        let (rows, pixel) = (&rows[..count], (self.image * shape.out_height() + y) * out_width);
        // SAFETY: as the caller guarantees; a row of the ring buffer has all columns under the last pixel's window.
        for_each_span::<WIDE>(
            out_width,
            #[inline(always)]
            |x| unsafe { self.span::<V, F, KERNEL, STRIDE, WIDE>(panel, rows, pixel, x) },
            #[inline(always)]
            |x| unsafe { self.span::<V, F, KERNEL, STRIDE, 4>(panel, rows, pixel, x) },
            #[inline(always)]
            |x| unsafe { self.span::<V, F, KERNEL, STRIDE, 1>(panel, rows, pixel, x) },
        );
    }

    /// Computes `PIXELS` pixels from the `x`-th on of the output row that begins at `pixel`, for the panel's channels.
    ///
    /// # Safety
    /// As [`convolve_row`](Self::convolve_row). The pixels must exist, and `rows` must be the ring buffer's under them.
    #[inline(always)]
    unsafe fn span<V: Vector, F: Function, const KERNEL: usize, const STRIDE: usize, const PIXELS: usize>(
        &self,
        panel: Panel,
        rows: &[KernelRow<EvenColumns>],
        pixel: usize,
        x: usize,
    ) {
        let Epilogue { bias, activation, .. } = *self.operands.epilogue;
        let (bounds, channels) = (activation.bounds(), self.operands.shape.channels);
        // SAFETY: every column has the panel's lanes, weights and bias have all channels, and this task alone writes the panel's.
        unsafe {
            let target = self.output.at((pixel + x) * channels);
            let span = Span::<_, KERNEL, STRIDE, PIXELS> { rows, bias, bounds, channels, target };
            for vector in 0..panel.vectors {
                let column = vector * V::LANES;
                let at = x * STRIDE * panel.vectors * V::LANES + column;
                span.vector::<V, F>(at, panel.column + column);
            }
        }
    }
}

/// A row of the expanded map. It is compiled apart from the many forms of the depthwise convolution.
struct ExpandedRow<'a> {
    operands: &'a Operands<'a>,
    image: usize,
    panel: Panel,
    y: usize,
    /// The pixels of the panel's channels.
    to: &'a mut [f32],
}

impl Kernel for ExpandedRow<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        // SAFETY: as the caller guarantees.
        with_tile_rows!(V, ROWS => unsafe { self.compute::<V, ROWS>() });
    }
}

impl ExpandedRow<'_> {
    /// # Safety
    /// The processor must support `V`. The row and the panel must exist.
    #[inline(always)]
    unsafe fn compute<V: Vector, const ROWS: usize>(self) {
        let Self { operands: &Operands { shape, input, expansion, .. }, image, panel, y, to } = self;
        let DepthwiseShape { in_height, in_width, channels, .. } = shape;
        let (depth, width) = (expansion.in_channels, panel.vectors * V::LANES);
        let source = &input[(image * in_height + y) * in_width * depth..][..in_width * depth];
        let packed = &expansion.filters[panel.column * depth..][..width * depth];
        let bias = &expansion.bias[panel.column..];
        let epilogue = expansion.epilogue();
        let bounds = epilogue.bounds();
        let tiles = RowTiling::new(in_width, ROWS);
        for index in 0..tiles.count() {
            let first = tiles.first(index);
            let rows = tiles.height(index).min(in_width - first);
            // Surplus rows of the tile repeat the last pixel; they are not stored.
            let pixels: [usize; ROWS] = std::array::from_fn(|row| (first + row).min(in_width - 1));
            // SAFETY: the pixels are in the source and in the ring buffer; `packed` has `width` values for each of the `depth`,
            // the bias the panel's channels.
            unsafe {
                let tile = RegisterTile {
                    sources: &[pixels.map(|pixel| source.as_ptr().add(pixel * depth))],
                    depth,
                    packed: packed.as_ptr(),
                    init: Init::Bias(bias.as_ptr()),
                    bounds: bounds.unwrap_or(UNBOUNDED),
                    targets: pixels.map(|pixel| to.as_mut_ptr().add(pixel * width)),
                    rows,
                    last_lanes: panel.last_lanes(V::LANES, channels),
                };
                tile.multiply::<V>(panel.vectors, tiles.height(index));
            }
        }
        if bounds.is_none() {
            // SAFETY: as the caller guarantees.
            unsafe { epilogue.finish::<V>(0, to) };
        }
    }
}

#[cfg(test)]
mod tests;
