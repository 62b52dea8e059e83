//! What the server says of itself.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::asked::{Asked, ModelName};
use crate::attributes::json as answer;
use crate::description::always;
use crate::metrics::CONTENT_TYPE;
use crate::models::{Loaded, Slot};
use crate::problem::{Guarded, NotReady, Problem, Unknown};

/// What the server counts of itself
#[utoipa::path(
    get,
    path = "/metrics",
    responses(
        (status = 200, body = String, content_type = "application/openmetrics-text", description = "Metrics for Prometheus."),
        Guarded,
    ),
)]
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Response {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], app.metrics.text()).into_response()
}

#[derive(Serialize, ToSchema)]
struct Live {
    #[schema(schema_with = always)]
    live: bool,
}

/// Open Inference Protocol: whether the server runs
#[utoipa::path(
    get,
    path = "/v2/health/live",
    responses((status = 200, body = Live, description = "It does.")),
    security(()),
)]
pub(crate) async fn live() -> Response {
    answer(&Live { live: true })
}

#[derive(Serialize, ToSchema)]
struct Ready {
    #[schema(schema_with = always)]
    ready: bool,
}

/// Open Inference Protocol: whether the server takes requests
#[utoipa::path(
    get,
    path = "/v2/health/ready",
    responses((status = 200, body = Ready, description = "It does, until it is asked to stop."), NotReady),
    security(()),
)]
pub(crate) async fn ready(State(app): State<Arc<App>>) -> Response {
    if app.is_leaving() { Problem::leaving().into_response() } else { answer(&Ready { ready: true }) }
}

#[derive(Serialize, ToSchema)]
struct ModelReady<'a> {
    name: &'a str,
    #[schema(schema_with = always)]
    ready: bool,
}

/// Open Inference Protocol: whether a model takes requests
#[utoipa::path(
    get,
    path = "/v2/models/{model}/ready",
    operation_id = "modelReady",
    params(("model" = ModelName, Path, description = "Name of a model, as /v1/models lists it.")),
    responses((status = 200, body = ModelReady, description = "It does."), Unknown, NotReady),
)]
pub(crate) async fn model_ready(State(app): State<Arc<App>>, asked: Asked) -> Response {
    if app.is_leaving() {
        return Problem::leaving().into_response();
    }
    answer(&ModelReady { name: &asked.model.name, ready: true })
}

#[derive(Serialize, ToSchema)]
struct Models<'a> {
    #[schema(min_items = 1)]
    models: Vec<Model<'a>>,
}

#[derive(Serialize, ToSchema)]
struct Model<'a> {
    name: &'a str,
    architecture: &'static str,
    height: usize,
    width: usize,
    attributes: Vec<Threshold<'a>>,
    threshold_rule: &'a str,
    dataset: &'a str,
    uses_to_avoid: &'a str,
}

#[derive(Serialize, ToSchema)]
struct Threshold<'a> {
    /// Of the attribute.
    name: &'a str,
    #[schema(minimum = 0, maximum = 1)]
    threshold: f32,
}

/// The models, their attributes, and what they must not be used for
#[utoipa::path(
    get,
    path = "/v1/models",
    responses((status = 200, body = Models, description = "The models in the order in which they were named."), Guarded),
)]
pub(crate) async fn models(State(app): State<Arc<App>>) -> Response {
    fn about(loaded: &Loaded) -> Model<'_> {
        let (card, size) = (&loaded.model.card, loaded.model.card.preparation.output_size());
        let attributes = card.attributes.iter().zip(&card.thresholds);
        Model {
            name: &loaded.name,
            architecture: card.network.architecture.name(),
            height: size.height,
            width: size.width,
            attributes: attributes.map(|(name, &threshold)| Threshold { name, threshold }).collect(),
            threshold_rule: &card.threshold_rule,
            dataset: &card.origin.dataset,
            uses_to_avoid: &card.uses_to_avoid,
        }
    }

    let loaded: Vec<Arc<Loaded>> = app.models.slots().iter().map(Slot::current).collect();
    answer(&Models { models: loaded.iter().map(|loaded| about(loaded)).collect() })
}
