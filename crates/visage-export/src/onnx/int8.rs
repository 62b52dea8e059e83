//! Export as an ONNX graph in int8.

use std::path::Path;

use burn::tensor::Device;
use visage_data::Preparation;
use visage_model::Model;

use super::check::{compare_graph, graph_input, graph_outputs};
use super::execute::Session;
use super::graph::{PixelInput, model_proto};
use super::quantise::quantised;
use super::ranges::Ranges;
use super::{decode, encode, write_bytes};
use crate::error::{ExportError, GraphError};

/// Images in a batch.
const BATCH_SIZE: usize = 32;

/// A model as an ONNX graph in int8, ready to be evaluated and written.
#[derive(Debug)]
pub struct Int8 {
    bytes: Vec<u8>,
    session: Session,
    input: PixelInput,
    preparation: Preparation,
}

impl Int8 {
    /// Quantises `model` to int8. The ranges of activations are determined on `pixels`, the RGB bytes of prepared images. The graph in
    /// f32 is first compared with the model.
    ///
    /// # Errors
    ///
    /// [`ExportError::Disagrees`] for `path`, the file that is to be written; [`ExportError::Graph`].
    pub fn new(
        model: &Model,
        input: PixelInput,
        pixels: &[u8],
        path: &Path,
        device: &Device,
    ) -> Result<Self, ExportError> {
        let float = model_proto(model, input);
        let session = Session::new(&float)?;
        compare_graph(model, &session, input, device)?.accepted(path)?;
        let preparation = model.card.preparation.clone();
        let image = preparation.output_size().pixels() * 3;
        let batches = pixels.chunks(BATCH_SIZE * image);
        let batches: Vec<_> =
            batches.map(|pixels| graph_input(&preparation, input, pixels, pixels.len() / image)).collect();
        let bytes = encode(&quantised(&float, &Ranges::observe(&session, &batches)?)?);
        // Evaluate what is in the file.
        let session = Session::new(&decode(&bytes)?)?;
        Ok(Self { bytes, session, input, preparation })
    }

    /// Calibrated probabilities of prepared images, RGB bytes: `[images, attributes]`, row-major.
    ///
    /// # Errors
    ///
    /// [`GraphError`] if the graph cannot be computed.
    pub fn probabilities(&self, pixels: &[u8], images: usize) -> Result<Vec<f32>, GraphError> {
        graph_outputs(&self.session, &self.preparation, self.input, pixels, images)
            .map(|(probabilities, _)| probabilities)
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
