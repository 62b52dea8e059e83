//! Liveness and readiness of the server and of models.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::extract::Selection;
use crate::openapi::{ModelErrors, ModelInPath, ReadinessErrors, always};
use crate::problem::Problem;
use crate::readiness::Readiness;
use crate::response::json;

#[derive(Serialize, ToSchema)]
struct Live {
    #[schema(schema_with = always)]
    live: bool,
}

/// Open Inference Protocol: server liveness
#[utoipa::path(
    get,
    path = "/v2/health/live",
    responses((status = 200, body = Live, description = "The server is running."), ReadinessErrors),
    security(()),
)]
pub(crate) async fn live(State(readiness): State<Arc<Readiness>>) -> Result<Response, Problem> {
    readiness.is_alive()?;
    Ok(json(&Live { live: true }))
}

#[derive(Serialize, ToSchema)]
struct Ready {
    #[schema(schema_with = always)]
    ready: bool,
}

/// Open Inference Protocol: server readiness
#[utoipa::path(
    get,
    path = "/v2/health/ready",
    responses((status = 200, body = Ready, description = "The server accepts requests."), ReadinessErrors),
    security(()),
)]
pub(crate) async fn ready(State(readiness): State<Arc<Readiness>>) -> Result<Response, Problem> {
    readiness.check()?;
    Ok(json(&Ready { ready: true }))
}

#[derive(Serialize, ToSchema)]
struct ModelReady<'a> {
    name: &'a str,
    #[schema(schema_with = always)]
    ready: bool,
}

/// Open Inference Protocol: model readiness
#[utoipa::path(
    get,
    path = "/v2/models/{model}/ready",
    operation_id = "modelReady",
    params(ModelInPath),
    responses((status = 200, body = ModelReady, description = "The model accepts requests."), ModelErrors, ReadinessErrors),
)]
pub(crate) async fn model_ready(
    State(readiness): State<Arc<Readiness>>,
    selection: Selection,
) -> Result<Response, Problem> {
    readiness.check()?;
    Ok(json(&ModelReady { name: &selection.model.name, ready: true }))
}
