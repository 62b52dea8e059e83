//! Depthwise convolution with the windows that networks have: 3x3 and 5x5, of stride 1 or 2.
//!
//! ```text
//!   kernel 3, stride 1, a span of 4 pixels, one vector of channels:
//!
//!   weight row      w0  w1  w2                    held in registers, as the sums are
//!   source row      v0  v1  v2  v3  v4  v5        loaded one after another, each used by up to three sums
//!   sum of pixel 0  += v0 w0 + v1 w1 + v2 w2
//!   sum of pixel 1      += v1 w0 + v2 w1 + v3 w2       ... and so on for each row of the kernel
//! ```
//!
//! Taken tap by tap (`depthwise.rs`) every sum would load its source value for itself, and loading is what such a
//! convolution waits for. Here a span of neighbouring output pixels holds its sums and a row of the kernel in registers,
//! fourteen of them at most, so that a value is loaded once a kernel row. (Spans of eight pixels with stride 2 have more
//! steps than the compiler unrolls.) A column that hangs over the border is read from a run of
//! zeros; a row that does is left out. Bias and activation are added before the sums leave the registers.
//!
//! Tiling: a task is some rows of the output, all their channels.
#![allow(unsafe_code)]
// Register tiles read best, and compile surest, as loops over constant index ranges.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use crate::activation::{Function, with_activation};
use crate::epilogue::Epilogue;
use crate::parallel::{self, SharedMut};
use crate::shape::{DepthwiseShape, covered};
use crate::simd::{self, Kernel, Level, Vector};

/// Fewest output values of a task, about.
const TASK: usize = 8 * 1024;

/// Whether [`forward`] knows the window, and what follows the sums.
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
    let step = rows.div_ceil(parallel::tasks()).max(TASK.div_ceil(size[1] * shape.channels));
    let zeros = vec![0.0; shape.channels];
    let output = SharedMut::new(output);
    parallel::for_each(rows.div_ceil(step), |task| {
        let rows = task * step..rows.min((task + 1) * step);
        simd::dispatch(level, Slide { shape, size, input, weight, epilogue, zeros: &zeros, output, rows });
    });
}

/// Some rows of the output, counted over all images.
struct Slide<'a> {
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

/// The source's columns under one row of the kernel.
pub(crate) trait Columns: Copy {
    /// The first value of a column.
    fn at(&self, column: usize) -> *const f32;
}

/// Columns wherever they lie.
impl<const COLUMNS: usize> Columns for [*const f32; COLUMNS] {
    #[inline(always)]
    fn at(&self, column: usize) -> *const f32 {
        self[column]
    }
}

/// Columns one behind the other.
#[derive(Clone, Copy)]
pub(crate) struct Evenly {
    pub(crate) first: *const f32,
    /// Values from one column to the next.
    pub(crate) step: usize,
}

impl Columns for Evenly {
    #[inline(always)]
    fn at(&self, column: usize) -> *const f32 {
        self.first.wrapping_add(column * self.step)
    }
}

/// What one row of the kernel reads for a span: the source's columns and the weight's row, `[kernel_width, channels]`.
pub(crate) type KernelRow<C> = (C, *const f32);

/// Evaluates an expression with kernel and stride of a window that [`applies`](crate::sliding::applies) knows bound to names, and
/// with how many pixels its widest spans have.
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

/// Covers `width` pixels with spans of `WIDE`, four and single ones, each told where it begins.
#[inline(always)]
pub(crate) fn each_span<const WIDE: usize>(
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

impl Kernel for Slide<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        with_activation!(self.epilogue.activation, F => {
            with_window!(self.shape.window, KERNEL, STRIDE, WIDE => {
                for row in self.rows.clone() {
                    let place = [row / self.size[0], row % self.size[0]];
                    // SAFETY: the caller vouches for the instructions; the row is this task's alone.
                    each_span::<WIDE>(
                        self.size[1],
                        #[inline(always)]
                        |x| unsafe { self.span::<V, F, KERNEL, STRIDE, WIDE>(place, x) },
                        #[inline(always)]
                        |x| unsafe { self.span::<V, F, KERNEL, STRIDE, 4>(place, x) },
                        #[inline(always)]
                        |x| unsafe { self.span::<V, F, KERNEL, STRIDE, 1>(place, x) },
                    );
                }
            });
        });
    }
}

/// Most columns under a span: of eight pixels, with a kernel of five.
const COLUMNS: usize = 12;

