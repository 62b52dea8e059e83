//! Convolution by 3x3 filters of stride 1 with a quarter of the multiplications: Winograd's F(4x4, 3x3), after Lavin and
//! Gray, "Fast Algorithms for Convolutional Neural Networks" (2016).
//!
//! The output is cut into tiles of 4x4 pixels, each of which reads a patch of 6x6. For every channel the patch `d` and
//! the filter `g` are transformed into 36 values, in which convolution is a product value by value; summed over the input
//! channels, that is 36 matrix products:
//!
//! ```text
//! V = B' d B          patches,  [36, tiles, in_channels]
//! U = G g G'          filters,  [36, in_channels, out_channels], packed as panels
//! M[p] = V[p] U[p]    products, [36, tiles, out_channels]
//! y = A' M A          4x4 pixels of the output
//! ```
//!
//! - Input gradient: the same with the output's gradient for the input, the filters turned by half a circle and their
//!   channels exchanged.
//! - Weight gradient: every step turned around, `dM = A dy A'`, `dU[p] = V[p]' dM[p]`, `dg = G' dU G`.
//!
//! Tiling: tiles go through all steps in blocks whose V and M stay in the outer caches; a step's tasks are tiles, or the
//! 36 products. The transforms' constants cost digits: expect errors of 1e-5 of the largest output.
#![allow(unsafe_code)]
// Register tiles read best, and compile surest, as loops over constant index ranges.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use crate::epilogue::{Epilogue, UNBOUNDED};
use crate::gather::{Ends, Start, Tile};
use crate::outer::{Run, Strip};
use crate::panel::{self, Panel};
use crate::parallel::{self, SharedMut};
use crate::scratch;
use crate::shape::{ConvShape, Window};
use crate::simd::{self, Kernel, Level, Vector};

/// Rows and columns of the output a tile covers.
const TILE: usize = 4;
/// Rows and columns of the patch it reads.
const PATCH: usize = 6;
/// Values of a transformed patch.
const POINTS: usize = PATCH * PATCH;
/// Values of V and M a block of tiles has, about: 4 MiB.
const BLOCK: usize = 1024 * 1024;
/// Tiles of a block are a multiple of this: whole register tiles of 4, 6 or 8 rows.
const ROWS: usize = 24;

/// Fewest channels that are worth it.
const NARROW: usize = 32;

/// Whether these filters can be used this way.
pub(crate) fn applies(window: Window) -> bool {
    window.kernel == [3, 3] && window.stride == [1, 1]
}

/// Whether it is faster than the plain product when the filters have to be transformed first.
///
/// Costs in multiplications, by measurement: those of the products themselves; a value of V or M costs as much as six of
/// them, a value of U as much as twenty. Narrow layers leave the products too short to pay for the transforms.
pub(crate) fn pays(shape: ConvShape) -> bool {
    let ConvShape { batch, in_channels, out_channels, .. } = shape;
    if !applies(shape.window) || in_channels.min(out_channels) < NARROW {
        return false;
    }
    let plain = batch * shape.out_height() * shape.out_width() * 9 * in_channels * out_channels;
    let tiles = Tiles::of_output(shape).count();
    let products = tiles * (in_channels * out_channels + 6 * (in_channels + out_channels));
    POINTS * (products + 20 * in_channels * out_channels) < plain
}

/// Whether it is faster, for whatever number of pixels, when the filters are ready.
///
/// Transformed they are four times as large: with many channels and few pixels, reading them costs more than the products.
pub(crate) fn pays_when_ready(window: Window, in_channels: usize, out_channels: usize) -> bool {
    applies(window) && in_channels.min(out_channels) >= NARROW && in_channels * out_channels <= 256 * 256
}

/// Values of the transformed filters.
pub(crate) fn filters_len(in_channels: usize, out_channels: usize, level: Level) -> usize {
    POINTS * panel::packed_len(out_channels, in_channels, level.lanes())
}

/// The 4x4 tiles of an image grid, and the source their patches are read from.
#[derive(Clone, Copy)]
struct Tiles {
    batch: usize,
    /// Of an image that is read.
    source: [usize; 2],
    /// Of an image that is written.
    target: [usize; 2],
    /// Rows and columns by which the first patch begins before the source.
    padding: [usize; 2],
}

