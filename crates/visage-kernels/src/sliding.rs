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
use crate::shape::DepthwiseShape;
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
type KernelRow<C> = (C, *const f32);

impl Kernel for Slide<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        with_activation!(self.epilogue.activation, F => {
            // SAFETY: the caller vouches for the instructions. The last number is `(pixels - 1) * stride + kernel`.
            unsafe {
                match (self.shape.window.kernel[1], self.shape.window.stride[1]) {
                    (3, 1) => self.rows::<8>(
                        #[inline(always)]
                        |place| self.span::<V, F, 3, 1, 8, 10>(place),
                        #[inline(always)]
                        |place| self.span::<V, F, 3, 1, 4, 6>(place),
                        #[inline(always)]
                        |place| self.span::<V, F, 3, 1, 1, 3>(place),
                    ),
                    (3, _) => self.rows::<4>(
                        #[inline(always)]
                        |place| self.span::<V, F, 3, 2, 4, 9>(place),
                        #[inline(always)]
                        |place| self.span::<V, F, 3, 2, 4, 9>(place),
                        #[inline(always)]
                        |place| self.span::<V, F, 3, 2, 1, 3>(place),
                    ),
                    (_, 1) => self.rows::<8>(
                        #[inline(always)]
                        |place| self.span::<V, F, 5, 1, 8, 12>(place),
                        #[inline(always)]
                        |place| self.span::<V, F, 5, 1, 4, 8>(place),
                        #[inline(always)]
                        |place| self.span::<V, F, 5, 1, 1, 5>(place),
                    ),
                    _ => self.rows::<4>(
                        #[inline(always)]
                        |place| self.span::<V, F, 5, 2, 4, 11>(place),
                        #[inline(always)]
                        |place| self.span::<V, F, 5, 2, 4, 11>(place),
                        #[inline(always)]
                        |place| self.span::<V, F, 5, 2, 1, 5>(place),
                    ),
                }
            }
        });
    }
}

impl Slide<'_> {
    /// Covers the rows with spans of `WIDE`, four and single pixels; `[image, y, x]` is where one begins.
    #[inline(always)]
    fn rows<const WIDE: usize>(&self, wide: impl Fn([usize; 3]), four: impl Fn([usize; 3]), one: impl Fn([usize; 3])) {
        let [height, width] = self.size;
        for row in self.rows.clone() {
            let (image, y) = (row / height, row % height);
            let mut x = 0;
            while x < width {
                let left = width - x;
                x += if left >= WIDE {
                    wide([image, y, x]);
                    WIDE
                } else if left >= 4 {
                    four([image, y, x]);
                    4
                } else {
                    one([image, y, x]);
                    1
                };
            }
        }
    }

    /// `PIXELS` output pixels, all their channels.
    ///
    /// # Safety
    /// The processor has `V`'s instructions; the pixels exist and no other task writes them; `COLUMNS` is
    /// `(PIXELS - 1) * STRIDE + KERNEL`, of the shape's window.
    #[inline(always)]
    unsafe fn span<
        V: Vector,
        F: Function,
        const KERNEL: usize,
        const STRIDE: usize,
        const PIXELS: usize,
        const COLUMNS: usize,
    >(
        &self,
        [image, y, x]: [usize; 3],
    ) {
        let DepthwiseShape { in_height, in_width, channels, window, .. } = self.shape;
        let mut rows: [KernelRow<[*const f32; COLUMNS]>; KERNEL] =
            [([self.zeros.as_ptr(); COLUMNS], self.weight.as_ptr()); KERNEL];
        let mut count = 0;
        for r in 0..KERNEL {
            let inside = (y * STRIDE + r).checked_sub(window.padding.top).filter(|row| *row < in_height);
            let Some(row) = inside else { continue };
            let first = (image * in_height + row) * in_width;
            let (columns, weight) = &mut rows[count];
            for column in 0..COLUMNS {
                let inside = (x * STRIDE + column).checked_sub(window.padding.left).filter(|column| *column < in_width);
                columns[column] = match inside {
                    Some(column) => self.input[(first + column) * channels..][..channels].as_ptr(),
                    None => self.zeros.as_ptr(),
                };
            }
            *weight = self.weight[r * KERNEL * channels..][..KERNEL * channels].as_ptr();
            count += 1;
        }
        let pixel = (image * self.size[0] + y) * self.size[1] + x;
        // SAFETY: the slices above have shown that every column has `channels` values and every weight `KERNEL` times as
        // many; the output's pixels exist, as the caller vouches.
        unsafe {
            let target = self.output.at(pixel * channels);
            let mut channel = 0;
            while channel < channels {
                let place = Place { column: channel, channel, channels, target };
                block::<V, F, _, KERNEL, STRIDE, PIXELS>(&rows[..count], self.epilogue.bias, place);
                channel += V::LANES;
            }
        }
    }
}

