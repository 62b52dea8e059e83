//! The input and output transforms, between images and the 36 values of each tile.

use std::ops::Range;

use super::tiles::Tiles;
use super::transforms::{
    input_transform, load, output_gradient_transform, output_transform, store_points, transform_2d,
};
use super::{PATCH, POINTS, TILE};
use crate::epilogue::Epilogue;
use crate::parallel::{self, SharedMut};
use crate::simd::{self, Kernel, Level, Vector};

/// Tiles per task.
const TASK: usize = 8;

/// Which transform is applied to the tiles of images.
#[derive(Clone, Copy)]
pub(super) enum Transform {
    /// V = B' d B of 6x6 patches of the source.
    Patches,
    /// dM = A dy A' of 4x4 tiles of the target's gradient.
    OutputGradients,
}

/// Images with their tiles.
#[derive(Clone, Copy)]
pub(super) struct Images<'a> {
    pub(super) tiles: Tiles,
    pub(super) channels: usize,
    pub(super) values: &'a [f32],
    pub(super) transform: Transform,
}

impl Images<'_> {
    /// Transforms a range of tiles into `[36, tiles, channels]`.
    pub(super) fn transform_tiles(self, level: Level, tiles: Range<usize>, into: &mut [f32]) {
        let into = SharedMut::new(into);
        let count = tiles.len();
        parallel::for_each_range(count, TASK, |range| {
            simd::dispatch(level, TransformTask { images: self, first: tiles.start, count, range, into });
        });
    }

    /// Transforms `lanes` channels from `channel` on of one tile. The value of point p is stored at `to + p * step`.
    ///
    /// # Safety
    /// The processor must support `V`, and the addresses must be valid.
    #[inline(always)]
    unsafe fn transform_tile<V: Vector>(self, tile: usize, channel: usize, lanes: usize, to: *mut f32, step: usize) {
        let tiles = self.tiles;
        let tile = tiles.coordinates(tile);
        // SAFETY: as the caller guarantees.
        unsafe {
            let transformed = match self.transform {
                Transform::Patches => {
                    let patch = self.pixels::<V, PATCH, POINTS>(
                        channel,
                        lanes,
                        #[inline(always)]
                        |at| tiles.source_pixel(tile, at),
                    );
                    transform_2d::<V, POINTS, 6, POINTS, 6>(
                        &patch,
                        #[inline(always)]
                        |values| input_transform(values),
                    )
                }
                Transform::OutputGradients => {
                    let gradient = self.pixels::<V, TILE, 16>(
                        channel,
                        lanes,
                        #[inline(always)]
                        |at| tiles.target_pixel(tile, at),
                    );
                    transform_2d::<V, 16, 4, POINTS, 6>(
                        &gradient,
                        #[inline(always)]
                        |values| output_gradient_transform(values),
                    )
                }
            };
            store_points(&transformed, lanes, to, step);
        }
    }

    /// The pixels of a `SIDE` x `SIDE` square; zeros where `pixel` gives none.
    ///
    /// # Safety
    /// The processor must support `V`.
    #[inline(always)]
    unsafe fn pixels<V: Vector, const SIDE: usize, const LEN: usize>(
        self,
        channel: usize,
        lanes: usize,
        pixel: impl Fn([usize; 2]) -> Option<usize>,
    ) -> [V; LEN] {
        const { assert!(SIDE * SIDE == LEN) }
        // SAFETY: as the caller guarantees.
        unsafe {
            let mut values = [V::splat(0.0); LEN];
            for row in 0..SIDE {
                for column in 0..SIDE {
                    if let Some(pixel) = pixel([row, column]) {
                        values[row * SIDE + column] =
                            load::<V>(&self.values[pixel * self.channels + channel..][..lanes]);
                    }
                }
            }
            values
        }
    }
}

struct TransformTask<'a> {
    images: Images<'a>,
    /// The first tile of the range that is transformed, and its number of tiles.
    first: usize,
    count: usize,
    /// The task's tiles, relative to the first.
    range: Range<usize>,
    into: SharedMut,
}

impl Kernel for TransformTask<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let channels = self.images.channels;
        for index in self.range.clone() {
            for channel in (0..channels).step_by(V::LANES) {
                let lanes = (channels - channel).min(V::LANES);
                // SAFETY: the addresses of this tile's channels, which no other task writes.
                unsafe {
                    let to = self.into.at(index * channels + channel);
                    let tile = self.first + index;
                    self.images.transform_tile::<V>(tile, channel, lanes, to, self.count * channels);
                }
            }
        }
    }
}

/// The output transform y = A' M A and the epilogue.
#[derive(Clone, Copy)]
pub(super) struct Outputs<'a> {
    pub(super) tiles: Tiles,
    pub(super) columns: usize,
    pub(super) epilogue: &'a Epilogue<'a>,
    pub(super) target: SharedMut,
}

impl Outputs<'_> {
    /// Transforms `products`, `[36, tiles, columns]` of a range of tiles, and writes the tiles' pixels.
    pub(super) fn transform_tiles(self, level: Level, tiles: Range<usize>, products: &[f32]) {
        let count = tiles.len();
        parallel::for_each_range(count, TASK, |range| {
            simd::dispatch(level, OutputTask { outputs: self, products, first: tiles.start, count, range });
        });
    }
}

struct OutputTask<'a> {
    outputs: Outputs<'a>,
    products: &'a [f32],
    /// The first tile of the products, and their number of tiles.
    first: usize,
    count: usize,
    /// The task's tiles, relative to the first.
    range: Range<usize>,
}

impl Kernel for OutputTask<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Self { outputs: Outputs { tiles, columns, epilogue, target }, products, first, count, .. } = self;
        for index in self.range.clone() {
            let tile = tiles.coordinates(first + index);
            for channel in (0..columns).step_by(V::LANES) {
                let lanes = (columns - channel).min(V::LANES);
                // SAFETY: as the caller guarantees; the target's pixels exist, and no other task writes this tile.
                unsafe {
                    let mut product = [V::splat(0.0); POINTS];
                    for point in 0..POINTS {
                        product[point] = load::<V>(&products[(point * count + index) * columns + channel..][..lanes]);
                    }
                    let output = transform_2d::<V, POINTS, 6, 16, 4>(
                        &product,
                        #[inline(always)]
                        |values| output_transform(values),
                    );
                    let bias = match epilogue.bias {
                        Some(bias) => load::<V>(&bias[channel..][..lanes]),
                        None => V::splat(0.0),
                    };
                    for row in 0..TILE {
                        for column in 0..TILE {
                            if let Some(pixel) = tiles.target_pixel(tile, [row, column]) {
                                let sum = output[row * TILE + column].add(bias);
                                sum.store_lanes(target.at(pixel * columns + channel), lanes);
                            }
                        }
                    }
                }
            }
            for row in 0..TILE {
                for column in 0..TILE {
                    if let Some(pixel) = tiles.target_pixel(tile, [row, column]) {
                        // SAFETY: the pixel has just been written; the processor supports `V`.
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
