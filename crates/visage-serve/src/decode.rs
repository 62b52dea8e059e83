//! A bounded pool of threads for blocking work: decoding images, finding faces in them, and parsing large requests.

use std::error::Error as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use futures_util::future::try_join_all;
use tokio::task::spawn_blocking;
use visage_data::{ImageError, PreparedImage, Size, Truncated, stated_size};

use crate::client::Party;
use crate::gate::Gate;
use crate::metrics::Metrics;
use crate::models::ServedModel;
use crate::options::Options;
use crate::problem::Problem;

/// Bytes that decoding takes for each pixel, at most: what the decoder works with, RGB, and a copy of it that is turned or resized.
const BYTES_PER_PIXEL: usize = 8;

/// Decodes images for all requests of a server.
#[derive(Debug)]
pub(crate) struct DecodePool {
    gate: Arc<Gate>,
    max_pixels: usize,
    pub(crate) truncated: Truncated,
    metrics: Arc<Metrics>,
}

/// Image files, prepared for a model.
#[derive(Debug)]
pub(crate) struct DecodedImages {
    /// RGB pixels of the model's size, image after image.
    pub(crate) pixels: Vec<u8>,
    /// The sizes of the images in their files.
    pub(crate) originals: Vec<Size>,
}

impl DecodePool {
    pub(crate) fn new(options: &Options, metrics: Arc<Metrics>) -> Self {
        let gate = Arc::new(Gate::new(options.decoders.get(), options.limits.decode_bytes));
        Self { gate, max_pixels: options.limits.pixels, truncated: options.truncated, metrics }
    }

    /// Runs `work`, which takes so many bytes of memory, when it is this party's turn. It does not start if the client has gone by
    /// then. Once started, it runs to its end.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        party: &Party,
        memory: usize,
        work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let pass = self.gate.enter(party, memory).await.ok_or_else(Problem::shutting_down)?;
        let task = spawn_blocking(move || {
            let _pass = pass;
            work()
        });
        task.await.unwrap_or_else(|error| {
            tracing::error!(%error, "decoding panicked: this is a bug in visage");
            Err(Problem::bug())
        })
    }

    /// Asks the pool whether it works, and waits for the answer: a thread does nothing, when it is the watchdog's turn.
    pub(crate) async fn ask(&self) {
        // The task itself cannot fail.
        let _ = self.run(&Party::watchdog(), 0, || Ok(())).await;
    }

    /// How long the oldest work in progress has been running.
    pub(crate) fn longest(&self) -> Duration {
        self.gate.longest()
    }

    /// Runs `work` on each of the image files of a request. A problem names its image, if there are several.
    pub(crate) async fn each<T: Send + 'static>(
        &self,
        party: &Party,
        files: Vec<Bytes>,
        work: impl Fn(&[u8]) -> Result<T, Problem> + Clone + Send + 'static,
    ) -> Result<Vec<T>, Problem> {
        let is_single = files.len() == 1;
        let numbered = |problem: Problem, index: usize| if is_single { problem } else { problem.of_image(index + 1) };
        self.check_sizes(&files).map_err(|(index, problem)| numbered(problem, index))?;
        // Concurrently, so that several threads share them. If the client goes away, those that have not started are cancelled.
        let results = files.into_iter().enumerate().map(async |(index, file)| {
            let work = work.clone();
            let pixels = stated_size(&file).map_or(0, |size| size.height.saturating_mul(size.width));
            let memory = pixels.saturating_mul(BYTES_PER_PIXEL).saturating_add(file.len());
            self.run(party, memory, move || work(&file)).await.map_err(|problem| numbered(problem, index))
        });
        try_join_all(results).await
    }

    /// Decodes image files and prepares them for the model, as `visage predict` does.
    pub(crate) async fn images(
        &self,
        model: &Arc<ServedModel>,
        party: &Party,
        files: Vec<Bytes>,
    ) -> Result<DecodedImages, Problem> {
        let began = Instant::now();
        let (model, truncated) = (Arc::clone(model), self.truncated);
        let prepared = self.each(party, files, move |file| prepare(&model, file, truncated)).await?;
        let originals = prepared.iter().map(|image| image.original).collect();
        let mut pixels: Vec<Vec<u8>> = prepared.into_iter().map(|image| image.pixels).collect();
        let pixels = if pixels.len() == 1 { pixels.remove(0) } else { pixels.concat() };
        self.metrics.decoded(began.elapsed());
        Ok(DecodedImages { pixels, originals })
    }

    /// Checks the sizes in the files' headers before anything is decoded. An error comes with the index of its file.
    fn check_sizes(&self, files: &[Bytes]) -> Result<(), (usize, Problem)> {
        let mut total = 0_usize;
        for (index, file) in files.iter().enumerate() {
            let Some(size) = stated_size(file) else {
                return Err((index, problem(&ImageError::without_size(file))));
            };
            total = total.saturating_add(size.height.saturating_mul(size.width));
            if total > self.max_pixels {
                let limit = format!("the images of a request may have at most {} in all", self.max_pixels);
                return Err((index, Problem::too_large(format!("the image has {size} pixels: {limit}"))));
            }
        }
        Ok(())
    }
}

fn prepare(model: &ServedModel, file: &[u8], truncated: Truncated) -> Result<PreparedImage, Problem> {
    let prepared = model.card().preparation.prepare(file, truncated).map_err(|error| problem(&error))?;
    if prepared.is_truncated {
        log_truncated(file);
    }
    Ok(prepared)
}

pub(crate) fn log_truncated(file: &[u8]) {
    tracing::warn!(bytes = file.len(), "an image is cut short: answered from the part that is there");
}

pub(crate) fn problem(error: &ImageError) -> Problem {
    let detail = match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    };
    match error {
        ImageError::TooLong { .. } | ImageError::TooLarge { .. } | ImageError::OutOfMemory { .. } => {
            Problem::too_large(detail)
        }
        _ => Problem::unusable(detail),
    }
}
