//! `POST /v1/heat`: a Grad-CAM heat map over an image.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa::ToSchema;
use visage_report::heat_picture;

use crate::extract::Selection;
use crate::openapi::{AttributeName, ImageErrors, ModelName, Octets};
use crate::problem::Problem;
use crate::state::Pipeline;
use crate::upload::UploadFormat;

/// A PNG file.
#[derive(ToSchema)]
#[schema(value_type = String, content_media_type = "image/png")]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct Picture(Vec<u8>);

/// Show where in an image the model sees an attribute
///
/// A Grad-CAM heat map of the attribute over the prepared image in grey. Brighter regions contribute more.
#[utoipa::path(
    post,
    path = "/v1/heat",
    params(
        ("model" = Option<ModelName>, Query, description = "Name of a model; the first model by default."),
        ("attribute" = AttributeName, Query, description = "Name of an attribute, as listed by `/v1/models`."),
    ),
    request_body(
        description = "An image file: JPEG, PNG, WebP, BMP, GIF or TIFF, detected by content.",
        content((Octets = "application/octet-stream"), (Octets = "image/*")),
    ),
    responses((status = 200, body = Picture, content_type = "image/png", description = "The heat map."), ImageErrors),
)]
pub(crate) async fn heat(
    State(pipeline): State<Arc<Pipeline>>,
    Selection { model, attribute }: Selection,
    request: Request,
) -> Result<Response, Problem> {
    let Some(attribute) = attribute else {
        return Err(Problem::malformed("name an attribute with ?attribute="));
    };
    let attribute = model.attribute(&attribute)?;
    let format = UploadFormat::of(request.headers())?;
    let body = pipeline.read(request).await?;
    let files = format.files(&body.bytes, 1).await?.into_iter().map(|(_, file)| file).collect();
    let admission = pipeline.queue.admit(1)?;
    let pixels = pipeline.decoding.pixels(&model, files).await?;
    drop(body);
    let heat = pipeline.queue.heat_map(&model, pixels.clone(), attribute, admission).await?;
    let width = model.input_size().width;
    let png = pipeline.decoding.run(move || Ok(heat_picture(&pixels, width, &heat))).await?;
    Ok(([(header::CONTENT_TYPE, "image/png")], png).into_response())
}