impl Tiles {
    fn of_output(shape: ConvShape) -> Self {
        Self {
            batch: shape.batch,
            source: [shape.in_height, shape.in_width],
            target: [shape.out_height(), shape.out_width()],
            padding: [shape.window.padding.top, shape.window.padding.left],
        }
    }

    /// Tiles of the input's gradient, whose patches are of the output's.
    fn of_input(shape: ConvShape) -> Self {
        // A pixel that a filter reaches from `padding` rows before reaches back from `2 - padding`.
        Self {
            batch: shape.batch,
            source: [shape.out_height(), shape.out_width()],
            target: [shape.in_height, shape.in_width],
            padding: [2usize.wrapping_sub(shape.window.padding.top), 2usize.wrapping_sub(shape.window.padding.left)],
        }
    }

    fn grid(&self) -> [usize; 2] {
        self.target.map(|side| side.div_ceil(TILE))
    }

    fn count(&self) -> usize {
        self.batch * self.grid()[0] * self.grid()[1]
    }

    /// Image, and first row and column of the target, of a tile.
    fn place(&self, tile: usize) -> [usize; 3] {
        let [height, width] = self.grid();
        [tile / (height * width), tile / width % height * TILE, tile % width * TILE]
    }

    /// Pixel of the source that a tile's patch has at (row, column), counted over all images; `None` outside the image.
    fn source_pixel(&self, [image, y, x]: [usize; 3], [row, column]: [usize; 2]) -> Option<usize> {
        let row = (y + row).wrapping_sub(self.padding[0]);
        let column = (x + column).wrapping_sub(self.padding[1]);
        let [height, width] = self.source;
        (row < height && column < width).then(|| (image * height + row) * width + column)
    }

    /// Pixel of the target at (row, column) of a tile, counted over all images; `None` outside the image.
    fn target_pixel(&self, [image, y, x]: [usize; 3], [row, column]: [usize; 2]) -> Option<usize> {
        let [height, width] = self.target;
        (y + row < height && x + column < width).then(|| (image * height + y + row) * width + x + column)
    }
}

/// Which side of a convolution filters are transformed for.
#[derive(Clone, Copy)]
pub(crate) enum Direction {
    /// `[out_channels, 3, 3, in_channels]` as they are, summed over the input channels.
    Forward,
    /// Turned by half a circle, summed over the output channels.
    Backward,
}

/// Transforms and packs the filters `weight`, `[out_channels, 3, 3, in_channels]`. For [`Direction::Backward`] exchange
/// the channels in the length of `filters`.
pub(crate) fn transform_filters(
    level: Level,
    direction: Direction,
    [in_channels, out_channels]: [usize; 2],
    weight: &[f32],
    filters: &mut [f32],
) {
    let (depth, columns) = match direction {
        Direction::Forward => (in_channels, out_channels),
        Direction::Backward => (out_channels, in_channels),
    };
    let point = panel::packed_len(columns, depth, level.lanes());
    assert!(weight.len() == 9 * depth * columns && filters.len() == POINTS * point);
    let panels = panel::cut(columns, level);
    let target = SharedMut::new(filters);
    // A task is some rows of a panel.
    const STEP: usize = 16;
    let steps = depth.div_ceil(STEP);
    parallel::for_each(panels.len() * steps, |task| {
        let (panel, rows) = (panels[task / steps], task % steps * STEP..depth.min((task % steps + 1) * STEP));
        simd::dispatch(level, Filters { direction, depth, columns, weight, panel, rows, point, target });
    });
}

struct Filters<'a> {
    direction: Direction,
    depth: usize,
    columns: usize,
    weight: &'a [f32],
    panel: Panel,
    rows: Range<usize>,
    /// Values of U[p].
    point: usize,
    target: SharedMut,
}