/// The channels of a [`block`].
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// Where in a column their values begin.
    pub(crate) column: usize,
    /// The first of them.
    pub(crate) channel: usize,
    /// Channels of the weight, the bias and the target.
    pub(crate) channels: usize,
    /// The span's first pixel.
    pub(crate) target: *mut f32,
}

/// `PIXELS` output pixels of one vector of channels, or of those that are left.
///
/// # Safety
/// The processor has `V`'s instructions. Each of `(PIXELS - 1) * STRIDE + KERNEL` columns has these channels, each weight
/// `KERNEL` times all of them, and so has the bias; the target's pixels exist and no other task writes them.
#[inline(always)]
pub(crate) unsafe fn block<
    V: Vector,
    F: Function,
    C: Columns,
    const KERNEL: usize,
    const STRIDE: usize,
    const PIXELS: usize,
>(
    rows: &[KernelRow<C>],
    bias: Option<&[f32]>,
    place: Place,
) {
    // SAFETY: passed on.
    unsafe {
        if place.channel + V::LANES <= place.channels {
            lanes::<V, F, C, KERNEL, STRIDE, PIXELS, true>(rows, bias, place);
        } else {
            lanes::<V, F, C, KERNEL, STRIDE, PIXELS, false>(rows, bias, place);
        }
    }
}

/// # Safety
/// As [`block`], and `WHOLE` where there is a vector of channels.
#[inline(always)]
unsafe fn lanes<
    V: Vector,
    F: Function,
    C: Columns,
    const KERNEL: usize,
    const STRIDE: usize,
    const PIXELS: usize,
    const WHOLE: bool,
>(
    rows: &[KernelRow<C>],
    bias: Option<&[f32]>,
    Place { column: first, channel, channels, target }: Place,
) {
    // SAFETY: all pointers stay within what the caller vouches for.
    unsafe {
        let load = |from: *const f32| if WHOLE { V::load(from) } else { V::load_first(from, channels - channel) };
        let start = bias.map_or(V::splat(0.0), |bias| load(bias.as_ptr().add(channel)));
        let mut sums = [start; PIXELS];
        for (columns, weight) in rows {
            let mut weights = [start; KERNEL];
            for s in 0..KERNEL {
                weights[s] = load(weight.add(s * channels + channel));
            }
            for column in 0..(PIXELS - 1) * STRIDE + KERNEL {
                let value = load(columns.at(column).add(first));
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
            let to = target.add(pixel * channels + channel);
            if WHOLE { sum.store(to) } else { sum.store_first(to, channels - channel) }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::activation::Activation;
    use crate::reference::{assert_finished, pairs, values};
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
            let mut sums = vec![0.0; shape.output_len()];
            for [to, tap, from] in pairs(batch, in_height, in_width, window) {
                for c in 0..channels {
                    sums[to * channels + c] +=
                        f64::from(input[from * channels + c]) * f64::from(weight[tap * channels + c]);
                }
            }
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
