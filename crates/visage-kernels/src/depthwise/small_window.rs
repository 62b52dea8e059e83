//! The forward pass of depthwise convolution with the windows of common networks: 3x3 and 5x5, with stride 1 or 2.
//!
//! ```text
//!   kernel 3, stride 1, a span of 4 pixels, one vector of channels:
//!
//!   weight row      w0  w1  w2                    kept in registers, as are the sums
//!   source row      v0  v1  v2  v3  v4  v5        loaded one after another, each used by up to three sums
//!   sum of pixel 0  += v0 w0 + v1 w1 + v2 w2
//!   sum of pixel 1      += v1 w0 + v2 w1 + v3 w2       ... and so on for each row of the kernel
//! ```
//!
//! Depthwise convolution is limited by loads. Tap by tap (`any_window.rs`) every sum would load each source value itself. Here
//! a span of neighbouring output pixels keeps its sums and a row of the kernel in registers, fourteen at most, so that a
//! source value is loaded once per kernel row. (With stride 2 a span has four pixels: the compiler does not unroll the steps of
//! eight.) Columns in the padding are read from a run of zeros, rows in the padding are skipped. Bias and activation are applied
//! while the sums are in registers.
//!
//! Tiling: a task is some rows of the output with all their channels.
#![allow(unsafe_code)]
// Register tiles read best, and are optimised most reliably, as loops over constant index ranges.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use crate::activation::{Function, with_activation_of_clamped};
use crate::epilogue::Epilogue;
use crate::parallel::{self, SharedMut};
use crate::shape::{DepthwiseShape, covered};
use crate::simd::{self, Kernel, Level, Vector};

/// Approximate smallest number of output values per task.
const TASK: usize = 8 * 1024;

/// Whether [`forward`] supports the window and the epilogue.
pub(crate) fn applies(shape: DepthwiseShape, epilogue: &Epilogue) -> bool {
    let [kernel, stride] = [shape.window.kernel, shape.window.stride];
    epilogue.residual.is_none() && matches!((kernel, stride), ([3, 3] | [5, 5], [1, 1] | [2, 2]))
}

/// Fills `output`; lengths have been checked.
pub(crate) fn forward(
    level: Level,
    shape: DepthwiseShape,
    input: &[f32],
    weight: &[f32],
    epilogue: &Epilogue,
    output: &mut [f32],
) {
    let size = [shape.out_height(), shape.out_width()];
    if output.is_empty() {
        return;
    }
    let rows = shape.batch * size[0];
    let step = rows.div_ceil(parallel::task_count()).max(TASK.div_ceil(size[1] * shape.channels));
    let zeros = vec![0.0; shape.channels];
    let output = SharedMut::new(output);
    parallel::for_each_range(rows, step, |rows| {
        simd::dispatch(level, Rows { shape, size, input, weight, epilogue, zeros: &zeros, output, rows });
    });
}

/// A task: some rows of the output, numbered over all images.
struct Rows<'a> {
    shape: DepthwiseShape,
    /// Height and width of an output image.
    size: [usize; 2],
    input: &'a [f32],
    weight: &'a [f32],
    epilogue: &'a Epilogue<'a>,
    zeros: &'a [f32],
    output: SharedMut,
    rows: Range<usize>,
}

/// The source columns under a row of the kernel.
pub(crate) trait Columns: Copy {
    /// The first value of a column.
    fn at(&self, column: usize) -> *const f32;
}

/// Columns at arbitrary addresses.
impl<const COLUMNS: usize> Columns for [*const f32; COLUMNS] {
    #[inline(always)]
    fn at(&self, column: usize) -> *const f32 {
        self[column]
    }
}

/// Evenly spaced columns.
#[derive(Clone, Copy)]
pub(crate) struct EvenColumns {
    pub(crate) first: *const f32,
    /// Values from one column to the next.
    pub(crate) step: usize,
}

impl Columns for EvenColumns {
    #[inline(always)]
    fn at(&self, column: usize) -> *const f32 {
        self.first.wrapping_add(column * self.step)
    }
}

