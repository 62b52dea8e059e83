//! Measures the time to find near-duplicates: `cargo run --release -p visage-data --example
//! duplicates_time -- [IMAGES]`, by default among 200,000.
//!
//! Aligned faces look similar, so that the bits of their hashes are far from independent. These images are similar too: a common
//! image plus a few random waves. One in a thousand has a duplicate.

use std::time::Instant;

use rand::RngExt;
use visage_data::duplicates::{Thumbnail, duplicates};
use visage_data::random::stream;

/// The number of images that are also compared pairwise.
const PAIRWISE: usize = 20_000;

fn main() {
    let images = std::env::args().nth(1).and_then(|images| images.parse().ok()).unwrap_or(200_000);
    let mut thumbnails: Vec<Thumbnail> = (0..images).map(|image| thumbnail(image as u64)).collect();
    for copy in 0..images / 1000 {
        thumbnails[images - 1 - copy] = thumbnails[copy * 7].clone();
    }
    let began = Instant::now();
    let found = duplicates(&thumbnails);
    println!("{images} images: {:.2} s, {} pairs", began.elapsed().as_secs_f64(), found.len());

    let few = &thumbnails[..PAIRWISE.min(images)];
    let began = Instant::now();
    let pairs = (0..few.len()).flat_map(|first| (first + 1..few.len()).map(move |second| (first, second)));
    let pairwise = pairs.filter(|&(first, second)| few[first].compare(&few[second]).is_some()).count();
    let seconds = began.elapsed().as_secs_f64();
    let all = seconds * (images as f64 / few.len() as f64).powi(2);
    println!("pairwise, {} images on one thread: {seconds:.2} s, or {all:.0} s for all images", few.len());
    assert_eq!(duplicates(few).len(), pairwise);
}

/// A thumbnail similar to a face's, 16 x 17 pixels.
fn thumbnail(image: u64) -> Thumbnail {
    let mut random = stream(1, "duplicates", 0, image);
    let mut draw = |most: f64| most * random.random::<f64>();
    let own = [30.0, 20.0, 15.0, 10.0, 10.0].map(|amplitude| Wave {
        amplitude,
        across: draw(12.0),
        up: draw(12.0),
        phase: draw(2.0 * std::f64::consts::PI),
    });
    let mut pixels = Vec::with_capacity(16 * 17 * 3);
    for y in 0..16 {
        for x in 0..17 {
            let (across, up) = (f64::from(x) / 16.0, f64::from(y) / 15.0);
            let common = 60.0 * (std::f64::consts::PI * across).sin() * (std::f64::consts::PI * up).sin();
            let own: f64 = own.iter().map(|wave| wave.at(across, up)).sum();
            let grey = (100.0 + common + own).clamp(0.0, 255.0) as u8;
            pixels.extend([grey; 3]);
        }
    }
    Thumbnail::new(&pixels)
}

/// A plane wave with an amplitude in grey values.
struct Wave {
    amplitude: f64,
    across: f64,
    up: f64,
    phase: f64,
}

impl Wave {
    fn at(&self, x: f64, y: f64) -> f64 {
        self.amplitude * (self.across * x + self.up * y + self.phase).sin()
    }
}
