//! `POST /v1/attributes`: classifies images.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;
use visage_judge::is_positive;

use crate::engine::Images;
use crate::extract::Selection;
use crate::openapi::{ImageErrors, ModelName, Octets};
use crate::problem::Problem;
use crate::response::json;
use crate::state::Pipeline;
use crate::upload::{Form, UploadFormat};

#[derive(Serialize, ToSchema)]
pub(crate) struct Answer<'a> {
    model: &'a str,
    images: Vec<Image<'a>>,
}

#[derive(Serialize, ToSchema)]
struct Image<'a> {
    /// File name of the form's part.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    name: Option<&'a str>,
    attributes: Vec<Attribute<'a>>,
}

#[derive(Serialize, ToSchema)]
struct Attribute<'a> {
    name: &'a str,
    #[schema(minimum = 0, maximum = 1)]
    probability: f32,
    #[schema(minimum = 0, maximum = 1)]
    threshold: f32,
    /// Whether the probability reaches the threshold.
    present: bool,
}

/// Classify one or several images
#[utoipa::path(
    post,
    path = "/v1/attributes",
    params(("model" = Option<ModelName>, Query, description = "Name of a model; the first model by default.")),
    request_body(
        description = "An image file (JPEG, PNG, WebP, BMP, GIF or TIFF, detected by content), or a form with several.",
        content((Octets = "application/octet-stream"), (Octets = "image/*"), (Form = "multipart/form-data")),
    ),
    responses(
        (
            status = 200,
            body = Answer,
            description = "The images in the order of the request, with the attributes in the order of the model.",
        ),
        ImageErrors,
    ),
)]
pub(crate) async fn attributes(
    State(pipeline): State<Arc<Pipeline>>,
    Selection { model, attribute }: Selection,
    request: Request,
) -> Result<Response, Problem> {
    if attribute.is_some() {
        return Err(Problem::malformed("?attribute= has no meaning here: the response has all attributes"));
    }
    let format = UploadFormat::of(request.headers())?;
    let body = pipeline.read(request).await?;
    let files = format.files(&body.bytes, pipeline.max_images).await?;
    let (names, files): (Vec<_>, Vec<_>) = files.into_iter().unzip();
    let admission = pipeline.queue.admit(files.len())?;
    let pixels = pipeline.decoding.pixels(&model, files).await?;
    drop(body);
    let output = pipeline.queue.predict(&model, Images::Pixels(pixels), admission).await?;
    let card = model.card();
    let rows = output.probabilities.chunks(card.attributes.len());
    let images = names.iter().zip(rows).map(|(name, row)| Image {
        name: name.as_deref(),
        attributes: card.attributes.iter().zip(row).zip(&card.thresholds).map(attribute_of).collect(),
    });
    Ok(json(&Answer { model: &model.name, images: images.collect() }))
}

fn attribute_of<'a>(((name, &probability), &threshold): ((&'a String, &f32), &f32)) -> Attribute<'a> {
    Attribute { name, probability, threshold, present: is_positive(probability, threshold) }
}
