//! Export as an ONNX graph in int8, and its cost: the quantised model evaluated beside the model in float.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use prost::Message;
use visage_data::{Dataset, Preparation};
use visage_judge::{Evaluation, Predictions, ThresholdRule, Thresholds, evaluate};
use visage_model::{Model, Precision, Predictor};
use visage_run::predict::{Images, predictions};

use super::check::{compare_graph, graph_input, graph_outputs};
use super::execute::Session;
use super::graph::{PixelInput, model_proto};
use super::quantise::quantised;
use super::ranges::Ranges;
use super::{decode, require_resizable, write_bytes};
use crate::error::ExportError;

/// Images that ranges are taken from: with more, they hardly change.
const CALIBRATION_IMAGES: usize = 256;
const BATCH_SIZE: usize = 32;

/// A model as an ONNX graph in int8, ready to be evaluated and written.
#[derive(Debug)]
pub struct Int8 {
    bytes: Vec<u8>,
    session: Session,
    input: PixelInput,
    preparation: Preparation,
}

/// A model in float and in int8, evaluated on the same images.
#[derive(Clone, Debug, PartialEq)]
pub struct Int8Cost {
    /// The model in float.
    pub float: Evaluation,
    /// The model in int8.
    pub int8: Evaluation,
    /// Mean absolute difference of a probability.
    pub mean_difference: f64,
    /// Largest absolute difference of a probability.
    pub max_difference: f64,
}

impl Int8 {
    /// Quantises `model` to int8. The ranges of activations are determined on some of the images `indices` of `dataset`, evenly
    /// spaced. Also returns how many were used. The graph in f32 is first compared with the model.
    ///
    /// # Errors
    ///
    /// [`ExportError::Disagrees`] for `path`, the file that is to be written; [`ExportError::Graph`]; or an image that cannot be
    /// read.
    pub fn calibrated(
        model: &Model,
        input: PixelInput,
        dataset: &Dataset,
        indices: &[usize],
        path: &Path,
        device: &Device,
    ) -> Result<(Self, usize), ExportError> {
        let preparation = model.card.preparation.clone();
        require_resizable(&preparation, input)?;
        let images = CALIBRATION_IMAGES.min(indices.len());
        let mut pixels = Vec::new();
        for index in (0..images).map(|image| indices[image * indices.len() / images]) {
            pixels.extend(dataset.pixels(index, &preparation)?);
        }
        let float = model_proto(model, input);
        let session = Session::new(&float)?;
        compare_graph(model, &session, input, device)?.accepted(path)?;
        let image = preparation.output_size().pixels() * 3;
        let batches = pixels.chunks(BATCH_SIZE * image);
        let batches: Vec<_> =
            batches.map(|pixels| graph_input(&preparation, input, pixels, pixels.len() / image)).collect();
        let bytes = quantised(&float, &Ranges::observe(&session, &batches)?)?.encode_to_vec();
        // Evaluate what is in the file.
        let session = Session::new(&decode(&bytes)?)?;
        Ok((Self { bytes, session, input, preparation }, images))
    }

    /// Evaluates `model` in float and in int8 on the images `indices` of `dataset`, at its own thresholds. `progress` is called with
    /// the number of images done, twice `indices` in all.
    ///
    /// # Errors
    ///
    /// An attribute that the dataset lacks, an image that cannot be read, or a graph that cannot be computed.
    pub fn cost(
        &self,
        model: &Model,
        dataset: &Arc<Dataset>,
        indices: &[usize],
        device: &Device,
        mut progress: impl FnMut(usize),
    ) -> Result<Int8Cost, ExportError> {
        let card = &model.card;
        let predictor = Predictor::new(model, device, Precision::F32);
        let float = predictions(&predictor, dataset, indices.to_vec(), BATCH_SIZE, &mut progress)?;
        let images = Images {
            attributes: &card.attributes,
            wanted: None,
            preparation: &card.preparation,
            dataset,
            indices: indices.to_vec(),
            batch_size: BATCH_SIZE,
        };
        let graph = |pixels: &[u8], images: usize| -> Result<_, ExportError> {
            Ok(graph_outputs(&self.session, &self.preparation, self.input, pixels, images)?.0)
        };
        let outputs = images.outputs(graph, |done| progress(indices.len() + done))?;
        let int8 = Predictions::new(card.attributes.clone(), outputs.labels, outputs.outputs)?
            .with_targets(outputs.targets)?;

        let pairs = float.probabilities().iter().zip(int8.probabilities());
        let differences = pairs.map(|(a, b)| f64::from((a - b).abs()));
        let thresholds = Thresholds { rule: ThresholdRule::Fixed, values: card.thresholds.clone() };
        Ok(Int8Cost {
            float: evaluate(&float, &thresholds)?,
            int8: evaluate(&int8, &thresholds)?,
            mean_difference: differences.clone().sum::<f64>() / float.probabilities().len().max(1) as f64,
            max_difference: differences.fold(0.0, f64::max),
        })
    }

    /// Writes the file.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), ExportError> {
        write_bytes(path, &self.bytes)
    }
}
