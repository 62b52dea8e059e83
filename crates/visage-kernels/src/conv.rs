//! Dense convolution of NHWC images, and its gradients.
//!
//! ```text
//! output[n, y, x, o] = epilogue(sum over r, s, i:
//!                      input[n, y * stride + r - top, x * stride + s - left, i] * weight[o, r, s, i])
//! ```
//!
//! - Forward: an implicit GEMM with one tap per kernel position (`implicit_gemm.rs`).
//! - Input gradient: an implicit GEMM over the output gradient. With a stride the input pixels fall into classes with
//!   different taps (`geometry.rs`).
//! - Weight gradient: a transposed product over the pixels (`weight_gradient.rs`).
//!
//! 3x3 filters of stride 1 between many channels use Winograd's algorithm for all three (`winograd.rs`).
//!
//! With few input channels (the three of an RGB image) the taps of a kernel row are merged into one, whose
//! `kernel_width * in_channels` values are contiguous. The input is first copied with its padding, so that no tap crosses
//! the border.

use rayon::prelude::*;

use crate::epilogue::Epilogue;
use crate::geometry::{self, Grid, Tap};
use crate::implicit_gemm::ImplicitGemm;
use crate::packing::{self, Matrix};
use crate::parallel;
use crate::scratch;
use crate::shape::{ConvShape, Padding, expect_len};
use crate::simd::{self, Level};
use crate::weight_gradient::WeightGradient;
use crate::winograd::{self, Direction};

/// Largest number of input channels for which the taps of a kernel row are merged.
const MERGED_CHANNELS: usize = 8;

/// Convolution of `[batch, in_height, in_width, in_channels]` to `[batch, out_height, out_width, out_channels]`.
///
/// `weight` is `[out_channels, kernel_height, kernel_width, in_channels]` (PyTorch's OIHW permuted).
///
/// # Panics
/// If lengths do not match the shape.
pub fn conv2d(shape: ConvShape, input: &[f32], weight: &[f32], epilogue: Epilogue, output: &mut [f32]) {
    check(shape, input.len(), weight.len(), output.len());
    epilogue.check(shape.out_channels, output.len());
    let (level, algorithm) = (simd::level(), Algorithm::faster(winograd::is_faster(shape)));
    scratch::with_buffer(algorithm.filters_len(level, shape), |filters| {
        algorithm.pack(level, shape, weight, filters);
        algorithm.convolve(level, shape, input, filters, &epilogue, output);
    });
}

/// Packs the weight of a convolution into the layout that [`conv2d_packed`] reads, once for many calls at inference.
///
/// `weight` is as in [`conv2d`]. The layout depends on the channels and the window of `shape`, not on the number and size of
/// images. It also depends on the processor, so that it is valid in this process only.
///
/// # Panics
/// If the length of `weight` does not match the shape.
#[must_use]
pub fn pack_conv2d(shape: ConvShape, weight: &[f32]) -> Vec<f32> {
    expect_len("weight", weight.len(), shape.weight_len());
    let mut filters = vec![0.0; filters_len(shape)];
    Algorithm::of_packed(shape).pack(simd::level(), shape, weight, &mut filters);
    filters
}

/// [`conv2d`] with a weight packed by [`pack_conv2d`].
///
/// # Panics
/// If lengths do not match the shape.
pub fn conv2d_packed(shape: ConvShape, input: &[f32], filters: &[f32], epilogue: Epilogue, output: &mut [f32]) {
    expect_len("input", input.len(), shape.input_len());
    expect_len("filters", filters.len(), filters_len(shape));
    expect_len("output", output.len(), shape.output_len());
    epilogue.check(shape.out_channels, output.len());
    Algorithm::of_packed(shape).convolve(simd::level(), shape, input, filters, &epilogue, output);
}

