//! Which source pixels a target pixel reads, for a convolution and for its input gradient.

use std::ops::Range;

use crate::shape::Window;

/// A grid of target pixels, and the mapping from it to source and target images.
///
/// Grid pixel (y, x) is pixel `target_offset + (y, x) * target_step` of the target image. A tap at offset (r, s) reads
/// source pixel `(y, x) * source_step + (r, s)`.
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

/// One position of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tap {
    /// Row and column of the source pixel, relative to the grid pixel times the source step.
    pub(crate) offset: [isize; 2],
    /// `kernel row * kernel width + kernel column`, which selects the weight.
    pub(crate) kernel_index: usize,
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

    /// Whether every grid pixel has the same index in source and target.
    pub(crate) fn is_identity(&self) -> bool {
        self.source_size == self.size
            && self.target_size == self.size
            && [self.source_step, self.target_step] == [[1, 1]; 2]
            && self.target_offset == [0, 0]
    }

    /// Image, row and column of a grid pixel, which is numbered in row-major order over all images.
    pub(crate) fn coordinates(&self, pixel: usize) -> [usize; 3] {
        let [height, width] = self.size;
        [pixel / (height * width), pixel / width % height, pixel % width]
    }

    /// The coordinates of the pixel after this one.
    pub(crate) fn next(&self, [image, y, x]: [usize; 3]) -> [usize; 3] {
        let [height, width] = self.size;
        match [y + 1 < height, x + 1 < width] {
            [_, true] => [image, y, x + 1],
            [true, false] => [image, y + 1, 0],
            [false, false] => [image + 1, 0, 0],
        }
    }

    /// The source row that a tap reads for a grid row, numbered over all images; `None` in the padding.
    pub(crate) fn source_row(&self, image: usize, y: usize, tap_row: isize) -> Option<usize> {
        let row = (y * self.source_step[0]).checked_add_signed(tap_row).filter(|row| *row < self.source_size[0])?;
        Some(image * self.source_size[0] + row)
    }

    /// The source pixel that a tap reads, numbered over all images; `None` in the padding.
    pub(crate) fn source_pixel(&self, [image, y, x]: [usize; 3], [tap_row, tap_column]: [isize; 2]) -> Option<usize> {
        let row = self.source_row(image, y, tap_row)?;
        let width = self.source_size[1];
        let column = (x * self.source_step[1]).checked_add_signed(tap_column).filter(|column| *column < width)?;
        Some(row * width + column)
    }

    /// The target pixel at grid coordinates, numbered over all images.
    pub(crate) fn target_pixel(&self, [image, y, x]: [usize; 3]) -> usize {
        let [height, width] = self.target_size;
        let row = self.target_offset[0] + y * self.target_step[0];
        (image * height + row) * width + self.target_offset[1] + x * self.target_step[1]
    }

    /// The grid columns for which a tap reads inside the source image.
    pub(crate) fn columns_inside(&self, tap_column: isize) -> Range<usize> {
        columns_inside(self.size[1], self.source_size[1], self.source_step[1], tap_column)
    }
}

/// The columns x below `columns` with `0 <= x * step + tap_column < source_width`.
pub(crate) fn columns_inside(columns: usize, source_width: usize, step: usize, tap_column: isize) -> Range<usize> {
    let from = if tap_column < 0 { tap_column.unsigned_abs().div_ceil(step) } else { 0 };
    let to = source_width.checked_add_signed(-tap_column).unwrap_or(0).div_ceil(step).min(columns);
    from.min(to)..to
}

/// The taps of a convolution's output pixel, ordered by kernel index.
pub(crate) fn output_taps(window: Window) -> Vec<Tap> {
    let width = window.kernel[1];
    (0..window.taps())
        .map(|kernel_index| {
            let row = (kernel_index / width) as isize - window.padding.top as isize;
            let column = (kernel_index % width) as isize - window.padding.left as isize;
            Tap { offset: [row, column], kernel_index }
        })
        .collect()
}

/// Partitions the input pixels into classes whose gradients use the same taps on the output gradient.
///
/// Input row y contributes through kernel row r to output row `(y + top - r) / stride`, if the division leaves no
/// remainder. Hence rows fall into `stride` classes, y = class + stride * j, and class and r give the tap
/// `(class + top - r) / stride` relative to j. The same holds for columns. A class may have no taps; its gradients are zero.
pub(crate) fn input_classes(batch: usize, in_size: [usize; 2], window: Window) -> Vec<(Grid, Vec<Tap>)> {
    let stride = window.stride.map(|stride| stride as isize);
    let padding = [window.padding.top, window.padding.left];
    let mut classes = Vec::new();
    for class_y in 0..window.stride[0].min(in_size[0]) {
        for class_x in 0..window.stride[1].min(in_size[1]) {
            let class = [class_y, class_x];
            let mut taps = Vec::new();
            for kernel_index in 0..window.taps() {
                let kernel = [kernel_index / window.kernel[1], kernel_index % window.kernel[1]];
                let from: [isize; 2] = std::array::from_fn(|d| (class[d] + padding[d]) as isize - kernel[d] as isize);
                if from[0] % stride[0] == 0 && from[1] % stride[1] == 0 {
                    taps.push(Tap { offset: [from[0] / stride[0], from[1] / stride[1]], kernel_index });
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
mod tests;
