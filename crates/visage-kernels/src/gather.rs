//! The product behind convolution and its input gradient: rows gathered from images times a packed weight.
//!
//! ```text
//! target[pixel, column] = epilogue(sum over taps t, k:  source[pixel(t), k] * weight[t, k, column])
//! ```
//!
//! NHWC makes the `depth` values of a source pixel one contiguous run, so the matrix an im2col would build is never
//! built: for every target pixel and tap there is a pointer to the source pixel, or to a run of zeros where the window
//! hangs over the border. The register tile reads its rows through those pointers and holds its sums until a chunk of
//! the depth is done.
//!
//! Tiling: a task is a block of target pixels times a group of panels. Within it, a panel's chunk of [`CHUNK`] bytes
//! stays in the first-level cache while all tiles of the block pass over it.
#![allow(unsafe_code)]
// Register tiles read best, and compile surest, as loops over constant index ranges.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use crate::epilogue::Epilogue;
use crate::geometry::Grid;
use crate::panel::Panel;
use crate::parallel::{self, SharedMut};
use crate::simd::{self, Kernel, Level, Vector};

/// Bytes of packed weight that pass through a tile before its sums go to memory.
const CHUNK: usize = 24 * 1024;
/// Values of source pixels a block of target pixels covers, about; they stay in the second-level cache.
const BLOCK: usize = 64 * 1024;
/// Tasks a product is cut into where its size allows: enough to keep a few threads evenly busy.
const TASKS: usize = 16;

/// A product's operands but for the weight.
pub(crate) struct Gather<'a> {
    pub(crate) grid: Grid,
    /// `[batch, source_size, source_pixel]`.
    pub(crate) source: &'a [f32],
    /// Values from one source pixel to the next.
    pub(crate) source_pixel: usize,
    /// Row and column of each tap.
    pub(crate) taps: Vec<[isize; 2]>,
    /// Contiguous values each tap reads; more than a pixel where the taps of a kernel row are merged.
    pub(crate) depth: usize,
    /// Values of a target pixel.
    pub(crate) columns: usize,
}

impl Gather<'_> {
    /// Values of the depth, all taps together.
    pub(crate) fn total_depth(&self) -> usize {
        self.taps.len() * self.depth
    }

    /// Fills the grid's pixels of `target` with the product; `packed` are the `panels` of the weight.
    pub(crate) fn multiply(
        &self,
        level: Level,
        panels: &[Panel],
        packed: &[f32],
        epilogue: &Epilogue,
        target: &mut [f32],
    ) {
        if self.grid.pixels() == 0 || self.columns == 0 {
            return;
        }
        // Every tap's run of values must end within its row of the source.
        assert!(self.depth <= self.source_pixel || self.runs_fit(), "taps overrun the source");
        assert!(packed.len() >= self.total_depth() * self.columns.next_multiple_of(level.lanes()));
        let block = (BLOCK / self.depth.max(1)).clamp(32, 1024).next_multiple_of(level.tile_rows());
        let blocks = self.grid.pixels().div_ceil(block);
        let groups = TASKS.div_ceil(blocks).min(panels.len());
        let zeros = vec![0.0; self.depth];
        let target = SharedMut::new(target);
        parallel::for_each(blocks * groups, |task| {
            let (block_index, group) = (task / groups, task % groups);
            let first = block_index * block;
            let panels = &panels[panels.len() * group / groups..panels.len() * (group + 1) / groups];
            let pixels = first..self.grid.pixels().min(first + block);
            simd::dispatch(level, Block { gather: self, pixels, panels, packed, epilogue, zeros: &zeros, target });
        });
    }

    /// Whether runs longer than a pixel, which rows of merged taps have, end within their row.
    fn runs_fit(&self) -> bool {
        let last = (self.grid.size[1] - 1) * self.grid.source_step[1] * self.source_pixel;
        let row = self.grid.source_size[1] * self.source_pixel;
        self.taps.iter().all(|tap| tap[1] == 0) && last + self.depth <= row
    }
}

/// A task: a block of pixels times a group of panels.
struct Block<'a> {
    gather: &'a Gather<'a>,
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
        // SAFETY: the caller vouches for the instructions.
        unsafe {
            match V::TILE_ROWS {
                8 => self.tiles::<V, 8>(),
                6 => self.tiles::<V, 6>(),
                _ => self.tiles::<V, 4>(),
            }
        }
    }
}

/// Where a tile's sums begin.
#[derive(Clone, Copy)]
pub(crate) enum Start {
    Zero,
    /// At the bias of the tile's columns.
    Bias(*const f32),
    /// At what an earlier chunk left in the target.
    Target,
}

