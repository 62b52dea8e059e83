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
//! Tiling: a task is a block of target pixels times a group of panels. Within it, a stretch of [`CHUNK`] bytes of the weight
//! stays in the first-level cache while all tiles of the block pass over it: several panels where the product is shallow, so
//! that a tile row is written and finished while it is there too, or a part of one where it is deep.
#![allow(unsafe_code)]
// Register tiles read best, and compile surest, as loops over constant index ranges.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use crate::epilogue::{Epilogue, UNBOUNDED};
use crate::geometry::Grid;
use crate::panel::Panel;
use crate::parallel::{self, SharedMut};
use crate::simd::{self, Kernel, Level, Vector};

/// Bytes of packed weight that all tiles of a block pass over.
const CHUNK: usize = 24 * 1024;
/// Values of source pixels a block of target pixels covers, about; they stay in the second-level cache.
const BLOCK: usize = 64 * 1024;

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
        let (pixels, tasks) = (self.grid.pixels(), parallel::tasks());
        let mut block = (BLOCK / self.depth.max(1)).clamp(32, 1024);
        if pixels * (self.depth + self.columns) > self.total_depth() * self.columns {
            // Sooner many blocks than many groups: a thread then reads what it has written itself.
            block = block.min(pixels.div_ceil(tasks)).max(32);
        }
        // As even as whole tiles allow.
        let block = pixels.div_ceil(pixels.div_ceil(block)).next_multiple_of(level.tile_rows());
        let blocks = pixels.div_ceil(block);
        let groups = tasks.div_ceil(blocks).min(panels.len());
        let zeros = vec![0.0; self.depth];
        let target = SharedMut::new(target);
        parallel::for_each(blocks * groups, |task| {
            let (block_index, group) = (task / groups, task % groups);
            let first = block_index * block;
            let panels = &panels[panels.len() * group / groups..panels.len() * (group + 1) / groups];
            let pixels = first..pixels.min(first + block);
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

/// How a tile's sums begin and end.
#[derive(Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) start: Start,
    /// The least and the greatest value stored.
    pub(crate) bounds: [f32; 2],
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
        let (tap_count, depth) = (gather.taps.len(), gather.depth);
        let tiles = Heights::of(self.pixels.len(), ROWS);
        // Pointers of tile i, tap t at `i * tap_count + t`. Rows beyond the last pixel repeat it and are not stored.
        let mut sources: Vec<[*const f32; ROWS]> = Vec::with_capacity(tiles.count() * tap_count);
        let mut targets: Vec<[usize; ROWS]> = Vec::with_capacity(tiles.count());
        let pointwise = gather.taps == [[0, 0]] && gather.grid.is_identity();
        let mut next = gather.grid.place(self.pixels.start);
        for index in 0..tiles.count() {
            let first = self.pixels.start + tiles.first(index);
            if pointwise {
                let pixels: [usize; ROWS] = std::array::from_fn(|row| (first + row).min(self.pixels.end - 1));
                targets.push(pixels.map(|pixel| pixel * gather.columns));
                sources.push(pixels.map(|pixel| gather.source[pixel * gather.source_pixel..].as_ptr()));
                continue;
            }
            let mut places = [next; ROWS];
            for (row, place) in places.iter_mut().enumerate() {
                *place = next;
                if row < tiles.height(index) && first + row + 1 < self.pixels.end {
                    next = gather.grid.after(next);
                }
            }
            targets.push(places.map(|place| gather.grid.target_pixel(place) * gather.columns));
            sources.extend(gather.taps.iter().map(|tap| self.sources(places, *tap)));
        }

        let last_column = self.panels.last().map_or(0, |panel| panel.column + panel.vectors * V::LANES);
        // What this group has of it: the next one's may be another thread's.
        let packed = &self.packed[..last_column * gather.total_depth()];
        let mut rest = self.panels;
        while !rest.is_empty() {
            let widest = rest[0].vectors * V::LANES;
            let fitting = CHUNK / size_of::<f32>() / (widest * gather.total_depth().max(1));
            let (stretch, after) = rest.split_at(fitting.clamp(1, rest.len()));
            rest = after;
            let last = stretch[stretch.len() - 1];
            let first_column = stretch[0].column;
            let columns = (last.column + last.vectors * V::LANES).min(gather.columns) - first_column;
            // A panel alone may be too long: then some of its taps at a time.
            let chunk = (CHUNK / size_of::<f32>() / (widest * gather.depth.max(1))).max(1);
            for (chunk_index, first_tap) in (0..tap_count.max(1)).step_by(chunk).enumerate() {
                let taps = first_tap..tap_count.min(first_tap + chunk);
                let packed_first = first_column * gather.total_depth() + taps.start * gather.depth * widest;
                let packed_len = stretch.iter().map(|panel| panel.vectors * V::LANES * taps.len() * gather.depth).sum();
                // What the tiles can do of what follows the sums, which more taps come before.
                let bounds = if taps.end < tap_count { Some(UNBOUNDED) } else { self.epilogue.bounds() };
                let mut ahead = Ahead::new(&packed[packed_first..], packed_len, tiles.count() * stretch.len());
                for index in 0..tiles.count() {
                    if pointwise && first_column == self.panels[0].column {
                        self.fetch(tiles.first(index + 1), ROWS);
                    }
                    let rows = tiles.height(index).min(self.pixels.len() - tiles.first(index));
                    let sources = &sources[index * tap_count..][taps.clone()];
                    for panel in stretch {
                        let start = match (chunk_index, self.epilogue.bias) {
                            (0, None) => Start::Zero,
                            (0, Some(bias)) => Start::Bias(bias[panel.column..].as_ptr()),
                            _ => Start::Target,
                        };
                        let ends = Ends { start, bounds: bounds.unwrap_or(UNBOUNDED) };
                        let width = panel.vectors * V::LANES;
                        let last_lanes = panel.last_lanes(V::LANES, gather.columns);
                        let packed_first = panel.column * gather.total_depth() + taps.start * gather.depth * width;
                        let packed = packed[packed_first..].as_ptr();
                        ahead.fetch();
                        let mut places = [std::ptr::null_mut(); ROWS];
                        for row in 0..ROWS {
                            // Not by `map`, which the compiler makes a call of.
                            // SAFETY: offsets are of pixels of the target and one of its columns.
                            places[row] = unsafe { self.target.at(targets[index][row] + panel.column) };
                        }
                        let tile = Tile { sources, depth, packed, ends, targets: places, rows, last_lanes };
                        // SAFETY: `multiply` has checked that every source pointer has `depth` values, and that `packed`
                        // holds `width` values for each of them; a bias has the panel's columns; the targets have
                        // `last_lanes` valid lanes in their last vector, and this task alone writes them.
                        unsafe { tile.multiply::<V>(panel.vectors, tiles.height(index)) };
                    }
                    if bounds.is_some() {
                        continue;
                    }
                    // Rows that lie one behind the other are finished as one.
                    let (runs, length) =
                        if pointwise && columns == gather.columns { (1, rows * columns) } else { (rows, columns) };
                    for offset in &targets[index][..runs] {
                        let first = offset + first_column;
                        // SAFETY: the tiles have just written these values; the caller vouches for the instructions.
                        unsafe {
                            let sums = std::slice::from_raw_parts_mut(self.target.at(first), length);
                            self.epilogue.finish::<V>(first, sums);
                        }
                    }
                }
            }
        }
    }

    /// What a tap reads for the pixels of a tile.
    #[inline(always)]
    fn sources<const ROWS: usize>(&self, places: [[usize; 3]; ROWS], tap: [isize; 2]) -> [*const f32; ROWS] {
        let Gather { grid, source, source_pixel, .. } = self.gather;
        // Most tiles are a part of one row, and most taps of them inside the image: there they are evenly spaced.
        let [image, y, x] = places[0];
        if places[ROWS - 1] == [image, y, x + ROWS - 1]
            && let [Some(first), Some(last)] = [places[0], places[ROWS - 1]].map(|place| grid.source_pixel(place, tap))
        {
            let pixels = source[first * source_pixel..=last * source_pixel].as_ptr();
            let step = grid.source_step[1] * source_pixel;
            return std::array::from_fn(|row| pixels.wrapping_add(row * step));
        }
        places.map(|place| match grid.source_pixel(place, tap) {
            Some(pixel) => source[pixel * source_pixel..].as_ptr(),
            None => self.zeros.as_ptr(),
        })
    }

    /// Asks for `count` source pixels from the `first` of the block on, which a tile will read. Of a map that has left the second-level
    /// cache, rows would be waited for otherwise: they are too short for the processor to guess the next.
    #[inline(always)]
    fn fetch(&self, first: usize, count: usize) {
        let Gather { source, source_pixel, .. } = *self.gather;
        let pixels = self.pixels.start + first..self.pixels.end.min(self.pixels.start + first + count);
        if !pixels.is_empty() {
            source[pixels.start * source_pixel..pixels.end * source_pixel].chunks(simd::LINE).for_each(simd::prefetch);
        }
    }
}

