//! The comparison of a graph with its model, by the interpreter.

use burn::tensor::Device;
use visage_data::{Preparation, Size};
use visage_model::{Model, Precision, Predictor};

use super::execute::Session;
use super::graph::PixelInput;
use super::tensor::{Array, Values};
use crate::check::{Agreement, compare_logits, largest, sample_pixels};
use crate::error::GraphError;

/// Prepared pixels as the input of a graph.
pub(super) fn graph_input(preparation: &Preparation, input: PixelInput, pixels: &[u8], images: usize) -> Array {
    let Size { height, width } = preparation.output_size();
    match input {
        PixelInput::Raw | PixelInput::AnySize => {
            Array { shape: vec![images, height, width, 3], values: Values::Uint8(pixels.to_vec()) }
        }
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

/// The outputs of a graph for prepared pixels: probabilities and logits, each `[images, attributes]`, row-major.
pub(super) fn graph_outputs(
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

/// Compares a graph with its model on sample images.
///
/// The graph's probabilities are compared with the model's calibration of the graph's own logits: where an isotonic curve is steep,
/// two logits that differ by rounding may have probabilities that differ by more.
pub(super) fn compare_graph(
    model: &Model,
    session: &Session,
    input: PixelInput,
    device: &Device,
) -> Result<Agreement, GraphError> {
    let card = &model.card;
    let (pixels, images) = sample_pixels(&card.preparation);
    let (probabilities, logits) = graph_outputs(session, &card.preparation, input, &pixels, images)?;
    let expected = Predictor::new(model, device, Precision::F32).logits(&pixels);
    if logits.len() != expected.len() || probabilities.len() != expected.len() {
        let reason = format!("it has {} logits instead of {}", logits.len(), expected.len());
        return Err(GraphError::NotOnnx(reason));
    }
    let agreement = compare_logits(images, &expected, &logits);
    let calibrated = visage_judge::probabilities(card.calibration.as_ref(), &logits);
    let calibration = largest(calibrated.iter().zip(&probabilities).map(|(a, b)| (a - b).abs()));
    Ok(Agreement { probability: largest([agreement.probability, calibration].into_iter()), ..agreement })
}