impl Block<'_> {
    /// # Safety
    /// The processor has `V`'s instructions, and no other task writes this block's pixels in this group's columns.
    #[inline(always)]
    unsafe fn tiles<V: Vector, const ROWS: usize>(&self) {
        let gather = self.gather;
        let tap_count = gather.taps.len();
        let tile_count = self.pixels.len().div_ceil(ROWS);
        // Pointers of tile i, tap t at `i * tap_count + t`. Rows beyond the last pixel repeat it and are not stored.
        let mut sources: Vec<[*const f32; ROWS]> = Vec::with_capacity(tile_count * tap_count);
        let mut targets: Vec<[usize; ROWS]> = Vec::with_capacity(tile_count);
        let mut next = gather.grid.place(self.pixels.start);
        for first in self.pixels.clone().step_by(ROWS) {
            let mut places = [next; ROWS];
            for (row, place) in places.iter_mut().enumerate() {
                *place = next;
                if first + row + 1 < self.pixels.end {
                    next = gather.grid.after(next);
                }
            }
            targets.push(places.map(|place| gather.grid.target_pixel(place) * gather.columns));
            for tap in &gather.taps {
                sources.push(places.map(|place| match gather.grid.source_pixel(place, *tap) {
                    Some(pixel) => gather.source[pixel * gather.source_pixel..].as_ptr(),
                    None => self.zeros.as_ptr(),
                }));
            }
        }

        let last_row_count = self.pixels.len() - (tile_count - 1) * ROWS;
        for panel in self.panels {
            let width = panel.vectors * V::LANES;
            let last_lanes = panel.last_lanes(V::LANES, gather.columns);
            let chunk = (CHUNK / 4 / (width * gather.depth.max(1))).max(1);
            for (chunk_index, first_tap) in (0..tap_count.max(1)).step_by(chunk).enumerate() {
                let taps = first_tap..tap_count.min(first_tap + chunk);
                let start = match (chunk_index, self.epilogue.bias) {
                    (0, None) => Start::Zero,
                    (0, Some(bias)) => Start::Bias(bias[panel.column..].as_ptr()),
                    _ => Start::Target,
                };
                let is_last = taps.end == tap_count;
                let packed_first = panel.column * gather.total_depth() + taps.start * gather.depth * width;
                let packed = self.packed[packed_first..].as_ptr();
                for index in 0..tile_count {
                    let rows = if index + 1 == tile_count { last_row_count } else { ROWS };
                    let sources = &sources[index * tap_count..][taps.clone()];
                    let offsets = targets[index].map(|offset| offset + panel.column);
                    // SAFETY: offsets are of pixels of the target and one of its columns.
                    let targets = offsets.map(|offset| unsafe { self.target.at(offset) });
                    // SAFETY: `multiply` has checked that every source pointer has `depth` values, and that `packed`
                    // holds `width` values for each of them; a bias has the panel's columns; the targets have
                    // `last_lanes` valid lanes in their last vector, and this task alone writes them.
                    unsafe {
                        match panel.vectors.min(V::TILE_VECTORS) {
                            1 => tile::<V, ROWS, 1>(sources, gather.depth, packed, start, &targets, rows, last_lanes),
                            2 => tile::<V, ROWS, 2>(sources, gather.depth, packed, start, &targets, rows, last_lanes),
                            _ => tile::<V, ROWS, 3>(sources, gather.depth, packed, start, &targets, rows, last_lanes),
                        }
                    }
                    if is_last {
                        let columns = (panel.vectors - 1) * V::LANES + last_lanes;
                        for (target, first) in targets.into_iter().zip(offsets).take(rows) {
                            // SAFETY: the tile has just written these values; the caller vouches for the instructions.
                            unsafe {
                                self.epilogue.finish::<V>(first, std::slice::from_raw_parts_mut(target, columns))
                            };
                        }
                    }
                }
            }
        }
    }
}

/// The register tile: `ROWS` target pixels by `VECTORS` vectors of columns.
///
/// # Safety
/// The processor has `V`'s instructions. Every source pointer has `depth` values, `packed` has `VECTORS` vectors for each
/// of them, the first `rows` targets have `VECTORS` vectors, of the last of which `last_lanes` lanes exist.
#[inline(always)]
pub(crate) unsafe fn tile<V: Vector, const ROWS: usize, const VECTORS: usize>(
    sources: &[[*const f32; ROWS]],
    depth: usize,
    packed: *const f32,
    start: Start,
    targets: &[*mut f32; ROWS],
    rows: usize,
    last_lanes: usize,
) {
    // SAFETY: all pointers are read and written within what the caller vouches for.
    unsafe {
        let mut sums = [[V::splat(0.0); VECTORS]; ROWS];
        match start {
            Start::Zero => {}
            Start::Bias(bias) => {
                for vector in 0..VECTORS {
                    let lanes = if vector + 1 == VECTORS { last_lanes } else { V::LANES };
                    let value = V::load_first(bias.add(vector * V::LANES), lanes);
                    for sums in &mut sums {
                        sums[vector] = value;
                    }
                }
            }
            Start::Target => {
                for row in 0..ROWS {
                    if row < rows {
                        for vector in 0..VECTORS {
                            let lanes = if vector + 1 == VECTORS { last_lanes } else { V::LANES };
                            sums[row][vector] = V::load_first(targets[row].add(vector * V::LANES), lanes);
                        }
                    }
                }
            }
        }
        let mut packed = packed;
        for sources in sources {
            let sources = *sources;
            for k in 0..depth {
                let mut weights = [V::splat(0.0); VECTORS];
                for vector in 0..VECTORS {
                    weights[vector] = V::load(packed.add(vector * V::LANES));
                }
                for row in 0..ROWS {
                    let value = V::splat(sources[row].add(k).read());
                    for vector in 0..VECTORS {
                        sums[row][vector] = value.mul_add(weights[vector], sums[row][vector]);
                    }
                }
                packed = packed.add(VECTORS * V::LANES);
            }
        }
        for row in 0..ROWS {
            if row < rows {
                for vector in 0..VECTORS {
                    let to = targets[row].add(vector * V::LANES);
                    if vector + 1 == VECTORS && last_lanes < V::LANES {
                        sums[row][vector].store_first(to, last_lanes);
                    } else {
                        sums[row][vector].store(to);
                    }
                }
            }
        }
    }
}
