//! The last rows of a feature map, in a ring buffer.

use std::ops::Range;

use super::product::Targets;
use super::{HALO, MARGIN, STRIP, TAIL};

/// The last rows of a feature map, `[row, strip, channel, column]`, in a ring buffer. Rows are appended from the first to the last.
#[derive(Debug)]
pub struct PlanarRows {
    pub(super) channels: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    capacity: usize,
    /// Rows so far.
    pub(super) end: usize,
    /// Values from one channel to the next.
    pub(super) channel_len: usize,
    /// Values from one strip to the next, and from one row to the next.
    pub(super) strip_len: usize,
    row_len: usize,
    /// `capacity` rows, and one of zeros for the padding above and below.
    values: Vec<f32>,
    /// Index of the first row, aligned to a cache line.
    first: usize,
}

impl PlanarRows {
    /// Without rows yet, for a map of `height` by `width` of which the last `capacity` rows are kept.
    ///
    /// # Panics
    /// If a size is 0.
    #[must_use]
    pub fn new(channels: usize, [height, width]: [usize; 2], capacity: usize) -> Self {
        assert!(channels * height * width * capacity > 0, "planar rows without values");
        let capacity = capacity.min(height);
        let channel_len = MARGIN + width.next_multiple_of(MARGIN).min(STRIP);
        let strip_len = channels * channel_len;
        let row_len = width.div_ceil(STRIP) * strip_len;
        let values = vec![0.0; (capacity + 1) * row_len + MARGIN + TAIL];
        // At most a cache line, for which there is room.
        let first = values.as_ptr().align_offset(64).min(MARGIN);
        Self { channels, height, width, capacity, end: 0, channel_len, strip_len, row_len, values, first }
    }

    /// Rows appended so far.
    #[must_use]
    pub fn end(&self) -> usize {
        self.end
    }

    /// Rows of the whole map.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// Columns.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Begins another map of the same size.
    pub fn restart(&mut self) {
        self.end = 0;
    }

    /// The value at a row, a channel and a column.
    ///
    /// # Panics
    /// If the row is not kept, or the channel or the column does not exist.
    #[must_use]
    pub fn value(&self, row: usize, channel: usize, column: usize) -> f32 {
        assert!(channel < self.channels && column < self.width, "no channel {channel} or no column {column}");
        self.values[self.start(Some(row)) + channel * self.channel_len + self.offset(column)]
    }

    /// Appends a row. `fill` gets a channel, a column and the values from this column on, at most those of a strip, to be overwritten.
    ///
    /// # Panics
    /// If the map has all its rows.
    pub fn append(&mut self, mut fill: impl FnMut(usize, usize, &mut [f32])) {
        assert!(self.end < self.height, "the map has {} rows", self.height);
        self.end += 1;
        let start = self.start(Some(self.end - 1));
        for channel in 0..self.channels {
            for column in (0..self.width).step_by(STRIP) {
                let at = start + channel * self.channel_len + self.offset(column);
                fill(channel, column, &mut self.values[at..at + STRIP.min(self.width - column)]);
            }
        }
        self.repeat_borders(self.end - 1..self.end);
    }

    /// The distance of a column from the first of its row.
    #[inline(always)]
    fn offset(&self, column: usize) -> usize {
        column / STRIP * self.strip_len + column % STRIP
    }

    /// Copies the borders of strips to the margins of their neighbours.
    pub(super) fn repeat_borders(&mut self, rows: Range<usize>) {
        for row in rows {
            for strip in 1..self.row_len / self.strip_len {
                let right = self.start(Some(row)) + strip * self.strip_len;
                for channel in 0..self.channels {
                    let right = right + channel * self.channel_len;
                    let left_end = right - self.strip_len + STRIP;
                    self.copy_halo(left_end - HALO, right - HALO);
                    self.copy_halo(right, left_end);
                }
            }
        }
    }

    fn copy_halo(&mut self, from: usize, to: usize) {
        let values: [f32; HALO] = std::array::from_fn(|index| self.values[from + index]);
        self.values[to..to + HALO].copy_from_slice(&values);
    }

    /// Index of the first column of the first channel of a row, or of the row of zeros.
    #[track_caller]
    fn start(&self, row: Option<usize>) -> usize {
        let slot = match row {
            Some(row) => {
                assert!(row < self.end && row + self.capacity >= self.end, "row {row} of {} is not kept", self.end);
                row % self.capacity
            }
            None => self.capacity,
        };
        self.first + slot * self.row_len + MARGIN
    }

    /// Address of the first column of the first channel of row `row - before`, or of a row of zeros outside the map.
    #[track_caller]
    pub(super) fn source(&self, row: usize, before: usize) -> *const f32 {
        // Derived from the whole buffer: a window begins before the first column.
        self.values.as_ptr().wrapping_add(self.start(row.checked_sub(before).filter(|row| *row < self.height)))
    }

    /// The targets of the next `count` rows, which are appended.
    pub(super) fn append_targets(&mut self, count: usize) -> Targets {
        let first = self.end;
        self.end += count;
        let starts = [first, first + count - 1].map(|row| self.start(Some(row)));
        let values = self.values.as_mut_ptr();
        let rows = starts.map(|start| values.wrapping_add(start));
        let Self { channel_len, strip_len, width, .. } = *self;
        Targets { rows, count, channel_len, strip_len, width }
    }
}
