//! `POST /v1/attributes`: images in, answers out.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use visage_judge::is_positive;

use crate::app::App;
use crate::asked::Asked;
use crate::body::{self, Kind};
use crate::decode;
use crate::engine::Images;
use crate::problem::Problem;

#[derive(Serialize)]
struct Answer<'a> {
    model: &'a str,
    images: Vec<Image<'a>>,
}

#[derive(Serialize)]
struct Image<'a> {
    /// What the client calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    /// In the card's order.
    attributes: Vec<Attribute<'a>>,
}

#[derive(Serialize)]
struct Attribute<'a> {
    name: &'a str,
    probability: f32,
    threshold: f32,
    present: bool,
}

/// Answers about the image, or the images, in the body.
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

/// A JSON answer.
pub(crate) fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(_) => Problem::bug().into_response(),
    }
}
