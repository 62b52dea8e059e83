//! Aligning a face as CelebA's authors aligned theirs: the similarity that takes the eyes and the middle of the mouth, in the
//! sense of least squares, to fixed places in a picture of 178x218.
//!
//! Places and procedure: `align_face_celeba.m` of Ziwei Liu's `mobile-id`
//! (<https://github.com/liuziwei7/mobile-id>). Colours are interpolated by the bicubic kernel of MATLAB (Keys, "Cubic Convolution
//! Interpolation for Digital Image Processing", 1981, a = -0.5); the border is replicated.

use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::size::Size;

/// A point in pixels: x to the right, y down; the centre of the first pixel is (0.5, 0.5).
pub type Point = [f64; 2];

/// How the faces lie in the images that a network sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alignment {
    /// Anyhow: images are used as they are.
    None,
    /// Eyes and mouth in the places of CelebA's aligned images.
    Celeba,
}

/// Eyes and mouth of a face, in pixels of the image. Left and right are the image's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Landmarks {
    /// The middle of the left eye.
    pub left_eye: Point,
    /// The middle of the right eye.
    pub right_eye: Point,
    /// The left corner of the mouth.
    pub left_mouth: Point,
    /// The right corner of the mouth.
    pub right_mouth: Point,
}

impl Landmarks {
    /// The middle of the mouth.
    #[must_use]
    pub fn mouth(&self) -> Point {
        [0, 1].map(|axis| (self.left_mouth[axis] + self.right_mouth[axis]) / 2.0)
    }
}

/// Width and height of an aligned face.
pub const ALIGNED_SIZE: [u32; 2] = [178, 218];

/// Where the eyes and the middle of the mouth go, by the centres of pixels from 0.
const TEMPLATE: [Point; 3] = [[69.745, 111.0], [107.237, 111.0], [88.432, 152.514]];

/// A similarity: rotation, scale and translation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Similarity {
    /// The first row of the matrix is (`a`, -`b`), the second (`b`, `a`).
    a: f64,
    b: f64,
    shift: Point,
}

impl Similarity {
    /// The similarity that takes `from` closest to `to`, in the sense of least squares. `None` if all points of `from` are one.
    #[must_use]
    pub fn between(from: &[Point], to: &[Point]) -> Option<Self> {
        let mean = |points: &[Point]| -> Point {
            [0, 1].map(|axis| points.iter().map(|point| point[axis]).sum::<f64>() / points.len() as f64)
        };
        let (centre, target) = (mean(from), mean(to));
        let (mut a, mut b, mut square) = (0.0, 0.0, 0.0);
        for (from, to) in from.iter().zip(to) {
            let [x, y] = [from[0] - centre[0], from[1] - centre[1]];
            let [u, v] = [to[0] - target[0], to[1] - target[1]];
            a += x * u + y * v;
            b += x * v - y * u;
            square += x * x + y * y;
        }
        if square.is_nan() || square <= 0.0 {
            return None;
        }
        let (a, b) = (a / square, b / square);
        let shift = [target[0] - a * centre[0] + b * centre[1], target[1] - b * centre[0] - a * centre[1]];
        Some(Similarity { a, b, shift })
    }

    /// The similarity that aligns a face. Landmarks are in pixels whose first centre is (0.5, 0.5), the template's is (0, 0).
    #[must_use]
    pub fn aligning(landmarks: &Landmarks) -> Option<Self> {
        let from = [landmarks.left_eye, landmarks.right_eye, landmarks.mouth()].map(|[x, y]| [x - 0.5, y - 0.5]);
        Self::between(&from, &TEMPLATE).filter(|similarity| similarity.scale() > 0.0)
    }

    /// The point that a point goes to.
    #[must_use]
    pub fn apply(&self, [x, y]: Point) -> Point {
        [self.a * x - self.b * y + self.shift[0], self.b * x + self.a * y + self.shift[1]]
    }

