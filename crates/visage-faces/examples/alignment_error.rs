//! How far aligned faces are from CelebA's own aligned copies of the same photographs.
//!
//! ```text
//! cargo run --release -p visage-faces --example alignment_error -- PHOTOGRAPHS CELEBA
//! ```
//!
//! PHOTOGRAPHS is a folder of original photographs under CelebA's numbers, CELEBA a dataset with some of them aligned, of any size.
//! Each of our aligned faces is registered on the official copy: the similarity is sought under which their grey values agree
//! best (Lucas and Kanade, "An Iterative Image Registration Technique", 1981). The error of a face is the distance that the
//! similarity moves the eyes and the mouth, in pixels of 178x218.

use std::collections::HashMap;
use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;

use image::imageops::{self, FilterType};
use image::{GrayImage, RgbImage};
use visage_data::{ALIGNED_SIZE, Dataset, Truncated, align, decode};
use visage_faces::{FaceFinder, Search, Store};

/// Where the eyes and the mouth are in an aligned face, in pixels whose first centre is (0, 0).
const POINTS: [[f64; 2]; 3] = [[69.745, 111.0], [107.237, 111.0], [88.432, 152.514]];
/// Steps of the registration at each scale.
const STEPS: usize = 40;
/// The blur at each scale, in pixels.
const BLURS: [f32; 3] = [6.0, 3.0, 1.5];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [photographs, celeba] = arguments.as_slice() else { return Err("name PHOTOGRAPHS and CELEBA".into()) };
    let dataset = Dataset::open(Path::new(celeba))?;
    let indices: HashMap<&str, usize> =
        dataset.samples().iter().enumerate().map(|(index, sample)| (sample.image.as_str(), index)).collect();
    let finder = FaceFinder::new(&Store::of_user()?)?;
    let mut errors = Vec::new();
    let (mut pairs, mut without) = (0, 0);
    for entry in fs::read_dir(photographs)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(&index) = indices.get(name) else { continue };
        pairs += 1;
        let official = decode(&dataset.encoded_image(index)?, Truncated::Refuse)?.image;
        let photograph = decode(&fs::read(&path)?, Truncated::Refuse)?.image;
        let faces = finder.find(&photograph, Search::default())?;
        // CelebA labels one face of a photograph, most often the largest: the one that resembles the copy.
        let registered =
            faces.iter().filter_map(|face| Some(register(&align(&photograph, &face.landmarks)?, &official)));
        match registered.min_by(|a, b| a.difference.total_cmp(&b.difference)) {
            Some(best) => errors.push(best.error()),
            None => without += 1,
        }
    }
    errors.sort_by(f64::total_cmp);
    let quantile = |share: f64| errors.get((share * errors.len() as f64) as usize).copied().unwrap_or(f64::NAN);
    println!(
        "{pairs} pairs, {without} without a face; error in pixels: median {:.2}, 90 % below {:.2}, 95 % below {:.2}",
        quantile(0.5),
        quantile(0.9),
        quantile(0.95)
    );
    Ok(())
}

/// A similarity near the identity: (1 + a, -b; b, 1 + a) and a shift, and the mean difference of grey values under it.
#[derive(Clone, Copy, Debug)]
struct Registration {
    a: f64,
    b: f64,
    shift: [f64; 2],
    difference: f64,
}

impl Registration {
    fn apply(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        [x + self.a * x - self.b * y + self.shift[0], y + self.b * x + self.a * y + self.shift[1]]
    }

    /// The mean distance that the points move.
    fn error(&self) -> f64 {
        let moved = POINTS.map(|point| {
            let to = self.apply(point);
            (to[0] - point[0]).hypot(to[1] - point[1])
        });
        moved.iter().sum::<f64>() / moved.len() as f64
    }
}