impl Kernel for Filters<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let width = self.panel.vectors * V::LANES;
        for row in self.rows.clone() {
            for vector in 0..self.panel.vectors {
                let column = self.panel.column + vector * V::LANES;
                let lanes = (self.columns - column).min(V::LANES);
                // SAFETY: the caller vouches for the instructions; slices are indexed with checks; the target's places lie
                // within U[p] by the layout of panels, and no other task has this row of this panel.
                unsafe {
                    let mut taps = [V::splat(0.0); 9];
                    for tap in 0..9 {
                        taps[tap] = match self.direction {
                            Direction::Forward => {
                                // Lanes are output channels, far apart in memory.
                                let mut values = [0.0f32; 16];
                                for lane in 0..lanes {
                                    values[lane] = self.weight[((column + lane) * 9 + tap) * self.depth + row];
                                }
                                V::load(values.as_ptr())
                            }
                            Direction::Backward => {
                                let values = &self.weight[(row * 9 + 8 - tap) * self.columns + column..][..lanes];
                                V::load_first(values.as_ptr(), lanes)
                            }
                        };
                    }
                    let transformed = both_sides::<V, 9, 3, POINTS, 6>(
                        &taps,
                        #[inline(always)]
                        |values| filter_side(values),
                    );
                    let first = self.panel.column * self.depth + row * width + vector * V::LANES;
                    for point in 0..POINTS {
                        transformed[point].store(self.target.at(point * self.point + first));
                    }
                }
            }
        }
    }
}

/// Convolution with filters that [`transform_filters`] has made ready.
pub(crate) fn forward(
    level: Level,
    shape: ConvShape,
    input: &[f32],
    filters: &[f32],
    epilogue: &Epilogue,
    output: &mut [f32],
) {
    let channels = [shape.in_channels, shape.out_channels];
    convolve(level, Tiles::of_output(shape), channels, input, filters, epilogue, output);
}

/// Gradient for the input, with filters transformed for [`Direction::Backward`].
pub(crate) fn backward_input(
    level: Level,
    shape: ConvShape,
    filters: &[f32],
    output_gradient: &[f32],
    input_gradient: &mut [f32],
) {
    let channels = [shape.out_channels, shape.in_channels];
    let tiles = Tiles::of_input(shape);
    convolve(level, tiles, channels, output_gradient, filters, &Epilogue::default(), input_gradient);
}

fn convolve(
    level: Level,
    tiles: Tiles,
    [depth, columns]: [usize; 2],
    source: &[f32],
    filters: &[f32],
    epilogue: &Epilogue,
    target: &mut [f32],
) {
    let count = tiles.count();
    let panels = panel::cut(columns, level);
    let point = panel::packed_len(columns, depth, level.lanes());
    assert_eq!(filters.len(), POINTS * point, "transformed filters of another shape or level");
    let block = (BLOCK / (POINTS * (depth + columns))).next_multiple_of(ROWS).min(count.max(1));
    let target = SharedMut::new(target);
    scratch::with_buffer(POINTS * block * (depth + columns), |buffer| {
        let (patches, products) = buffer.split_at_mut(POINTS * block * depth);
        for first in (0..count).step_by(block) {
            let some = first..count.min(first + block);
            transform(level, Patches { tiles, channels: depth, source }, some.clone(), patches);
            let shared = SharedMut::new(products);
            parallel::for_each(POINTS, |p| {
                let patches = &patches[p * some.len() * depth..][..some.len() * depth];
                let filters = &filters[p * point..][..point];
                let target = (shared, p * some.len() * columns);
                simd::dispatch(level, Product { patches, filters, panels: &panels, depth, columns, target });
            });
            parallel::for_each(some.len().div_ceil(TASK), |task| {
                let range = task * TASK..some.len().min((task + 1) * TASK);
                let block = (some.start, some.len());
                simd::dispatch(level, Outputs { tiles, columns, products, range, block, epilogue, target });
            });
        }
    });
}

/// Tiles of a task.
const TASK: usize = 8;

/// What gives the 36 values of a tile.
trait Transform: Copy + Send + Sync {
    /// Values of a pixel.
    fn channels(&self) -> usize;

    /// Writes the transformed values of `lanes` channels from `channel` on; point p goes to `to + p * step`.
    ///
    /// # Safety
    /// The processor has `V`'s instructions, and the places exist.
    unsafe fn tile<V: Vector>(self, tile: usize, channel: usize, lanes: usize, to: *mut f32, step: usize);
}

