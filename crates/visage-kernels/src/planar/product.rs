//! The product of a weight and columns that pointers lead to, two rows of an image at a time.
#![allow(unsafe_code)]
// Register tiles read best, and are optimised most reliably, as loops over constant index ranges.
#![allow(clippy::needless_range_loop)]

use crate::activation::Activation;
use crate::micro_kernel::with_tile_rows;
use crate::planar::STRIP;
use crate::simd::{Level, Vector};

/// For every value of the depth, the addresses of the first columns of two rows.
pub(super) type Columns<'a> = &'a [[*const f32; 2]];

/// A weight, packed into tiles of as many output channels as a register tile has rows.
#[derive(Debug)]
pub(super) struct Product {
    level: Level,
    depth: usize,
    rows: usize,
    /// `[tile, depth, row]`, missing rows are zeros.
    weights: Vec<f32>,
    /// `[tile, row]`.
    bias: Vec<f32>,
    /// The bound below, of a ReLU or of none.
    least: f32,
}

/// What is added to the first `channels` channels.
#[derive(Clone, Copy)]
pub(super) struct Shortcut {
    /// The addresses in two rows.
    pub(super) rows: [*const f32; 2],
    pub(super) channel_len: usize,
    pub(super) channels: usize,
}

/// One or two rows of an output.
pub(super) struct Targets {
    /// The addresses of the first column of the first channel; the same twice for one row.
    pub(super) rows: [*mut f32; 2],
    pub(super) count: usize,
    pub(super) channel_len: usize,
    pub(super) strip_len: usize,
    pub(super) width: usize,
}

impl Product {
    /// From `[rows, depth]` and `[rows]`.
    pub(super) fn new(level: Level, weight: &[f32], bias: &[f32], activation: Activation) -> Self {
        let (rows, tile) = (bias.len(), level.tile_rows());
        let depth = weight.len() / rows;
        let tiles = rows.div_ceil(tile);
        let mut weights = vec![0.0; tiles * depth * tile];
        for (row, values) in weight.chunks_exact(depth).enumerate() {
            for (k, value) in values.iter().enumerate() {
                weights[(row / tile * depth + k) * tile + row % tile] = *value;
            }
        }
        let mut bias = bias.to_vec();
        bias.resize(tiles * tile, 0.0);
        let least = if activation == Activation::Relu { 0.0 } else { f32::NEG_INFINITY };
        Self { level, depth, rows, weights, bias, least }
    }

    pub(super) fn level(&self) -> Level {
        self.level
    }

    pub(super) fn lanes(&self) -> usize {
        self.level.lanes()
    }

    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Computes a vector of columns from column `x` of the targets on, in all output channels. The columns begin at index `at`.
    ///
    /// # Safety
    /// The processor must support `V`, the vectors of `level`. There must be as many columns as the depth, each with a vector at
    /// `at`. The shortcut must have a vector for each of its channels, the targets for each output channel, of which only columns
    /// of the width are written.
    #[inline(always)]
    pub(super) unsafe fn multiply<V: Vector>(
        &self,
        columns: Columns,
        at: usize,
        shortcut: Option<Shortcut>,
        targets: &Targets,
        x: usize,
    ) {
        with_tile_rows!(V, ROWS => {
            for tile in 0..self.rows.div_ceil(ROWS) {
                // SAFETY: as the caller guarantees.
                unsafe {
                    if targets.count == 2 {
                        self.tile::<V, ROWS, 2>(tile, columns, at, shortcut, targets, x);
                    } else {
                        self.tile::<V, ROWS, 1>(tile, columns, at, shortcut, targets, x);
                    }
                }
            }
        });
    }

    /// The register tile of `ROWS` output channels in `VECTORS` rows of the image.
    ///
    /// # Safety
    /// As [`multiply`](Self::multiply).
    #[inline(always)]
    unsafe fn tile<V: Vector, const ROWS: usize, const VECTORS: usize>(
        &self,
        tile: usize,
        columns: Columns,
        at: usize,
        shortcut: Option<Shortcut>,
        targets: &Targets,
        x: usize,
    ) {
        let first = tile * ROWS;
        let bias = &self.bias[first..][..ROWS];
        let mut weights = self.weights[first * self.depth..][..ROWS * self.depth].as_ptr();
        // SAFETY: all accesses are within what the caller guarantees.
        unsafe {
            let mut sums = [[V::splat(0.0); VECTORS]; ROWS];
            for row in 0..ROWS {
                sums[row] = [V::splat(bias[row]); VECTORS];
            }
            for columns in columns {
                let mut values = [V::splat(0.0); VECTORS];
                for vector in 0..VECTORS {
                    values[vector] = V::load(columns[vector].wrapping_add(at));
                }
                for row in 0..ROWS {
                    let weight = V::splat(weights.add(row).read());
                    for vector in 0..VECTORS {
                        sums[row][vector] = values[vector].mul_add(weight, sums[row][vector]);
                    }
                }
                weights = weights.add(ROWS);
            }
            if let Some(Shortcut { rows, channel_len, channels }) = shortcut {
                for row in 0..ROWS {
                    if first + row < channels {
                        for vector in 0..VECTORS {
                            let from = rows[vector].wrapping_add((first + row) * channel_len);
                            sums[row][vector] = sums[row][vector].add(V::load(from));
                        }
                    }
                }
            }
            let least = V::splat(self.least);
            let lanes = V::LANES.min(targets.width - x);
            let column = x / STRIP * targets.strip_len + x % STRIP;
            for row in 0..ROWS {
                if first + row < self.rows {
                    for vector in 0..VECTORS {
                        let to = targets.rows[vector].add((first + row) * targets.channel_len + column);
                        sums[row][vector].maximum(least).store_lanes(to, lanes);
                    }
                }
            }
        }
    }
}
