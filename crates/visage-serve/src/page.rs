//! `GET /`: a web page in one document, which loads nothing from other servers.

use std::sync::LazyLock;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

const HTML: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

/// The document and its content security policy. The policy allows this script and style only, images that the user chose, the
/// camera, and requests to this server.
static PAGE: LazyLock<(String, HeaderValue)> = LazyLock::new(|| {
    let html = HTML.replace("/*style*/", STYLE).replace("/*script*/", SCRIPT);
    let hash = |text: &str| BASE64_STANDARD.encode(Sha256::digest(text));
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; img-src blob: data:; media-src blob:; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash(SCRIPT),
        hash(STYLE)
    );
    // Base64 is valid in a header.
    (html, HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'")))
});

/// Web page for classifying images
#[utoipa::path(
    get,
    path = "/",
    responses((status = 200, body = String, content_type = "text/html", description = "The page.")),
    security(()),
)]
pub(crate) async fn page() -> Response {
    let (html, policy) = &*PAGE;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, policy.clone()),
    ];
    (headers, html.as_str()).into_response()
}
