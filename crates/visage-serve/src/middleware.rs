//! Middleware around every request: its id, authentication, the site it comes from, log, metrics, security headers, and conversion of panics into errors.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::metrics::Metrics;
use crate::origin::{self, OriginPolicy};
use crate::problem::Problem;
use crate::request_id::{REQUEST_ID, RequestIds};
use crate::token::Token;

/// Paths that need no token: the page, which asks for the token, the OpenAPI document, and the probes of a cluster.
pub(crate) const PUBLIC_PATHS: [&str; 4] = ["/", "/openapi.json", "/v2/health/live", "/v2/health/ready"];

/// Routes that clusters and Prometheus request every few seconds. Successes would fill the log.
const PROBES: [&str; 4] = ["/metrics", "/v2/health/live", "/v2/health/ready", "/v2/models/{model}/ready"];

/// Security headers of every response that does not set its own: nothing may be cached, framed, sniffed or read by other origins.
const HEADERS: [(HeaderName, HeaderValue); 6] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("x-frame-options"), HeaderValue::from_static("DENY")),
];

#[derive(Debug)]
pub(crate) struct Middleware {
    token: Option<Token>,
    origins: OriginPolicy,
    metrics: Arc<Metrics>,
    ids: RequestIds,
}

impl Middleware {
    pub(crate) fn new(token: Option<Token>, origins: OriginPolicy, metrics: Arc<Metrics>) -> Self {
        Self { token, origins, metrics, ids: RequestIds::new() }
    }

    /// Whether a request may be handled: with the token, or without it a public path or a server without a token, unless a page of
    /// another site sends it.
    fn authorise(&self, request: &Request, allowed_origin: Option<&HeaderValue>) -> Result<(), Problem> {
        if let Some(token) = &self.token {
            let authorization = request.headers().get(header::AUTHORIZATION);
            if authorization.is_some_and(|value| token.matches(value.as_bytes())) {
                return Ok(());
            }
            if !PUBLIC_PATHS.contains(&request.uri().path()) {
                return Err(Problem::unauthorized());
            }
        }
        self.origins.check(request, allowed_origin)
    }
}

pub(crate) async fn around(State(middleware): State<Arc<Middleware>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = middleware.ids.of(request.headers());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str).to_owned();
    let allowed_origin = middleware.origins.allowed_origin(request.headers());
    let preflight = allowed_origin.as_ref().and_then(|_| origin::preflight(&request));
    let mut response = if let Some(response) = preflight {
        response
    } else if let Err(problem) = middleware.authorise(&request, allowed_origin.as_ref()) {
        problem.into_response()
    } else {
        run(next, request).await.unwrap_or_else(|panic| {
            tracing::error!(?id, %route, panic, "a request panicked: this is a bug in visage");
            Problem::bug().into_response()
        })
    };
    if let Some(origin) = allowed_origin {
        origin::allow(&mut response, origin);
    }
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(value);
    }
    let (status, took) = (response.status().as_u16(), began.elapsed());
    middleware.metrics.answered(&route, status, took);
    let milliseconds = took.as_secs_f64() * 1e3;
    let id_text = id.to_str().unwrap_or_default();
    if PROBES.contains(&route.as_str()) && status == 200 {
        tracing::debug!(%method, %route, status, milliseconds, id = id_text, "answered");
    } else {
        tracing::info!(%method, %route, status, milliseconds, id = id_text, "answered");
    }
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// The handler's response, or the message of its panic.
async fn run(next: Next, request: Request) -> Result<Response, String> {
    let mut response = pin!(next.run(request));
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| response.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(ToString::to_string);
            Poll::Ready(Err(text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()))
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::http::StatusCode;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;

    /// The response of a router whose handler at `/panic` panics.
    async fn response(request: axum::http::request::Builder) -> Response {
        async fn panics() -> StatusCode {
            panic!("on purpose")
        }

        let origins = OriginPolicy::new(Vec::new(), ([127, 0, 0, 1], 80).into());
        let middleware = Arc::new(Middleware::new(None, origins, Arc::new(Metrics::new())));
        let router: Router = Router::new()
            .route("/panic", get(panics))
            .route("/", get(async || "fine"))
            .layer(from_fn_with_state(middleware, around));
        router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    #[test]
    fn a_panic_becomes_a_response_and_harmless_ids_are_kept() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let broken = response(Request::get("/panic").header(REQUEST_ID, "abc-1")).await;
            assert_eq!(broken.status(), StatusCode::INTERNAL_SERVER_ERROR);
            assert_eq!(broken.headers()[REQUEST_ID], "abc-1");
            assert_eq!(broken.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
            for strange in ["a b", "<script>", &"x".repeat(65), ""] {
                let fine = response(Request::get("/").header(REQUEST_ID, strange)).await;
                assert_eq!(fine.status(), StatusCode::OK);
                assert_ne!(fine.headers()[REQUEST_ID], strange);
                assert!(!fine.headers()[REQUEST_ID].is_empty());
            }
        });
    }
}