impl Slide<'_> {
    /// `PIXELS` pixels of a row of an image's output, all their channels.
    ///
    /// # Safety
    /// The processor has `V`'s instructions; the pixels exist and no other task writes them; the window is of `KERNEL` and `STRIDE`.
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
        // SAFETY: the slices above have shown that every column has `channels` values and every weight `KERNEL` times as
        // many; the output's pixels exist, as the caller vouches.
        unsafe {
            let target = self.output.at(pixel * channels);
            let span =
                Span::<_, KERNEL, STRIDE, PIXELS> { rows: &rows[..count], bias: self.epilogue.bias, channels, target };
            for channel in (0..channels).step_by(V::LANES) {
                span.vector::<V, F>(channel, channel);
            }
        }
    }
}

/// `PIXELS` neighbouring pixels of the output.
pub(crate) struct Span<'a, C, const KERNEL: usize, const STRIDE: usize, const PIXELS: usize> {
    /// Of `(PIXELS - 1) * STRIDE + KERNEL` columns each.
    pub(crate) rows: &'a [KernelRow<C>],
    pub(crate) bias: Option<&'a [f32]>,
    /// Channels of the weight, the bias and the target.
    pub(crate) channels: usize,
    /// The first pixel.
    pub(crate) target: *mut f32,
}

impl<C: Columns, const KERNEL: usize, const STRIDE: usize, const PIXELS: usize> Span<'_, C, KERNEL, STRIDE, PIXELS> {
    /// One vector of channels from `channel` on, or those that are left; in the columns they begin at value `at`.
    ///
    /// # Safety
    /// The processor has `V`'s instructions. Each column has these channels, each weight `KERNEL` times all of them, and so
    /// has the bias; the target's pixels exist and no other task writes them.
    #[inline(always)]
    pub(crate) unsafe fn vector<V: Vector, F: Function>(&self, at: usize, channel: usize) {
        // SAFETY: passed on.
        unsafe {
            if channel + V::LANES <= self.channels {
                self.lanes::<V, F, true>(at, channel);
            } else {
                self.lanes::<V, F, false>(at, channel);
            }
        }
    }

    /// # Safety
    /// As [`vector`](Self::vector), and `WHOLE` where there is a vector of channels.
    #[inline(always)]
    unsafe fn lanes<V: Vector, F: Function, const WHOLE: bool>(&self, at: usize, channel: usize) {
        let channels = self.channels;
        // SAFETY: all pointers stay within what the caller vouches for.
        unsafe {
            let load = |from: *const f32| if WHOLE { V::load(from) } else { V::load_first(from, channels - channel) };
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
                        // The pixel whose tap `s` lies on the column, if there is one.
                        if column >= s && (column - s) % STRIDE == 0 && (column - s) / STRIDE < PIXELS {
                            let pixel = (column - s) / STRIDE;
                            sums[pixel] = value.mul_add(weights[s], sums[pixel]);
                        }
                    }
                }
            }
            for pixel in 0..PIXELS {
                let sum = F::lanes(sums[pixel]);
                let to = self.target.add(pixel * channels + channel);
                if WHOLE { sum.store(to) } else { sum.store_first(to, channels - channel) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::activation::Activation;
    use crate::reference::{assert_finished, depthwise_sums, values};
    use crate::shape::{Padding, Window};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]
        #[test]
        fn all_levels_agree_with_the_definition(
            kernel in prop::sample::select(vec![3usize, 5]),
            stride in 1usize..3,
            padding in [0usize..3, 0usize..3, 0usize..3, 0usize..3],
            extra in [0usize..14, 0usize..22],
            batch in 1usize..3,
            channels in prop::sample::select(vec![1usize, 8, 15, 16, 24, 40, 100]),
        ) {
            let [top, left, bottom, right] = padding;
            let window =
                Window { kernel: [kernel; 2], stride: [stride; 2], padding: Padding { top, left, bottom, right } };
            let [in_height, in_width] = extra.map(|extra| kernel + extra);
            let shape = DepthwiseShape { batch, in_height, in_width, channels, window };
            let (input, weight) = (values(1, shape.input_len()), values(2, window.taps() * channels));
            let bias = values(3, channels);
            let wide: Vec<f64> = input.iter().copied().map(f64::from).collect();
            let sums = depthwise_sums(shape, &wide, &weight);
            for activation in [Activation::Identity, Activation::Relu, Activation::Relu6, Activation::Silu] {
                for bias in [None, Some(&bias[..])] {
                    let epilogue = Epilogue { bias, residual: None, activation };
                    prop_assert!(applies(shape, &epilogue));
                    for level in simd::available() {
                        let mut actual = vec![f32::NAN; sums.len()];
                        forward(level, shape, &input, &weight, &epilogue, &mut actual);
                        assert_finished(&actual, &sums, &epilogue, 5e-6);
                    }
                }
            }
        }
    }
}