/// Fills `[36, tiles, channels]`.
fn transform(level: Level, transform: impl Transform, tiles: Range<usize>, into: &mut [f32]) {
    let into = SharedMut::new(into);
    let count = tiles.len();
    parallel::for_each(count.div_ceil(TASK), |task| {
        let range = task * TASK..count.min((task + 1) * TASK);
        simd::dispatch(level, TransformTask { transform, first: tiles.start, count, range, into });
    });
}

struct TransformTask<T> {
    transform: T,
    first: usize,
    count: usize,
    range: Range<usize>,
    into: SharedMut,
}

impl<T: Transform> Kernel for TransformTask<T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let channels = self.transform.channels();
        for index in self.range.clone() {
            for channel in (0..channels).step_by(V::LANES) {
                let lanes = (channels - channel).min(V::LANES);
                // SAFETY: the place of this tile's channels, which no other task has.
                unsafe {
                    let to = self.into.at(index * channels + channel);
                    self.transform.tile::<V>(self.first + index, channel, lanes, to, self.count * channels);
                }
            }
        }
    }
}

/// V = B' d B.
#[derive(Clone, Copy)]
struct Patches<'a> {
    tiles: Tiles,
    channels: usize,
    source: &'a [f32],
}

impl Transform for Patches<'_> {
    fn channels(&self) -> usize {
        self.channels
    }

    #[inline(always)]
    unsafe fn tile<V: Vector>(self, tile: usize, channel: usize, lanes: usize, to: *mut f32, step: usize) {
        let place = self.tiles.place(tile);
        // SAFETY: the caller vouches for the instructions and the target.
        unsafe {
            let mut patch = [V::splat(0.0); POINTS];
            for row in 0..PATCH {
                for column in 0..PATCH {
                    if let Some(pixel) = self.tiles.source_pixel(place, [row, column]) {
                        let values = &self.source[pixel * self.channels + channel..][..lanes];
                        patch[row * PATCH + column] = load::<V>(values);
                    }
                }
            }
            let transformed = both_sides::<V, POINTS, 6, POINTS, 6>(
                &patch,
                #[inline(always)]
                |values| patch_side(values),
            );
            store_points(&transformed, lanes, to, step);
        }
    }
}

/// dM = A dy A'.
#[derive(Clone, Copy)]
struct OutputGradients<'a> {
    tiles: Tiles,
    channels: usize,
    gradient: &'a [f32],
}

impl Transform for OutputGradients<'_> {
    fn channels(&self) -> usize {
        self.channels
    }

    #[inline(always)]
    unsafe fn tile<V: Vector>(self, tile: usize, channel: usize, lanes: usize, to: *mut f32, step: usize) {
        let place = self.tiles.place(tile);
        // SAFETY: the caller vouches for the instructions and the target.
        unsafe {
            let mut gradient = [V::splat(0.0); TILE * TILE];
            for row in 0..TILE {
                for column in 0..TILE {
                    if let Some(pixel) = self.tiles.target_pixel(place, [row, column]) {
                        let values = &self.gradient[pixel * self.channels + channel..][..lanes];
                        gradient[row * TILE + column] = load::<V>(values);
                    }
                }
            }
            let transformed = both_sides::<V, 16, 4, POINTS, 6>(
                &gradient,
                #[inline(always)]
                |values| output_gradient_side(values),
            );
            store_points(&transformed, lanes, to, step);
        }
    }
}

/// M[p] = V[p] U[p] for one p.
struct Product<'a> {
    /// `[tiles, depth]`.
    patches: &'a [f32],
    /// Packed.
    filters: &'a [f32],
    panels: &'a [Panel],
    depth: usize,
    columns: usize,
    /// `[tiles, columns]`, from an offset on.
    target: (SharedMut, usize),
}

impl Kernel for Product<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        // SAFETY: the caller vouches for the instructions.
        unsafe {
            match V::TILE_ROWS {
                8 => self.tiles::<V, 8>(),
                6 => self.tiles::<V, 6>(),
                _ => self.tiles::<V, 4>(),
            }
        }
    }
}

