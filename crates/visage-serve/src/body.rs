//! Reads request bodies within limits on size, time and total memory.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::options::Limits;
use crate::problem::Problem;

/// Largest buffer that is allocated for a body before any of it has arrived. A client may announce more than it sends.
const INITIAL_CAPACITY: usize = 1 << 20;

/// A complete body. Its memory counts towards [`Limits::held_bytes`] until it is dropped.
pub(crate) struct BufferedBody {
    pub(crate) bytes: Bytes,
    _memory: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
pub(crate) struct BodyReader {
    max_bytes: usize,
    timeout: Duration,
    /// A permit for each KiB that bodies may use together.
    memory: Arc<Semaphore>,
}

impl BodyReader {
    pub(crate) fn new(limits: &Limits) -> Self {
        let kibibytes = (limits.held_bytes >> 10).clamp(1, Semaphore::MAX_PERMITS);
        Self { max_bytes: limits.body_bytes, timeout: limits.read, memory: Arc::new(Semaphore::new(kibibytes)) }
    }

    pub(crate) async fn read(&self, request: Request) -> Result<BufferedBody, Problem> {
        let (head, body) = request.into_parts();
        if head.headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
            return Err(Problem::unsupported("compressed bodies are not supported: send it uncompressed"));
        }
        let length = content_length(&head.headers);
        if length.is_some_and(|length| length > self.max_bytes as u64) {
            return Err(self.too_large());
        }
        let bytes = Vec::with_capacity(INITIAL_CAPACITY.min(length.map_or(0, |length| length as usize)));
        let collected = timeout(self.timeout, self.collect(body, bytes)).await;
        collected.unwrap_or_else(|_| Err(Problem::too_slow("body", self.timeout)))
    }

    async fn collect(&self, mut body: Body, mut bytes: Vec<u8>) -> Result<BufferedBody, Problem> {
        let mut memory: Option<OwnedSemaphorePermit> = None;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Problem::malformed(format!("the body is incomplete: {error}")))?;
            let Some(data) = frame.data_ref() else { continue };
            if bytes.len() + data.len() > self.max_bytes {
                return Err(self.too_large());
            }
            bytes.extend_from_slice(data);
            let acquired = memory.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
            let needed = bytes.len().div_ceil(1 << 10).saturating_sub(acquired) as u32;
            if needed > 0 {
                let more = Arc::clone(&self.memory).try_acquire_many_owned(needed);
                let more = more.map_err(|_| Problem::busy("other requests use all memory for bodies"))?;
                match &mut memory {
                    Some(memory) => memory.merge(more),
                    None => memory = Some(more),
                }
            }
        }
        Ok(BufferedBody { bytes: bytes.into(), _memory: memory })
    }

    fn too_large(&self) -> Problem {
        Problem::too_large(format!("a request body may have at most {} bytes", self.max_bytes))
    }
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
