//! The division of images into tiles.

use super::TILE;
use crate::shape::ConvShape;

/// The 4x4 tiles of the target images, and the source images that their patches are read from.
#[derive(Clone, Copy)]
pub(super) struct Tiles {
    batch: usize,
    /// Rows and columns of a source image.
    source: [usize; 2],
    /// Rows and columns of a target image.
    target: [usize; 2],
    /// Rows and columns of padding before the source.
    padding: [usize; 2],
}

impl Tiles {
    /// Tiles of the output, with patches of the input.
    pub(super) fn of_output(shape: ConvShape) -> Self {
        Self {
            batch: shape.batch,
            source: [shape.in_height, shape.in_width],
            target: [shape.out_height(), shape.out_width()],
            padding: [shape.window.padding.top, shape.window.padding.left],
        }
    }

    /// Tiles of the input gradient, with patches of the output gradient.
    pub(super) fn of_input(shape: ConvShape) -> Self {
        // The transposed convolution of a 3x3 kernel with padding p is a convolution with padding 2 - p.
        Self {
            batch: shape.batch,
            source: [shape.out_height(), shape.out_width()],
            target: [shape.in_height, shape.in_width],
            padding: [2usize.wrapping_sub(shape.window.padding.top), 2usize.wrapping_sub(shape.window.padding.left)],
        }
    }

    /// Rows and columns of tiles of an image.
    fn grid(&self) -> [usize; 2] {
        self.target.map(|side| side.div_ceil(TILE))
    }

    /// Number of tiles of all images.
    pub(super) fn count(&self) -> usize {
        self.batch * self.grid()[0] * self.grid()[1]
    }

    /// Image, and first row and column in the target, of a tile.
    pub(super) fn coordinates(&self, tile: usize) -> [usize; 3] {
        let [height, width] = self.grid();
        [tile / (height * width), tile / width % height * TILE, tile % width * TILE]
    }

    /// The source pixel at (row, column) of a tile's patch, numbered over all images; `None` in the padding.
    pub(super) fn source_pixel(&self, [image, y, x]: [usize; 3], [row, column]: [usize; 2]) -> Option<usize> {
        let row = (y + row).wrapping_sub(self.padding[0]);
        let column = (x + column).wrapping_sub(self.padding[1]);
        let [height, width] = self.source;
        (row < height && column < width).then(|| (image * height + row) * width + column)
    }

    /// The target pixel at (row, column) of a tile, numbered over all images; `None` beyond the image.
    pub(super) fn target_pixel(&self, [image, y, x]: [usize; 3], [row, column]: [usize; 2]) -> Option<usize> {
        let [height, width] = self.target;
        (y + row < height && x + column < width).then(|| (image * height + y + row) * width + x + column)
    }
}