impl Product<'_> {
    /// # Safety
    /// The processor has `V`'s instructions, and no other task has this part of the target.
    #[inline(always)]
    unsafe fn tiles<V: Vector, const ROWS: usize>(&self) {
        let Self { patches, filters, depth, columns, target: (target, first), .. } = *self;
        let count = patches.len() / depth;
        let ends = Ends { start: Start::Zero, bounds: UNBOUNDED };
        for panel in self.panels {
            let last_lanes = panel.last_lanes(V::LANES, columns);
            let packed = filters[panel.column * depth..].as_ptr();
            for row in (0..count).step_by(ROWS) {
                let rows = (count - row).min(ROWS);
                // Rows beyond the last repeat it and are not stored.
                let index: [usize; ROWS] = std::array::from_fn(|i| row + i.min(rows - 1));
                let sources = [index.map(|index| patches[index * depth..][..depth].as_ptr())];
                // SAFETY: sources have `depth` values, the panel as many rows of its width; targets are places of this
                // task's part with the panel's columns.
                unsafe {
                    let targets = index.map(|index| target.at(first + index * columns + panel.column));
                    let sources = &sources;
                    Tile { sources, depth, packed, ends, targets, rows, last_lanes }.multiply::<V>(panel.vectors, ROWS);
                }
            }
        }
    }
}

/// y = A' M A and the epilogue, for some tiles of a block.
struct Outputs<'a> {
    tiles: Tiles,
    columns: usize,
    products: &'a [f32],
    /// Within the block.
    range: Range<usize>,
    /// The block's first tile and how many it has.
    block: (usize, usize),
    epilogue: &'a Epilogue<'a>,
    target: SharedMut,
}

impl Kernel for Outputs<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Self { tiles, columns, products, epilogue, target, block: (first, count), .. } = self;
        for index in self.range.clone() {
            let place = tiles.place(first + index);
            for channel in (0..columns).step_by(V::LANES) {
                let lanes = (columns - channel).min(V::LANES);
                // SAFETY: the caller vouches for the instructions; the target's pixels exist, and no other task has this
                // tile.
                unsafe {
                    let mut product = [V::splat(0.0); POINTS];
                    for point in 0..POINTS {
                        product[point] = load::<V>(&products[(point * count + index) * columns + channel..][..lanes]);
                    }
                    let output = both_sides::<V, POINTS, 6, 16, 4>(
                        &product,
                        #[inline(always)]
                        |values| output_side(values),
                    );
                    let bias = match epilogue.bias {
                        Some(bias) => load::<V>(&bias[channel..][..lanes]),
                        None => V::splat(0.0),
                    };
                    for row in 0..TILE {
                        for column in 0..TILE {
                            if let Some(pixel) = tiles.target_pixel(place, [row, column]) {
                                let sum = output[row * TILE + column].add(bias);
                                sum.store_up_to(target.at(pixel * columns + channel), lanes);
                            }
                        }
                    }
                }
            }
            for row in 0..TILE {
                for column in 0..TILE {
                    if let Some(pixel) = tiles.target_pixel(place, [row, column]) {
                        // SAFETY: the pixel just written; the caller vouches for the instructions.
                        unsafe {
                            let sums = std::slice::from_raw_parts_mut(target.at(pixel * columns), columns);
                            epilogue.finish::<V>(pixel * columns, sums);
                        }
                    }
                }
            }
        }
    }
}

