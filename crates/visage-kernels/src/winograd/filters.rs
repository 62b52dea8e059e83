//! The filter transform, and its transpose for the weight gradient.

use std::ops::Range;

use super::transforms::{filter_gradient_transform, filter_transform, load, transform_2d};
use super::{Direction, POINTS};
use crate::packing::{self, Panel};
use crate::parallel::{self, SharedMut};
use crate::simd::{self, Kernel, Level, Vector};

/// Transforms and packs the filters `weight`, `[out_channels, 3, 3, in_channels]`. `filters` has length
/// [`filters_len`](super::filters_len); for [`Direction::Backward`] that of exchanged channels.
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
    let point_len = packing::packed_len(columns, depth, level.lanes());
    assert!(weight.len() == 9 * depth * columns && filters.len() == POINTS * point_len);
    let panels = packing::panels(columns, level);
    let target = SharedMut::new(filters);
    // A task is some rows of a panel.
    const STEP: usize = 16;
    let steps = depth.div_ceil(STEP);
    parallel::for_each(panels.len() * steps, |task| {
        let (panel, rows) = (panels[task / steps], task % steps * STEP..depth.min((task % steps + 1) * STEP));
        simd::dispatch(level, Filters { direction, depth, columns, weight, panel, rows, point_len, target });
    });
}

/// U = G g G', for some rows of a panel.
struct Filters<'a> {
    direction: Direction,
    depth: usize,
    columns: usize,
    weight: &'a [f32],
    panel: Panel,
    rows: Range<usize>,
    /// Length of U[p].
    point_len: usize,
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
                // SAFETY: as the caller guarantees; the target's indices are within U[p] by the layout of panels, and no other
                // task writes this row of this panel.
                unsafe {
                    let taps = self.taps::<V>(row, column);
                    let transformed = transform_2d::<V, 9, 3, POINTS, 6>(
                        &taps,
                        #[inline(always)]
                        |values| filter_transform(values),
                    );
                    let first = self.panel.column * self.depth + row * width + vector * V::LANES;
                    for point in 0..POINTS {
                        transformed[point].store(self.target.at(point * self.point_len + first));
                    }
                }
            }
        }
    }
}

impl Filters<'_> {
    /// The nine taps of a vector of columns.
    ///
    /// # Safety
    /// The processor must support `V`.
    #[inline(always)]
    unsafe fn taps<V: Vector>(&self, row: usize, column: usize) -> [V; 9] {
        let lanes = (self.columns - column).min(V::LANES);
        // SAFETY: as the caller guarantees; slices are indexed with checks.
        unsafe {
            let mut taps = [V::splat(0.0); 9];
            for tap in 0..9 {
                taps[tap] = match self.direction {
                    Direction::Forward => {
                        // The lanes are output channels, which are far apart in memory.
                        let mut values = [0.0f32; 16];
                        for lane in 0..lanes {
                            values[lane] = self.weight[((column + lane) * 9 + tap) * self.depth + row];
                        }
                        V::load(values.as_ptr())
                    }
                    Direction::Backward => {
                        let values = &self.weight[(row * 9 + 8 - tap) * self.columns + column..][..lanes];
                        V::load_partial(values.as_ptr(), lanes)
                    }
                };
            }
            taps
        }
    }
}

/// Computes the weight gradient, `[out_channels, 3, 3, in_channels]`, from that of the transformed filters, `[36, out_channels,
/// in_channels]`.
pub(super) fn transform_filters_backward(
    level: Level,
    [in_channels, out_channels]: [usize; 2],
    filters_gradient: &[f32],
    weight_gradient: &mut [f32],
) {
    let target = SharedMut::new(weight_gradient);
    parallel::for_each(out_channels, |row| {
        simd::dispatch(level, FilterGradients { filters_gradient, in_channels, out_channels, row, target });
    });
}

/// dg = G' dU G, for one output channel.
struct FilterGradients<'a> {
    filters_gradient: &'a [f32],
    in_channels: usize,
    out_channels: usize,
    row: usize,
    target: SharedMut,
}

impl Kernel for FilterGradients<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Self { filters_gradient, in_channels, out_channels, row, target } = self;
        for channel in (0..in_channels).step_by(V::LANES) {
            let lanes = (in_channels - channel).min(V::LANES);
            // SAFETY: as the caller guarantees; no other task writes the target's row.
            unsafe {
                let mut values = [V::splat(0.0); POINTS];
                for point in 0..POINTS {
                    let first = (point * out_channels + row) * in_channels + channel;
                    values[point] = load::<V>(&filters_gradient[first..][..lanes]);
                }
                let gradient = transform_2d::<V, POINTS, 6, 9, 3>(
                    &values,
                    #[inline(always)]
                    |values| filter_gradient_transform(values),
                );
                for tap in 0..9 {
                    gradient[tap].store_lanes(target.at((row * 9 + tap) * in_channels + channel), lanes);
                }
            }
        }
    }
}
