//! Changes of pixel positions.

use rand::{Rng, RngExt};

use super::colour::reflected;
use crate::size::Size;

/// Attempts to draw a rectangle that fits, as in torchvision and albumentations.
const ATTEMPTS: usize = 10;

/// A rectangle of an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rectangle {
    pub(super) top: usize,
    pub(super) left: usize,
    pub(super) size: Size,
}

/// A rectangle of random area (`scale`, as shares of the image) and aspect ratio (`ratio`, width over height, uniform in the
/// logarithm) at a random position; `None` if no attempt fits.
pub(super) fn random_rectangle(
    whole: Size,
    scale: [f32; 2],
    ratio: [f32; 2],
    random: &mut impl Rng,
) -> Option<Rectangle> {
    for _ in 0..ATTEMPTS {
        let area = between(scale, random) * whole.pixels() as f32;
        let aspect = between(ratio.map(f32::ln), random).exp();
        let width = (area * aspect).sqrt().round() as usize;
        let height = (area / aspect).sqrt().round() as usize;
        if (1..=whole.width).contains(&width) && (1..=whole.height).contains(&height) {
            let top = random.random_range(0..=whole.height - height);
            let left = random.random_range(0..=whole.width - width);
            return Some(Rectangle { top, left, size: Size { height, width } });
        }
    }
    None
}

/// The largest central rectangle with an aspect ratio within `ratio`.
pub(super) fn central_rectangle(whole: Size, [narrowest, widest]: [f32; 2]) -> Rectangle {
    let Size { height, width } = whole;
    let aspect = width as f32 / height as f32;
    let (crop_height, crop_width) = if aspect < narrowest {
        ((width as f32 / narrowest).round() as usize, width)
    } else if aspect > widest {
        (height, (height as f32 * widest).round() as usize)
    } else {
        (height, width)
    };
    let size = Size { height: crop_height.clamp(1, height), width: crop_width.clamp(1, width) };
    Rectangle { top: (height - size.height) / 2, left: (width - size.width) / 2, size }
}

fn between([low, high]: [f32; 2], random: &mut impl Rng) -> f32 {
    low + (high - low) * random.random::<f32>()
}

/// Resizes a crop to the whole image by bilinear interpolation.
pub(super) fn resize_crop(pixels: &mut [u8], whole: Size, crop: Rectangle) {
    let source = pixels.to_vec();
    // The two nearest pixels along a side, and the weight of the second.
    let nearest = |to: usize, length: usize, from: usize, first: usize| -> Vec<(usize, usize, f32)> {
        let ratio = from as f32 / length as f32;
        (0..to)
            .map(|position| {
                let position = ((position as f32 + 0.5) * ratio - 0.5).clamp(0.0, (from - 1) as f32);
                let low = position as usize;
                (first + low, first + (low + 1).min(from - 1), position - low as f32)
            })
            .collect()
    };
    let columns = nearest(whole.width, whole.width, crop.size.width, crop.left);
    let rows = nearest(whole.height, whole.height, crop.size.height, crop.top);
    let mut out = pixels.iter_mut();
    for &(top, bottom, down) in &rows {
        for &(left, right, across) in &columns {
            for channel in 0..3 {
                let at = |y: usize, x: usize| f32::from(source[(y * whole.width + x) * 3 + channel]);
                let above = at(top, left) + (at(top, right) - at(top, left)) * across;
                let below = at(bottom, left) + (at(bottom, right) - at(bottom, left)) * across;
                if let Some(value) = out.next() {
                    *value = (above + (below - above) * down).round() as u8;
                }
            }
        }
    }
}

/// Rotates counterclockwise by `degrees` and scales by `scale` about the centre, then shifts by shares of the width and the
/// height; edges are reflected. As OpenCV's `getRotationMatrix2D` and `warpAffine`.
pub(super) fn shift_scale_rotate(pixels: &mut [u8], size: Size, [right, down]: [f32; 2], scale: f32, degrees: f32) {
    let Size { height, width } = size;
    let source = pixels.to_vec();
    let (centre_x, centre_y) = (width as f32 / 2.0 - 0.5, height as f32 / 2.0 - 0.5);
    let (sine, cosine) = degrees.to_radians().sin_cos();
    let (shift_x, shift_y) = (right * width as f32, down * height as f32);
    let mut out = pixels.iter_mut();
    for y in 0..height {
        for x in 0..width {
            // The inverse transform: from the output to the input.
            let (dx, dy) = (x as f32 - centre_x - shift_x, y as f32 - centre_y - shift_y);
            let from_x = (cosine * dx - sine * dy) / scale + centre_x;
            let from_y = (sine * dx + cosine * dy) / scale + centre_y;
            let (left, top) = (from_x.floor(), from_y.floor());
            let (right_part, below_part) = (from_x - left, from_y - top);
            let columns = [left as isize, left as isize + 1].map(|x| reflected(x, width));
            let rows = [top as isize, top as isize + 1].map(|y| reflected(y, height));
            for channel in 0..3 {
                let at = |y: usize, x: usize| f32::from(source[(y * width + x) * 3 + channel]);
                let [above, below] = rows.map(|row| {
                    let (left, right) = (at(row, columns[0]), at(row, columns[1]));
                    left + (right - left) * right_part
                });
                if let Some(value) = out.next() {
                    *value = (above + (below - above) * below_part).round() as u8;
                }
            }
        }
    }
}