/// The operands of a kernel row for a span: the source columns, and the weight's row `[kernel_width, channels]`.
pub(crate) type KernelRow<C> = (C, *const f32);

/// Evaluates an expression with constants for the kernel and stride of a supported window, and for the number of pixels of its
/// widest spans.
macro_rules! with_window {
    ($window:expr, $kernel:ident, $stride:ident, $wide:ident => $body:expr) => {
        match ($window.kernel[1], $window.stride[1]) {
            (3, 1) => {
                const $kernel: usize = 3;
                const $stride: usize = 1;
                const $wide: usize = 8;
                $body
            }
            (3, _) => {
                const $kernel: usize = 3;
                const $stride: usize = 2;
                const $wide: usize = 4;
                $body
            }
            (_, 1) => {
                const $kernel: usize = 5;
                const $stride: usize = 1;
                const $wide: usize = 8;
                $body
            }
            _ => {
                const $kernel: usize = 5;
                const $stride: usize = 2;
                const $wide: usize = 4;
                $body
            }
        }
    };
}
pub(crate) use with_window;

/// Covers `width` pixels with spans of `WIDE`, four and one pixels; each closure gets the first pixel of its span.
#[inline(always)]
pub(crate) fn for_each_span<const WIDE: usize>(
    width: usize,
    wide: impl Fn(usize),
    four: impl Fn(usize),
    one: impl Fn(usize),
) {
    let mut x = 0;
    while x < width {
        let left = width - x;
        x += if left >= WIDE {
            wide(x);
            WIDE
        } else if left >= 4 {
            four(x);
            4
        } else {
            one(x);
            1
        };
    }
}

impl Kernel for Rows<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        with_activation_of_clamped!(self.epilogue.activation, F => {
            with_window!(self.shape.window, KERNEL, STRIDE, WIDE => {
                for row in self.rows.clone() {
                    let image_row = [row / self.size[0], row % self.size[0]];
                    // SAFETY: as the caller guarantees; no other task writes this row.
                    for_each_span::<WIDE>(
                        self.size[1],
                        #[inline(always)]
                        |x| unsafe { self.span::<V, F, KERNEL, STRIDE, WIDE>(image_row, x) },
                        #[inline(always)]
                        |x| unsafe { self.span::<V, F, KERNEL, STRIDE, 4>(image_row, x) },
                        #[inline(always)]
                        |x| unsafe { self.span::<V, F, KERNEL, STRIDE, 1>(image_row, x) },
                    );
                }
            });
        });
    }
}

/// Largest number of columns under a span: eight pixels with a kernel of five.
const COLUMNS: usize = 12;

impl Rows<'_> {
    /// Computes `PIXELS` pixels of an image row with all their channels.
    ///
    /// # Safety
    /// The processor must support `V`. The pixels must exist, no other task may write them, and `KERNEL` and `STRIDE` must be the
    /// window's.
    #[inline(always)]
    unsafe fn span<V: Vector, F: Function, const KERNEL: usize, const STRIDE: usize, const PIXELS: usize>(
        &self,
        [image, y]: [usize; 2],
        x: usize,
    ) {
        let DepthwiseShape { in_height, in_width, channels, window, .. } = self.shape;
        let mut rows: [KernelRow<[*const f32; COLUMNS]>; KERNEL] =
            [([self.zeros.as_ptr(); COLUMNS], self.weight.as_ptr()); KERNEL];
        let inside = covered(y, KERNEL, STRIDE, window.padding.top, in_height);
        let count = inside.len();
        for ((columns, weight), row) in rows.iter_mut().zip(inside) {
            let first = (image * in_height + row) * in_width;
            for column in 0..(PIXELS - 1) * STRIDE + KERNEL {
                let inside = (x * STRIDE + column).checked_sub(window.padding.left).filter(|column| *column < in_width);
                columns[column] = match inside {
                    Some(column) => self.input[(first + column) * channels..][..channels].as_ptr(),
                    None => self.zeros.as_ptr(),
                };
            }
            let r = row + window.padding.top - y * STRIDE;
            *weight = self.weight[r * KERNEL * channels..][..KERNEL * channels].as_ptr();
        }
        let pixel = (image * self.size[0] + y) * self.size[1] + x;
        // SAFETY: slicing above has checked that every column has `channels` values and every weight `KERNEL` times as many. The
        // caller guarantees the output's pixels.
        unsafe {
            let target = self.output.at(pixel * channels);
            let Epilogue { bias, activation, .. } = *self.epilogue;
            let bounds = activation.bounds();
            let span = Span::<_, KERNEL, STRIDE, PIXELS> { rows: &rows[..count], bias, bounds, channels, target };
            for channel in (0..channels).step_by(V::LANES) {
                span.vector::<V, F>(channel, channel);
            }
        }
    }
}

