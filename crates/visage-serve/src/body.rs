//! Reads request bodies within limits on size, time and total memory.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use http_body_util::BodyExt;
use tokio::time::timeout;

use crate::body_memory::{BodyMemory, Claim};
use crate::client::Client;
use crate::options::Limits;
use crate::problem::Problem;

/// Largest buffer that is allocated for a body before any of it has arrived. A client may announce more than it sends.
const INITIAL_CAPACITY: usize = 64 << 10;

/// A complete body. Its memory counts towards [`Limits::held_bytes`] until it is dropped.
pub(crate) struct BufferedBody {
    pub(crate) bytes: Bytes,
    _memory: Claim,
}

#[derive(Debug)]
pub(crate) struct BodyReader {
    max_bytes: usize,
    timeout: Duration,
    memory: Arc<BodyMemory>,
}

impl BodyReader {
    pub(crate) fn new(limits: &Limits) -> Self {
        let memory = Arc::new(BodyMemory::new(limits.held_bytes));
        Self { max_bytes: limits.body_bytes, timeout: limits.read, memory }
    }

    pub(crate) async fn read(&self, client: Client, request: Request) -> Result<BufferedBody, Problem> {
        let (head, body) = request.into_parts();
        if head.headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
            return Err(Problem::unsupported("compressed bodies are not supported: send it uncompressed"));
        }
        let length = content_length(&head.headers);
        if length.is_some_and(|length| length > self.max_bytes as u64) {
            return Err(self.too_large());
        }
        let bytes = Vec::with_capacity(INITIAL_CAPACITY.min(length.map_or(0, |length| length as usize)));
        let collected = timeout(self.timeout, self.collect(client, body, bytes)).await;
        collected.unwrap_or_else(|_| Err(Problem::too_slow("body", self.timeout)))
    }

    async fn collect(&self, client: Client, mut body: Body, mut bytes: Vec<u8>) -> Result<BufferedBody, Problem> {
        let mut memory = self.memory.claim(client);
        while let Some(frame) = memory.keep(body.frame()).await? {
            let frame = frame.map_err(|error| Problem::malformed(format!("the body is incomplete: {error}")))?;
            let Some(data) = frame.data_ref() else { continue };
            if bytes.len() + data.len() > self.max_bytes {
                return Err(self.too_large());
            }
            memory.grow(bytes.len() + data.len()).await?;
            bytes.extend_from_slice(data);
        }
        memory.complete();
        Ok(BufferedBody { bytes: bytes.into(), _memory: memory })
    }

    fn too_large(&self) -> Problem {
        Problem::too_large(format!("a request body may have at most {} bytes", self.max_bytes))
    }
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
