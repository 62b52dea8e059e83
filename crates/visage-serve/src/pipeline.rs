//! The steps of a request with images: body, decoding, inference in batches.

use std::sync::Arc;

use axum::extract::Request;

use crate::body::{BodyReader, BufferedBody};
use crate::decode::DecodePool;
use crate::engine::Queue;
use crate::problem::Problem;

#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) bodies: BodyReader,
    pub(crate) decoding: DecodePool,
    pub(crate) queue: Arc<Queue>,
    /// Largest number of images in a request.
    pub(crate) max_images: usize,
}

impl Pipeline {
    /// Reads a body, unless the queue is full already.
    pub(crate) async fn read(&self, request: Request) -> Result<BufferedBody, Problem> {
        self.queue.check_room()?;
        self.bodies.read(request).await
    }
}