    /// How much longer distances become.
    #[must_use]
    pub fn scale(&self) -> f64 {
        self.a.hypot(self.b)
    }

    /// The similarity of the opposite direction.
    #[must_use]
    pub fn inverse(&self) -> Self {
        let square = self.a * self.a + self.b * self.b;
        let (a, b) = (self.a / square, -self.b / square);
        let [x, y] = self.shift;
        Similarity { a, b, shift: [-a * x + b * y, -b * x - a * y] }
    }
}

/// The aligned face: 178 pixels wide and 218 high. `None` if the landmarks are one point.
#[must_use]
pub fn align(image: &RgbImage, landmarks: &Landmarks) -> Option<RgbImage> {
    Some(Similarity::aligning(landmarks)?.aligned(image))
}

/// Whether an image has the proportions of an aligned face, as a multiple or a fraction of its size may have them.
pub(crate) fn has_aligned_shape(size: Size) -> bool {
    let [width, height] = ALIGNED_SIZE.map(|side| side as usize);
    // A side may be rounded by less than a pixel.
    (size.width * height).abs_diff(size.height * width) <= width.max(height)
}

/// Whether eyes and mouth in an image of this size are where an aligned face of this size has them, as nearly as annotators place
/// them.
pub(crate) fn is_in_place(landmarks: &Landmarks, size: Size) -> bool {
    /// In pixels of 178x218. The standard deviation of CelebA's own landmarks is below 4.
    const NEAR: f64 = 20.0;
    let scale = f64::from(ALIGNED_SIZE[0]) / size.width as f64;
    let points = [landmarks.left_eye, landmarks.right_eye, landmarks.mouth()];
    points.iter().zip(TEMPLATE).all(|(point, place)| {
        let [x, y] = point.map(|at| at * scale - 0.5);
        (x - place[0]).hypot(y - place[1]) < NEAR
    })
}

impl Similarity {
    /// The picture of 178x218 that it makes of an image.
    #[must_use]
    pub fn aligned(&self, image: &RgbImage) -> RgbImage {
        let back = self.inverse();
        let source = Averaged::around(image, &back);
        let mut aligned = RgbImage::new(ALIGNED_SIZE[0], ALIGNED_SIZE[1]);
        for (x, y, pixel) in aligned.enumerate_pixels_mut() {
            let colour = source.bicubic(back.apply([f64::from(x), f64::from(y)]));
            pixel.0 = colour.map(|value| (value + 0.5).clamp(0.0, 255.0) as u8);
        }
        aligned
    }
}

/// The part of an image in which an aligned face lies; its pixels are averages of squares of the image's pixels.
struct Averaged {
    pixels: Vec<[f64; 3]>,
    /// The first and the last column and row, in squares.
    ends: [[i64; 2]; 2],
    /// The side of a square.
    square: usize,
}

impl Averaged {
    /// The part that `back` takes the pixels of the aligned face to.
    fn around(image: &RgbImage, back: &Similarity) -> Self {
        // Where the face shrinks more than twofold, squares of pixels are averaged first, so that no detail is passed by.
        // Squares larger than the image would be averages of its border.
        let longest = image.width().max(image.height()) as usize;
        let square = if back.scale() > 2.0 { (back.scale().round() as usize).min(longest) } else { 1 };
        let [right, bottom] = ALIGNED_SIZE.map(|side| f64::from(side - 1));
        let corners = [[0.0, 0.0], [right, 0.0], [0.0, bottom], [right, bottom]]
            .map(|corner| back.apply(corner).map(|at| in_squares(at, square).floor() as i64));
        let sizes = [image.width(), image.height()].map(i64::from);
        let ends = [0, 1].map(|axis| {
            let along = corners.map(|corner| corner[axis]);
            let (least, most) = along.iter().fold((i64::MAX, i64::MIN), |(a, b), &at| (a.min(at), b.max(at)));
            // All squares outside the image are as the one next to its border.
            let last = (sizes[axis] as usize).div_ceil(square) as i64;
            [least.saturating_sub(1), most.saturating_add(2)].map(|at| at.clamp(-1, last))
        });
        let [columns, rows] = ends.map(|[first, last]| first..=last);
        let pixels = rows.flat_map(|row| columns.clone().map(move |column| average(image, square as i64, column, row)));
        Averaged { pixels: pixels.collect(), ends, square }
    }

