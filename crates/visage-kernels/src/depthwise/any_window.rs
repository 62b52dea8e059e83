//! Depthwise convolution over any taps: the forward pass of uncommon windows, and the input gradient of all windows.
//!
//! A span of up to eight neighbouring target pixels whose taps are all inside the image keeps its sums in registers, so that
//! each weight is loaded once per span. A pixel at the border is a span of one, with the taps inside the image.
#![allow(unsafe_code)]
// Register tiles read best, and are optimised most reliably, as loops over constant index ranges.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use crate::epilogue::Epilogue;
use crate::geometry::{Grid, Tap};
use crate::parallel::{self, SharedMut};
use crate::simd::{self, Kernel, Level, Vector, for_each_vector_group};

/// Approximate number of target values per task.
const TASK: usize = 16 * 1024;

/// A convolution's operands.
pub(super) struct Operands<'a> {
    pub(super) grid: Grid,
    pub(super) taps: &'a [Tap],
    pub(super) channels: usize,
    pub(super) source: &'a [f32],
    /// `[kernel_height, kernel_width, channels]`.
    pub(super) weight: &'a [f32],
    pub(super) epilogue: &'a Epilogue<'a>,
}

/// Fills the grid's pixels of `target`.
pub(super) fn convolve(level: Level, operands: &Operands, target: &mut [f32]) {
    let Operands { grid, channels, .. } = *operands;
    if grid.pixels() == 0 || channels == 0 {
        return;
    }
    let rows = grid.batch * grid.size[0];
    let step = TASK.div_ceil(grid.size[1] * channels);
    let target = SharedMut::new(target);
    parallel::for_each_range(rows, step, |rows| simd::dispatch(level, Rows { operands, target, rows }));
}

/// A task: some rows of the grid, numbered over all images.
struct Rows<'a> {
    operands: &'a Operands<'a>,
    target: SharedMut,
    rows: Range<usize>,
}

/// What a tap multiplies for the first pixel of a span.
#[derive(Clone, Copy)]
struct Factors {
    source: *const f32,
    weight: *const f32,
}

impl Kernel for Rows<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let operands = self.operands;
        let Operands { grid, taps, channels, source, weight, .. } = *operands;
        let width = grid.size[1];
        // The columns for which all taps are inside the image.
        let interior = taps.iter().map(|tap| grid.columns_inside(tap.offset[1])).fold(0..width, |all, inside| {
            let start = all.start.max(inside.start);
            start..all.end.min(inside.end).max(start)
        });
        let interior = interior.start.min(width)..interior.end.min(width);
        let mut factors = Vec::with_capacity(taps.len());
        for row in self.rows.clone() {
            let (image, y) = (row / grid.size[0], row % grid.size[0]);
            let mut x = 0;
            while x < width {
                let pixels = match interior.end.saturating_sub(x) {
                    _ if x < interior.start => 1,
                    8.. => 8,
                    4.. => 4,
                    _ => 1,
                };
                factors.clear();
                for tap in taps {
                    if let Some(pixel) = grid.source_pixel([image, y, x], tap.offset) {
                        // The last pixel of the span must be inside the slice too.
                        let last = (pixel + (pixels - 1) * grid.source_step[1] + 1) * channels;
                        assert!(last <= source.len(), "taps overrun the source");
                        factors.push(Factors {
                            source: source[pixel * channels..].as_ptr(),
                            weight: weight[tap.kernel_index * channels..][..channels].as_ptr(),
                        });
                    }
                }
                // SAFETY: the factors have been checked above; the grid's pixels exist, and this task alone writes this row.
                unsafe { operands.span::<V>([image, y, x], pixels, &factors, self.target) };
                x += pixels;
            }
        }
    }
}

impl Operands<'_> {
    /// Computes and finalises a span of eight, four or one pixels.
    ///
    /// # Safety
    /// The processor must support `V`. Every factor must have a weight, and the source of each pixel, of all channels. The
    /// target's pixels must exist, and no other task may access them.
    #[inline(always)]
    unsafe fn span<V: Vector>(&self, first: [usize; 3], pixels: usize, factors: &[Factors], target: SharedMut) {
        let Self { grid, channels, .. } = *self;
        let steps = [grid.source_step[1], grid.target_step[1]].map(|step| step * channels);
        let first = grid.target_pixel(first) * channels;
        // SAFETY: as the caller guarantees.
        unsafe {
            let target = target.at(first);
            match pixels {
                8 => self.sums::<V, 8, 1>(factors, steps, target),
                4 => self.sums::<V, 4, 2>(factors, steps, target),
                _ => self.sums::<V, 1, 4>(factors, steps, target),
            }
            for pixel in 0..pixels {
                let sums = std::slice::from_raw_parts_mut(target.add(pixel * steps[1]), channels);
                self.epilogue.finish::<V>(first + pixel * steps[1], sums);
            }
        }
    }

    /// # Safety
    /// As [`span`](Self::span), with source pixels `steps[0]` values apart and target pixels `steps[1]` values apart.
    #[inline(always)]
    unsafe fn sums<V: Vector, const PIXELS: usize, const VECTORS: usize>(
        &self,
        factors: &[Factors],
        steps: [usize; 2],
        target: *mut f32,
    ) {
        // SAFETY: as the caller guarantees; the channels exist.
        for_each_vector_group::<V, VECTORS>(
            0..self.channels,
            #[inline(always)]
            |channel| unsafe {
                self.tile::<V, PIXELS, VECTORS, true>(factors, steps, target, channel, V::LANES);
            },
            #[inline(always)]
            |channel, lanes| unsafe {
                if lanes == V::LANES {
                    self.tile::<V, PIXELS, 1, true>(factors, steps, target, channel, lanes);
                } else {
                    self.tile::<V, PIXELS, 1, false>(factors, steps, target, channel, lanes);
                }
            },
        );
    }

    /// The register tile: `PIXELS` pixels by `VECTORS` vectors of channels from `channel` on, of `lanes` lanes each; all of them
    /// if `WHOLE`.
    ///
    /// # Safety
    /// As [`sums`](Self::sums), and the channels must exist.
    #[inline(always)]
    unsafe fn tile<V: Vector, const PIXELS: usize, const VECTORS: usize, const WHOLE: bool>(
        &self,
        factors: &[Factors],
        steps: [usize; 2],
        target: *mut f32,
        channel: usize,
        lanes: usize,
    ) {
        // SAFETY: all accesses are within what the caller guarantees.
        unsafe {
            let load = |from: *const f32| if WHOLE { V::load(from) } else { V::load_partial(from, lanes) };
            let mut sums = [[V::splat(0.0); VECTORS]; PIXELS];
            if let Some(bias) = self.epilogue.bias {
                for vector in 0..VECTORS {
                    let bias = load(bias[channel..].as_ptr().add(vector * V::LANES));
                    for sums in &mut sums {
                        sums[vector] = bias;
                    }
                }
            }
            for factors in factors {
                for vector in 0..VECTORS {
                    let at = channel + vector * V::LANES;
                    let weight = load(factors.weight.add(at));
                    for pixel in 0..PIXELS {
                        let value = load(factors.source.add(at + pixel * steps[0]));
                        sums[pixel][vector] = value.mul_add(weight, sums[pixel][vector]);
                    }
                }
            }
            for pixel in 0..PIXELS {
                for vector in 0..VECTORS {
                    let to = target.add(channel + vector * V::LANES + pixel * steps[1]);
                    let sum = sums[pixel][vector];
                    if WHOLE { sum.store(to) } else { sum.store_partial(to, lanes) }
                }
            }
        }
    }
}
