//! Convolution by 3x3 filters of stride 1 with a quarter of the multiplications: Winograd's F(4x4, 3x3), after Lavin and
//! Gray, "Fast Algorithms for Convolutional Neural Networks" (2016).
//!
//! The output is divided into tiles of 4x4 pixels, each computed from a patch of 6x6 input pixels. For every channel the patch
//! `d` and the filter `g` are transformed into 36 values (points). Convolution is an element-wise product of these; summed over
//! the input channels, that is 36 matrix products:
//!
//! ```text
//! V = B' d B          input transform,  [36, tiles, in_channels]
//! U = G g G'          filter transform, [36, in_channels, out_channels], packed in panels
//! M[p] = V[p] U[p]    products,         [36, tiles, out_channels]
//! y = A' M A          output transform, 4x4 pixels
//! ```
//!
//! - Input gradient: the same on the output gradient, with filters rotated by 180 degrees and their channels exchanged.
//! - Weight gradient: the transpose of every step, `dM = A dy A'`, `dU[p] = V[p]' dM[p]`, `dg = G' dU G`.
//!
//! Tiling: all steps run on a block of tiles, whose V and M stay in the outer caches. The tasks of a step are tiles, or the 36
//! products. The constants of the transforms cost precision: errors are about 1e-5 of the largest output.
#![allow(unsafe_code)]
// Register tiles read best, and are optimised most reliably, as loops over constant index ranges.
#![allow(clippy::needless_range_loop)]

mod filters;
mod pixels;
mod products;
mod tiles;
mod transforms;

pub(crate) use filters::transform_filters;

use crate::epilogue::Epilogue;
use crate::packing;
use crate::parallel::{self, SharedMut};
use crate::scratch;
use crate::shape::{ConvShape, Window};
use crate::simd::{self, Level};

use pixels::{Images, Outputs, Transform};
use products::{FilterGradientProduct, Product};
use tiles::Tiles;

/// Rows and columns of a tile of the output.
const TILE: usize = 4;
/// Rows and columns of the patch it is computed from.
const PATCH: usize = 6;
/// Values of a transformed patch.
const POINTS: usize = PATCH * PATCH;
/// Approximate number of values of V and M for a block of tiles: 4 MiB.
const BLOCK: usize = 1024 * 1024;
/// Blocks are a multiple of this number of tiles: whole register tiles of 4, 6 or 8 rows.
const ROWS: usize = 24;
/// Fewest channels for which the algorithm is faster.
const MIN_CHANNELS: usize = 32;

/// Whether the algorithm supports the window.
pub(crate) fn applies(window: Window) -> bool {
    window.kernel == [3, 3] && window.stride == [1, 1]
}

/// Whether the algorithm is faster than implicit GEMM, including the filter transform.
///
/// Costs are counted in multiplications, with measured weights: a value of V or M costs as much as six multiplications of the
/// products, a value of U as much as twenty. With few channels the products are too small to pay for the transforms.
pub(crate) fn is_faster(shape: ConvShape) -> bool {
    let ConvShape { batch, in_channels, out_channels, .. } = shape;
    if !applies(shape.window) || in_channels.min(out_channels) < MIN_CHANNELS {
        return false;
    }
    let gemm = batch * shape.out_height() * shape.out_width() * 9 * in_channels * out_channels;
    let tiles = Tiles::of_output(shape).count();
    let products = tiles * (in_channels * out_channels + 6 * (in_channels + out_channels));
    POINTS * (products + 20 * in_channels * out_channels) < gemm
}

/// Whether the algorithm is faster with transformed filters, for images of any size.
///
/// Transformed filters are four times as large. With many channels and few pixels, reading them costs more than the products.
pub(crate) fn is_faster_packed(window: Window, in_channels: usize, out_channels: usize) -> bool {
    applies(window) && in_channels.min(out_channels) >= MIN_CHANNELS && in_channels * out_channels <= 256 * 256
}

/// Length of the transformed filters.
pub(crate) fn filters_len(in_channels: usize, out_channels: usize, level: Level) -> usize {
    POINTS * packing::packed_len(out_channels, in_channels, level.lanes())
}

/// The pass that filters are transformed for.
#[derive(Clone, Copy)]
pub(crate) enum Direction {
    /// Convolution: products are summed over the input channels.
    Forward,
    /// Input gradient: filters rotated by 180 degrees, products summed over the output channels.
    Backward,
}