    /// The colour at a point of the image, whose first pixel has its centre at (0, 0).
    fn bicubic(&self, point: Point) -> [f64; 3] {
        let [x, y] = point.map(|at| in_squares(at, self.square));
        let ([column, row], [across, down]) = ([x.floor(), y.floor()], [cubic(x - x.floor()), cubic(y - y.floor())]);
        // The distance of the four columns, and of the four rows, from the first one.
        let around = |first: f64, [from, to]: [i64; 2]| {
            [-1, 0, 1, 2].map(|offset| ((first as i64).saturating_add(offset).clamp(from, to) - from) as usize)
        };
        let (columns, rows) = (around(column, self.ends[0]), around(row, self.ends[1]));
        let width = (self.ends[0][1] - self.ends[0][0] + 1) as usize;
        let mut colour = [0.0; 3];
        for (row, vertical) in rows.into_iter().zip(down) {
            let pixels = &self.pixels[row * width..][..width];
            for (column, horizontal) in columns.into_iter().zip(across) {
                let pixel = &pixels[column];
                colour.iter_mut().zip(pixel).for_each(|(colour, value)| *colour += vertical * horizontal * value);
            }
        }
        colour
    }
}

/// Where a position in pixels, whose first has its centre at 0, is in squares of pixels.
fn in_squares(at: f64, square: usize) -> f64 {
    (at + 0.5) / square as f64 - 0.5
}

/// The average of a square of pixels, which begins at a multiple of its side; the image's border is replicated.
fn average(image: &RgbImage, side: i64, column: i64, row: i64) -> [f64; 3] {
    let (width, height) = image.dimensions();
    let clamp = |at: i64, size: u32| at.clamp(0, i64::from(size) - 1) as u32;
    let mut sum = [0.0; 3];
    for y in row * side..(row + 1) * side {
        for x in column * side..(column + 1) * side {
            let pixel = image.get_pixel(clamp(x, width), clamp(y, height)).0;
            sum.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += f64::from(value));
        }
    }
    sum.map(|sum| sum / (side * side) as f64)
}

