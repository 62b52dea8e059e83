//! The matrix products of the 36 points.

use crate::activation::UNBOUNDED;
use crate::micro_kernel::{Init, PixelRun, RegisterTile, TransposedProduct, with_tile_rows};
use crate::packing::Panel;
use crate::parallel::SharedMut;
use crate::simd::{Kernel, Vector};

/// M[p] = V[p] U[p] for one p.
pub(super) struct Product<'a> {
    /// V[p], `[tiles, depth]`.
    pub(super) patches: &'a [f32],
    /// U[p], packed.
    pub(super) filters: &'a [f32],
    pub(super) panels: &'a [Panel],
    pub(super) depth: usize,
    pub(super) columns: usize,
    /// M, and the index in it of M[p], `[tiles, columns]`.
    pub(super) target: (SharedMut, usize),
}

impl Kernel for Product<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        // SAFETY: as the caller guarantees; no other task writes M[p].
        with_tile_rows!(V, ROWS => unsafe { self.multiply::<V, ROWS>() });
    }
}

impl Product<'_> {
    /// # Safety
    /// The processor must support `V`, and no other task may write M[p].
    #[inline(always)]
    unsafe fn multiply<V: Vector, const ROWS: usize>(&self) {
        let Self { patches, filters, depth, columns, target: (target, first), .. } = *self;
        let count = patches.len() / depth;
        for panel in self.panels {
            let last_lanes = panel.last_lanes(V::LANES, columns);
            let packed = filters[panel.column * depth..].as_ptr();
            for row in (0..count).step_by(ROWS) {
                let rows = (count - row).min(ROWS);
                // Surplus rows of the tile repeat the last; they are not stored.
                let index: [usize; ROWS] = std::array::from_fn(|i| row + i.min(rows - 1));
                let sources = &[index.map(|index| patches[index * depth..][..depth].as_ptr())];
                // SAFETY: sources have `depth` values, the panel its vectors for each of them. Targets are addresses in M[p] with
                // the panel's columns.
                unsafe {
                    let targets = index.map(|index| target.at(first + index * columns + panel.column));
                    let (init, bounds) = (Init::Zero, UNBOUNDED);
                    RegisterTile { sources, depth, packed, init, bounds, targets, rows, last_lanes }
                        .multiply::<V>(panel.vectors, ROWS);
                }
            }
        }
    }
}

/// dU[p] = dM[p]' V[p] for one p.
pub(super) struct FilterGradientProduct<'a> {
    /// V[p], `[tiles, in_channels]`.
    pub(super) patches: &'a [f32],
    /// dM[p], `[tiles, out_channels]`.
    pub(super) output_gradients: &'a [f32],
    pub(super) in_channels: usize,
    pub(super) out_channels: usize,
    pub(super) panels: &'a [Panel],
    /// Whether to add to the target or to overwrite it.
    pub(super) accumulate: bool,
    /// dU, and the index in it of dU[p], `[out_channels, in_channels]`.
    pub(super) target: (SharedMut, usize),
}

impl Kernel for FilterGradientProduct<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Self { patches, output_gradients, in_channels, out_channels, target: (target, first), .. } = self;
        let len = patches.len() / in_channels;
        assert_eq!(output_gradients.len(), len * out_channels);
        let runs = &[PixelRun { output: output_gradients.as_ptr(), source: patches.as_ptr(), len }];
        for panel in self.panels {
            let product = TransposedProduct {
                runs,
                output_step: out_channels,
                source_step: in_channels,
                column: panel.column,
                vectors: panel.vectors,
                last_lanes: panel.last_lanes(V::LANES, in_channels),
                result_step: in_channels,
                accumulate: self.accumulate,
            };
            // SAFETY: as the caller guarantees; the run's pixels have all rows and columns, and no other task accesses dU[p].
            unsafe { product.multiply::<V>(0..out_channels, target.at(first + panel.column)) };
        }
    }
}