/// Gradient of [`conv2d`] with respect to its input. `input_gradient` is overwritten.
///
/// # Panics
/// If lengths do not match the shape.
pub fn conv2d_input_gradient(shape: ConvShape, weight: &[f32], output_gradient: &[f32], input_gradient: &mut [f32]) {
    check(shape, input_gradient.len(), weight.len(), output_gradient.len());
    let level = simd::level();
    let ConvShape { batch, in_height, in_width, in_channels, out_channels, window } = shape;
    if winograd::is_faster(shape) {
        scratch::with_buffer(winograd::filters_len(out_channels, in_channels, level), |filters| {
            winograd::transform_filters(level, Direction::Backward, [in_channels, out_channels], weight, filters);
            winograd::backward_input(level, shape, filters, output_gradient, input_gradient);
        });
        return;
    }
    for (grid, taps) in geometry::input_classes(batch, [in_height, in_width], window) {
        let weight_rows = |tap: &Tap| {
            let kernel_index = tap.kernel_index;
            (0..out_channels).map(move |o| (o * window.taps() + kernel_index) * in_channels)
        };
        let offsets: Vec<usize> = taps.iter().flat_map(weight_rows).collect();
        let gemm = ImplicitGemm {
            grid,
            source: output_gradient,
            source_pixel: out_channels,
            taps: taps.iter().map(|tap| tap.offset).collect(),
            depth: out_channels,
            columns: in_channels,
        };
        let depth = gemm.total_depth();
        scratch::with_buffer(packing::packed_len(in_channels, depth, level.lanes()), |packed| {
            packing::pack(&Matrix::Rows(weight, &offsets), depth, in_channels, level, packed);
            gemm.multiply(level, packed, &Epilogue::default(), input_gradient);
        });
    }
}

/// Gradient of [`conv2d`] with respect to its weight. `weight_gradient` is overwritten.
///
/// # Panics
/// If lengths do not match the shape.
pub fn conv2d_weight_gradient(shape: ConvShape, input: &[f32], output_gradient: &[f32], weight_gradient: &mut [f32]) {
    check(shape, input.len(), weight_gradient.len(), output_gradient.len());
    let level = simd::level();
    if winograd::is_faster(shape) {
        winograd::backward_weight(level, shape, input, output_gradient, weight_gradient);
        return;
    }
    with_taps(shape, input, |taps| {
        let mut operands = WeightGradient {
            batch: shape.batch,
            source: taps.source,
            source_size: taps.source_size,
            source_pixel: shape.in_channels,
            source_step: shape.window.stride,
            taps: taps.offsets,
            depth: taps.depth,
            output_gradient,
            output_size: [shape.out_height(), shape.out_width()],
            rows: shape.out_channels,
        };
        if shape.window.is_pointwise() {
            // All pixels as one row, so that runs are not cut at the ends of image rows.
            let pixels = shape.batch * shape.in_height * shape.in_width;
            (operands.batch, operands.source_size, operands.output_size) = (1, [1, pixels], [1, pixels]);
        }
        operands.compute(level, weight_gradient);
    });
}

#[track_caller]
fn check(shape: ConvShape, input: usize, weight: usize, output: usize) {
    expect_len("input", input, shape.input_len());
    expect_len("weight", weight, shape.weight_len());
    expect_len("output", output, shape.output_len());
}

/// Length of the filters that [`pack_conv2d`] returns.
pub(crate) fn filters_len(shape: ConvShape) -> usize {
    Algorithm::of_packed(shape).filters_len(simd::level(), shape)
}

/// The algorithm of a forward pass, which determines the layout of its filters.
#[derive(Clone, Copy)]
enum Algorithm {
    ImplicitGemm,
    Winograd,
}

impl Algorithm {
    fn faster(winograd: bool) -> Self {
        if winograd { Self::Winograd } else { Self::ImplicitGemm }
    }

    /// The algorithm for packed filters.
    fn of_packed(shape: ConvShape) -> Self {
        Self::faster(winograd::is_faster_packed(shape.window, shape.in_channels, shape.out_channels))
    }

