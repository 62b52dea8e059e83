//! Error responses: JSON problem details (RFC 9457), with the member `error` that the Open Inference Protocol requires.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// Seconds after which a client may retry.
const RETRY_AFTER: u64 = 1;

pub(crate) const CONTENT_TYPE: &str = "application/problem+json";

#[derive(Clone, Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    /// Last part of the `type` URN, for programs.
    kind: &'static str,
    /// What is wrong and how to correct it, for people.
    detail: String,
    /// Whether the same request may succeed later.
    may_retry: bool,
}

impl Problem {
    fn new(status: StatusCode, kind: &'static str, detail: impl Into<String>) -> Self {
        Self { status, kind, detail: detail.into(), may_retry: false }
    }

    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", detail)
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "this needs the header `Authorization: Bearer TOKEN`")
    }

    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", detail)
    }

    pub(crate) fn method_not_allowed() -> Self {
        let detail = "this endpoint does not support the method: see /openapi.json";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail)
    }

    /// A request whose head or body did not arrive within `limit`.
    pub(crate) fn too_slow(part: &str, limit: Duration) -> Self {
        let detail = format!("the request's {part} did not arrive within {} s", limit.as_secs());
        Self::new(StatusCode::REQUEST_TIMEOUT, "too-slow", detail)
    }

    pub(crate) fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail)
    }

    pub(crate) fn unsupported(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail)
    }

    pub(crate) fn unusable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "unusable-image", detail)
    }

    /// A photograph without the face that is asked about.
    pub(crate) fn no_face(detail: String) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "no-face", detail)
    }

    /// Photographs in which the faces were not found within `limit`.
    pub(crate) fn slow_search(limit: Duration) -> Self {
        let detail = format!(
            "finding the faces took more than {} s: send fewer or smaller photographs, or try again when the server has less to do",
            limit.as_secs()
        );
        Self { may_retry: true, ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "slow-search", detail) }
    }

    /// No room in the queue or in memory at the moment.
    pub(crate) fn busy(reason: &str) -> Self {
        let detail = format!("{reason}: try again in {RETRY_AFTER} s");
        Self { may_retry: true, ..Self::new(StatusCode::TOO_MANY_REQUESTS, "busy", detail) }
    }

    /// A request whose room in the queue another one has taken.
    pub(crate) fn displaced() -> Self {
        Self::busy("the queue is full, and this client or model has most of it")
    }

    /// A connection whose place another one has taken.
    pub(crate) fn lost_place() -> Self {
        let detail = "all connections of the server are in use, and this request was arriving slowly: try again, and send it faster";
        Self { may_retry: true, ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "slow-connection", detail) }
    }

    /// A server whose engine or decoders do not answer any more.
    pub(crate) fn stalled(part: &str, silent: Duration) -> Self {
        let detail = format!("{part} has not answered for {} s: restart the server", silent.as_secs());
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "stalled", detail)
    }

    pub(crate) fn shutting_down() -> Self {
        let detail = "the server is shutting down: use another one, or try again";
        Self { may_retry: true, ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "leaving", detail) }
    }

    pub(crate) fn bug() -> Self {
        let detail =
            "this is a bug in visage: the server keeps running, and its log has details under this request's id";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "bug", detail)
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// Seconds after which the same request may succeed, if it may.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        self.may_retry.then_some(RETRY_AFTER)
    }

    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// Names one of several images in the detail, by its number from 1.
    pub(crate) fn of_image(mut self, number: usize) -> Self {
        self.detail = format!("image {number}: {}", self.detail);
        self
    }

    pub(crate) fn json(&self) -> String {
        let body = ProblemDetails {
            r#type: format!("urn:visage:{}", self.kind),
            title: self.status.canonical_reason().unwrap_or_default(),
            status: self.status.as_u16(),
            detail: &self.detail,
            error: &self.detail,
        };
        serde_json::to_string(&body).unwrap_or_default()
    }

    /// Whether the rest of the request's body may still be on its way, so that the connection cannot be used again.
    fn ends_connection(&self) -> bool {
        matches!(self.status, StatusCode::REQUEST_TIMEOUT | StatusCode::PAYLOAD_TOO_LARGE)
    }
}

/// Problem details (RFC 9457). `error` repeats `detail` for clients of the Open Inference Protocol.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemDetails<'a> {
    #[schema(format = "uri")]
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    error: &'a str,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, [(header::CONTENT_TYPE, CONTENT_TYPE)], self.json()).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.ends_connection() {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
