//! The micro-kernels of matrix products: register tiles, whose sums stay in registers.
//!
//! [`RegisterTile`] multiplies rows that pointers lead to by a packed panel. [`TransposedProduct`] (`transposed.rs`) multiplies
//! a transposed matrix by another, as weight gradients do.
#![allow(unsafe_code)]
// Register tiles read best, and are optimised most reliably, as loops over constant index ranges.
#![allow(clippy::needless_range_loop)]

mod transposed;

pub(crate) use transposed::{PixelRun, TransposedProduct};

use crate::simd::Vector;

/// Rows of the smaller tiles that a block of rows may end with.
const SHORT_ROWS: usize = 4;

/// Evaluates an expression with [`Vector::TILE_ROWS`] bound to a constant that can be a generic argument.
macro_rules! with_tile_rows {
    ($vector:ident, $rows:ident => $body:expr) => {
        match $vector::TILE_ROWS {
            8 => {
                const $rows: usize = 8;
                $body
            }
            6 => {
                const $rows: usize = 6;
                $body
            }
            _ => {
                const $rows: usize = 4;
                $body
            }
        }
    };
}
pub(crate) use with_tile_rows;

/// Initial values of a tile's sums.
#[derive(Clone, Copy)]
pub(crate) enum Init {
    Zero,
    /// The bias of the tile's columns.
    Bias(*const f32),
    /// The sums that an earlier part of the depth left in the target.
    Target,
}

/// A register tile: rows of the left-hand matrix times a panel of the right-hand one.
pub(crate) struct RegisterTile<'a, const POINTERS: usize> {
    /// For every part of the depth, the addresses of the rows' values.
    pub(crate) sources: &'a [[*const f32; POINTERS]],
    /// Values at each of these addresses.
    pub(crate) depth: usize,
    /// The packed panel.
    pub(crate) packed: *const f32,
    pub(crate) init: Init,
    /// Bounds that the sums are clamped to.
    pub(crate) bounds: [f32; 2],
    /// Addresses of the rows of the result.
    pub(crate) targets: [*mut f32; POINTERS],
    /// Number of rows to store.
    pub(crate) rows: usize,
    /// Number of lanes of the last vector to store.
    pub(crate) last_lanes: usize,
}

impl<const POINTERS: usize> RegisterTile<'_, POINTERS> {
    /// Multiplies the first `height` rows, [`SHORT_ROWS`] or all of the pointers, by a panel of `vectors`.
    ///
    /// # Safety
    /// The processor must support `V`. Every source pointer must have `depth` values, and `packed` the panel's vectors for each
    /// of them. The first `rows` targets must have as many vectors, the last of them with `last_lanes` lanes.
    #[inline(always)]
    pub(crate) unsafe fn multiply<V: Vector>(&self, vectors: usize, height: usize) {
        // SAFETY: as the caller guarantees.
        unsafe {
            match (vectors.min(V::TILE_VECTORS), height == SHORT_ROWS) {
                (1, false) => self.tile::<V, POINTERS, 1>(),
                (2, false) => self.tile::<V, POINTERS, 2>(),
                (_, false) => self.tile::<V, POINTERS, 3>(),
                (1, true) => self.tile::<V, SHORT_ROWS, 1>(),
                (2, true) => self.tile::<V, SHORT_ROWS, 2>(),
                (_, true) => self.tile::<V, SHORT_ROWS, 3>(),
            }
        }
    }

    /// The tile of `ROWS` rows by `VECTORS` vectors.
    ///
    /// # Safety
    /// As [`multiply`](Self::multiply).
    #[inline(always)]
    unsafe fn tile<V: Vector, const ROWS: usize, const VECTORS: usize>(&self) {
        let Self { sources, depth, mut packed, ref targets, rows, last_lanes, .. } = *self;
        // SAFETY: all accesses are within what the caller guarantees.
        unsafe {
            let mut sums = self.initial_sums::<V, ROWS, VECTORS>();
            for sources in sources {
                let sources = *sources;
                for k in 0..depth {
                    let mut weights = [V::splat(0.0); VECTORS];
                    for vector in 0..VECTORS {
                        weights[vector] = V::load(packed.add(vector * V::LANES));
                    }
                    for row in 0..ROWS {
                        let value = V::splat(sources[row].add(k).read());
                        for vector in 0..VECTORS {
                            sums[row][vector] = value.mul_add(weights[vector], sums[row][vector]);
                        }
                    }
                    packed = packed.add(VECTORS * V::LANES);
                }
            }
            // Not `array::map`, which compiles to a call.
            let (least, greatest) = (V::splat(self.bounds[0]), V::splat(self.bounds[1]));
            for row in 0..ROWS {
                if row < rows {
                    for vector in 0..VECTORS {
                        let to = targets[row].add(vector * V::LANES);
                        let sum = sums[row][vector].maximum(least).minimum(greatest);
                        if vector + 1 == VECTORS && last_lanes < V::LANES {
                            sum.store_partial(to, last_lanes);
                        } else {
                            sum.store(to);
                        }
                    }
                }
            }
        }
    }

    /// # Safety
    /// As [`multiply`](Self::multiply).
    #[inline(always)]
    unsafe fn initial_sums<V: Vector, const ROWS: usize, const VECTORS: usize>(&self) -> [[V; VECTORS]; ROWS] {
        let Self { init, ref targets, rows, last_lanes, .. } = *self;
        // SAFETY: all accesses are within what the caller guarantees.
        unsafe {
            let mut sums = [[V::splat(0.0); VECTORS]; ROWS];
            match init {
                Init::Zero => {}
                Init::Bias(bias) => {
                    for vector in 0..VECTORS {
                        let lanes = if vector + 1 == VECTORS { last_lanes } else { V::LANES };
                        let value = V::load_partial(bias.add(vector * V::LANES), lanes);
                        for sums in &mut sums {
                            sums[vector] = value;
                        }
                    }
                }
                Init::Target => {
                    for row in 0..ROWS {
                        if row < rows {
                            for vector in 0..VECTORS {
                                let lanes = if vector + 1 == VECTORS { last_lanes } else { V::LANES };
                                sums[row][vector] = V::load_partial(targets[row].add(vector * V::LANES), lanes);
                            }
                        }
                    }
                }
            }
            sums
        }
    }
}

/// Division of rows into register tiles: most have full height, up to two at the end have [`SHORT_ROWS`] if that computes
/// fewer surplus rows.
#[derive(Clone, Copy)]
pub(crate) struct RowTiling {
    height: usize,
    full: usize,
    short: usize,
}

impl RowTiling {
    pub(crate) fn new(rows: usize, height: usize) -> Self {
        let full = |short: usize| rows.saturating_sub(short * SHORT_ROWS).div_ceil(height);
        let most = if height > SHORT_ROWS { 2 } else { 0 };
        let short = (0..=most).min_by_key(|&short| full(short) * height + short * SHORT_ROWS).unwrap_or(0);
        Self { height, full: full(short), short }
    }

    /// Number of tiles.
    pub(crate) fn count(self) -> usize {
        self.full + self.short
    }

    /// The first row of a tile.
    pub(crate) fn first(self, tile: usize) -> usize {
        tile.min(self.full) * self.height + tile.saturating_sub(self.full) * SHORT_ROWS
    }

    /// The number of rows of a tile, surplus rows included.
    pub(crate) fn height(self, tile: usize) -> usize {
        if tile < self.full { self.height } else { SHORT_ROWS }
    }
}

#[cfg(test)]
mod tests;
