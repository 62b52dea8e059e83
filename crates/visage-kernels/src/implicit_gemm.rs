//! Convolution and its input gradient as an implicit GEMM: an im2col matrix that is never stored, times a packed weight.
//!
//! ```text
//! target[pixel, column] = epilogue(sum over taps t, k:  source[pixel(t), k] * weight[t, k, column])
//! ```
//!
//! In NHWC the `depth` values of a source pixel are contiguous. So the rows of the im2col matrix are given by pointers: for
//! every target pixel and tap one to the source pixel, or to a run of zeros where the tap is in the padding. The register tile
//! reads its rows through these pointers and keeps its sums in registers over a chunk of the depth.
//!
//! Tiling: a task is a block of target pixels times a group of panels. Within it, [`CHUNK`] bytes of the weight stay in the
//! first-level cache while all tiles of the block use them: several panels if the product is shallow, so that a tile's rows
//! are finalised while they are cached too, or a part of one panel if it is deep.
#![allow(unsafe_code)]
// Register tiles read best, and are optimised most reliably, as loops over constant index ranges.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use crate::activation::UNBOUNDED;
use crate::epilogue::Epilogue;
use crate::geometry::Grid;
use crate::micro_kernel::{Init, RegisterTile, RowTiling, with_tile_rows};
use crate::packing::{self, Panel};
use crate::parallel::{self, SharedMut};
use crate::simd::{self, Kernel, Level, Vector};

/// Bytes of packed weight that all tiles of a block use in turn.
const CHUNK: usize = 24 * 1024;
/// Approximate number of source values that a block of target pixels reads; they stay in the second-level cache.
const BLOCK: usize = 64 * 1024;

/// The product's operands other than the weight.
pub(crate) struct ImplicitGemm<'a> {
    pub(crate) grid: Grid,
    /// `[batch, source_size, source_pixel]`.
    pub(crate) source: &'a [f32],
    /// Values from one source pixel to the next.
    pub(crate) source_pixel: usize,
    /// Row and column offset of each tap.
    pub(crate) taps: Vec<[isize; 2]>,
    /// Contiguous values that each tap reads; more than a pixel if the taps of a kernel row are merged.
    pub(crate) depth: usize,
    /// Values of a target pixel.
    pub(crate) columns: usize,
}

impl ImplicitGemm<'_> {
    /// Depth of the product over all taps.
    pub(crate) fn total_depth(&self) -> usize {
        self.taps.len() * self.depth
    }

    /// Fills the grid's pixels of `target` with the product with a packed weight.
    pub(crate) fn multiply(&self, level: Level, packed: &[f32], epilogue: &Epilogue, target: &mut [f32]) {
        if self.grid.pixels() == 0 || self.columns == 0 {
            return;
        }
        assert!(self.depth <= self.source_pixel || self.merged_taps_fit(), "taps overrun the source");
        assert!(packed.len() >= self.total_depth() * self.columns.next_multiple_of(level.lanes()));
        let (pixels, tasks) = (self.grid.pixels(), parallel::task_count());
        let mut block = (BLOCK / self.depth.max(1)).clamp(32, 1024);
        if pixels * (self.depth + self.columns) > self.total_depth() * self.columns {
            // Many blocks rather than many groups: a thread then reads what it has written itself.
            block = block.min(pixels.div_ceil(tasks)).max(32);
        }
        // As even as whole tiles allow.
        let block = pixels.div_ceil(pixels.div_ceil(block)).next_multiple_of(level.tile_rows());
        let blocks = pixels.div_ceil(block);
        let panels = packing::panels(self.columns, level);
        let groups = tasks.div_ceil(blocks).min(panels.len());
        let zeros = vec![0.0; self.depth];
        let target = SharedMut::new(target);
        parallel::for_each(blocks * groups, |task| {
            let (first, group) = (task / groups * block, task % groups);
            let panels = &panels[parallel::part(panels.len(), group, groups)];
            // The weight ends with this group's: the next group's may be read by another thread.
            let end = panels.last().map_or(0, |panel| panel.column + panel.vectors * level.lanes());
            let packed = &packed[..end * self.total_depth()];
            let pixels = first..pixels.min(first + block);
            simd::dispatch(level, Block { gemm: self, pixels, panels, packed, epilogue, zeros: &zeros, target });
        });
    }

    /// Whether merged taps, which read more than a pixel, stay within a row of the source.
    fn merged_taps_fit(&self) -> bool {
        let last = (self.grid.size[1] - 1) * self.grid.source_step[1] * self.source_pixel;
        let row = self.grid.source_size[1] * self.source_pixel;
        self.taps.iter().all(|tap| tap[1] == 0) && last + self.depth <= row
    }
}

/// A task: a block of pixels times a group of panels.
struct Block<'a> {
    gemm: &'a ImplicitGemm<'a>,
    pixels: Range<usize>,
    panels: &'a [Panel],
    packed: &'a [f32],
    epilogue: &'a Epilogue<'a>,
    zeros: &'a [f32],
    target: SharedMut,
}

