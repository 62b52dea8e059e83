//! Changes to where pixels are.

use rand::{Rng, RngExt};

use super::colour::mirrored;
use crate::size::Size;

/// Draws of a part before it is given up, as in torchvision and albumentations.
const ATTEMPTS: usize = 10;

/// A part of an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Part {
    pub(super) top: usize,
    pub(super) left: usize,
    pub(super) size: Size,
}

/// A part of random area (`scale`, as parts of the whole) and aspect (`ratio`, width over height, even in the logarithm)
/// in a random place; `None` where none fitted.
pub(super) fn random_part(whole: Size, scale: [f32; 2], ratio: [f32; 2], random: &mut impl Rng) -> Option<Part> {
    for _ in 0..ATTEMPTS {
        let area = between(scale, random) * whole.pixels() as f32;
        let aspect = between(ratio.map(f32::ln), random).exp();
        let width = (area * aspect).sqrt().round() as usize;
        let height = (area / aspect).sqrt().round() as usize;
        if (1..=whole.width).contains(&width) && (1..=whole.height).contains(&height) {
            let top = random.random_range(0..=whole.height - height);
            let left = random.random_range(0..=whole.width - width);
            return Some(Part { top, left, size: Size { height, width } });
        }
    }
    None
}

/// The largest part in the centre with an aspect within `ratio`.
pub(super) fn centre(whole: Size, [narrowest, widest]: [f32; 2]) -> Part {
    let Size { height, width } = whole;
    let aspect = width as f32 / height as f32;
    let (height_of_part, width_of_part) = if aspect < narrowest {
        ((width as f32 / narrowest).round() as usize, width)
    } else if aspect > widest {
        (height, (height as f32 * widest).round() as usize)
    } else {
        (height, width)
    };
    let size = Size { height: height_of_part.clamp(1, height), width: width_of_part.clamp(1, width) };
    Part { top: (height - size.height) / 2, left: (width - size.width) / 2, size }
}

fn between([low, high]: [f32; 2], random: &mut impl Rng) -> f32 {
    low + (high - low) * random.random::<f32>()
}

/// Makes a part the whole, between the four nearest pixels of it.
pub(super) fn resize_part(pixels: &mut [u8], whole: Size, part: Part) {
    let source = pixels.to_vec();
    // The two nearest pixels along a side, and how much the second counts.
    let nearest = |to: usize, length: usize, from: usize, first: usize| -> Vec<(usize, usize, f32)> {
        let ratio = from as f32 / length as f32;
        (0..to)
            .map(|place| {
                let place = ((place as f32 + 0.5) * ratio - 0.5).clamp(0.0, (from - 1) as f32);
                let low = place as usize;
                (first + low, first + (low + 1).min(from - 1), place - low as f32)
            })
            .collect()
    };
    let columns = nearest(whole.width, whole.width, part.size.width, part.left);
    let rows = nearest(whole.height, whole.height, part.size.height, part.top);
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

/// Turns by `degrees` against the clock and grows by `scale` about the centre, then shifts by parts of the width and the
/// height; edges are mirrored. As OpenCV's `getRotationMatrix2D` and `warpAffine` do it.
pub(super) fn shift_scale_rotate(pixels: &mut [u8], size: Size, [across, down]: [f32; 2], scale: f32, degrees: f32) {
    let Size { height, width } = size;
    let source = pixels.to_vec();
    let (centre_x, centre_y) = (width as f32 / 2.0 - 0.5, height as f32 / 2.0 - 0.5);
    let (sine, cosine) = degrees.to_radians().sin_cos();
    let (shift_x, shift_y) = (across * width as f32, down * height as f32);
    let mut out = pixels.iter_mut();
    for y in 0..height {
        for x in 0..width {
            // Backwards: unshifted, unturned, shrunk.
            let (dx, dy) = (x as f32 - centre_x - shift_x, y as f32 - centre_y - shift_y);
            let from_x = (cosine * dx - sine * dy) / scale + centre_x;
            let from_y = (sine * dx + cosine * dy) / scale + centre_y;
            let (left, top) = (from_x.floor(), from_y.floor());
            let (right_part, below_part) = (from_x - left, from_y - top);
            let columns = [left as isize, left as isize + 1].map(|x| mirrored(x, width));
            let rows = [top as isize, top as isize + 1].map(|y| mirrored(y, height));
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

/// Makes a part black.
pub(super) fn erase(pixels: &mut [u8], whole: Size, Part { top, left, size }: Part) {
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
        let part = Part { top: 7, left: 13, size: Size { height: 33, width: 40 } };
        assert!(difference("crop", |pixels, size| resize_part(pixels, size, part)).0 <= 1);
        let affine = [([0.05, -0.03], 1.08, 17.0), ([-0.06, 0.02], 0.93, -40.0), ([0.0625, 0.0], 1.0, 0.0)];
        for (number, (shift, scale, degrees)) in affine.into_iter().enumerate() {
            let name = format!("affine{number}");
            let (most, mean) =
                difference(&name, |pixels, size| shift_scale_rotate(pixels, size, shift, scale, degrees));
            assert!(most <= 1 && mean < 0.01, "{name}: {most}, {mean}");
        }
    }

    #[test]
    fn parts_have_the_area_and_the_aspect_asked_for() {
        let whole = Size { height: 200, width: 300 };
        for sample in 0..200 {
            let mut random = stream(1, "augment", 0, sample);
            let part = random_part(whole, [0.1, 0.3], [0.5, 2.0], &mut random).unwrap();
            let area = part.size.pixels() as f32 / whole.pixels() as f32;
            let aspect = part.size.width as f32 / part.size.height as f32;
            assert!((0.095..0.305).contains(&area) && (0.48..2.1).contains(&aspect), "{part:?}");
            assert!(part.top + part.size.height <= 200 && part.left + part.size.width <= 300);
        }
        // A part wider than the whole is given up, and the centre taken.
        let thin = Size { height: 100, width: 10 };
        assert_eq!(random_part(thin, [0.9, 1.0], [1.0, 1.0], &mut stream(1, "augment", 0, 0)), None);
        assert_eq!(centre(thin, [1.0, 1.0]), Part { top: 45, left: 0, size: Size::square(10) });
        let (mut black, size) = (vec![9; 4 * 5 * 3], Size { height: 4, width: 5 });
        erase(&mut black, size, Part { top: 1, left: 2, size: Size { height: 2, width: 3 } });
        assert_eq!(black.iter().filter(|&&value| value == 0).count(), 2 * 3 * 3);
        assert_eq!(black[(5 + 2) * 3], 0);
    }
}
