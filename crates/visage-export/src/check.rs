//! Whether what was written answers as the model does.

use std::path::Path;

use burn::tensor::Device;
use rand::RngExt;
use visage_data::random::stream;
use visage_data::{Preparation, Size};
use visage_judge::sigmoid;
use visage_model::{Model, Precision, Predictor};

use crate::error::{ExportError, GraphError};
use crate::onnx::{Array, PixelInput, Session, Values};

/// The largest difference of a probability that is rounding.
pub const TOLERANCE: f32 = 1e-4;

/// How far a written file's answers are from the model's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Agreement {
    /// Sample images that both were asked about.
    pub images: usize,
    /// The largest difference of a logit.
    pub logit: f32,
    /// The largest difference of a probability.
    pub probability: f32,
}

impl Agreement {
    /// This, where it is rounding.
    ///
    /// # Errors
    ///
    /// [`ExportError::Disagrees`] about the file `path` where it is more.
    pub fn accepted(self, path: &Path) -> Result<Self, ExportError> {
        // Also false of what is no number.
        if self.probability <= TOLERANCE {
            Ok(self)
        } else {
            let (probability, allowed) = (self.probability, TOLERANCE);
            Err(ExportError::Disagrees { path: path.to_owned(), probability, allowed })
        }
    }
}

/// Prepared images to ask about, and how many: noise, which every filter answers to, a smooth one, black and white.
#[must_use]
pub fn sample_pixels(preparation: &Preparation) -> (Vec<u8>, usize) {
    let Size { height, width } = preparation.output_size();
    let mut random = stream(0, "export check", 0, 0);
    let mut pixels: Vec<u8> = (0..height * width * 3).map(|_| random.random()).collect();
    for y in 0..height {
        for x in 0..width {
            // Hills of another length in each colour.
            let hill =
                |length: f32| (x as f32 / width as f32 * length).sin() * (y as f32 / height as f32 * length).cos();
            pixels.extend([5.0, 9.0, 13.0].map(|length| (127.5 + 127.5 * hill(length)) as u8));
        }
    }
    pixels.extend(std::iter::repeat_n(0, height * width * 3));
    pixels.extend(std::iter::repeat_n(255, height * width * 3));
    (pixels, 4)
}

/// How far apart two lists of logits of the same images are.
#[must_use]
pub fn logit_differences(images: usize, ours: &[f32], theirs: &[f32]) -> Agreement {
    let largest = |of: fn(f32) -> f32| largest(ours.iter().zip(theirs).map(|(&a, &b)| (of(a) - of(b)).abs()));
    Agreement { images, logit: largest(|logit| logit), probability: largest(sigmoid) }
}

/// The largest of some numbers; not a number if one of them is none.
fn largest(values: impl Iterator<Item = f32>) -> f32 {
    values.fold(0.0, |largest, value| if value.is_nan() || value > largest { value } else { largest })
}

/// Images as a graph takes them, from prepared pixels.
#[must_use]
pub fn graph_input(preparation: &Preparation, input: PixelInput, pixels: &[u8], images: usize) -> Array {
    let Size { height, width } = preparation.output_size();
    match input {
        PixelInput::Raw => Array { shape: vec![images, height, width, 3], values: Values::Uint8(pixels.to_vec()) },
        PixelInput::Normalised => {
            let mut rows = vec![0.0; pixels.len()];
            preparation.normalise(pixels, &mut rows);
            let mut planes = vec![0.0; rows.len()];
            let positions = height * width;
            for (planes, rows) in planes.chunks_mut(3 * positions).zip(rows.chunks(3 * positions)) {
                for (position, pixel) in rows.chunks(3).enumerate() {
                    for (channel, &value) in pixel.iter().enumerate() {
                        planes[channel * positions + position] = value;
                    }
                }
            }
            Array::floats([images, 3, height, width], planes)
        }
    }
}

/// What a graph answers to prepared pixels: probabilities and logits, both row-major, `images x attributes`.
///
/// # Errors
///
/// [`GraphError`] where the graph cannot be computed.
pub fn graph_answers(
    session: &Session,
    preparation: &Preparation,
    input: PixelInput,
    pixels: &[u8],
    images: usize,
) -> Result<(Vec<f32>, Vec<f32>), GraphError> {
    let outputs = session.run(graph_input(preparation, input, pixels, images))?;
    let mut outputs = outputs.into_iter().map(|array| match array.values {
        Values::Float(values) => Ok(values),
        _ => Err(GraphError::NotOnnx("an output is not float".to_owned())),
    });
    let mut next = || outputs.next().unwrap_or_else(|| Err(GraphError::NotOnnx("an output is missing".to_owned())));
    Ok((next()?, next()?))
}

/// How far a graph's answers to sample images are from the model's.
///
/// Logits are compared with logits, and probabilities with those that the model's calibration makes of the graph's logits:
/// where an isotonic curve is steep, two logits that differ by rounding may have probabilities that differ by more.
///
/// # Errors
///
/// [`GraphError`] where the graph cannot be computed.
pub fn graph_agreement(
    model: &Model,
    session: &Session,
    input: PixelInput,
    device: &Device,
) -> Result<Agreement, GraphError> {
    let card = &model.card;
    let (pixels, images) = sample_pixels(&card.preparation);
    let (probabilities, theirs) = graph_answers(session, &card.preparation, input, &pixels, images)?;
    let ours = Predictor::new(model, device, Precision::F32).logits(&pixels);
    if theirs.len() != ours.len() || probabilities.len() != ours.len() {
        return Err(GraphError::NotOnnx(format!("it gives {} answers for {}", theirs.len(), ours.len())));
    }
    let agreement = logit_differences(images, &ours, &theirs);
    let calibrated = visage_judge::probabilities(card.calibration.as_ref(), &theirs);
    let calibration = largest(calibrated.iter().zip(&probabilities).map(|(ours, theirs)| (ours - theirs).abs()));
    Ok(Agreement { probability: largest([agreement.probability, calibration].into_iter()), ..agreement })
}
