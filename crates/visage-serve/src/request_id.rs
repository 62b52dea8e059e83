//! Request ids, for finding a request in the log.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// The header that carries the id in requests and responses.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const MAX_LENGTH: usize = 64;

/// Generates ids with a prefix that two servers are unlikely to share.
#[derive(Debug)]
pub(crate) struct RequestIds {
    prefix: u64,
    next: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            prefix: since.as_nanos() as u64 ^ u64::from(std::process::id()).rotate_left(40),
            next: AtomicU64::new(1),
        }
    }

    /// The client's id if it is short and harmless in a log, or a new one.
    pub(crate) fn of(&self, headers: &HeaderMap) -> HeaderValue {
        let is_harmless = |id: &&HeaderValue| {
            let is_allowed = |&byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
            (1..=MAX_LENGTH).contains(&id.len()) && id.as_bytes().iter().all(is_allowed)
        };
        headers.get(REQUEST_ID).filter(is_harmless).cloned().unwrap_or_else(|| {
            let id = format!("{:016x}-{:x}", self.prefix, self.next.fetch_add(1, Ordering::Relaxed));
            // Hexadecimal digits are valid in a header.
            HeaderValue::try_from(id).unwrap_or(HeaderValue::from_static("-"))
        })
    }
}