/// The weights of the four pixels around a position, `share` of the way from the second to the third.
fn cubic(share: f64) -> [f64; 4] {
    const A: f64 = -0.5;
    let near = |t: f64| ((A + 2.0) * t - (A + 3.0)) * t * t + 1.0;
    let far = |t: f64| ((A * t - 5.0 * A) * t + 8.0 * A) * t - 4.0 * A;
    [far(1.0 + share), near(share), near(1.0 - share), far(2.0 - share)]
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[test]
    fn a_similarity_is_found_and_inverted() {
        let turn = Similarity { a: 1.2, b: -0.7, shift: [5.0, -3.0] };
        let points = [[0.0, 0.0], [10.0, 1.0], [4.0, 9.0]];
        let found = Similarity::between(&points, &points.map(|point| turn.apply(point))).unwrap();
        for point in points {
            let back = found.inverse().apply(turn.apply(point));
            assert!((back[0] - point[0]).abs() + (back[1] - point[1]).abs() < 1e-9, "{back:?}");
        }
        assert!((found.scale() - 1.2f64.hypot(0.7)).abs() < 1e-9);
        assert_eq!(Similarity::between(&[[1.0, 1.0]; 3], &points), None);
    }

    #[test]
    fn a_face_in_its_place_stays_unchanged() {
        let image = RgbImage::from_fn(178, 218, |x, y| image::Rgb([x as u8, y as u8, (x * y % 251) as u8]));
        let [left_eye, right_eye, mouth] = TEMPLATE.map(|[x, y]| [x + 0.5, y + 0.5]);
        let landmarks = Landmarks {
            left_eye,
            right_eye,
            left_mouth: [mouth[0] - 17.0, mouth[1]],
            right_mouth: [mouth[0] + 17.0, mouth[1]],
        };
        assert_eq!(align(&image, &landmarks).unwrap(), image);
    }

    /// `tests/golden/make.py`.
    #[derive(Deserialize)]
    struct Golden {
        landmarks: Landmarks,
        points: Vec<[u32; 2]>,
        bicubic: Vec<[u8; 3]>,
        opencv: Vec<[u8; 3]>,
    }

    #[test]
    fn a_face_is_aligned_as_by_numpy_and_nearly_as_by_opencv() {
        let golden: Golden = serde_json::from_str(include_str!("../tests/golden/alignment.json")).unwrap();
        let image = RgbImage::from_fn(320, 240, |x, y| {
            let [x, y] = [x, y].map(f64::from);
            let wave = ((x + y) / 23.0).sin() * 30.0;
            let value = |c: f64| 127.0 + 90.0 * (x / 9.0 + c).sin() * (y / 7.0 - c).cos() + wave;
            image::Rgb([0.0, 1.0, 2.0].map(|c| value(c).round_ties_even().clamp(0.0, 255.0) as u8))
        });
        let aligned = align(&image, &golden.landmarks).unwrap();
        let mut far = 0;
        for ((point, ours), opencv) in golden.points.iter().zip(&golden.bicubic).zip(&golden.opencv) {
            let found = aligned.get_pixel(point[0], point[1]).0;
            for channel in 0..3 {
                assert!(found[channel].abs_diff(ours[channel]) <= 1, "{point:?}: {found:?} {ours:?}");
                // OpenCV's kernel is sharper, and its positions are rounded to 1/32 pixel.
                far = far.max(found[channel].abs_diff(opencv[channel]));
            }
        }
        assert!((1..=8).contains(&far), "{far}");
    }

    #[test]
    fn a_large_face_is_averaged_before_it_shrinks() {
        // Stripes of one pixel, eight times as large as the template: without averaging they would alias.
        let image = RgbImage::from_fn(1424, 1744, |x, _| image::Rgb([if x % 2 == 0 { 0 } else { 255 }; 3]));
        let [left_eye, right_eye, mouth] = TEMPLATE.map(|point| point.map(|at| (at + 0.5) * 8.0));
        let landmarks = Landmarks { left_eye, right_eye, left_mouth: mouth, right_mouth: mouth };
        let aligned = align(&image, &landmarks).unwrap();
        assert!(aligned.pixels().all(|pixel| pixel.0.iter().all(|value| (127..=128).contains(value))));
    }

    #[test]
    fn eyes_far_from_the_image_give_its_border() {
        let image = RgbImage::from_fn(40, 30, |x, _| image::Rgb([x as u8; 3]));
        let face = |x: f64, scale: f64| {
            let [left_eye, right_eye, mouth] = TEMPLATE.map(|[u, v]| [x + u * scale, v * scale]);
            Landmarks { left_eye, right_eye, left_mouth: mouth, right_mouth: mouth }
        };
        assert!(align(&image, &face(1e6, 1.0)).unwrap().pixels().all(|pixel| pixel.0 == [39; 3]));
        assert!(align(&image, &face(-1e12, 1e3)).unwrap().pixels().all(|pixel| pixel.0 == [0; 3]));
        assert!(align(&image, &face(0.0, 1e12)).is_some());
    }

    #[test]
    fn weights_sum_to_one_and_keep_pixels() {
        assert_eq!(cubic(0.0), [0.0, 1.0, 0.0, 0.0]);
        for share in [0.1, 0.5, 0.9] {
            assert!((cubic(share).iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
        // Keys: at the middle the inner weights are 9/16, the outer -1/16.
        assert_eq!(cubic(0.5), [-0.0625, 0.5625, 0.5625, -0.0625]);
    }
}