/// Gradient for the weight, `[out_channels, 3, 3, in_channels]`.
pub(crate) fn backward_weight(
    level: Level,
    shape: ConvShape,
    input: &[f32],
    output_gradient: &[f32],
    weight_gradient: &mut [f32],
) {
    let ConvShape { in_channels, out_channels, .. } = shape;
    let tiles = Tiles::of_output(shape);
    let count = tiles.count();
    let weight = in_channels * out_channels;
    // A block also pays for adding to dU: it has as many tiles as make that small.
    let block = (BLOCK / (POINTS * (in_channels + out_channels))).max(64).next_multiple_of(ROWS).min(count.max(1));
    scratch::with_buffer(POINTS * (block * (in_channels + out_channels) + weight), |buffer| {
        let (patches, rest) = buffer.split_at_mut(POINTS * block * in_channels);
        let (products, filters) = rest.split_at_mut(POINTS * block * out_channels);
        if count == 0 {
            filters.fill(0.0);
        }
        let panels = panel::cut(in_channels, level);
        for first in (0..count).step_by(block) {
            let some = first..count.min(first + block);
            transform(level, Patches { tiles, channels: in_channels, source: input }, some.clone(), patches);
            let gradients = OutputGradients { tiles, channels: out_channels, gradient: output_gradient };
            transform(level, gradients, some.clone(), products);
            let target = SharedMut::new(filters);
            parallel::for_each(POINTS, |p| {
                let product = OuterProduct {
                    patches: &patches[p * some.len() * in_channels..][..some.len() * in_channels],
                    products: &products[p * some.len() * out_channels..][..some.len() * out_channels],
                    channels: [in_channels, out_channels],
                    panels: &panels,
                    add: first > 0,
                    target: (target, p * weight),
                };
                simd::dispatch(level, product);
            });
        }
        let target = SharedMut::new(weight_gradient);
        let filters = &*filters;
        parallel::for_each(out_channels, |row| {
            simd::dispatch(level, WeightGradients { filters, channels: [in_channels, out_channels], row, target });
        });
    });
}

/// dU[p] = dM[p]' V[p] for one p, `[out_channels, in_channels]`, added to what is there or written.
struct OuterProduct<'a> {
    patches: &'a [f32],
    products: &'a [f32],
    channels: [usize; 2],
    panels: &'a [Panel],
    add: bool,
    target: (SharedMut, usize),
}

impl Kernel for OuterProduct<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let [in_channels, out_channels] = self.channels;
        let (target, first) = self.target;
        let len = self.patches.len() / in_channels;
        assert_eq!(self.products.len(), len * out_channels);
        let run = [Run { output: self.products.as_ptr(), source: self.patches.as_ptr(), len }];
        for panel in self.panels {
            let strip = Strip {
                runs: &run,
                output_step: out_channels,
                source_step: in_channels,
                column: panel.column,
                last_lanes: panel.last_lanes(V::LANES, in_channels),
                result_step: in_channels,
                add: self.add,
            };
            let mut row = 0;
            while row < out_channels {
                // SAFETY: the caller vouches for the instructions; the run's pixels have all rows and columns; this part of
                // the target is this task's.
                row += unsafe {
                    let result = target.at(first + row * in_channels + panel.column);
                    match panel.vectors.min(V::TILE_VECTORS) {
                        1 => strip.tile_of_rows::<V, 1>(row, out_channels - row, result),
                        2 => strip.tile_of_rows::<V, 2>(row, out_channels - row, result),
                        _ => strip.tile_of_rows::<V, 3>(row, out_channels - row, result),
                    }
                };
            }
        }
    }
}

/// dg = G' dU G for one output channel.
struct WeightGradients<'a> {
    filters: &'a [f32],
    channels: [usize; 2],
    row: usize,
    target: SharedMut,
}

impl Kernel for WeightGradients<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let [in_channels, out_channels] = self.channels;
        for channel in (0..in_channels).step_by(V::LANES) {
            let lanes = (in_channels - channel).min(V::LANES);
            // SAFETY: the caller vouches for the instructions; the target's row is this task's.
            unsafe {
                let mut values = [V::splat(0.0); POINTS];
                for point in 0..POINTS {
                    let first = (point * out_channels + self.row) * in_channels + channel;
                    values[point] = load::<V>(&self.filters[first..][..lanes]);
                }
                let gradient = both_sides::<V, POINTS, 6, 9, 3>(
                    &values,
                    #[inline(always)]
                    |values| filter_gradient_side(values),
                );
                for tap in 0..9 {
                    gradient[tap].store_up_to(self.target.at((self.row * 9 + tap) * in_channels + channel), lanes);
                }
            }
        }
    }
}

/// All of the slice, a vector or less.
///
/// # Safety
/// The processor has `V`'s instructions.
#[inline(always)]
unsafe fn load<V: Vector>(values: &[f32]) -> V {
    // SAFETY: a slice is as long as it says.
    unsafe { V::load_up_to(values.as_ptr(), values.len()) }
}

