//! Which source pixels a target pixel reads, for a convolution and for its input gradient.

use crate::shape::Window;

/// A grid of target pixels, and where its taps read.
///
/// Grid pixel (y, x) lies at `target_offset + (y, x) * target_step` of the target image; a tap at (r, s) reads source
/// pixel `(y, x) * source_step + (r, s)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid {
    pub(crate) batch: usize,
    /// Rows and columns of the grid.
    pub(crate) size: [usize; 2],
    pub(crate) source_size: [usize; 2],
    pub(crate) source_step: [usize; 2],
    pub(crate) target_size: [usize; 2],
    pub(crate) target_offset: [usize; 2],
    pub(crate) target_step: [usize; 2],
}

/// Where a tap reads, and which kernel position's weight it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tap {
    /// Row and column relative to the target pixel's place in the source.
    pub(crate) at: [isize; 2],
    /// `kernel row * kernel width + kernel column`.
    pub(crate) position: usize,
}

impl Grid {
    /// The grid of a convolution's output pixels.
    pub(crate) fn of_output(batch: usize, in_size: [usize; 2], window: Window) -> Self {
        let size = [window.out_height(in_size[0]), window.out_width(in_size[1])];
        Self {
            batch,
            size,
            source_size: in_size,
            source_step: window.stride,
            target_size: size,
            target_offset: [0, 0],
            target_step: [1, 1],
        }
    }

    pub(crate) fn pixels(&self) -> usize {
        self.batch * self.size[0] * self.size[1]
    }

    /// Whether a pixel of the grid is the same pixel of source and target.
    pub(crate) fn is_identity(&self) -> bool {
        self.source_size == self.size
            && self.target_size == self.size
            && [self.source_step, self.target_step] == [[1, 1]; 2]
            && self.target_offset == [0, 0]
    }

    /// Image, row and column on the grid of a pixel counted in reading order.
    pub(crate) fn place(&self, pixel: usize) -> [usize; 3] {
        let [height, width] = self.size;
        [pixel / (height * width), pixel / width % height, pixel % width]
    }

    /// The place after `place` in reading order.
    pub(crate) fn after(&self, [image, y, x]: [usize; 3]) -> [usize; 3] {
        let [height, width] = self.size;
        match [y + 1 < height, x + 1 < width] {
            [_, true] => [image, y, x + 1],
            [true, false] => [image, y + 1, 0],
            [false, false] => [image + 1, 0, 0],
        }
    }

    /// The row of all images' source rows that a tap of a grid row reads, `None` outside the image.
    pub(crate) fn source_row(&self, image: usize, y: usize, tap_row: isize) -> Option<usize> {
        let row = (y * self.source_step[0]).checked_add_signed(tap_row).filter(|row| *row < self.source_size[0])?;
        Some(image * self.source_size[0] + row)
    }

    /// The source pixel a tap reads, counted over all images; `None` outside the image.
    pub(crate) fn source_pixel(&self, [image, y, x]: [usize; 3], [tap_row, tap_column]: [isize; 2]) -> Option<usize> {
        let row = self.source_row(image, y, tap_row)?;
        let width = self.source_size[1];
        let column = (x * self.source_step[1]).checked_add_signed(tap_column).filter(|column| *column < width)?;
        Some(row * width + column)
    }

    /// The target pixel of a place, counted over all images.
    pub(crate) fn target_pixel(&self, [image, y, x]: [usize; 3]) -> usize {
        let [height, width] = self.target_size;
        let row = self.target_offset[0] + y * self.target_step[0];
        (image * height + row) * width + self.target_offset[1] + x * self.target_step[1]
    }

    /// The grid columns whose source column for a tap lies inside the image.
    pub(crate) fn inside(&self, tap_column: isize) -> std::ops::Range<usize> {
        inside(self.size[1], self.source_size[1], self.source_step[1], tap_column)
    }
}

/// The columns x below `columns` with `0 <= x * step + tap_column < source_width`.
pub(crate) fn inside(columns: usize, source_width: usize, step: usize, tap_column: isize) -> std::ops::Range<usize> {
    let from = if tap_column < 0 { tap_column.unsigned_abs().div_ceil(step) } else { 0 };
    let to = source_width.checked_add_signed(-tap_column).unwrap_or(0).div_ceil(step).min(columns);
    from.min(to)..to
}

/// The taps of a convolution's output pixel, in the order of the kernel's positions.
pub(crate) fn output_taps(window: Window) -> Vec<Tap> {
    let width = window.kernel[1];
    (0..window.taps())
        .map(|position| {
            let row = (position / width) as isize - window.padding.top as isize;
            let column = (position % width) as isize - window.padding.left as isize;
            Tap { at: [row, column], position }
        })
        .collect()
}

/// The classes of input pixels whose gradients have the same taps on the output's gradient.
///
/// Input row y receives through kernel row r from output row `(y + top - r) / stride`, where that divides evenly. So
/// rows fall into `stride` classes, y = class + stride * j, and class and r give the tap `(class + top - r) / stride`
/// relative to j. The same holds for columns. A class may have no taps: its gradients are zero.
pub(crate) fn input_classes(batch: usize, in_size: [usize; 2], window: Window) -> Vec<(Grid, Vec<Tap>)> {
    let stride = window.stride.map(|stride| stride as isize);
    let first = [window.padding.top, window.padding.left];
    let mut classes = Vec::new();
    for class_y in 0..window.stride[0].min(in_size[0]) {
        for class_x in 0..window.stride[1].min(in_size[1]) {
            let class = [class_y, class_x];
            let mut taps = Vec::new();
            for position in 0..window.taps() {
                let kernel = [position / window.kernel[1], position % window.kernel[1]];
                let from: [isize; 2] = std::array::from_fn(|d| (class[d] + first[d]) as isize - kernel[d] as isize);
                if from[0] % stride[0] == 0 && from[1] % stride[1] == 0 {
                    taps.push(Tap { at: [from[0] / stride[0], from[1] / stride[1]], position });
                }
            }
            let grid = Grid {
                batch,
                size: std::array::from_fn(|d| (in_size[d] - class[d]).div_ceil(window.stride[d])),
                source_size: [window.out_height(in_size[0]), window.out_width(in_size[1])],
                source_step: [1, 1],
                target_size: in_size,
                target_offset: class,
                target_step: window.stride,
            };
            classes.push((grid, taps));
        }
    }
    classes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_follow_each_other() {
        let grid = Grid::of_output(2, [3, 4], Window::square(1, 1, 0));
        for pixel in 0..23 {
            assert_eq!(grid.after(grid.place(pixel)), grid.place(pixel + 1));
        }
    }

    #[test]
    fn columns_inside_the_image() {
        assert_eq!(inside(4, 7, 2, -1), 1..4);
        assert_eq!(inside(4, 7, 2, 1), 0..3);
        assert_eq!(inside(4, 3, 1, -5), 4..4);
        assert_eq!(inside(4, 3, 1, 3), 0..0);
    }

    #[test]
    fn a_pointwise_stride_of_two_leaves_three_classes_without_taps() {
        let classes = input_classes(1, [5, 5], Window::square(1, 2, 0));
        assert_eq!(classes.iter().map(|(_, taps)| taps.len()).collect::<Vec<_>>(), [1, 0, 0, 0]);
        assert_eq!(classes.iter().map(|(grid, _)| grid.pixels()).sum::<usize>(), 25);
    }
}
