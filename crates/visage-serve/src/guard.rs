//! What stands before every request: its id, the token, the log, the metrics, headers for browsers, and a net under panics.

use std::fmt::Write as _;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::problem::Problem;

/// The header that carries a request's id, in both directions.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that a client may give a request.
const LONGEST_ID: usize = 64;

/// What may be asked without the token: the page, which asks for it, what is public anyway, and what a cluster probes.
pub(crate) const OPEN: [&str; 4] = ["/", "/openapi.json", "/v2/health/live", "/v2/health/ready"];

/// What clusters and Prometheus ask all the time.
const PROBES: [&str; 4] = ["/metrics", "/v2/health/live", "/v2/health/ready", "/v2/models/{model}/ready"];

/// For browsers, on every answer that does not say otherwise: nothing is kept, framed, guessed at or read by other sites.
const HEADERS: [(HeaderName, HeaderValue); 6] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("x-frame-options"), HeaderValue::from_static("DENY")),
];

/// Numbers requests of this server, so that no two of any two servers are likely to meet.
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

    /// The id that the client gave, if it is harmless, or a new one.
    fn of(&self, headers: &HeaderMap) -> HeaderValue {
        let harmless = |id: &&HeaderValue| {
            let fits = |&byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
            (1..=LONGEST_ID).contains(&id.len()) && id.as_bytes().iter().all(fits)
        };
        headers.get(REQUEST_ID).filter(harmless).cloned().unwrap_or_else(|| {
            let mut id = String::new();
            // Writing to a string cannot fail, and hexadecimal digits are fit for a header.
            let _ = write!(id, "{:016x}-{:x}", self.prefix, self.next.fetch_add(1, Ordering::Relaxed));
            HeaderValue::try_from(id).unwrap_or(HeaderValue::from_static("-"))
        })
    }
}

/// Answers one request, whatever happens.
pub(crate) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = app.ids.of(request.headers());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let route = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str).to_owned();
    let may = app.token.as_ref().is_none_or(|token| {
        let given = request.headers().get(header::AUTHORIZATION);
        OPEN.contains(&path.as_str()) || given.is_some_and(|given| token.is_in(given.as_bytes()))
    });
    let mut response = if may {
        let mut answer = pin!(next.run(request));
        let answered = poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(cx))) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        });
        answered.await.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            tracing::error!(id = ?id, %route, panic = text, "a request panicked: this is a bug in visage");
            Problem::bug().into_response()
        })
    } else {
        Problem::unauthorized().into_response()
    };
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(value);
    }
    let (status, took) = (response.status().as_u16(), began.elapsed());
    app.metrics.answered(&route, status, took);
    let milliseconds = took.as_secs_f64() * 1e3;
    let id_text = id.to_str().unwrap_or_default();
    // What asks every few seconds would fill the log.
    if PROBES.contains(&route.as_str()) && status == 200 {
        tracing::debug!(%method, %route, status, milliseconds, id = id_text, "answered");
    } else {
        tracing::info!(%method, %route, status, milliseconds, id = id_text, "answered");
    }
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use axum::Router;
    use axum::body::Body;
    use axum::http::StatusCode;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;
    use crate::engine::Engine;
    use crate::metrics::Metrics;
    use crate::models::Models;
    use crate::options::{Batching, Limits};

    /// What a router answers that panics at `/panic`.
    async fn answer(request: axum::http::request::Builder) -> Response {
        async fn panics() -> StatusCode {
            panic!("on purpose")
        }

        let metrics = Arc::new(Metrics::new());
        let engine = Arc::new(Engine::new(Batching::default(), Arc::clone(&metrics)));
        let models = Arc::new(Models::none());
        let app = Arc::new(App::new(models, engine, metrics, Limits::default(), None, NonZeroUsize::MIN));
        let router: Router = Router::new()
            .route("/panic", get(panics))
            .route("/", get(async || "fine"))
            .layer(from_fn_with_state(Arc::clone(&app), guard));
        router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    #[test]
    fn a_panic_is_an_answer_and_ids_are_kept_where_they_are_harmless() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let broken = answer(Request::get("/panic").header(REQUEST_ID, "abc-1")).await;
            assert_eq!(broken.status(), StatusCode::INTERNAL_SERVER_ERROR);
            assert_eq!(broken.headers()[REQUEST_ID], "abc-1");
            assert_eq!(broken.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
            for strange in ["a b", "<script>", &"x".repeat(65), ""] {
                let fine = answer(Request::get("/").header(REQUEST_ID, strange)).await;
                assert_eq!(fine.status(), StatusCode::OK);
                assert_ne!(fine.headers()[REQUEST_ID], strange);
                assert!(!fine.headers()[REQUEST_ID].is_empty());
            }
        });
    }
}
