//! A model in int8, ready to be judged and written.

use std::path::Path;

use burn::tensor::Device;
use visage_data::Preparation;
use visage_model::Model;

use super::execute::Session;
use super::graph::{PixelInput, model_proto};
use super::quantise::quantised;
use super::ranges::Ranges;
use super::{decode, encode, write_bytes};
use crate::check::{graph_agreement, graph_answers, graph_input};
use crate::error::{ExportError, GraphError};

/// Images that go through a graph together.
const BATCH_SIZE: usize = 32;

/// The bytes of an ONNX file in int8, and what it computes.
#[derive(Debug)]
pub struct Int8 {
    bytes: Vec<u8>,
    session: Session,
    input: PixelInput,
    preparation: Preparation,
}

impl Int8 {
    /// Turns `model` into int8, its ranges those of the prepared `pixels` of some images. The graph in float that it is made of has first
    /// to answer as the model does.
    ///
    /// # Errors
    ///
    /// [`ExportError::Disagrees`] about the file `path` that is to be written; [`ExportError::Graph`].
    pub fn new(
        model: &Model,
        input: PixelInput,
        pixels: &[u8],
        path: &Path,
        device: &Device,
    ) -> Result<Self, ExportError> {
        let float = model_proto(model, input);
        let session = Session::new(&float)?;
        graph_agreement(model, &session, input, device)?.accepted(path)?;
        let preparation = model.card.preparation.clone();
        let image = preparation.output_size().pixels() * 3;
        let batches = pixels.chunks(BATCH_SIZE * image);
        let batches: Vec<_> =
            batches.map(|pixels| graph_input(&preparation, input, pixels, pixels.len() / image)).collect();
        let bytes = encode(&quantised(&float, &Ranges::seen(&session, &batches)?)?);
        // What is judged is what is in the file.
        let session = Session::new(&decode(&bytes)?)?;
        Ok(Self { bytes, session, input, preparation })
    }

    /// Calibrated probabilities of the prepared pixels of `images` images, row-major, `images x attributes`.
    ///
    /// # Errors
    ///
    /// [`GraphError`] where the graph cannot be computed.
    pub fn probabilities(&self, pixels: &[u8], images: usize) -> Result<Vec<f32>, GraphError> {
        graph_answers(&self.session, &self.preparation, self.input, pixels, images)
            .map(|(probabilities, _)| probabilities)
    }

    /// Writes the file.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn write(&self, path: &Path) -> Result<(), ExportError> {
        write_bytes(path, &self.bytes)
    }
}