/// `PIXELS` neighbouring pixels of the output.
pub(crate) struct Span<'a, C, const KERNEL: usize, const STRIDE: usize, const PIXELS: usize> {
    /// Each with `(PIXELS - 1) * STRIDE + KERNEL` columns.
    pub(crate) rows: &'a [KernelRow<C>],
    pub(crate) bias: Option<&'a [f32]>,
    /// Bounds that the sums are clamped to.
    pub(crate) bounds: [f32; 2],
    /// Channels of the weight, the bias and the target.
    pub(crate) channels: usize,
    /// Address of the first pixel.
    pub(crate) target: *mut f32,
}

impl<C: Columns, const KERNEL: usize, const STRIDE: usize, const PIXELS: usize> Span<'_, C, KERNEL, STRIDE, PIXELS> {
    /// Computes a vector of channels from `channel` on, or the remaining ones. In the columns they begin at index `at`.
    ///
    /// # Safety
    /// The processor must support `V`. Each column must have these channels, each weight `KERNEL * channels` values and the bias
    /// `channels`. The target's pixels must exist, and no other task may write them.
    #[inline(always)]
    pub(crate) unsafe fn vector<V: Vector, F: Function>(&self, at: usize, channel: usize) {
        // SAFETY: as the caller guarantees.
        unsafe {
            if channel + V::LANES <= self.channels {
                self.lanes::<V, F, true>(at, channel);
            } else {
                self.lanes::<V, F, false>(at, channel);
            }
        }
    }

    /// # Safety
    /// As [`vector`](Self::vector), and with `WHOLE` a whole vector of channels must remain.
    #[inline(always)]
    unsafe fn lanes<V: Vector, F: Function, const WHOLE: bool>(&self, at: usize, channel: usize) {
        let channels = self.channels;
        // SAFETY: all accesses are within what the caller guarantees.
        unsafe {
            let load = |from: *const f32| if WHOLE { V::load(from) } else { V::load_partial(from, channels - channel) };
            let start = self.bias.map_or(V::splat(0.0), |bias| load(bias.as_ptr().add(channel)));
            let mut sums = [start; PIXELS];
            for (columns, weight) in self.rows {
                let mut weights = [start; KERNEL];
                for s in 0..KERNEL {
                    weights[s] = load(weight.add(s * channels + channel));
                }
                for column in 0..(PIXELS - 1) * STRIDE + KERNEL {
                    let value = load(columns.at(column).add(at));
                    for s in 0..KERNEL {
                        // The pixel, if any, whose tap `s` is on the column.
                        if column >= s && (column - s) % STRIDE == 0 && (column - s) / STRIDE < PIXELS {
                            let pixel = (column - s) / STRIDE;
                            sums[pixel] = value.mul_add(weights[s], sums[pixel]);
                        }
                    }
                }
            }
            // Not `array::map`, which compiles to a call.
            let (least, greatest) = (V::splat(self.bounds[0]), V::splat(self.bounds[1]));
            for pixel in 0..PIXELS {
                let sum = F::apply(sums[pixel].maximum(least).minimum(greatest));
                let to = self.target.add(pixel * channels + channel);
                if WHOLE { sum.store(to) } else { sum.store_partial(to, channels - channel) }
            }
        }
    }
}

#[cfg(test)]
mod tests;