fn register(aligned: &RgbImage, official: &RgbImage) -> Registration {
    let [width, height] = ALIGNED_SIZE;
    let official = imageops::resize(official, width, height, FilterType::CatmullRom);
    let grey = |image: &RgbImage, blur: f32| imageops::blur(&imageops::grayscale(image), blur);
    let mut found = Registration { a: 0.0, b: 0.0, shift: [0.0; 2], difference: f64::INFINITY };
    for blur in BLURS {
        let (from, to) = (grey(aligned, blur), grey(&official, blur));
        for _ in 0..STEPS {
            found = step(&from, &to, found);
        }
    }
    found
}

/// One step of Gauss and Newton towards `to(point) = from(apply(point))`, with a gain and an offset of the grey values.
fn step(from: &GrayImage, to: &GrayImage, current: Registration) -> Registration {
    let (mut normal, mut right) = ([[0.0; 6]; 6], [0.0; 6]);
    let (mut difference, mut count) = (0.0, 0.0);
    // The middle of the face: the background need not agree.
    for y in (60..190).step_by(2) {
        for x in (40..140).step_by(2) {
            let point = [f64::from(x), f64::from(y)];
            let at = current.apply(point);
            let Some((value, slope)) = sample(from, at) else { continue };
            let residual = f64::from(to.get_pixel(x, y).0[0]) - value;
            let row = [
                slope[0] * point[0] + slope[1] * point[1],
                slope[1] * point[0] - slope[0] * point[1],
                slope[0],
                slope[1],
                value / 128.0,
                1.0,
            ];
            for (i, a) in row.iter().enumerate() {
                right[i] += a * residual;
                row.iter().enumerate().for_each(|(j, b)| normal[i][j] += a * b);
            }
            difference += residual.abs();
            count += 1.0;
        }
    }
    let Some([a, b, dx, dy, ..]) = solve(normal, right) else { return current };
    // Halved steps do not overshoot.
    let [a, b, dx, dy] = [a, b, dx, dy].map(|change| change / 2.0);
    let shift = [current.shift[0] + dx, current.shift[1] + dy];
    Registration { a: current.a + a, b: current.b + b, shift, difference: difference / f64::max(count, 1.0) }
}

/// The grey value at a point, and its slopes.
fn sample(image: &GrayImage, [x, y]: [f64; 2]) -> Option<(f64, [f64; 2])> {
    let (left, top) = (x.floor(), y.floor());
    if left < 1.0 || top < 1.0 || left + 3.0 > f64::from(image.width()) || top + 3.0 > f64::from(image.height()) {
        return None;
    }
    let (u, v) = (x - left, y - top);
    let pixel = |dx: u32, dy: u32| f64::from(image.get_pixel(left as u32 + dx, top as u32 + dy).0[0]);
    let [a, b, c, d] = [pixel(0, 0), pixel(1, 0), pixel(0, 1), pixel(1, 1)];
    let value = a * (1.0 - u) * (1.0 - v) + b * u * (1.0 - v) + c * (1.0 - u) * v + d * u * v;
    Some((value, [(b - a) * (1.0 - v) + (d - c) * v, (c - a) * (1.0 - u) + (d - b) * u]))
}

/// The solution of a small system of equations, by elimination.
fn solve<const N: usize>(mut matrix: [[f64; N]; N], mut right: [f64; N]) -> Option<[f64; N]> {
    for column in 0..N {
        let pivot = (column..N).max_by(|&a, &b| matrix[a][column].abs().total_cmp(&matrix[b][column].abs()))?;
        if matrix[pivot][column].abs() < 1e-9 {
            return None;
        }
        matrix.swap(column, pivot);
        right.swap(column, pivot);
        for row in column + 1..N {
            let factor = matrix[row][column] / matrix[column][column];
            let above = matrix[column];
            matrix[row].iter_mut().zip(above).for_each(|(value, above)| *value -= factor * above);
            right[row] -= factor * right[column];
        }
    }
    let mut solution = [0.0; N];
    for row in (0..N).rev() {
        let known: f64 = (row + 1..N).map(|column| matrix[row][column] * solution[column]).sum();
        solution[row] = (right[row] - known) / matrix[row][row];
    }
    Some(solution)
}
