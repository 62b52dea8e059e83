//! The product behind the weight gradient: a sum over pixels of outer products.
//!
//! ```text
//! weight_gradient[o, t, k] = sum over pixels:  output_gradient[pixel, o] * input[pixel(t), k]
//! ```
//!
//! Rows of the result are output channels, columns the `depth` values a tap reads. Along a row of the output image the
//! source pixels of one tap are evenly spaced, so a tap's share of a block of pixels is a short list of [`Run`]s, the
//! parts that hang over the border left out; the register tile keeps its sums over all of them. Nothing is copied.
//!
//! Tiling: the pixels are cut into segments, each with a partial result of its own, added up in order at the end; the
//! columns into groups. A task is a segment times a group, and walks its pixels in blocks of [`BLOCK`], whose values stay
//! in the second-level cache while all tiles pass over them.
#![allow(unsafe_code)]
// Register tiles read best, and compile surest, as loops over constant index ranges.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use crate::geometry;
use crate::panel::{self, Panel};
use crate::parallel::{self, SharedMut};
use crate::scratch;
use crate::simd::{self, Kernel, Level, Vector, vectorized};

/// Pixels of a block.
const BLOCK: usize = 256;
/// Tasks a product is cut into where its size allows.
const TASKS: usize = 16;
/// Values all partial results together may hold beyond the result itself.
const PARTIALS: usize = 1024 * 1024;
/// Fewest pixels of a segment.
const SEGMENT: usize = 2 * BLOCK;

/// Rows of a band are a multiple of this, so that whole tiles of 4, 6 or 8 rows fill all bands but the last.
const BAND: usize = 24;

/// Which source pixels meet which output pixels.
pub(crate) struct Outer<'a> {
    pub(crate) batch: usize,
    /// `[batch, source_size, source_pixel]`.
    pub(crate) source: &'a [f32],
    pub(crate) source_size: [usize; 2],
    /// Values from one source pixel to the next.
    pub(crate) source_pixel: usize,
    pub(crate) source_step: [usize; 2],
    /// Row and column of each tap.
    pub(crate) taps: Vec<[isize; 2]>,
    /// Contiguous values each tap reads.
    pub(crate) depth: usize,
    /// `[batch, output_size, rows]`.
    pub(crate) output_gradient: &'a [f32],
    pub(crate) output_size: [usize; 2],
    /// Output channels.
    pub(crate) rows: usize,
}

/// Output pixels of one row of an image, and the source pixels a tap pairs them with.
pub(crate) struct Run {
    pub(crate) output: *const f32,
    pub(crate) source: *const f32,
    pub(crate) len: usize,
}

