//! What is wrong with a request, as its sender is told: JSON after RFC 9457, with the member `error` that the Open Inference
//! Protocol asks for.

use std::collections::BTreeMap;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Content, Header, Ref, RefOr, Response as Described, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

/// Seconds after which a client that was turned away may come again.
const RETRY_AFTER: u64 = 1;

/// Why a request gets no answer.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    /// One word of the kind, for programs.
    kind: &'static str,
    /// What is wrong and what to do, for people.
    detail: String,
    /// Whether the same request may be answered later.
    may_retry: bool,
}

impl Problem {
    fn new(status: StatusCode, kind: &'static str, detail: impl Into<String>) -> Self {
        Self { status, kind, detail: detail.into(), may_retry: false }
    }

    /// A request that is not as it should be.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", detail)
    }

    /// No or the wrong token.
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "this needs the header `Authorization: Bearer TOKEN`")
    }

    /// An address that leads nowhere.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", detail)
    }

    /// An address that is asked in another way.
    pub fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "see /openapi.json for what can be asked here")
    }

    /// A client that is too slow.
    pub fn too_slow(seconds: u64) -> Self {
        let detail = format!("the body did not arrive within {seconds} seconds");
        Self::new(StatusCode::REQUEST_TIMEOUT, "too-slow", detail)
    }

    /// More than one request may hold: of bytes, of pixels or of images.
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail)
    }

    /// A body of another type than is read here.
    pub fn unsupported(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail)
    }

    /// An image that nothing can be said of.
    pub fn unusable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "unusable-image", detail)
    }

    /// More than the server has room for at the moment.
    pub fn busy(what: &str) -> Self {
        let detail = format!("{what}: try again in {RETRY_AFTER} s");
        Self { may_retry: true, ..Self::new(StatusCode::TOO_MANY_REQUESTS, "busy", detail) }
    }

    /// A server that is about to end.
    pub fn leaving() -> Self {
        let detail = "the server is shutting down: ask another, or try again";
        Self { may_retry: true, ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "leaving", detail) }
    }

    /// A bug.
    pub fn bug() -> Self {
        let detail = "this is a bug in visage: the server goes on; its log says more under the request's id";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "bug", detail)
    }

    /// The status of the answer.
    #[cfg(feature = "grpc")]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What is said to people.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The same of one of several images, by its number from 1.
    #[must_use]
    pub fn of_image(mut self, number: usize) -> Self {
        self.detail = format!("image {number}: {}", self.detail);
        self
    }

    /// The same without a body to read on: the connection is given up after the answer.
    fn ends_connection(&self) -> bool {
        matches!(self.status, StatusCode::REQUEST_TIMEOUT | StatusCode::PAYLOAD_TOO_LARGE)
    }
}

/// What is wrong (RFC 9457); `error` is what the Open Inference Protocol calls `detail`.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Body<'a> {
    #[schema(format = "uri")]
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    error: &'a str,
}

/// A status that problems come with, as it is described: when, and with which header.
type When = (StatusCode, &'static str, Option<(HeaderName, Type)>);

/// Every one.
const DESCRIBED: [When; 10] = [
    (StatusCode::BAD_REQUEST, "The request is not as it should be; the answer says where.", None),
    (StatusCode::UNAUTHORIZED, "No or the wrong token.", Some((header::WWW_AUTHENTICATE, Type::String))),
    (StatusCode::NOT_FOUND, "There is no such model or attribute.", None),
    (StatusCode::REQUEST_TIMEOUT, "The request did not arrive in time.", None),
    (
        StatusCode::PAYLOAD_TOO_LARGE,
        "The body has more bytes, or the images are more or have more pixels, than the server takes.",
        None,
    ),
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body is of another type than is read here.", None),
    (StatusCode::UNPROCESSABLE_ENTITY, "No image that can be read, or one nothing can be said of.", None),
    (
        StatusCode::TOO_MANY_REQUESTS,
        "The queue is full: come again after as many seconds as `Retry-After` says.",
        Some((header::RETRY_AFTER, Type::Integer)),
    ),
    (StatusCode::INTERNAL_SERVER_ERROR, "A bug in visage.", None),
    (StatusCode::SERVICE_UNAVAILABLE, "The server is shutting down.", Some((header::RETRY_AFTER, Type::Integer))),
];

fn described(statuses: &[StatusCode]) -> BTreeMap<String, RefOr<Described>> {
    let content = Content::new(Some(Ref::from_schema_name(Body::name())));
    let described = DESCRIBED.into_iter().filter(|(status, ..)| statuses.contains(status));
    let described = described.map(|(status, when, header)| {
        let response = ResponseBuilder::new().description(when).content("application/problem+json", content.clone());
        let response = match header {
            Some((name, kind)) => response.header(name.as_str(), Header::new(ObjectBuilder::new().schema_type(kind))),
            None => response,
        };
        (status.as_str().to_owned(), response.build().into())
    });
    described.collect()
}

/// What asking about images may be answered with instead.
pub(crate) struct Refused;

impl IntoResponses for Refused {
    fn responses() -> BTreeMap<String, RefOr<Described>> {
        described(&DESCRIBED.map(|(status, ..)| status))
    }
}

/// What asking about a model may be answered with instead.
pub(crate) struct Unknown;

impl IntoResponses for Unknown {
    fn responses() -> BTreeMap<String, RefOr<Described>> {
        described(&[StatusCode::BAD_REQUEST, StatusCode::UNAUTHORIZED, StatusCode::NOT_FOUND])
    }
}

/// What asking about the server may be answered with instead.
pub(crate) struct Guarded;

impl IntoResponses for Guarded {
    fn responses() -> BTreeMap<String, RefOr<Described>> {
        described(&[StatusCode::UNAUTHORIZED])
    }
}

/// What asking whether it takes requests may be answered with instead.
pub(crate) struct NotReady;

impl IntoResponses for NotReady {
    fn responses() -> BTreeMap<String, RefOr<Described>> {
        described(&[StatusCode::SERVICE_UNAVAILABLE])
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Body {
            r#type: format!("urn:visage:{}", self.kind),
            title: self.status.canonical_reason().unwrap_or_default(),
            status: self.status.as_u16(),
            detail: &self.detail,
            error: &self.detail,
        };
        let text = serde_json::to_string(&body).unwrap_or_default();
        let mut response = (self.status, [(header::CONTENT_TYPE, "application/problem+json")], text).into_response();
        let headers = response.headers_mut();
        if self.may_retry {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER));
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
