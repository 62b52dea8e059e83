//! Export as an ONNX graph in f32 or int8, and an interpreter for the graphs that visage writes.

mod builder;
mod calibration;
mod check;
mod execute;
mod graph;
mod int8;
mod operators;
mod quantise;
mod ranges;
pub mod schema;
mod tensor;

pub use execute::Session;
pub use graph::PixelInput;
pub use int8::{Int8, Int8Cost};
pub use tensor::{Array, Values};

use std::io::Write;
use std::path::Path;

use burn::tensor::Device;
use prost::Message;
use schema::ModelProto;
use visage_data::{Preparation, Resize};
use visage_model::Model;

use self::check::compare_graph;
use self::graph::model_proto;
use crate::check::Agreement;
use crate::error::{ExportError, GraphError};

/// Decodes the bytes of an ONNX file. Fields that visage does not write are ignored.
///
/// # Errors
///
/// [`GraphError::NotOnnx`]
pub fn decode(bytes: &[u8]) -> Result<ModelProto, GraphError> {
    ModelProto::decode(bytes).map_err(|error| GraphError::NotOnnx(error.to_string()))
}

/// Writes `model` to `path` as an ONNX file in f32. Its bytes are first decoded, interpreted and compared with the model.
///
/// # Errors
///
/// [`ExportError::Disagrees`], with nothing written; errors of the file system; a preparation that the graph cannot do.
pub fn write(model: &Model, input: PixelInput, path: &Path, device: &Device) -> Result<Agreement, ExportError> {
    require_resizable(&model.card.preparation, input)?;
    let bytes = model_proto(model, input).encode_to_vec();
    let session = Session::new(&decode(&bytes)?)?;
    let agreement = compare_graph(model, &session, input, device)?.accepted(path)?;
    write_bytes(path, &bytes)?;
    Ok(agreement)
}

/// Checks that the graph can do what `input` leaves to it.
fn require_resizable(preparation: &Preparation, input: PixelInput) -> Result<(), ExportError> {
    let is_exact = matches!(preparation.resize, Resize::Exact(_)) && preparation.crop.is_none();
    if input == PixelInput::AnySize && !is_exact { Err(ExportError::NotExact) } else { Ok(()) }
}

fn write_bytes(path: &Path, bytes: &[u8]) -> Result<(), ExportError> {
    visage_weights::atomic::write(path, |file| file.write_all(bytes))
        .map_err(|source| ExportError::Write { path: path.to_owned(), source })
}