impl Outer<'_> {
    fn pixels(&self) -> usize {
        self.batch * self.output_size[0] * self.output_size[1]
    }

    fn columns(&self) -> usize {
        self.taps.len() * self.depth
    }

    /// Fills `result`, `[rows, taps, depth]`.
    pub(crate) fn multiply(&self, level: Level, result: &mut [f32]) {
        let len = self.rows * self.columns();
        assert_eq!(result.len(), len);
        if self.pixels() == 0 || len == 0 {
            result.fill(0.0);
            return;
        }
        let panels = panel::cut(self.depth, level);
        // Panels of all taps.
        let items: Vec<(usize, Panel)> =
            (0..self.taps.len()).flat_map(|tap| panels.iter().map(move |panel| (tap, *panel))).collect();
        let segments = (self.pixels() / SEGMENT).min(PARTIALS / len).clamp(1, TASKS);
        let groups = TASKS.div_ceil(segments).min(items.len());
        // With few columns and few pixels the rows are cut too.
        let bands = (TASKS / (segments * groups)).clamp(1, self.rows.div_ceil(BAND));
        let band = self.rows.div_ceil(bands).next_multiple_of(BAND);
        let bands = self.rows.div_ceil(band);

        let run = |partials: SharedMut| {
            parallel::for_each(segments * groups * bands, |task| {
                let (segment, group, band_index) = (task / (groups * bands), task / bands % groups, task % bands);
                let task = Task {
                    outer: self,
                    pixels: self.pixels() * segment / segments..self.pixels() * (segment + 1) / segments,
                    items: &items[items.len() * group / groups..items.len() * (group + 1) / groups],
                    rows: band_index * band..self.rows.min((band_index + 1) * band),
                    partials,
                    first: segment * len,
                };
                simd::dispatch(level, task);
            });
        };
        if segments == 1 {
            run(SharedMut::new(result));
            return;
        }
        scratch::with_buffer(segments * len, |partials| {
            run(SharedMut::new(partials));
            let (first, rest) = partials.split_at(len);
            vectorized(
                #[inline(always)]
                || {
                    result.copy_from_slice(first);
                    for partial in rest.chunks_exact(len) {
                        for (sum, value) in result.iter_mut().zip(partial) {
                            *sum += value;
                        }
                    }
                },
            );
        });
    }

    /// What of `pixels` a tap meets inside the image, a run for each row of the output.
    fn runs(&self, pixels: Range<usize>, [tap_y, tap_x]: [isize; 2], runs: &mut Vec<Run>) {
        runs.clear();
        let [out_height, out_width] = self.output_size;
        let [height, width] = self.source_size;
        let [step_y, step_x] = self.source_step;
        let mut pixel = pixels.start;
        while pixel < pixels.end {
            let (row, x) = (pixel / out_width, pixel % out_width);
            let end = (x + pixels.end - pixel).min(out_width);
            pixel += end - x;
            let Some(source_y) = (row % out_height * step_y).checked_add_signed(tap_y).filter(|y| *y < height) else {
                continue;
            };
            let inside = geometry::inside(out_width, width, step_x, tap_x);
            let (from, to) = (inside.start.max(x), inside.end.min(end));
            if from < to {
                let source_x = (from * step_x).strict_add_signed(tap_x);
                let source = ((row / out_height * height + source_y) * width + source_x) * self.source_pixel;
                let last = source + (to - from - 1) * step_x * self.source_pixel;
                assert!(last + self.depth <= self.source.len(), "taps overrun the source");
                let output = (row * out_width + from) * self.rows;
                runs.push(Run {
                    output: self.output_gradient[output..][..(to - from) * self.rows].as_ptr(),
                    source: self.source[source..].as_ptr(),
                    len: to - from,
                });
            }
        }
    }
}

/// A segment of the pixels times a group of panels times a band of rows.
struct Task<'a> {
    outer: &'a Outer<'a>,
    pixels: Range<usize>,
    items: &'a [(usize, Panel)],
    rows: Range<usize>,
    partials: SharedMut,
    /// Where the segment's partial result begins.
    first: usize,
}

impl Kernel for Task<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let outer = self.outer;
        let columns = outer.columns();
        let mut runs = Vec::new();
        for block in self.pixels.clone().step_by(BLOCK) {
            let pixels = block..self.pixels.end.min(block + BLOCK);
            let add = block != self.pixels.start;
            let mut runs_tap = None;
            for (tap, panel) in self.items {
                if runs_tap != Some(tap) {
                    outer.runs(pixels.clone(), outer.taps[*tap], &mut runs);
                    runs_tap = Some(tap);
                }
                let strip = Strip {
                    runs: &runs,
                    output_step: outer.rows,
                    source_step: outer.source_step[1] * outer.source_pixel,
                    column: panel.column,
                    last_lanes: panel.last_lanes(V::LANES, outer.depth),
                    result_step: columns,
                    add,
                };
                let first = self.first + tap * outer.depth + panel.column;
                let mut row = self.rows.start;
                while row < self.rows.end {
                    // SAFETY: the address is of an existing row and column of this segment's partial result. `runs` has
                    // checked that every run's outputs and sources exist, and this task alone writes these tiles.
                    row += unsafe {
                        let result = self.partials.at(first + row * columns);
                        match panel.vectors.min(V::TILE_VECTORS) {
                            1 => strip.tile_of_rows::<V, 1>(row, self.rows.end - row, result),
                            2 => strip.tile_of_rows::<V, 2>(row, self.rows.end - row, result),
                            _ => strip.tile_of_rows::<V, 3>(row, self.rows.end - row, result),
                        }
                    };
                }
            }
        }
    }
}

