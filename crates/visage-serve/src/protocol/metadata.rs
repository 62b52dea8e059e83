//! Metadata of the server and of models.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::inputs::{FILES, NORMALISED, PIXELS};
use super::outputs::OutputKind;
use crate::extract::Selection;
use crate::faces::FaceSelection;
use crate::models::ServedModel;
use crate::openapi::{ModelErrors, ModelInPath, TokenErrors, any_shape, probabilities};
use crate::response::json;
use crate::state::Pipeline;

pub(crate) const SERVER_NAME: &str = "visage";
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
pub(crate) const EXTENSIONS: [&str; 1] = ["binary_tensor_data"];
pub(crate) const PLATFORM: &str = "visage";

#[derive(Serialize, ToSchema)]
struct ServerMetadata {
    name: &'static str,
    version: &'static str,
    extensions: [&'static str; 1],
}

/// Open Inference Protocol: server metadata
#[utoipa::path(
    get,
    path = "/v2",
    responses((status = 200, body = ServerMetadata, description = "Name, version and extensions."), TokenErrors),
)]
pub(crate) async fn server() -> Response {
    json(&ServerMetadata { name: SERVER_NAME, version: VERSION, extensions: EXTENSIONS })
}

/// An input or output of a model. In its shape, -1 stands for any number of images or faces.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct TensorMetadata {
    pub(crate) name: &'static str,
    pub(crate) datatype: &'static str,
    #[schema(schema_with = any_shape)]
    pub(crate) shape: Vec<i64>,
}

/// The inputs of a model. A request has one of them.
pub(crate) fn inputs(model: &ServedModel) -> [TensorMetadata; 3] {
    let size = model.input_size();
    let prepared = vec![-1, size.height as i64, size.width as i64, 3];
    [
        TensorMetadata { name: FILES, datatype: "BYTES", shape: vec![-1] },
        TensorMetadata { name: PIXELS, datatype: "UINT8", shape: prepared.clone() },
        TensorMetadata { name: NORMALISED, datatype: "FP32", shape: prepared },
    ]
}

/// The outputs of a model. Those about faces come with requests that ask about faces.
pub(crate) fn outputs(model: &ServedModel, finds_faces: bool) -> Vec<TensorMetadata> {
    let shape = |kind: OutputKind| [-1].into_iter().chain(kind.columns(model).map(|columns| columns as i64)).collect();
    let tensor =
        |&kind: &OutputKind| TensorMetadata { name: kind.name(), datatype: kind.datatype(), shape: shape(kind) };
    OutputKind::all(finds_faces).iter().map(tensor).collect()
}

#[derive(Serialize, ToSchema)]
struct ModelMetadata<'a> {
    name: &'a str,
    versions: [&'static str; 0],
    platform: &'static str,
    inputs: [TensorMetadata; 3],
    outputs: Vec<TensorMetadata>,
    parameters: ModelParameters<'a>,
}

/// Additions to the protocol: names and thresholds of the outputs' columns, normalisation, and uses to avoid.
#[derive(Serialize, ToSchema)]
struct ModelParameters<'a> {
    attributes: &'a [String],
    #[schema(schema_with = probabilities)]
    thresholds: &'a [f32],
    mean: [f32; 3],
    std: [f32; 3],
    uses_to_avoid: &'a str,
    /// The values of the request parameter `faces`, if the server finds faces. The outputs `image_index` and `face_boxes` come with
    /// `all` and `largest` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<FaceSelection>, required = false)]
    faces: Option<[&'static str; 3]>,
}

/// Open Inference Protocol: model metadata
#[utoipa::path(
    get,
    path = "/v2/models/{model}",
    params(ModelInPath),
    responses(
        (
            status = 200,
            body = ModelMetadata,
            description = "The inputs, of which a request has one, the outputs, and the names of the outputs' columns.",
        ),
        ModelErrors,
    ),
)]
pub(crate) async fn model(State(pipeline): State<Arc<Pipeline>>, Selection { model, .. }: Selection) -> Response {
    let finds_faces = pipeline.faces.is_available();
    let card = model.card();
    json(&ModelMetadata {
        name: &model.name,
        versions: [],
        platform: PLATFORM,
        inputs: inputs(&model),
        outputs: outputs(&model, finds_faces),
        parameters: ModelParameters {
            attributes: &card.attributes,
            thresholds: &card.thresholds,
            mean: card.preparation.mean,
            std: card.preparation.std,
            uses_to_avoid: &card.uses_to_avoid,
            faces: finds_faces.then_some(FaceSelection::NAMES),
        },
    })
}
