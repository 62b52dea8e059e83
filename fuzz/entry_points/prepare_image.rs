//! Reads any bytes as an image file: pixels of the requested size, or an error.
use visage_data::{Filter, Preparation, Resize, Size};

pub fn run(encoded: &[u8]) {
    let exact = Preparation::exact(Size { height: 20, width: 24 });
    let cropped = Preparation {
        resize: Resize::ShorterSide(18),
        filter: Filter::default(),
        crop: Some(Size { height: 16, width: 17 }),
        mean: [0.5; 3],
        std: [0.5; 3],
    };
    for (preparation, length) in [(exact, 20 * 24 * 3), (cropped, 16 * 17 * 3)] {
        if let Ok(pixels) = preparation.pixels(encoded) {
            assert_eq!(pixels.len(), length);
        }
    }
}