/// The tiles of one panel.
pub(crate) struct Strip<'a> {
    pub(crate) runs: &'a [Run],
    /// Values from one output pixel to the next.
    pub(crate) output_step: usize,
    /// Values from one source pixel to the next.
    pub(crate) source_step: usize,
    pub(crate) column: usize,
    pub(crate) last_lanes: usize,
    /// Values from one row of the result to the next.
    pub(crate) result_step: usize,
    /// Whether to add to what the result holds.
    pub(crate) add: bool,
}

impl Strip<'_> {
    /// The highest tile that `left` rows fill; returns its rows.
    ///
    /// # Safety
    /// As [`tile`](Self::tile).
    #[inline(always)]
    pub(crate) unsafe fn tile_of_rows<V: Vector, const VECTORS: usize>(
        &self,
        row: usize,
        left: usize,
        result: *mut f32,
    ) -> usize {
        // SAFETY: passed on; a tile has no more rows than are left.
        unsafe {
            match left {
                6.. if V::TILE_ROWS == 6 => self.tile_whole_or_part::<V, 6, VECTORS>(row, result),
                8.. if V::TILE_ROWS == 8 => self.tile_whole_or_part::<V, 8, VECTORS>(row, result),
                4.. => self.tile_whole_or_part::<V, 4, VECTORS>(row, result),
                2.. => self.tile_whole_or_part::<V, 2, VECTORS>(row, result),
                _ => self.tile_whole_or_part::<V, 1, VECTORS>(row, result),
            }
        }
    }

    /// # Safety
    /// As [`tile`](Self::tile).
    #[inline(always)]
    unsafe fn tile_whole_or_part<V: Vector, const ROWS: usize, const VECTORS: usize>(
        &self,
        row: usize,
        result: *mut f32,
    ) -> usize {
        // SAFETY: passed on.
        unsafe {
            if self.last_lanes == V::LANES {
                self.tile::<V, ROWS, VECTORS, false>(row, result);
            } else {
                self.tile::<V, ROWS, VECTORS, true>(row, result);
            }
        }
        ROWS
    }

    /// The register tile: `ROWS` output channels from `row` by `VECTORS` vectors of columns; with `PART` the last vector
    /// has only `last_lanes`.
    ///
    /// # Safety
    /// The processor has `V`'s instructions. Every output pixel of the runs has `ROWS` values from `row`, every source
    /// pixel and every row of `result` the tile's columns.
    #[inline(always)]
    unsafe fn tile<V: Vector, const ROWS: usize, const VECTORS: usize, const PART: bool>(
        &self,
        row: usize,
        result: *mut f32,
    ) {
        // SAFETY: all pointers are read and written within what the caller vouches for.
        unsafe {
            let mut sums = [[V::splat(0.0); VECTORS]; ROWS];
            for run in self.runs {
                let mut output = run.output.add(row);
                let mut source = run.source.add(self.column);
                for _ in 0..run.len {
                    let mut values = [V::splat(0.0); VECTORS];
                    for vector in 0..VECTORS {
                        let from = source.add(vector * V::LANES);
                        values[vector] = if PART && vector + 1 == VECTORS {
                            V::load_first(from, self.last_lanes)
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
                    // Not `add`: behind the last pixel these may point past the slices.
                    output = output.wrapping_add(self.output_step);
                    source = source.wrapping_add(self.source_step);
                }
            }
            for row in 0..ROWS {
                for vector in 0..VECTORS {
                    let to = result.add(row * self.result_step + vector * V::LANES);
                    let lanes = if PART && vector + 1 == VECTORS { self.last_lanes } else { V::LANES };
                    let mut sum = sums[row][vector];
                    if self.add {
                        sum = sum.add(V::load_first(to, lanes));
                    }
                    if PART && vector + 1 == VECTORS { sum.store_first(to, lanes) } else { sum.store(to) }
                }
            }
        }
    }
}
