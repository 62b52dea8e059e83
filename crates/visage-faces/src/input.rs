//! The detector's input.

use image::RgbImage;
use visage_data::{ImageError, Point, Size, resize_region};

use crate::blazeface::GRAIN;
use crate::geometry::FaceBox;

/// The side of the network's input in its file.
pub(crate) const SIDE: usize = 256;
/// The input's values for bytes.
const LEVELS: [f32; 256] = {
    let mut levels = [0.0; 256];
    let mut byte = 0;
    while byte < 256 {
        levels[byte] = byte as f32 / 127.5 - 1.0;
        byte += 1;
    }
    levels
};

/// An image, scaled, in the middle of black.
#[derive(Debug)]
pub(crate) struct Input {
    /// The scaled image, RGB.
    pixels: Vec<u8>,
    /// The scaled image's width and height.
    content: [usize; 2],
    /// The input's width and height.
    size: [usize; 2],
    /// The black columns on the left and the black rows above.
    margin: [usize; 2],
    /// Pixels of the image for one of the input.
    scale: [f64; 2],
}

impl Input {
    /// An image whose longer side is scaled to `parts` times the network's 256 pixels.
    ///
    /// The whole image, of one part, is in the middle of a black square, as MediaPipe has it. Others are only filled up to multiples of
    /// the coarsest map's pixels.
    pub(crate) fn new(image: &RgbImage, parts: u32) -> Result<Self, ImageError> {
        let [width, height] = [image.width(), image.height()].map(f64::from);
        let target = (SIDE * parts as usize) as f64;
        let content = [width, height].map(|side| ((target * side / width.max(height)).round() as usize).max(1));
        let region = [0, 0, image.width(), image.height()];
        let pixels = resize_region(image, region, Size { height: content[1], width: content[0] })?;
        let size = if parts == 1 { [SIDE; 2] } else { content.map(|side| side.next_multiple_of(GRAIN)) };
        let margin = [0, 1].map(|axis| (size[axis] - content[axis]) / 2);
        let scale = [width / content[0] as f64, height / content[1] as f64];
        Ok(Input { pixels, content, size, margin, scale })
    }

    /// The width and the height.
    pub(crate) fn size(&self) -> [usize; 2] {
        self.size
    }

    /// Where a point of the input is in the image.
    pub(crate) fn point_to_image(&self, [x, y]: Point) -> Point {
        [(x - self.margin[0] as f64) * self.scale[0], (y - self.margin[1] as f64) * self.scale[1]]
    }

    /// Where a box of the input is in the image.
    pub(crate) fn to_image(&self, &FaceBox { x, y, width, height }: &FaceBox) -> FaceBox {
        let [x, y] = self.point_to_image([x, y]);
        FaceBox { x, y, width: width * self.scale[0], height: height * self.scale[1] }
    }

    /// Where a box of the image is in the input.
    pub(crate) fn of_image(&self, &FaceBox { x, y, width, height }: &FaceBox) -> FaceBox {
        let [across, down] = self.scale;
        let (x, y) = (x / across + self.margin[0] as f64, y / down + self.margin[1] as f64);
        FaceBox { x, y, width: width / across, height: height / down }
    }

    /// Writes every second column of a row of a colour, from column `first` on, in the part of the input that begins at `start`.
    pub(crate) fn fill(&self, start: [usize; 2], [row, colour, first]: [usize; 3], columns: &mut [f32]) {
        let [width, height] = self.content;
        let y = (start[1] + row).wrapping_sub(self.margin[1]);
        if y >= height {
            columns.fill(-1.0);
            return;
        }
        let (row, _) = self.pixels[y * width * 3..(y + 1) * width * 3].as_chunks::<3>();
        // The columns before the content, in it and after it.
        let (left, first) = (self.margin[0], start[0] + first);
        let at = |column: usize| column.saturating_sub(first).div_ceil(2).min(columns.len());
        let [begin, end] = [at(left), at(left + width)];
        let (before, rest) = columns.split_at_mut(begin);
        let (inside, after) = rest.split_at_mut(end - begin);
        before.fill(-1.0);
        after.fill(-1.0);
        let pixels = row[(first + 2 * begin).saturating_sub(left).min(width)..].iter().step_by(2);
        for (value, pixel) in inside.iter_mut().zip(pixels) {
            *value = LEVELS[usize::from(pixel[colour])];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_the_input_has_the_values_of_the_whole() {
        let image =
            RgbImage::from_fn(301, 203, |x, y| image::Rgb([(x * 7 + y) as u8, (x + y * 5) as u8, (x * y) as u8]));
        // In the image, in the black before it and behind it.
        let input = Input::new(&image, 2).unwrap();
        assert_eq!((input.size, input.content, input.margin), ([512, 352], [512, 345], [0, 3]));
        let wide = Input::new(&image, 1).unwrap();
        for (input, start) in [(&input, [64, 0]), (&input, [96, 288]), (&wide, [32, 32]), (&wide, [0, 192])] {
            for place in [[0, 0, 0], [1, 1, 1], [50, 2, 0], [63, 0, 1]] {
                let [mut part, mut whole] = [[0.0; 32], [1.0; 32]];
                input.fill(start, place, &mut part);
                let [row, colour, first] = place;
                input.fill([0; 2], [start[1] + row, colour, start[0] + first], &mut whole);
                assert_eq!(part, whole, "{start:?} {place:?}");
                for (index, value) in part.into_iter().enumerate() {
                    let x = (start[0] + first + 2 * index).wrapping_sub(input.margin[0]);
                    let y = (start[1] + row).wrapping_sub(input.margin[1]);
                    let [width, height] = input.content;
                    let is_black = x >= width || y >= height;
                    let byte = if is_black { 0 } else { input.pixels[(y * width + x) * 3 + colour] };
                    assert_eq!(value, f32::from(byte) / 127.5 - 1.0, "{start:?} {place:?} {index}");
                }
            }
        }
    }

    #[test]
    fn a_box_returns_from_the_input() {
        let input = Input::new(&RgbImage::new(300, 500), 2).unwrap();
        let face = FaceBox { x: 30.0, y: 50.0, width: 60.0, height: 70.0 };
        let there = input.of_image(&face);
        // 307 by 512 pixels in 320 by 512.
        assert!((there.x - (30.0 * 307.0 / 300.0 + 6.0)).abs() < 1e-9 && (there.height - 70.0 * 1.024).abs() < 1e-9);
        let back = input.to_image(&there);
        for (found, expected) in [(back.x, 30.0), (back.y, 50.0), (back.width, 60.0), (back.height, 70.0)] {
            assert!((found - expected).abs() < 1e-9, "{back:?}");
        }
    }
}