/// Rows of the tiles that a block of pixels may end with.
const SHORT: usize = 4;

/// How the pixels of a block are shared out among tiles: most are as high as registers allow, the last few [`SHORT`] where that
/// computes fewer rows that nobody asked for.
#[derive(Clone, Copy)]
pub(crate) struct Heights {
    height: usize,
    full: usize,
    short: usize,
}

impl Heights {
    pub(crate) fn of(pixels: usize, height: usize) -> Self {
        let full = |short: usize| pixels.saturating_sub(short * SHORT).div_ceil(height);
        let most = if height > SHORT { 2 } else { 0 };
        let short = (0..=most).min_by_key(|&short| full(short) * height + short * SHORT).unwrap_or(0);
        Self { height, full: full(short), short }
    }

    pub(crate) fn count(self) -> usize {
        self.full + self.short
    }

    /// The first pixel of a tile.
    pub(crate) fn first(self, tile: usize) -> usize {
        tile.min(self.full) * self.height + tile.saturating_sub(self.full) * SHORT
    }

    pub(crate) fn height(self, tile: usize) -> usize {
        if tile < self.full { self.height } else { SHORT }
    }
}

/// The part of the weight that comes after the one at work, brought into the second-level cache bit by bit meanwhile: where few
/// pixels share a large weight, most of it would be waited for otherwise.
struct Ahead<'a> {
    rest: &'a [f32],
    /// Values fetched at a time.
    step: usize,
}

