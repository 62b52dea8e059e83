//! The right-hand matrix of a product, cut into panels of columns as wide as a register tile.
//!
//! ```text
//!   columns      0 ... 47 | 48 ... 95 | 96 ... 127        as many vectors a panel as a tile has, or fewer
//!   depth 0      panel 0  | panel 1   | panel 2           panel p is stored whole, row after row,
//!   depth 1      ...                                      before panel p + 1; the last one's missing
//!                                                         columns are zeros
//! ```

use std::ops::Range;

use crate::parallel::{self, SharedMut};
use crate::simd::Level;

/// A panel: its first column (a multiple of the lanes) and how many vectors wide it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Panel {
    pub(crate) column: usize,
    pub(crate) vectors: usize,
}

impl Panel {
    /// How many of its last vector's lanes hold columns that exist.
    pub(crate) fn last_lanes(&self, lanes: usize, columns: usize) -> usize {
        (columns - self.column - (self.vectors - 1) * lanes).min(lanes)
    }
}

/// Cuts `columns` into panels as even as whole vectors allow: even panels keep more sums in flight than a wide and a
/// narrow one.
pub(crate) fn cut(columns: usize, level: Level) -> Vec<Panel> {
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

/// How a matrix to be packed lies in memory.
pub(crate) enum Source<'a> {
    /// Value (k, column) at `column * depth + k`: a weight `[out_channels, taps * in_channels]`.
    ColumnMajor(&'a [f32]),
    /// Rows of `columns` values that begin at the given offsets, one for each k.
    Rows(&'a [f32], &'a [usize]),
}

/// Values [`pack`] fills.
pub(crate) fn packed_len(columns: usize, depth: usize, lanes: usize) -> usize {
    columns.div_ceil(lanes) * lanes * depth
}

/// Packs a `depth x columns` matrix; `packed` is [`packed_len`] long. Panel p begins at `p.column * depth`.
pub(crate) fn pack(source: &Source, depth: usize, columns: usize, lanes: usize, panels: &[Panel], packed: &mut [f32]) {
    // Tasks of about this many values: small matrices are packed by one thread.
    const TASK: usize = 32 * 1024;
    let mut pieces: Vec<(Panel, Range<usize>)> = Vec::new();
    for panel in panels {
        let step = (TASK / (panel.vectors * lanes)).max(1);
        pieces.extend((0..depth).step_by(step).map(|from| (*panel, from..depth.min(from + step))));
    }
    let target = SharedMut::new(packed);
    parallel::for_each(pieces.len(), |index| {
        let (panel, ks) = &pieces[index];
        let width = panel.vectors * lanes;
        #[expect(unsafe_code, reason = "tasks fill disjoint parts of one buffer")]
        // SAFETY: the piece's rows `ks` of its panel lie within `packed` and in no other piece.
        let part = unsafe {
            let first = target.at(panel.column * depth + ks.start * width);
            std::slice::from_raw_parts_mut(first, ks.len() * width)
        };
        let valid = width.min(columns - panel.column);
        match source {
            Source::ColumnMajor(matrix) => pack_transposed(matrix, depth, panel.column, valid, ks.clone(), width, part),
            Source::Rows(matrix, offsets) => {
                for (row, offset) in part.chunks_exact_mut(width).zip(&offsets[ks.clone()]) {
                    row[..valid].copy_from_slice(&matrix[offset + panel.column..][..valid]);
                    row[valid..].fill(0.0);
                }
            }
        }
    });
}

fn pack_transposed(
    matrix: &[f32],
    depth: usize,
    column: usize,
    valid: usize,
    ks: Range<usize>,
    width: usize,
    part: &mut [f32],
) {
    // Squares that stay in the first-level cache on both sides.
    const SQUARE: usize = 16;
    for (from, rows) in ks.clone().step_by(SQUARE).zip(part.chunks_mut(SQUARE * width)) {
        let count = rows.len() / width;
        for c in 0..valid {
            let values = &matrix[(column + c) * depth + from..][..count];
            for (k, value) in values.iter().enumerate() {
                rows[k * width + c] = *value;
            }
        }
        if valid < width {
            for row in rows.chunks_exact_mut(width) {
                row[valid..].fill(0.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd;

    #[test]
    fn panels_are_even_and_cover_the_columns() {
        for level in simd::available() {
            let (lanes, most) = (level.lanes(), level.tile_vectors());
            for columns in 1..300 {
                let panels = cut(columns, level);
                let mut next = 0;
                for panel in &panels {
                    assert_eq!(panel.column, next);
                    assert!((1..=most).contains(&panel.vectors) && panel.vectors + 1 >= panels[0].vectors);
                    next += panel.vectors * lanes;
                }
                assert_eq!(next, columns.next_multiple_of(lanes));
                let last = panels[panels.len() - 1];
                assert_eq!(last.column + (last.vectors - 1) * lanes + last.last_lanes(lanes, columns), columns);
            }
        }
    }

    #[test]
    fn both_sources_pack_alike() {
        let (depth, columns) = (37, 53);
        let rows: Vec<f32> = (0..depth * columns).map(|i| i as f32).collect();
        let offsets: Vec<usize> = (0..depth).map(|k| k * columns).collect();
        let transposed: Vec<f32> = (0..columns * depth).map(|i| rows[i % depth * columns + i / depth]).collect();
        for level in simd::available() {
            let (panels, lanes) = (cut(columns, level), level.lanes());
            let len = packed_len(columns, depth, lanes);
            let (mut a, mut b) = (vec![1.0; len], vec![2.0; len]);
            pack(&Source::Rows(&rows, &offsets), depth, columns, lanes, &panels, &mut a);
            pack(&Source::ColumnMajor(&transposed), depth, columns, lanes, &panels, &mut b);
            assert_eq!(a, b);
            assert_eq!(a[2 * panels[0].vectors * lanes + 1], rows[2 * columns + 1]);
        }
    }
}
