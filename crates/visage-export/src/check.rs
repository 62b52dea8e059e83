//! The comparison of an export with its model, on sample images.

use std::path::Path;

use rand::RngExt;
use visage_data::random::stream;
use visage_data::{Preparation, Size};
use visage_judge::sigmoid;

use crate::error::ExportError;

/// The largest difference of a probability that rounding explains.
pub const TOLERANCE: f32 = 1e-4;

/// The largest differences between the outputs of an export and of its model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Agreement {
    /// The number of sample images.
    pub images: usize,
    /// The largest absolute difference of a logit.
    pub logit: f32,
    /// The largest absolute difference of a probability.
    pub probability: f32,
}

impl Agreement {
    /// Accepts differences within [`TOLERANCE`].
    pub(crate) fn accepted(self, path: &Path) -> Result<Self, ExportError> {
        // Also false for NaN.
        if self.probability <= TOLERANCE {
            Ok(self)
        } else {
            let (probability, allowed) = (self.probability, TOLERANCE);
            Err(ExportError::Disagrees { path: path.to_owned(), probability, allowed })
        }
    }
}

/// The pixels of four sample images, RGB bytes, and their number: noise, which excites every filter, a smooth image, black and white.
pub(crate) fn sample_pixels(preparation: &Preparation) -> (Vec<u8>, usize) {
    let Size { height, width } = preparation.output_size();
    let mut random = stream(0, "export check", 0, 0);
    let mut pixels: Vec<u8> = (0..height * width * 3).map(|_| random.random()).collect();
    for y in 0..height {
        for x in 0..width {
            // Waves of another frequency in each channel.
            let wave = |frequency: f32| {
                (x as f32 / width as f32 * frequency).sin() * (y as f32 / height as f32 * frequency).cos()
            };
            pixels.extend([5.0, 9.0, 13.0].map(|frequency| (127.5 + 127.5 * wave(frequency)) as u8));
        }
    }
    pixels.extend(std::iter::repeat_n(0, height * width * 3));
    pixels.extend(std::iter::repeat_n(255, height * width * 3));
    (pixels, 4)
}

/// The largest differences between a model's and an export's logits of the same images, and between their sigmoids.
pub(crate) fn compare_logits(images: usize, model: &[f32], export: &[f32]) -> Agreement {
    let difference = |of: fn(f32) -> f32| largest(model.iter().zip(export).map(|(&a, &b)| (of(a) - of(b)).abs()));
    Agreement { images, logit: difference(|logit| logit), probability: difference(sigmoid) }
}

/// The largest of non-negative values, or NaN if one of them is NaN.
pub(crate) fn largest(values: impl Iterator<Item = f32>) -> f32 {
    values.fold(0.0, |largest, value| if value.is_nan() || value > largest { value } else { largest })
}
