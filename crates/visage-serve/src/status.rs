//! What the server says of itself.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

use crate::app::App;
use crate::asked::Asked;
use crate::attributes::json as answer;
use crate::metrics::CONTENT_TYPE;
use crate::models::{Loaded, Slot};
use crate::problem::Problem;

/// What can be asked, as OpenAPI 3.1.
pub(crate) const OPENAPI: &str = include_str!("openapi.json");

/// `GET /openapi.json`: with the names of the models and attributes that there are now.
pub(crate) async fn openapi(State(app): State<Arc<App>>) -> Response {
    let Ok(mut described) = serde_json::from_str::<serde_json::Value>(OPENAPI) else {
        return Problem::bug().into_response();
    };
    let loaded: Vec<Arc<Loaded>> = app.models.slots().iter().map(Slot::current).collect();
    let names: Vec<&str> = loaded.iter().map(|loaded| loaded.name.as_str()).collect();
    let attributes: BTreeSet<&str> =
        loaded.iter().flat_map(|loaded| loaded.model.card.attributes.iter().map(String::as_str)).collect();
    let schemas = &mut described["components"]["schemas"];
    schemas["ModelName"]["enum"] = json!(names);
    schemas["AttributeName"]["enum"] = json!(attributes);
    answer(&described)
}

/// `GET /metrics`.
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Response {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], app.metrics.text()).into_response()
}

/// `GET /v2/health/live`.
pub(crate) async fn live() -> Response {
    answer(&json!({ "live": true }))
}

/// `GET /v2/health/ready`: until the server is asked to stop.
pub(crate) async fn ready(State(app): State<Arc<App>>) -> Response {
    if app.is_leaving() { Problem::leaving().into_response() } else { answer(&json!({ "ready": true })) }
}

/// `GET /v2/models/{model}/ready`.
pub(crate) async fn model_ready(State(app): State<Arc<App>>, asked: Asked) -> Response {
    if app.is_leaving() {
        return Problem::leaving().into_response();
    }
    answer(&json!({ "name": asked.model.name, "ready": true }))
}

/// `GET /v1/models`: what each can be asked, and what it must not be used for.
pub(crate) async fn models(State(app): State<Arc<App>>) -> Response {
    #[derive(Serialize)]
    struct Models<'a> {
        models: Vec<Model<'a>>,
    }

    #[derive(Serialize)]
    struct Model<'a> {
        name: &'a str,
        architecture: &'static str,
        height: usize,
        width: usize,
        attributes: Vec<Attribute<'a>>,
        threshold_rule: &'a str,
        dataset: &'a str,
        uses_to_avoid: &'a str,
    }

    #[derive(Serialize)]
    struct Attribute<'a> {
        name: &'a str,
        threshold: f32,
    }

    fn about(loaded: &Loaded) -> Model<'_> {
        let (card, size) = (&loaded.model.card, loaded.model.card.preparation.output_size());
        let attributes = card.attributes.iter().zip(&card.thresholds);
        Model {
            name: &loaded.name,
            architecture: card.network.architecture.name(),
            height: size.height,
            width: size.width,
            attributes: attributes.map(|(name, &threshold)| Attribute { name, threshold }).collect(),
            threshold_rule: &card.threshold_rule,
            dataset: &card.origin.dataset,
            uses_to_avoid: &card.uses_to_avoid,
        }
    }

    let loaded: Vec<Arc<Loaded>> = app.models.slots().iter().map(Slot::current).collect();
    answer(&Models { models: loaded.iter().map(|loaded| about(loaded)).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_is_of_this_version_and_of_every_address() {
        let described: serde_json::Value = serde_json::from_str(OPENAPI).unwrap();
        assert_eq!(described["info"]["version"], env!("CARGO_PKG_VERSION"));
        let described: BTreeSet<&str> = described["paths"].as_object().unwrap().keys().map(String::as_str).collect();
        let source = include_str!("app.rs");
        let routed: BTreeSet<&str> =
            source.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(described, routed);
    }
}
