//! The micro-kernel of weight gradients: a transposed matrix times another, summed over pixels.

use std::ops::Range;

use crate::simd::Vector;

/// Consecutive output pixels, and the source pixels paired with them.
pub(crate) struct PixelRun {
    pub(crate) output: *const f32,
    pub(crate) source: *const f32,
    pub(crate) len: usize,
}

/// `result[row, column] (+)= sum over pixels: output[pixel, row] * source[pixel, column]`, for one panel of columns.
pub(crate) struct TransposedProduct<'a> {
    pub(crate) runs: &'a [PixelRun],
    /// Values from one output pixel to the next.
    pub(crate) output_step: usize,
    /// Values from one source pixel to the next.
    pub(crate) source_step: usize,
    /// The panel's first column.
    pub(crate) column: usize,
    /// The panel's width.
    pub(crate) vectors: usize,
    /// Number of lanes of the last vector that are columns.
    pub(crate) last_lanes: usize,
    /// Values from one row of the result to the next.
    pub(crate) result_step: usize,
    /// Whether to add to the result or to overwrite it.
    pub(crate) accumulate: bool,
}

impl TransposedProduct<'_> {
    /// Computes `rows` of the result. `result` is the address of the panel's first column in row 0.
    ///
    /// # Safety
    /// The processor must support `V`. Every output pixel of the runs must have these rows, every source pixel and every row of
    /// the result the panel's columns. No other task may access this part of the result.
    #[inline(always)]
    pub(crate) unsafe fn multiply<V: Vector>(&self, rows: Range<usize>, result: *mut f32) {
        // SAFETY: as the caller guarantees.
        unsafe {
            match self.vectors.min(V::TILE_VECTORS) {
                1 => self.rows::<V, 1>(rows, result),
                2 => self.rows::<V, 2>(rows, result),
                _ => self.rows::<V, 3>(rows, result),
            }
        }
    }

    /// Covers the rows with tiles as high as possible.
    ///
    /// # Safety
    /// As [`multiply`](Self::multiply).
    #[inline(always)]
    unsafe fn rows<V: Vector, const VECTORS: usize>(&self, rows: Range<usize>, result: *mut f32) {
        let mut row = rows.start;
        while row < rows.end {
            // SAFETY: as the caller guarantees; a tile has no more rows than remain.
            row += unsafe {
                let result = result.add(row * self.result_step);
                match rows.end - row {
                    6.. if V::TILE_ROWS == 6 => self.whole_or_partial_tile::<V, 6, VECTORS>(row, result),
                    8.. if V::TILE_ROWS == 8 => self.whole_or_partial_tile::<V, 8, VECTORS>(row, result),
                    4.. => self.whole_or_partial_tile::<V, 4, VECTORS>(row, result),
                    2.. => self.whole_or_partial_tile::<V, 2, VECTORS>(row, result),
                    _ => self.whole_or_partial_tile::<V, 1, VECTORS>(row, result),
                }
            };
        }
    }

    /// Returns `ROWS`.
    ///
    /// # Safety
    /// As [`tile`](Self::tile).
    #[inline(always)]
    unsafe fn whole_or_partial_tile<V: Vector, const ROWS: usize, const VECTORS: usize>(
        &self,
        row: usize,
        result: *mut f32,
    ) -> usize {
        // SAFETY: as the caller guarantees.
        unsafe {
            if self.last_lanes == V::LANES {
                self.tile::<V, ROWS, VECTORS, false>(row, result);
            } else {
                self.tile::<V, ROWS, VECTORS, true>(row, result);
            }
        }
        ROWS
    }

    /// The register tile: `ROWS` rows from `row` on by `VECTORS` vectors of columns. With `PARTIAL` the last vector has only
    /// `last_lanes` lanes.
    ///
    /// # Safety
    /// As [`multiply`](Self::multiply), and `result` is the address of the panel's first column in `row`.
    #[inline(always)]
    unsafe fn tile<V: Vector, const ROWS: usize, const VECTORS: usize, const PARTIAL: bool>(
        &self,
        row: usize,
        result: *mut f32,
    ) {
        // SAFETY: all accesses are within what the caller guarantees.
        unsafe {
            let mut sums = [[V::splat(0.0); VECTORS]; ROWS];
            for run in self.runs {
                let mut output = run.output.add(row);
                let mut source = run.source.add(self.column);
                for _ in 0..run.len {
                    let mut values = [V::splat(0.0); VECTORS];
                    for vector in 0..VECTORS {
                        let from = source.add(vector * V::LANES);
                        values[vector] = if PARTIAL && vector + 1 == VECTORS {
                            V::load_partial(from, self.last_lanes)
                        } else {
                            V::load(from)
                        };
                    }
                    for row in 0..ROWS {
                        let gradient = V::splat(output.add(row).read());
                        for vector in 0..VECTORS {
                            sums[row][vector] = gradient.mul_add(values[vector], sums[row][vector]);
                        }
                    }
                    // Not `add`: after the last pixel these may point past the slices.
                    output = output.wrapping_add(self.output_step);
                    source = source.wrapping_add(self.source_step);
                }
            }
            for row in 0..ROWS {
                for vector in 0..VECTORS {
                    let to = result.add(row * self.result_step + vector * V::LANES);
                    let lanes = if PARTIAL && vector + 1 == VECTORS { self.last_lanes } else { V::LANES };
                    let mut sum = sums[row][vector];
                    if self.accumulate {
                        sum = sum.add(V::load_partial(to, lanes));
                    }
                    if PARTIAL && vector + 1 == VECTORS { sum.store_partial(to, lanes) } else { sum.store(to) }
                }
            }
        }
    }
}