/// Convolution with filters from [`transform_filters`].
pub(crate) fn forward(
    level: Level,
    shape: ConvShape,
    input: &[f32],
    filters: &[f32],
    epilogue: &Epilogue,
    output: &mut [f32],
) {
    let source = Images {
        tiles: Tiles::of_output(shape),
        channels: shape.in_channels,
        values: input,
        transform: Transform::Patches,
    };
    convolve(level, source, shape.out_channels, filters, epilogue, output);
}

/// The input gradient, with filters transformed for [`Direction::Backward`].
pub(crate) fn backward_input(
    level: Level,
    shape: ConvShape,
    filters: &[f32],
    output_gradient: &[f32],
    input_gradient: &mut [f32],
) {
    let source = Images {
        tiles: Tiles::of_input(shape),
        channels: shape.out_channels,
        values: output_gradient,
        transform: Transform::Patches,
    };
    convolve(level, source, shape.in_channels, filters, &Epilogue::default(), input_gradient);
}

fn convolve(level: Level, source: Images, columns: usize, filters: &[f32], epilogue: &Epilogue, target: &mut [f32]) {
    let Images { tiles, channels: depth, .. } = source;
    let count = tiles.count();
    let panels = packing::panels(columns, level);
    let point_len = packing::packed_len(columns, depth, level.lanes());
    assert_eq!(filters.len(), POINTS * point_len, "filters were transformed for another shape or level");
    let block = (BLOCK / (POINTS * (depth + columns))).next_multiple_of(ROWS).min(count.max(1));
    let outputs = Outputs { tiles, columns, epilogue, target: SharedMut::new(target) };
    scratch::with_buffer(POINTS * block * (depth + columns), |buffer| {
        let (patches, products) = buffer.split_at_mut(POINTS * block * depth);
        for first in (0..count).step_by(block) {
            let range = first..count.min(first + block);
            let len = range.len();
            source.transform_tiles(level, range.clone(), patches);
            let shared = SharedMut::new(products);
            parallel::for_each(POINTS, |p| {
                let patches = &patches[p * len * depth..][..len * depth];
                let filters = &filters[p * point_len..][..point_len];
                let target = (shared, p * len * columns);
                simd::dispatch(level, Product { patches, filters, panels: &panels, depth, columns, target });
            });
            outputs.transform_tiles(level, range, products);
        }
    });
}

/// The weight gradient, `[out_channels, 3, 3, in_channels]`.
pub(crate) fn backward_weight(
    level: Level,
    shape: ConvShape,
    input: &[f32],
    output_gradient: &[f32],
    weight_gradient: &mut [f32],
) {
    let ConvShape { in_channels, out_channels, .. } = shape;
    let tiles = Tiles::of_output(shape);
    let images = Images { tiles, channels: in_channels, values: input, transform: Transform::Patches };
    let gradients =
        Images { tiles, channels: out_channels, values: output_gradient, transform: Transform::OutputGradients };
    let count = tiles.count();
    let weight_len = in_channels * out_channels;
    // At least 64 tiles, so that the products outweigh the additions to dU.
    let block = (BLOCK / (POINTS * (in_channels + out_channels))).max(64).next_multiple_of(ROWS).min(count.max(1));
    scratch::with_buffer(POINTS * (block * (in_channels + out_channels) + weight_len), |buffer| {
        let (patches, rest) = buffer.split_at_mut(POINTS * block * in_channels);
        let (output_gradients, filters_gradient) = rest.split_at_mut(POINTS * block * out_channels);
        if count == 0 {
            filters_gradient.fill(0.0);
        }
        let panels = packing::panels(in_channels, level);
        for first in (0..count).step_by(block) {
            let range = first..count.min(first + block);
            let len = range.len();
            images.transform_tiles(level, range.clone(), patches);
            gradients.transform_tiles(level, range, output_gradients);
            let target = SharedMut::new(filters_gradient);
            parallel::for_each(POINTS, |p| {
                let product = FilterGradientProduct {
                    patches: &patches[p * len * in_channels..][..len * in_channels],
                    output_gradients: &output_gradients[p * len * out_channels..][..len * out_channels],
                    in_channels,
                    out_channels,
                    panels: &panels,
                    accumulate: first > 0,
                    target: (target, p * weight_len),
                };
                simd::dispatch(level, product);
            });
        }
        filters::transform_filters_backward(level, [in_channels, out_channels], filters_gradient, weight_gradient);
    });
}

#[cfg(test)]
mod tests;
