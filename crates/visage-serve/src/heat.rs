//! `POST /v1/heat`: where in an image a model sees an attribute, as a picture.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa::ToSchema;
use visage_report::heat_picture;

use crate::app::App;
use crate::asked::{Asked, AttributeName, ModelName};
use crate::body::{self, Kind, Octets};
use crate::decode;
use crate::problem::{Problem, Refused};

/// The file of a picture.
#[derive(ToSchema)]
#[schema(value_type = String, content_media_type = "image/png")]
#[expect(dead_code, reason = "it is only described")]
pub(crate) struct Picture(Vec<u8>);

/// As the body of a request is described.
const BODY: &str = "The file of an image: JPEG, PNG, WebP, BMP or GIF, told apart by content.";

/// Where in an image the model sees an attribute
///
/// The Grad-CAM of the attribute over the prepared image in grey, brighter for more.
#[utoipa::path(
    post,
    path = "/v1/heat",
    params(
        ("model" = Option<ModelName>, Query, description = "Name of a model; the first if none is named."),
        ("attribute" = AttributeName, Query, description = "Name of an attribute, as /v1/models lists it."),
    ),
    request_body(
        description = BODY,
        content((Octets = "application/octet-stream"), (Octets = "image/*")),
    ),
    responses((status = 200, body = Picture, content_type = "image/png", description = "A picture."), Refused),
)]
pub(crate) async fn heat(State(app): State<Arc<App>>, asked: Asked, request: Request) -> Result<Response, Problem> {
    let Some(attribute) = &asked.attribute else {
        return Err(Problem::malformed("name an attribute with ?attribute="));
    };
    let (model, attribute) = (Arc::clone(&asked.model), asked.model.attribute(attribute)?);
    let kind = Kind::of(request.headers())?;
    if app.engine.is_full() {
        return Err(Problem::busy("the queue is full"));
    }
    let body = body::read(&app, request).await?;
    let files: Vec<_> = body::files(&kind, &body, 1).await?.into_iter().map(|(_, file)| file).collect();
    let place = app.engine.admit(1)?;
    let pixels = decode::pixels(&app, &model, files).await?;
    drop(body);
    let heat = app.engine.heat(Arc::clone(&model), pixels.clone(), attribute, place).await?;
    let width = model.model.card.preparation.output_size().width;
    let png = decode::aside(&app, move || Ok(heat_picture(&pixels, width, &heat))).await?;
    Ok(([(header::CONTENT_TYPE, "image/png")], png).into_response())
}

/// Where in an image a model that is named sees an attribute
///
/// The Grad-CAM of the attribute over the prepared image in grey, brighter for more.
#[utoipa::path(
    post,
    path = "/v1/models/{model}/heat",
    operation_id = "heatOfModel",
    params(
        ("model" = ModelName, Path, description = "Name of a model, as /v1/models lists it."),
        ("attribute" = AttributeName, Query, description = "Name of an attribute, as /v1/models lists it."),
    ),
    request_body(
        description = BODY,
        content((Octets = "application/octet-stream"), (Octets = "image/*")),
    ),
    responses((status = 200, body = Picture, content_type = "image/png", description = "A picture."), Refused),
)]
pub(crate) async fn heat_of_model(app: State<Arc<App>>, asked: Asked, request: Request) -> Result<Response, Problem> {
    heat(app, asked, request).await
}
