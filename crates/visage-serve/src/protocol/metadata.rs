//! What the protocol says of the server and of a model.

use axum::response::Response;
use serde::Serialize;

use super::OUTPUTS;
use super::tensors::{FILES, NORMALISED, PIXELS};
use crate::asked::Asked;
use crate::attributes::json;
use crate::models::Loaded;

/// The server's name.
pub(crate) const SERVER: &str = "visage";
/// Its version.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// What it knows beyond the protocol.
pub(crate) const EXTENSIONS: [&str; 1] = ["binary_tensor_data"];
/// What models run on.
pub(crate) const PLATFORM: &str = "visage";

/// `GET /v2`.
pub(crate) async fn server() -> Response {
    #[derive(Serialize)]
    struct Server {
        name: &'static str,
        version: &'static str,
        extensions: [&'static str; 1],
    }

    json(&Server { name: SERVER, version: VERSION, extensions: EXTENSIONS })
}

/// A tensor that a model takes or gives; -1 is any number of images.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Tensor {
    pub(crate) name: &'static str,
    pub(crate) datatype: &'static str,
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

/// `GET /v2/models/{model}`: beside what the protocol has, the names of the outputs' columns, and the model's notice.
pub(crate) async fn model(asked: Asked) -> Response {
    #[derive(Serialize)]
    struct Model<'a> {
        name: &'a str,
        versions: [&'static str; 0],
        platform: &'static str,
        inputs: [Tensor; 3],
        outputs: [Tensor; 2],
        parameters: Parameters<'a>,
    }

    #[derive(Serialize)]
    struct Parameters<'a> {
        attributes: &'a [String],
        thresholds: &'a [f32],
        mean: [f32; 3],
        std: [f32; 3],
        uses_to_avoid: &'a str,
    }

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