/// # Safety
/// The processor has `V`'s instructions, and there are `lanes` places, at most a vector's, for every point.
#[inline(always)]
unsafe fn store_points<V: Vector>(values: &[V; POINTS], lanes: usize, to: *mut f32, step: usize) {
    for point in 0..POINTS {
        // SAFETY: passed on.
        unsafe { values[point].store_up_to(to.add(point * step), lanes) }
    }
}

/// `T x T'` for a square `x` of `FROM` rows, where `side` multiplies `T` by a column of `FROM` values to give `TO`.
///
/// # Safety
/// The processor has `V`'s instructions.
#[inline(always)]
unsafe fn both_sides<V: Vector, const FROM_LEN: usize, const FROM: usize, const TO_LEN: usize, const TO: usize>(
    x: &[V; FROM_LEN],
    side: impl Fn([V; FROM]) -> [V; TO],
) -> [V; TO_LEN] {
    const { assert!(FROM * FROM == FROM_LEN && TO * TO == TO_LEN) }
    // SAFETY: passed on.
    unsafe {
        let mut half = [[V::splat(0.0); TO]; FROM];
        for column in 0..FROM {
            let mut values = [V::splat(0.0); FROM];
            for row in 0..FROM {
                values[row] = x[row * FROM + column];
            }
            half[column] = side(values);
        }
        let mut result = [V::splat(0.0); TO_LEN];
        for row in 0..TO {
            let mut values = [V::splat(0.0); FROM];
            for column in 0..FROM {
                values[column] = half[column][row];
            }
            let values = side(values);
            for column in 0..TO {
                result[row * TO + column] = values[column];
            }
        }
        result
    }
}

/// # Safety
/// The processor has `V`'s instructions.
#[inline(always)]
unsafe fn scaled<V: Vector>(value: V, factor: f32) -> V {
    // SAFETY: passed on.
    unsafe { value.mul_add(V::splat(factor), V::splat(0.0)) }
}

/// B' times a column of a patch.
///
/// # Safety
/// The processor has `V`'s instructions; so too below.
#[inline(always)]
unsafe fn patch_side<V: Vector>([d0, d1, d2, d3, d4, d5]: [V; 6]) -> [V; 6] {
    // SAFETY: passed on.
    unsafe {
        let (minus_four, minus_five, four, two) = (V::splat(-4.0), V::splat(-5.0), V::splat(4.0), V::splat(2.0));
        let (a, b) = (d2.mul_add(minus_four, d4), d1.mul_add(minus_four, d3));
        let (c, d) = (d4.sub(d2), d3.sub(d1));
        let minus_two = V::splat(-2.0);
        [
            d0.mul_add(four, d2.mul_add(minus_five, d4)),
            a.add(b),
            a.sub(b),
            d.mul_add(two, c),
            d.mul_add(minus_two, c),
            d1.mul_add(four, d3.mul_add(minus_five, d5)),
        ]
    }
}

/// G times a column of a filter.
#[inline(always)]
unsafe fn filter_side<V: Vector>([g0, g1, g2]: [V; 3]) -> [V; 6] {
    // SAFETY: passed on.
    unsafe {
        let (a, b) = (scaled(g0.add(g2), -1.0 / 6.0), scaled(g1, 1.0 / 6.0));
        let (c, d) = (g0.mul_add(V::splat(1.0 / 24.0), scaled(g2, 1.0 / 6.0)), scaled(g1, 1.0 / 12.0));
        [scaled(g0, 0.25), a.sub(b), a.add(b), c.add(d), c.sub(d), g2]
    }
}

/// A' times a column of products.
#[inline(always)]
unsafe fn output_side<V: Vector>([m0, m1, m2, m3, m4, m5]: [V; 6]) -> [V; 4] {
    // SAFETY: passed on.
    unsafe {
        let (a, b, c, d) = (m1.add(m2), m1.sub(m2), m3.add(m4), m3.sub(m4));
        [
            m0.add(a).add(c),
            d.mul_add(V::splat(2.0), b),
            c.mul_add(V::splat(4.0), a),
            d.mul_add(V::splat(8.0), b).add(m5),
        ]
    }
}