    fn filters_len(self, level: Level, ConvShape { in_channels, out_channels, window, .. }: ConvShape) -> usize {
        match self {
            Self::ImplicitGemm => packing::packed_len(out_channels, window.taps() * in_channels, level.lanes()),
            Self::Winograd => winograd::filters_len(in_channels, out_channels, level),
        }
    }

    fn pack(self, level: Level, shape: ConvShape, weight: &[f32], filters: &mut [f32]) {
        let ConvShape { in_channels, out_channels, window, .. } = shape;
        match self {
            Self::ImplicitGemm => {
                let weight = Matrix::ColumnMajor(weight);
                packing::pack(&weight, window.taps() * in_channels, out_channels, level, filters);
            }
            Self::Winograd => {
                winograd::transform_filters(level, Direction::Forward, [in_channels, out_channels], weight, filters);
            }
        }
    }

    fn convolve(
        self,
        level: Level,
        shape: ConvShape,
        input: &[f32],
        filters: &[f32],
        epilogue: &Epilogue,
        output: &mut [f32],
    ) {
        match self {
            Self::ImplicitGemm => with_taps(shape, input, |taps| {
                let output_grid = Grid::of_output(shape.batch, [shape.in_height, shape.in_width], shape.window);
                let gemm = ImplicitGemm {
                    grid: Grid { source_size: taps.source_size, ..output_grid },
                    source: taps.source,
                    source_pixel: shape.in_channels,
                    taps: taps.offsets,
                    depth: taps.depth,
                    columns: shape.out_channels,
                };
                gemm.multiply(level, filters, epilogue, output);
            }),
            Self::Winograd => winograd::forward(level, shape, input, filters, epilogue, output),
        }
    }
}

/// The images that a kernel's taps read: the input, or a padded copy of it.
struct Taps<'a> {
    source: &'a [f32],
    source_size: [usize; 2],
    /// Row and column offset of each tap.
    offsets: Vec<[isize; 2]>,
    /// Contiguous values that each tap reads.
    depth: usize,
}

/// Calls `body` with the taps of the kernel. With few channels, the taps of a kernel row are merged and read a padded copy.
fn with_taps(shape: ConvShape, input: &[f32], body: impl FnOnce(Taps)) {
    let ConvShape { batch, in_height, in_width, in_channels, window, .. } = shape;
    let [kernel_height, kernel_width] = window.kernel;
    let Padding { top, left, bottom, right } = window.padding;
    if kernel_width == 1 || in_channels > MERGED_CHANNELS {
        let offsets = geometry::output_taps(window).iter().map(|tap| tap.offset).collect();
        body(Taps { source: input, source_size: [in_height, in_width], offsets, depth: in_channels });
        return;
    }
    let [height, width] = [top + in_height + bottom, left + in_width + right];
    let (row, padded_row) = (in_width * in_channels, width * in_channels);
    scratch::with_buffer(batch * height * padded_row, |padded| {
        let rows = padded.par_chunks_mut(padded_row.max(1)).with_min_len(parallel::min_len(batch * height).max(16));
        rows.enumerate().for_each(|(index, to)| {
            let (image, y) = (index / height, index % height);
            let inside = y.checked_sub(top).filter(|y| *y < in_height);
            let Some(y) = inside else {
                to.fill(0.0);
                return;
            };
            let (before, rest) = to.split_at_mut(left * in_channels);
            let (inside, after) = rest.split_at_mut(row);
            before.fill(0.0);
            inside.copy_from_slice(&input[(image * in_height + y) * row..][..row]);
            after.fill(0.0);
        });
        body(Taps {
            source: padded,
            source_size: [height, width],
            offsets: (0..kernel_height).map(|r| [r as isize, 0]).collect(),
            depth: kernel_width * in_channels,
        });
    });
}

#[cfg(test)]
mod tests;
