//! ONNX files: a model as a graph, the graph in int8, and the computing of what such a file says.

mod builder;
mod calibration;
mod execute;
mod graph;
mod int8;
mod int8_cost;
mod operators;
mod quantise;
mod ranges;
pub mod schema;
mod tensor;

pub use execute::Session;
pub use graph::{LOGITS, PROBABILITIES, PixelInput, model_proto};
pub use int8::Int8;
pub use int8_cost::Int8Cost;
pub use tensor::{Array, Values};

use std::io::Write;
use std::path::Path;

use burn::tensor::Device;
use prost::Message;
use schema::ModelProto;
use visage_model::Model;

use crate::check::{Agreement, graph_agreement};
use crate::error::{ExportError, GraphError};

/// The bytes of an ONNX file.
#[must_use]
pub fn encode(model: &ModelProto) -> Vec<u8> {
    model.encode_to_vec()
}

/// What an ONNX file says, as far as files of visage go.
///
/// # Errors
///
/// [`GraphError::NotOnnx`]
pub fn decode(bytes: &[u8]) -> Result<ModelProto, GraphError> {
    ModelProto::decode(bytes).map_err(|error| GraphError::NotOnnx(error.to_string()))
}

/// Writes `model` to `path` as an ONNX file. Its bytes were first decoded and asked about sample images.
///
/// # Errors
///
/// [`ExportError::Disagrees`], with nothing written; the system's.
pub fn write(model: &Model, input: PixelInput, path: &Path, device: &Device) -> Result<Agreement, ExportError> {
    let bytes = encode(&model_proto(model, input));
    let session = Session::new(&decode(&bytes)?)?;
    let agreement = graph_agreement(model, &session, input, device)?.accepted(path)?;
    write_bytes(path, &bytes)?;
    Ok(agreement)
}

/// Writes a file whole or not at all.
fn write_bytes(path: &Path, bytes: &[u8]) -> Result<(), ExportError> {
    visage_weights::atomic::write(path, |file| file.write_all(bytes))
        .map_err(|source| ExportError::Write { path: path.to_owned(), source })
}
