//! `POST /v1/heat`: where in an image a model sees an attribute, as a picture.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use visage_report::heat_picture;

use crate::app::App;
use crate::asked::Asked;
use crate::body::{self, Kind};
use crate::decode;
use crate::problem::Problem;

/// The Grad-CAM of the attribute that the address names, over the image in the body: a PNG file.
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
