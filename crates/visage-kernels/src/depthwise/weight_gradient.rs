//! The weight gradient of a depthwise convolution.
//!
//! A task goes through some rows of the output and keeps the sums of up to five taps of a kernel row in registers along each.
//! The tasks' partial results are summed in order at the end.
#![allow(unsafe_code)]
// Register tiles read best, and are optimised most reliably, as loops over constant index ranges.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use crate::geometry::Grid;
use crate::parallel::{self, SharedMut};
use crate::scratch;
use crate::shape::DepthwiseShape;
use crate::simd::{self, Kernel, Level, Vector, for_each_vector_group};

/// Approximate number of output values per task.
const TASK: usize = 16 * 1024;
/// Largest number of partial results.
const SEGMENTS: usize = 16;

/// Fills `weight_gradient`; lengths have been checked.
pub(super) fn compute(
    level: Level,
    shape: DepthwiseShape,
    input: &[f32],
    output_gradient: &[f32],
    weight_gradient: &mut [f32],
) {
    let len = weight_gradient.len();
    let grid = Grid::of_output(shape.batch, [shape.in_height, shape.in_width], shape.window);
    let rows = grid.batch * grid.size[0];
    if rows == 0 || len == 0 {
        weight_gradient.fill(0.0);
        return;
    }
    let segments = (output_gradient.len() / TASK).clamp(1, SEGMENTS.min(rows));
    scratch::with_buffer(segments * len, |partials| {
        let shared = SharedMut::new(partials);
        parallel::for_each(segments, |segment| {
            // SAFETY: the segment's part of `partials`, which no other task accesses.
            let partial = unsafe { std::slice::from_raw_parts_mut(shared.at(segment * len), len) };
            partial.fill(0.0);
            let rows = parallel::part(rows, segment, segments);
            simd::dispatch(level, Segment { grid, shape, input, output_gradient, partial, rows });
        });
        parallel::sum_segments(partials, weight_gradient);
    });
}

/// A task: adds some rows of the output, numbered over all images, to a partial result.
struct Segment<'a> {
    grid: Grid,
    shape: DepthwiseShape,
    input: &'a [f32],
    output_gradient: &'a [f32],
    partial: &'a mut [f32],
    rows: Range<usize>,
}

impl Kernel for Segment<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let (grid, channels, window) = (self.grid, self.shape.channels, self.shape.window);
        let [kernel_height, kernel_width] = window.kernel;
        for row in self.rows.clone() {
            let (image, y) = (row / grid.size[0], row % grid.size[0]);
            let output = &self.output_gradient[row * grid.size[1] * channels..][..grid.size[1] * channels];
            for r in 0..kernel_height {
                let tap_row = r as isize - window.padding.top as isize;
                let Some(source_row) = grid.source_row(image, y, tap_row) else { continue };
                let source_len = self.shape.in_width * channels;
                let source = &self.input[source_row * source_len..][..source_len];
                let mut s = 0;
                while s < kernel_width {
                    let first_tap = s as isize - window.padding.left as isize;
                    let sums = self.partial[(r * kernel_width + s) * channels..].as_mut_ptr();
                    let rows = RowPair { grid, channels, output, source, first_tap, sums };
                    // SAFETY: `sums` has `channels` values for each of the remaining taps; the caller guarantees the rest.
                    s += unsafe {
                        match kernel_width - s {
                            5.. => rows.taps::<V, 5>(),
                            3.. => rows.taps::<V, 3>(),
                            _ => rows.taps::<V, 1>(),
                        }
                    };
                }
            }
        }
    }
}

/// A row of the output gradient, and the row of the input under a kernel row.
struct RowPair<'a> {
    grid: Grid,
    channels: usize,
    output: &'a [f32],
    source: &'a [f32],
    /// Column offset of the first tap.
    first_tap: isize,
    /// The first tap's weight gradient.
    sums: *mut f32,
}

impl RowPair<'_> {
    /// Adds to the gradients of `TAPS` neighbouring taps; returns `TAPS`.
    ///
    /// # Safety
    /// The processor must support `V`. `sums` must have `TAPS * channels` values, and no other task may access them.
    #[inline(always)]
    unsafe fn taps<V: Vector, const TAPS: usize>(&self) -> usize {
        // SAFETY: as the caller guarantees; the channels exist.
        for_each_vector_group::<V, 2>(
            0..self.channels,
            #[inline(always)]
            |channel| unsafe { self.tile::<V, TAPS, 2>(channel, V::LANES) },
            #[inline(always)]
            |channel, lanes| unsafe { self.tile::<V, TAPS, 1>(channel, lanes) },
        );
        TAPS
    }

    /// The register tile: `TAPS` taps by `VECTORS` vectors of channels from `channel` on, of `lanes` lanes each.
    ///
    /// # Safety
    /// As [`taps`](Self::taps), and the channels must exist.
    #[inline(always)]
    unsafe fn tile<V: Vector, const TAPS: usize, const VECTORS: usize>(&self, channel: usize, lanes: usize) {
        let width = self.grid.size[1];
        let step = self.grid.source_step[1];
        // The columns for which the first and the last tap, and so all between, are inside the image.
        let first = self.grid.columns_inside(self.first_tap);
        let last = self.grid.columns_inside(self.first_tap + TAPS as isize - 1);
        let interior = last.start.max(first.start).min(width)..first.end.min(last.end);
        let source_width = self.source.len() / self.channels;
        // SAFETY: a tap reads only columns inside the source row; the channels exist.
        unsafe {
            let sums = self.sums.add(channel);
            let mut totals = [[V::splat(0.0); VECTORS]; TAPS];
            for tap in 0..TAPS {
                for vector in 0..VECTORS {
                    totals[tap][vector] = V::load_partial(sums.add(tap * self.channels + vector * V::LANES), lanes);
                }
            }
            for x in 0..width {
                let gradient = self.output.as_ptr().add(x * self.channels + channel);
                let column = (x * step) as isize + self.first_tap;
                if interior.contains(&x) && lanes == V::LANES {
                    let source = self.source.as_ptr().add(column as usize * self.channels + channel);
                    for vector in 0..VECTORS {
                        let gradient = V::load(gradient.add(vector * V::LANES));
                        for tap in 0..TAPS {
                            let value = V::load(source.add(tap * self.channels + vector * V::LANES));
                            totals[tap][vector] = value.mul_add(gradient, totals[tap][vector]);
                        }
                    }
                } else {
                    for tap in 0..TAPS {
                        let column = column + tap as isize;
                        if column >= 0 && (column as usize) < source_width {
                            let source = self.source.as_ptr().add(column as usize * self.channels + channel);
                            for vector in 0..VECTORS {
                                let gradient = V::load_partial(gradient.add(vector * V::LANES), lanes);
                                let value = V::load_partial(source.add(vector * V::LANES), lanes);
                                totals[tap][vector] = value.mul_add(gradient, totals[tap][vector]);
                            }
                        }
                    }
                }
            }
            for tap in 0..TAPS {
                for vector in 0..VECTORS {
                    totals[tap][vector].store_partial(sums.add(tap * self.channels + vector * V::LANES), lanes);
                }
            }
        }
    }
}