/// A times a column of the output's gradient.
#[inline(always)]
unsafe fn output_gradient_side<V: Vector>([y0, y1, y2, y3]: [V; 4]) -> [V; 6] {
    // SAFETY: passed on.
    unsafe {
        let (even, odd) = (y0.add(y2), y1.add(y3));
        let four = y2.mul_add(V::splat(4.0), y0);
        let eight = y3.mul_add(V::splat(8.0), scaled(y1, 2.0));
        [y0, even.add(odd), even.sub(odd), four.add(eight), four.sub(eight), y3]
    }
}

/// G' times a column of transformed filters.
#[inline(always)]
unsafe fn filter_gradient_side<V: Vector>([u0, u1, u2, u3, u4, u5]: [V; 6]) -> [V; 3] {
    // SAFETY: passed on.
    unsafe {
        let (a, b, c, d) = (u1.add(u2), u2.sub(u1), u3.add(u4), u3.sub(u4));
        let sixth = scaled(a, -1.0 / 6.0);
        [
            u0.mul_add(V::splat(0.25), c.mul_add(V::splat(1.0 / 24.0), sixth)),
            d.mul_add(V::splat(1.0 / 12.0), scaled(b, 1.0 / 6.0)),
            c.mul_add(V::splat(1.0 / 6.0), sixth).add(u5),
        ]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::activation::Activation;
    use crate::reference::{assert_close, assert_finished, convolution, values};
    use crate::shape::Padding;

    prop_compose! {
        fn shapes()(
            [top, left, bottom, right] in [0usize..4, 0usize..4, 0usize..4, 0usize..4],
            batch in 1usize..4,
            [in_height, in_width] in [3usize..15, 3usize..15],
            in_channels in prop::sample::select(vec![1usize, 8, 17, 32, 50]),
            out_channels in prop::sample::select(vec![1usize, 7, 16, 33, 50, 64]),
        ) -> ConvShape {
            let window = Window { kernel: [3, 3], stride: [1, 1], padding: Padding { top, left, bottom, right } };
            ConvShape { batch, in_height, in_width, in_channels, out_channels, window }
        }
    }

    fn check(shape: ConvShape) {
        let ConvShape { in_channels, out_channels, .. } = shape;
        let channels = [in_channels, out_channels];
        let (input, weight) = (values(1, shape.input_len()), values(2, shape.weight_len()));
        let (bias, gradient) = (values(3, out_channels), values(4, shape.output_len()));
        let residual = values(5, shape.output_len());
        let expected = convolution(shape, &input, &weight, &gradient);
        for level in simd::available() {
            let epilogue = Epilogue { bias: Some(&bias), residual: Some(&residual), activation: Activation::Relu };
            let mut filters = vec![f32::NAN; filters_len(in_channels, out_channels, level)];
            transform_filters(level, Direction::Forward, channels, &weight, &mut filters);
            let mut output = vec![f32::NAN; shape.output_len()];
            forward(level, shape, &input, &filters, &epilogue, &mut output);
            assert_finished(&output, &expected.output, &epilogue, 2e-5);

            let mut filters = vec![f32::NAN; filters_len(out_channels, in_channels, level)];
            transform_filters(level, Direction::Backward, channels, &weight, &mut filters);
            let mut input_gradient = vec![f32::NAN; shape.input_len()];
            backward_input(level, shape, &filters, &gradient, &mut input_gradient);
            assert_close("input gradient", &input_gradient, &expected.input_gradient, 2e-5);

            let mut weight_gradient = vec![f32::NAN; shape.weight_len()];
            backward_weight(level, shape, &input, &gradient, &mut weight_gradient);
            assert_close("weight gradient", &weight_gradient, &expected.weight_gradient, 2e-5);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn all_levels_agree_with_the_definition(shape in shapes()) {
            check(shape);
        }
    }

    #[test]
    fn several_blocks_of_tiles_agree_with_the_definition() {
        let shape = ConvShape {
            batch: 2,
            in_height: 33,
            in_width: 30,
            in_channels: 128,
            out_channels: 160,
            window: Window::square(3, 1, 1),
        };
        assert!(Tiles::of_output(shape).count() > (BLOCK / (POINTS * 288)).next_multiple_of(ROWS));
        check(shape);
    }
}
