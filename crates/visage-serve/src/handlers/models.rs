//! `GET /v1/models`: the models, their attributes and their intended use.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};
use visage_data::Alignment;

use crate::models::{Models, ServedModel};
use crate::openapi::TokenErrors;
use crate::response::json;
use crate::state::Pipeline;

#[derive(Serialize, ToSchema)]
#[schema(as = Models)]
struct ModelList<'a> {
    #[schema(min_items = 1)]
    models: Vec<ListedModel<'a>>,
    /// Whether the server finds faces in photographs, for `?faces=`.
    finds_faces: bool,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Model)]
struct ListedModel<'a> {
    name: &'a str,
    /// The network, or those of an ensemble, joined by ` + `.
    architecture: String,
    height: usize,
    width: usize,
    /// How the faces lie in the images that the model expects: `celeba` for faces aligned as CelebA's are, `none` for anyhow.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = alignment, required = false)]
    alignment: Option<Alignment>,
    attributes: Vec<Threshold<'a>>,
    threshold_rule: &'a str,
    dataset: &'a str,
    uses_to_avoid: &'a str,
}

#[derive(Serialize, ToSchema)]
struct Threshold<'a> {
    /// Name of the attribute.
    name: &'a str,
    #[schema(minimum = 0, maximum = 1)]
    threshold: f32,
}

/// List the models, their attributes and the uses to avoid
#[utoipa::path(
    get,
    path = "/v1/models",
    responses((status = 200, body = ModelList, description = "The models, the default model first."), TokenErrors),
)]
pub(crate) async fn models(State(models): State<Arc<Models>>, State(pipeline): State<Arc<Pipeline>>) -> Response {
    let models = models.current();
    json(&ModelList {
        models: models.iter().map(|model| listed(model)).collect(),
        finds_faces: pipeline.faces.is_available(),
    })
}

fn alignment() -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["none", "celeba"])).build()
}

fn listed(model: &ServedModel) -> ListedModel<'_> {
    let (card, size) = (model.card(), model.input_size());
    let attributes = card.attributes.iter().zip(&card.thresholds);
    ListedModel {
        name: &model.name,
        architecture: card.architectures(),
        height: size.height,
        width: size.width,
        alignment: card.preparation.alignment,
        attributes: attributes.map(|(name, &threshold)| Threshold { name, threshold }).collect(),
        threshold_rule: &card.threshold_rule,
        dataset: &card.origin.dataset,
        uses_to_avoid: &card.uses_to_avoid,
    }
}
