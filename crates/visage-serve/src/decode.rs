//! Work that takes a while, on a few threads of its own: images decoded and prepared, large requests read.

use std::error::Error as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use axum::body::Bytes;
use futures_util::future::try_join_all;
use visage_data::{ImageError, stated_size};

use crate::app::App;
use crate::models::Loaded;
use crate::problem::Problem;

/// Does `work` as soon as one of the threads is free. It is done to its end even if nobody waits for it any more.
pub(crate) async fn aside<T: Send + 'static>(
    app: &App,
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let permit = Arc::clone(&app.decoders).acquire_owned().await.map_err(|_| Problem::leaving())?;
    let done = tokio::task::spawn_blocking(move || {
        let done = catch_unwind(AssertUnwindSafe(work));
        drop(permit);
        done
    });
    match done.await {
        Ok(Ok(result)) => result,
        _ => Err(Problem::bug()),
    }
}

/// The prepared pixels of the files of images, one after the other. What they unpack to is known before they are.
pub(crate) async fn pixels(app: &App, model: &Arc<Loaded>, files: Vec<Bytes>) -> Result<Vec<u8>, Problem> {
    let began = Instant::now();
    let several = files.len() > 1;
    let about = |problem: Problem, index: usize| if several { problem.of_image(index + 1) } else { problem };
    let (most, mut all) = (app.limits.pixels, 0_usize);
    for (index, file) in files.iter().enumerate() {
        let Some(size) = stated_size(file) else {
            return Err(about(Problem::unusable("not a readable JPEG, PNG, WebP, BMP or GIF image"), index));
        };
        all = all.saturating_add(size.height.saturating_mul(size.width));
        if all > most {
            let detail = format!("with {size} pixels: the images of a request may have {most} in all");
            return Err(about(Problem::too_large(detail), index));
        }
    }
    // Together, so that several threads share them. Those that have not begun are forgotten with the client.
    let each = files.into_iter().enumerate().map(async |(index, file)| {
        let model = Arc::clone(model);
        aside(app, move || prepared(&model, &file)).await.map_err(|problem| about(problem, index))
    });
    let mut prepared = try_join_all(each).await?;
    let pixels = if several { prepared.concat() } else { prepared.pop().unwrap_or_default() };
    app.metrics.decoded(began.elapsed());
    Ok(pixels)
}

/// As `visage predict` does it.
fn prepared(model: &Loaded, file: &[u8]) -> Result<Vec<u8>, Problem> {
    let preparation = &model.model.card.preparation;
    // A decoder that gives up on one image must not take others with it.
    let pixels = catch_unwind(AssertUnwindSafe(|| preparation.pixels(file)));
    pixels.unwrap_or(Err(ImageError::DecoderPanicked)).map_err(|error| {
        Problem::unusable(match error.source() {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        })
    })
}
