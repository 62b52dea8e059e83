//! What all requests share. Each handler extracts the parts that it needs.

use std::sync::Arc;

use axum::extract::{FromRef, Request};

use crate::body::{BodyReader, BufferedBody};
use crate::client::Party;
use crate::decode::DecodePool;
use crate::engine::Queue;
use crate::faces::FaceSearch;
use crate::metrics::Metrics;
use crate::models::Models;
use crate::problem::Problem;
use crate::readiness::Readiness;

/// The steps of a request with images: body, decoding, finding faces if asked for, inference in batches.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) bodies: BodyReader,
    pub(crate) decoding: Arc<DecodePool>,
    pub(crate) faces: FaceSearch,
    pub(crate) queue: Arc<Queue>,
    /// Largest number of images in a request.
    pub(crate) max_images: usize,
}

impl Pipeline {
    /// Reads a body, unless the queue has no room for this party already.
    pub(crate) async fn read(&self, party: &Party, request: Request) -> Result<BufferedBody, Problem> {
        self.queue.check_room(party)?;
        self.bodies.read(party.client, request).await
    }
}

#[derive(Clone, Debug)]
pub(crate) struct AppState {
    pub(crate) models: Arc<Models>,
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) readiness: Arc<Readiness>,
}

macro_rules! parts {
    ($($field:ident: $part:ty),+) => {$(
        impl FromRef<AppState> for Arc<$part> {
            fn from_ref(state: &AppState) -> Self {
                Arc::clone(&state.$field)
            }
        }
    )+};
}

parts!(models: Models, pipeline: Pipeline, metrics: Metrics, readiness: Readiness);
