//! The right-hand matrix of a product, packed into panels of columns as wide as a register tile.
//!
//! ```text
//!   columns      0 ... 47 | 48 ... 95 | 96 ... 127        a panel has as many vectors as a register tile, or
//!   depth 0      panel 0  | panel 1   | panel 2           fewer. Panel p is stored in row-major order and
//!   depth 1      ...                                      precedes panel p + 1. Missing columns of the last
//!                                                         panel are zeros.
//! ```

use std::ops::Range;

use crate::parallel::{self, SharedMut};
use crate::simd::Level;

/// A panel: its first column (a multiple of the lanes) and its width in vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Panel {
    pub(crate) column: usize,
    pub(crate) vectors: usize,
}

impl Panel {
    /// The number of lanes of the last vector that hold one of the matrix's `columns`.
    pub(crate) fn last_lanes(&self, lanes: usize, columns: usize) -> usize {
        (columns - self.column - (self.vectors - 1) * lanes).min(lanes)
    }
}

/// Divides `columns` into panels as even as whole vectors allow: even panels keep more independent sums in flight than a
/// wide and a narrow one.
pub(crate) fn panels(columns: usize, level: Level) -> Vec<Panel> {
    let lanes = level.lanes();
    let vectors = columns.div_ceil(lanes);
    let count = vectors.div_ceil(level.tile_vectors());
    let mut first = 0;
    (0..count)
        .map(|index| {
            let width = vectors / count + usize::from(index < vectors % count);
            let panel = Panel { column: first * lanes, vectors: width };
            first += width;
            panel
        })
        .collect()
}

/// The memory layout of a matrix to be packed.
pub(crate) enum Matrix<'a> {
    /// Value (k, column) is at `column * depth + k`: a weight `[out_channels, taps * in_channels]`.
    ColumnMajor(&'a [f32]),
    /// Row k begins at the k-th offset.
    Rows(&'a [f32], &'a [usize]),
}

/// Length of the packed matrix.
pub(crate) fn packed_len(columns: usize, depth: usize, lanes: usize) -> usize {
    columns.div_ceil(lanes) * lanes * depth
}

/// Packs a `depth x columns` matrix. `packed` has length [`packed_len`]; panel p begins at `p.column * depth`.
pub(crate) fn pack(matrix: &Matrix, depth: usize, columns: usize, level: Level, packed: &mut [f32]) {
    // Values per task. Smaller matrices are packed by one thread.
    const TASK: usize = 32 * 1024;
    let lanes = level.lanes();
    let mut pieces: Vec<(Panel, Range<usize>)> = Vec::new();
    for panel in panels(columns, level) {
        let step = (TASK / (panel.vectors * lanes)).max(1);
        pieces.extend((0..depth).step_by(step).map(|from| (panel, from..depth.min(from + step))));
    }
    let target = SharedMut::new(packed);
    parallel::for_each(pieces.len(), |index| {
        let (panel, rows) = &pieces[index];
        let width = panel.vectors * lanes;
        #[expect(unsafe_code, reason = "tasks fill disjoint parts of one buffer")]
        // SAFETY: the piece is within `packed` and does not overlap another piece.
        let part = unsafe {
            let first = target.at(panel.column * depth + rows.start * width);
            std::slice::from_raw_parts_mut(first, rows.len() * width)
        };
        let columns = panel.column..columns.min(panel.column + width);
        match matrix {
            Matrix::ColumnMajor(matrix) => pack_transposed(matrix, depth, columns, rows.clone(), width, part),
            Matrix::Rows(matrix, offsets) => {
                for (row, offset) in part.chunks_exact_mut(width).zip(&offsets[rows.clone()]) {
                    row[..columns.len()].copy_from_slice(&matrix[offset + columns.start..][..columns.len()]);
                    row[columns.len()..].fill(0.0);
                }
            }
        }
    });
}

/// Packs the given rows and columns of a column-major matrix into `part`, rows of `width` values.
fn pack_transposed(
    matrix: &[f32],
    depth: usize,
    columns: Range<usize>,
    rows: Range<usize>,
    width: usize,
    part: &mut [f32],
) {
    // Squares of the matrix that stay in the first-level cache on both sides.
    const SQUARE: usize = 16;
    for (from, part) in rows.step_by(SQUARE).zip(part.chunks_mut(SQUARE * width)) {
        let count = part.len() / width;
        for (c, column) in columns.clone().enumerate() {
            let values = &matrix[column * depth + from..][..count];
            for (k, value) in values.iter().enumerate() {
                part[k * width + c] = *value;
            }
        }
        if columns.len() < width {
            for row in part.chunks_exact_mut(width) {
                row[columns.len()..].fill(0.0);
            }
        }
    }
}

#[cfg(test)]
mod tests;
