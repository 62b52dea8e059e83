//! What the protocol says of the server and of a model.

use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::OUTPUTS;
use super::tensors::{FILES, NORMALISED, PIXELS};
use crate::asked::{Asked, ModelName};
use crate::attributes::json;
use crate::description::{any_shape, probabilities};
use crate::models::Loaded;
use crate::problem::{Guarded, Unknown};

/// The server's name.
pub(crate) const SERVER: &str = "visage";
/// Its version.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// What it knows beyond the protocol.
pub(crate) const EXTENSIONS: [&str; 1] = ["binary_tensor_data"];
/// What models run on.
pub(crate) const PLATFORM: &str = "visage";

#[derive(Serialize, ToSchema)]
#[schema(as = ServerMetadata)]
struct Server {
    name: &'static str,
    version: &'static str,
    extensions: [&'static str; 1],
}

/// Open Inference Protocol: the server
#[utoipa::path(
    get,
    path = "/v2",
    responses((status = 200, body = Server, description = "Name, version and extensions."), Guarded),
)]
pub(crate) async fn server() -> Response {
    json(&Server { name: SERVER, version: VERSION, extensions: EXTENSIONS })
}

/// A tensor that a model takes or gives; -1 is any number of images.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = TensorMetadata)]
pub(crate) struct Tensor {
    pub(crate) name: &'static str,
    pub(crate) datatype: &'static str,
    #[schema(schema_with = any_shape)]
    pub(crate) shape: Vec<i64>,
}

/// What a model takes: one of these.
pub(crate) fn inputs(model: &Loaded) -> [Tensor; 3] {
    let size = model.model.card.preparation.output_size();
    let prepared = vec![-1, size.height as i64, size.width as i64, 3];
    [
        Tensor { name: FILES, datatype: "BYTES", shape: vec![-1] },
        Tensor { name: PIXELS, datatype: "UINT8", shape: prepared.clone() },
        Tensor { name: NORMALISED, datatype: "FP32", shape: prepared },
    ]
}

/// What it gives.
pub(crate) fn outputs(model: &Loaded) -> [Tensor; 2] {
    let attributes = model.model.card.attributes.len() as i64;
    OUTPUTS.map(|wanted| Tensor { name: wanted.output.name(), datatype: "FP32", shape: vec![-1, attributes] })
}

#[derive(Serialize, ToSchema)]
#[schema(as = ModelMetadata)]
struct Model<'a> {
    name: &'a str,
    versions: [&'static str; 0],
    platform: &'static str,
    inputs: [Tensor; 3],
    outputs: [Tensor; 2],
    parameters: Parameters<'a>,
}

/// Beside what the protocol has: the names of the outputs' columns, how images are prepared, and the model's notice.
#[derive(Serialize, ToSchema)]
#[schema(as = ModelParameters)]
struct Parameters<'a> {
    attributes: &'a [String],
    #[schema(schema_with = probabilities)]
    thresholds: &'a [f32],
    mean: [f32; 3],
    std: [f32; 3],
    uses_to_avoid: &'a str,
}

/// Open Inference Protocol: a model
#[utoipa::path(
    get,
    path = "/v2/models/{model}",
    params(("model" = ModelName, Path, description = "Name of a model, as /v1/models lists it.")),
    responses(
        (
            status = 200,
            body = Model,
            description = "Its inputs, of which a request gives one, its outputs, and the names of their columns.",
        ),
        Unknown,
    ),
)]
pub(crate) async fn model(asked: Asked) -> Response {
    let model = &asked.model;
    let card = &model.model.card;
    json(&Model {
        name: &model.name,
        versions: [],
        platform: PLATFORM,
        inputs: inputs(model),
        outputs: outputs(model),
        parameters: Parameters {
            attributes: &card.attributes,
            thresholds: &card.thresholds,
            mean: card.preparation.mean,
            std: card.preparation.std,
            uses_to_avoid: &card.uses_to_avoid,
        },
    })
}
