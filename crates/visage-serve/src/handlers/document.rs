//! `GET /openapi.json`.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use utoipa::openapi::OpenApi;

use crate::models::Models;
use crate::problem::Problem;
use crate::response;

/// The OpenAPI document of this server
#[utoipa::path(
    get,
    path = "/openapi.json",
    responses((status = 200, body = Object, content_type = "application/json", description = "OpenAPI 3.1.")),
    security(()),
)]
pub(crate) async fn openapi(
    State(models): State<Arc<Models>>,
    Extension(document): Extension<Arc<OpenApi>>,
) -> Response {
    let Ok(mut document) = serde_json::to_value(&*document) else { return Problem::bug().into_response() };
    // Reloading a model can change its attributes.
    let models = models.current();
    let names: Vec<&str> = models.iter().map(|model| model.name.as_str()).collect();
    let attributes: BTreeSet<&str> =
        models.iter().flat_map(|model| model.card().attributes.iter().map(String::as_str)).collect();
    let schemas = &mut document["components"]["schemas"];
    schemas["ModelName"]["enum"] = json!(names);
    schemas["AttributeName"]["enum"] = json!(attributes);
    response::json(&document)
}