impl<'a> Ahead<'a> {
    /// What follows the first `len` values of `weight`, as much again, in `steps` steps.
    #[inline(always)]
    fn new(weight: &'a [f32], len: usize, steps: usize) -> Self {
        let rest = &weight[len..];
        Self { rest: &rest[..len.min(rest.len())], step: len.div_ceil(steps).next_multiple_of(simd::LINE) }
    }

    #[inline(always)]
    fn fetch(&mut self) {
        let (now, later) = self.rest.split_at(self.step.min(self.rest.len()));
        now.chunks(simd::LINE).for_each(simd::prefetch);
        self.rest = later;
    }
}

/// A register tile: target pixels by vectors of columns.
pub(crate) struct Tile<'a, const POINTERS: usize> {
    /// Where the pixels' values are, for each tap.
    pub(crate) sources: &'a [[*const f32; POINTERS]],
    /// Values that each of them points to.
    pub(crate) depth: usize,
    /// The panel of the weight.
    pub(crate) packed: *const f32,
    pub(crate) ends: Ends,
    /// Where the pixels' sums go.
    pub(crate) targets: [*mut f32; POINTERS],
    /// How many of the pixels exist.
    pub(crate) rows: usize,
    /// Lanes of the last vector that are columns.
    pub(crate) last_lanes: usize,
}

impl<const POINTERS: usize> Tile<'_, POINTERS> {
    /// The product of the first `height` pixels, [`SHORT`] or all of the pointers, by a panel of `vectors`.
    ///
    /// # Safety
    /// The processor has `V`'s instructions. Every source pointer has `depth` values, `packed` has the panel's vectors for each
    /// of them, the first `rows` targets have as many, of the last of which `last_lanes` lanes exist.
    #[inline(always)]
    pub(crate) unsafe fn multiply<V: Vector>(&self, vectors: usize, height: usize) {
        // SAFETY: passed on.
        unsafe {
            match (vectors.min(V::TILE_VECTORS), height == SHORT) {
                (1, false) => self.of::<V, POINTERS, 1>(),
                (2, false) => self.of::<V, POINTERS, 2>(),
                (_, false) => self.of::<V, POINTERS, 3>(),
                (1, true) => self.of::<V, SHORT, 1>(),
                (2, true) => self.of::<V, SHORT, 2>(),
                (_, true) => self.of::<V, SHORT, 3>(),
            }
        }
    }

    /// `ROWS` pixels by `VECTORS` vectors.
    ///
    /// # Safety
    /// As [`multiply`](Self::multiply).
    #[inline(always)]
    unsafe fn of<V: Vector, const ROWS: usize, const VECTORS: usize>(&self) {
        let Self { sources, depth, packed, ends, ref targets, rows, last_lanes } = *self;
        // SAFETY: all pointers are read and written within what the caller vouches for.
        unsafe {
            let mut sums = [[V::splat(0.0); VECTORS]; ROWS];
            match ends.start {
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
            let [least, greatest] = ends.bounds.map(|bound| V::splat(bound));
            for row in 0..ROWS {
                if row < rows {
                    for vector in 0..VECTORS {
                        let to = targets[row].add(vector * V::LANES);
                        let sum = sums[row][vector].at_least(least).at_most(greatest);
                        if vector + 1 == VECTORS && last_lanes < V::LANES {
                            sum.store_first(to, last_lanes);
                        } else {
                            sum.store(to);
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_the_pixels_with_few_rows_to_spare() {
        for height in [4, 6, 8] {
            for pixels in 1..100 {
                let tiles = Heights::of(pixels, height);
                let mut next = 0;
                for tile in 0..tiles.count() {
                    assert_eq!(tiles.first(tile), next);
                    assert!(next < pixels, "a tile of {pixels} pixels is empty");
                    next += tiles.height(tile);
                }
                assert!(next >= pixels && next <= pixels.next_multiple_of(height));
            }
        }
        assert_eq!(Heights::of(32, 6).first(6), 32);
        assert_eq!(Heights::of(16, 6).first(3), 16);
    }
}