impl Kernel for Block<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        // SAFETY: as the caller guarantees; no other task writes this block's pixels in this group's columns.
        with_tile_rows!(V, ROWS => unsafe { self.chunks::<V, ROWS>() });
    }
}

/// The rows of a block's register tiles.
struct TileRows<const ROWS: usize> {
    tiling: RowTiling,
    /// Sources of tile i, tap t at index `i * taps + t`. Surplus rows repeat the last pixel; they are not stored.
    sources: Vec<[*const f32; ROWS]>,
    /// Offsets of the tiles' target pixels.
    targets: Vec<[usize; ROWS]>,
    /// Whether the product is an ordinary matrix product, in which consecutive rows are contiguous.
    contiguous: bool,
}

impl Block<'_> {
    /// Takes the weight chunk by chunk.
    ///
    /// # Safety
    /// The processor must support `V`, and no other task may write this block's pixels in this group's columns.
    #[inline(always)]
    unsafe fn chunks<V: Vector, const ROWS: usize>(&self) {
        let gemm = self.gemm;
        let rows = self.tile_rows::<ROWS>();
        let mut rest = self.panels;
        while !rest.is_empty() {
            let widest = rest[0].vectors * V::LANES;
            let fitting = CHUNK / size_of::<f32>() / (widest * gemm.total_depth().max(1));
            let (panels, after) = rest.split_at(fitting.clamp(1, rest.len()));
            rest = after;
            // If even one panel is too long, some of its taps at a time.
            let step = (CHUNK / size_of::<f32>() / (widest * gemm.depth.max(1))).max(1);
            for first_tap in (0..gemm.taps.len().max(1)).step_by(step) {
                let taps = first_tap..gemm.taps.len().min(first_tap + step);
                // SAFETY: as the caller guarantees.
                unsafe { self.chunk::<V, ROWS>(&rows, panels, taps) };
            }
        }
    }

    #[inline(always)]
    fn tile_rows<const ROWS: usize>(&self) -> TileRows<ROWS> {
        let gemm = self.gemm;
        let tiling = RowTiling::new(self.pixels.len(), ROWS);
        let mut sources = Vec::with_capacity(tiling.count() * gemm.taps.len());
        let mut targets = Vec::with_capacity(tiling.count());
        let contiguous = gemm.taps == [[0, 0]] && gemm.grid.is_identity();
        let mut next = gemm.grid.coordinates(self.pixels.start);
        for tile in 0..tiling.count() {
            let first = self.pixels.start + tiling.first(tile);
            if contiguous {
                let pixels: [usize; ROWS] = std::array::from_fn(|row| (first + row).min(self.pixels.end - 1));
                targets.push(pixels.map(|pixel| pixel * gemm.columns));
                sources.push(pixels.map(|pixel| gemm.source[pixel * gemm.source_pixel..].as_ptr()));
                continue;
            }
            let mut pixels = [next; ROWS];
            for (row, pixel) in pixels.iter_mut().enumerate() {
                *pixel = next;
                if row < tiling.height(tile) && first + row + 1 < self.pixels.end {
                    next = gemm.grid.next(next);
                }
            }
            targets.push(pixels.map(|pixel| gemm.grid.target_pixel(pixel) * gemm.columns));
            sources.extend(gemm.taps.iter().map(|tap| self.tap_sources(pixels, *tap)));
        }
        TileRows { tiling, sources, targets, contiguous }
    }

    /// The addresses that a tap reads for the pixels of a tile.
    #[inline(always)]
    fn tap_sources<const ROWS: usize>(&self, pixels: [[usize; 3]; ROWS], tap: [isize; 2]) -> [*const f32; ROWS] {
        let ImplicitGemm { grid, source, source_pixel, .. } = self.gemm;
        // Most tiles are part of one image row and most of their taps inside the image: these are evenly spaced.
        let [image, y, x] = pixels[0];
        if pixels[ROWS - 1] == [image, y, x + ROWS - 1]
            && let [Some(first), Some(last)] = [pixels[0], pixels[ROWS - 1]].map(|pixel| grid.source_pixel(pixel, tap))
        {
            let values = source[first * source_pixel..=last * source_pixel].as_ptr();
            let step = grid.source_step[1] * source_pixel;
            return std::array::from_fn(|row| values.wrapping_add(row * step));
        }
        pixels.map(|pixel| match grid.source_pixel(pixel, tap) {
            Some(pixel) => source[pixel * source_pixel..].as_ptr(),
            None => self.zeros.as_ptr(),
        })
    }

    /// Multiplies all tiles by some taps of some panels.
    ///
    /// # Safety
    /// As [`chunks`](Self::chunks).
    #[inline(always)]
    unsafe fn chunk<V: Vector, const ROWS: usize>(&self, rows: &TileRows<ROWS>, panels: &[Panel], taps: Range<usize>) {
        let Self { gemm, packed, .. } = *self;
        let TileRows { tiling, sources, targets, contiguous } = rows;
        let (tap_count, depth) = (gemm.taps.len(), gemm.depth);
        let (first_column, last) = (panels[0].column, panels[panels.len() - 1]);
        let columns = (last.column + last.vectors * V::LANES).min(gemm.columns) - first_column;
        // Where the chunk's part of a panel begins.
        let packed_at =
            |panel: &Panel| panel.column * gemm.total_depth() + taps.start * depth * panel.vectors * V::LANES;
        let packed_len = panels.iter().map(|panel| panel.vectors * V::LANES * taps.len() * depth).sum();
        // The part of the epilogue that the tiles apply: none before the last chunk of the depth.
        let bounds = if taps.end < tap_count { Some(UNBOUNDED) } else { self.epilogue.bounds() };
        let steps = tiling.count() * panels.len();
        let mut prefetcher = Prefetcher::new(&packed[packed_at(&panels[0])..], packed_len, steps);
        for tile in 0..tiling.count() {
            if *contiguous && first_column == self.panels[0].column {
                self.prefetch_pixels(tiling.first(tile + 1), ROWS);
            }
            let tile_rows = tiling.height(tile).min(self.pixels.len() - tiling.first(tile));
            for panel in panels {
                let init = match (taps.start, self.epilogue.bias) {
                    (0, None) => Init::Zero,
                    (0, Some(bias)) => Init::Bias(bias[panel.column..].as_ptr()),
                    _ => Init::Target,
                };
                prefetcher.step();
                let mut tile_targets = [std::ptr::null_mut(); ROWS];
                for row in 0..ROWS {
                    // Not `array::map`, which compiles to a call.
                    // SAFETY: the offsets are those of existing pixels of the target, and of one of its columns.
                    tile_targets[row] = unsafe { self.target.at(targets[tile][row] + panel.column) };
                }
                let tile_kernel = RegisterTile {
                    sources: &sources[tile * tap_count..][taps.clone()],
                    depth,
                    packed: packed[packed_at(panel)..].as_ptr(),
                    init,
                    bounds: bounds.unwrap_or(UNBOUNDED),
                    targets: tile_targets,
                    rows: tile_rows,
                    last_lanes: panel.last_lanes(V::LANES, gemm.columns),
                };
                // SAFETY: `multiply` has checked that every source pointer has `depth` values and `packed` the panel's vectors
                // for each of them. A bias has the panel's columns. The targets have `last_lanes` lanes in their last vector,
                // and this task alone writes them.
                unsafe { tile_kernel.multiply::<V>(panel.vectors, tiling.height(tile)) };
            }
            if bounds.is_some() {
                continue;
            }
            // Contiguous rows are finalised in one pass.
            let one_run = *contiguous && columns == gemm.columns;
            let (runs, length) = if one_run { (1, tile_rows * columns) } else { (tile_rows, columns) };
            for offset in &targets[tile][..runs] {
                let first = offset + first_column;
                // SAFETY: the tiles have just written these values; the processor supports `V`.
                unsafe {
                    let sums = std::slice::from_raw_parts_mut(self.target.at(first), length);
                    self.epilogue.finish::<V>(first, sums);
                }
            }
        }
    }

    /// Prefetches `count` source pixels from the `first` of the block on. They are too short for the hardware prefetcher, which
    /// matters if the map has left the second-level cache.
    #[inline(always)]
    fn prefetch_pixels(&self, first: usize, count: usize) {
        let ImplicitGemm { source, source_pixel, .. } = *self.gemm;
        let pixels = self.pixels.start + first..self.pixels.end.min(self.pixels.start + first + count);
        if !pixels.is_empty() {
            source[pixels.start * source_pixel..pixels.end * source_pixel].chunks(simd::LINE).for_each(simd::prefetch);
        }
    }
}

/// Prefetches the next chunk of the weight into the second-level cache, step by step while the current one is in use. Where
/// few pixels share a large weight, the tiles would otherwise wait for memory.
struct Prefetcher<'a> {
    rest: &'a [f32],
    /// Values per step.
    step: usize,
}

impl<'a> Prefetcher<'a> {
    /// Prefetches the values after the first `len` of `weight`, again `len` of them, in `steps` steps.
    #[inline(always)]
    fn new(weight: &'a [f32], len: usize, steps: usize) -> Self {
        let rest = &weight[len..];
        Self { rest: &rest[..len.min(rest.len())], step: len.div_ceil(steps).next_multiple_of(simd::LINE) }
    }

    #[inline(always)]
    fn step(&mut self) {
        let (now, later) = self.rest.split_at(self.step.min(self.rest.len()));
        now.chunks(simd::LINE).for_each(simd::prefetch);
        self.rest = later;
    }
}
