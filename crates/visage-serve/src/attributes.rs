//! `POST /v1/attributes`: images in, answers out.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use visage_judge::is_positive;

use crate::app::App;
use crate::asked::{Asked, ModelName};
use crate::body::{self, Form, Kind, Octets};
use crate::decode;
use crate::engine::Images;
use crate::problem::{Problem, Refused};

#[derive(Serialize, ToSchema)]
pub(crate) struct Answer<'a> {
    model: &'a str,
    images: Vec<Image<'a>>,
}

#[derive(Serialize, ToSchema)]
struct Image<'a> {
    /// The file name in the form.
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

/// As the body of a request is described.
const BODY: &str =
    "The file of an image: JPEG, PNG, WebP, BMP or GIF, told apart by content. Or several, as the parts of a form.";
/// As an answer is.
const ANSWERS: &str = "The answers, images in their order, attributes in the model's.";

/// Every attribute of an image, or of several
#[utoipa::path(
    post,
    path = "/v1/attributes",
    params(("model" = Option<ModelName>, Query, description = "Name of a model; the first if none is named.")),
    request_body(
        description = BODY,
        content((Octets = "application/octet-stream"), (Octets = "image/*"), (Form = "multipart/form-data")),
    ),
    responses(
        (status = 200, body = Answer, description = ANSWERS),
        Refused,
    ),
)]
pub(crate) async fn attributes(
    State(app): State<Arc<App>>,
    asked: Asked,
    request: Request,
) -> Result<Response, Problem> {
    if asked.attribute.is_some() {
        return Err(Problem::malformed("?attribute= means nothing here: every attribute is answered"));
    }
    let model = asked.model;
    let kind = Kind::of(request.headers())?;
    if app.engine.is_full() {
        return Err(Problem::busy("the queue is full"));
    }
    let body = body::read(&app, request).await?;
    let (names, files): (Vec<_>, Vec<_>) = body::files(&kind, &body, app.limits.images).await?.into_iter().unzip();
    let place = app.engine.admit(files.len())?;
    let pixels = decode::pixels(&app, &model, files).await?;
    drop(body);
    let answers = app.engine.answers(Arc::clone(&model), Images::Pixels(pixels), place).await?;
    let card = &model.model.card;
    let rows = answers.probabilities.chunks(card.attributes.len());
    let images = names.iter().zip(rows).map(|(name, row)| Image {
        name: name.as_deref(),
        attributes: card.attributes.iter().zip(row).zip(&card.thresholds).map(attribute).collect(),
    });
    Ok(json(&Answer { model: &model.name, images: images.collect() }))
}

fn attribute<'a>(((name, &probability), &threshold): ((&'a String, &f32), &f32)) -> Attribute<'a> {
    Attribute { name, probability, threshold, present: is_positive(probability, threshold) }
}

/// Every attribute of an image, or of several, by a model that is named
#[utoipa::path(
    post,
    path = "/v1/models/{model}/attributes",
    operation_id = "attributesOfModel",
    params(("model" = ModelName, Path, description = "Name of a model, as /v1/models lists it.")),
    request_body(
        description = BODY,
        content((Octets = "application/octet-stream"), (Octets = "image/*"), (Form = "multipart/form-data")),
    ),
    responses(
        (status = 200, body = Answer, description = ANSWERS),
        Refused,
    ),
)]
pub(crate) async fn attributes_of_model(
    app: State<Arc<App>>,
    asked: Asked,
    request: Request,
) -> Result<Response, Problem> {
    attributes(app, asked, request).await
}

/// A JSON answer.
pub(crate) fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(_) => Problem::bug().into_response(),
    }
}