/// Fills a rectangle with black.
pub(super) fn erase(pixels: &mut [u8], whole: Size, Rectangle { top, left, size }: Rectangle) {
    for row in pixels.chunks_exact_mut(whole.width * 3).skip(top).take(size.height) {
        row[left * 3..(left + size.width) * 3].fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::super::colour::{blur, brightness_contrast};
    use super::*;
    use crate::random::stream;

    const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/files/augmented");

    fn picture(name: &str) -> (Vec<u8>, Size) {
        let picture = image::open(format!("{FILES}/{name}.png")).unwrap().into_rgb8();
        let size = Size { height: picture.height() as usize, width: picture.width() as usize };
        (picture.into_raw(), size)
    }

    /// The largest and the mean difference from what albumentations made with the same parameters.
    fn difference(name: &str, change: impl Fn(&mut [u8], Size)) -> (u8, f64) {
        let (mut pixels, size) = picture("input");
        change(&mut pixels, size);
        let (expected, _) = picture(name);
        let offsets = pixels.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b));
        (offsets.clone().max().unwrap(), offsets.map(f64::from).sum::<f64>() / pixels.len() as f64)
    }

    #[test]
    fn each_change_is_albumentations() {
        assert_eq!(difference("brightness", |pixels, _| brightness_contrast(pixels, -0.11, 0.17)).0, 0);
        for side in [3, 5, 7] {
            assert_eq!(difference(&format!("blur{side}"), |pixels, size| blur(pixels, size, side)).0, 0);
        }
        let crop = Rectangle { top: 7, left: 13, size: Size { height: 33, width: 40 } };
        assert!(difference("crop", |pixels, size| resize_crop(pixels, size, crop)).0 <= 1);
        let affine = [([0.05, -0.03], 1.08, 17.0), ([-0.06, 0.02], 0.93, -40.0), ([0.0625, 0.0], 1.0, 0.0)];
        for (number, (shift, scale, degrees)) in affine.into_iter().enumerate() {
            let name = format!("affine{number}");
            let (most, mean) =
                difference(&name, |pixels, size| shift_scale_rotate(pixels, size, shift, scale, degrees));
            assert!(most <= 1 && mean < 0.01, "{name}: {most}, {mean}");
        }
    }

    #[test]
    fn rectangles_have_the_set_area_and_aspect_ratio() {
        let whole = Size { height: 200, width: 300 };
        for sample in 0..200 {
            let mut random = stream(1, "augment", 0, sample);
            let rectangle = random_rectangle(whole, [0.1, 0.3], [0.5, 2.0], &mut random).unwrap();
            let area = rectangle.size.pixels() as f32 / whole.pixels() as f32;
            let aspect = rectangle.size.width as f32 / rectangle.size.height as f32;
            assert!((0.095..0.305).contains(&area) && (0.48..2.1).contains(&aspect), "{rectangle:?}");
            let Rectangle { top, left, size } = rectangle;
            assert!(top + size.height <= 200 && left + size.width <= 300);
        }
        // A rectangle wider than the image does not fit; the centre is used instead.
        let thin = Size { height: 100, width: 10 };
        assert_eq!(random_rectangle(thin, [0.9, 1.0], [1.0, 1.0], &mut stream(1, "augment", 0, 0)), None);
        assert_eq!(central_rectangle(thin, [1.0, 1.0]), Rectangle { top: 45, left: 0, size: Size::square(10) });
        let (mut black, size) = (vec![9; 4 * 5 * 3], Size { height: 4, width: 5 });
        erase(&mut black, size, Rectangle { top: 1, left: 2, size: Size { height: 2, width: 3 } });
        assert_eq!(black.iter().filter(|&&value| value == 0).count(), 2 * 3 * 3);
        assert_eq!(black[(5 + 2) * 3], 0);
    }
}
