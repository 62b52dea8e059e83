//! Reads any bytes as an image file, cut short or not: pixels of the requested size, or an error.
use visage_data::{Filter, Preparation, Resize, Size, Truncated};

pub fn run(encoded: &[u8]) {
    let exact = Preparation::exact(Size { height: 20, width: 24 });
    let cropped = Preparation {
        resize: Resize::ShorterSide(18),
        filter: Filter::default(),
        crop: Some(Size { height: 16, width: 17 }),
        mean: [0.5; 3],
        std: [0.5; 3],
        alignment: None,
    };
    for (preparation, length) in [(exact, 20 * 24 * 3), (cropped, 16 * 17 * 3)] {
        let whole = preparation.prepare(encoded, Truncated::Refuse);
        let any = preparation.prepare(encoded, Truncated::Accept);
        for prepared in [&whole, &any].into_iter().flatten() {
            assert_eq!(prepared.pixels.len(), length);
        }
        // What is accepted only when cut short is reported as such.
        assert_eq!(whole.is_ok(), any.is_ok_and(|prepared| !prepared.is_truncated));
    }
}
