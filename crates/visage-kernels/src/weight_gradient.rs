//! The weight gradient of a dense convolution: the transposed output gradient times the im2col matrix of the input.
//!
//! ```text
//! weight_gradient[o, t, k] = sum over pixels:  output_gradient[pixel, o] * input[pixel(t), k]
//! ```
//!
//! Rows of the result are output channels, columns the `depth` values that a tap reads. Along a row of the output image the
//! source pixels of a tap are evenly spaced. So a tap's part of a block of pixels is a short list of [`PixelRun`]s, without
//! pixels in the padding, and the register tile keeps its sums over all of them. No im2col matrix is stored.
//!
//! Tiling: the pixels are divided into segments, whose partial results are summed in order at the end, the columns into
//! groups. A task is a segment times a group. It takes its pixels in blocks of [`BLOCK`], whose values stay in the
//! second-level cache while all tiles use them.
#![allow(unsafe_code)]

use std::ops::Range;

use crate::geometry;
use crate::micro_kernel::{PixelRun, TransposedProduct};
use crate::packing::{self, Panel};
use crate::parallel::{self, SharedMut};
use crate::scratch;
use crate::simd::{self, Kernel, Level, Vector};

/// Pixels of a block.
const BLOCK: usize = 256;
/// Tasks that a product is divided into if it is large enough.
const TASKS: usize = 16;
/// Largest length of all partial results together.
const PARTIALS: usize = 1024 * 1024;
/// Fewest pixels of a segment.
const SEGMENT: usize = 2 * BLOCK;
/// Bands of rows are a multiple of this, so that whole tiles of 4, 6 or 8 rows fill all bands but the last.
const BAND: usize = 24;

/// The operands, and the correspondence between source and output pixels.
pub(crate) struct WeightGradient<'a> {
    pub(crate) batch: usize,
    /// `[batch, source_size, source_pixel]`.
    pub(crate) source: &'a [f32],
    pub(crate) source_size: [usize; 2],
    /// Values from one source pixel to the next.
    pub(crate) source_pixel: usize,
    pub(crate) source_step: [usize; 2],
    /// Row and column offset of each tap.
    pub(crate) taps: Vec<[isize; 2]>,
    /// Contiguous values that each tap reads.
    pub(crate) depth: usize,
    /// `[batch, output_size, rows]`.
    pub(crate) output_gradient: &'a [f32],
    pub(crate) output_size: [usize; 2],
    /// Output channels.
    pub(crate) rows: usize,
}

impl WeightGradient<'_> {
    fn pixels(&self) -> usize {
        self.batch * self.output_size[0] * self.output_size[1]
    }

    fn columns(&self) -> usize {
        self.taps.len() * self.depth
    }

    /// Fills `result`, `[rows, taps, depth]`.
    pub(crate) fn compute(&self, level: Level, result: &mut [f32]) {
        let len = self.rows * self.columns();
        assert_eq!(result.len(), len);
        if self.pixels() == 0 || len == 0 {
            result.fill(0.0);
            return;
        }
        let panels = packing::panels(self.depth, level);
        let tap_panels: Vec<(usize, Panel)> =
            (0..self.taps.len()).flat_map(|tap| panels.iter().map(move |panel| (tap, *panel))).collect();
        let segments = (self.pixels() / SEGMENT).min(PARTIALS / len).clamp(1, TASKS);
        let groups = TASKS.div_ceil(segments).min(tap_panels.len());
        // With few columns and few pixels the rows are divided too.
        let bands = (TASKS / (segments * groups)).clamp(1, self.rows.div_ceil(BAND));
        let band = self.rows.div_ceil(bands).next_multiple_of(BAND);
        let bands = self.rows.div_ceil(band);

        let run = |partials: SharedMut| {
            parallel::for_each(segments * groups * bands, |task| {
                let (segment, group, band_index) = (task / (groups * bands), task / bands % groups, task % bands);
                let task = Task {
                    operands: self,
                    pixels: parallel::part(self.pixels(), segment, segments),
                    tap_panels: &tap_panels[parallel::part(tap_panels.len(), group, groups)],
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
            parallel::sum_segments(partials, result);
        });
    }

    /// Fills `runs` with the pixels for which a tap reads inside the image, one run per row of the output.
    fn runs(&self, pixels: Range<usize>, [tap_y, tap_x]: [isize; 2], runs: &mut Vec<PixelRun>) {
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
            let inside = geometry::columns_inside(out_width, width, step_x, tap_x);
            let (from, to) = (inside.start.max(x), inside.end.min(end));
            if from < to {
                let source_x = (from * step_x).strict_add_signed(tap_x);
                let source = ((row / out_height * height + source_y) * width + source_x) * self.source_pixel;
                let last = source + (to - from - 1) * step_x * self.source_pixel;
                assert!(last + self.depth <= self.source.len(), "taps overrun the source");
                let output = (row * out_width + from) * self.rows;
                runs.push(PixelRun {
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
    operands: &'a WeightGradient<'a>,
    pixels: Range<usize>,
    /// Taps and panels of their columns.
    tap_panels: &'a [(usize, Panel)],
    rows: Range<usize>,
    partials: SharedMut,
    /// Index of the segment's partial result.
    first: usize,
}

impl Kernel for Task<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let operands = self.operands;
        let mut runs = Vec::new();
        for block in self.pixels.clone().step_by(BLOCK) {
            let pixels = block..self.pixels.end.min(block + BLOCK);
            let mut runs_tap = None;
            for (tap, panel) in self.tap_panels {
                if runs_tap != Some(tap) {
                    operands.runs(pixels.clone(), operands.taps[*tap], &mut runs);
                    runs_tap = Some(tap);
                }
                let product = TransposedProduct {
                    runs: &runs,
                    output_step: operands.rows,
                    source_step: operands.source_step[1] * operands.source_pixel,
                    column: panel.column,
                    vectors: panel.vectors,
                    last_lanes: panel.last_lanes(V::LANES, operands.depth),
                    result_step: operands.columns(),
                    accumulate: block != self.pixels.start,
                };
                // SAFETY: the address is that of an existing column of this segment's partial result, in row 0. `runs` has checked
                // that the pixels of every run exist, and this task alone accesses these rows and columns.
                unsafe {
                    let result = self.partials.at(self.first + tap * operands.depth + panel.column);
                    product.multiply::<V>(self.rows.clone(), result);
                }
            }
        }
    }
}
