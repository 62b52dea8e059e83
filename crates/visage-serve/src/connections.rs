//! Connections: accepted within the limits, closed when a client is too slow, and finished before the server ends.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower::ServiceExt;

use crate::metrics::Metrics;
use crate::options::Limits;
use crate::problem::{self, Problem};
use crate::readiness::Readiness;

/// Interval at which the server checks whether to stop. Each check takes CPU time from a network that may be running.
const STOP_CHECK: Duration = Duration::from_millis(250);

/// Size of the read buffer, and so the largest head of a request.
const MAX_HEAD_BYTES: usize = 16 << 10;

/// Time that a client has to read the last response on a connection.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

#[cfg(feature = "grpc")]
const MAX_STREAMS: u32 = 64;

#[derive(Clone, Copy, Debug)]
pub(crate) enum HttpVersion {
    Http1,
    /// HTTP/2 without an upgrade, for gRPC.
    #[cfg(feature = "grpc")]
    Http2,
}

pub(crate) struct Acceptor {
    pub(crate) router: Router,
    pub(crate) limits: Limits,
    /// Time that open requests have to finish after a stop.
    pub(crate) grace: Duration,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) readiness: Arc<Readiness>,
}

impl Acceptor {
    /// Serves connections to `listener` until `stop` is set, and then finishes those that are open.
    pub(crate) async fn serve(&self, listener: TcpListener, version: HttpVersion, stop: &AtomicBool) {
        let (close, closing) = watch::channel(());
        let mut connections = JoinSet::new();
        let open = Arc::new(Semaphore::new(self.limits.connections.clamp(1, Semaphore::MAX_PERMITS)));
        while !stop.load(Ordering::Relaxed) {
            while connections.try_join_next().is_some() {}
            let Ok(Ok(permit)) = timeout(STOP_CHECK, Arc::clone(&open).acquire_owned()).await else { continue };
            let stream = match timeout(STOP_CHECK, listener.accept()).await {
                Err(_) => continue,
                Ok(Ok((stream, _))) => stream,
                Ok(Err(error)) => {
                    // Usually too many open files: other connections must close first.
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(STOP_CHECK).await;
                    continue;
                }
            };
            let (router, closing, read_timeout) = (self.router.clone(), closing.clone(), self.limits.read);
            let metrics = Arc::clone(&self.metrics);
            connections.spawn(async move {
                metrics.connections.inc();
                // Responses are small. Waiting to fill a packet would only delay them.
                let _ = stream.set_nodelay(true);
                match version {
                    HttpVersion::Http1 => http1_connection(stream, router, closing, read_timeout).await,
                    #[cfg(feature = "grpc")]
                    HttpVersion::Http2 => http2_connection(stream, router, closing, read_timeout).await,
                }
                metrics.connections.dec();
                drop(permit);
            });
        }
        drop(listener);
        self.readiness.shut_down();
        tracing::info!(connections = connections.len(), "shutting down: finishing accepted requests");
        drop(close);
        let finished = async { while connections.join_next().await.is_some() {} };
        if timeout(self.grace, finished).await.is_err() {
            tracing::warn!(connections = connections.len(), "closing connections that did not finish in time");
        }
    }
}

async fn http1_connection(stream: TcpStream, router: Router, mut closing: watch::Receiver<()>, read_timeout: Duration) {
    let service = service_fn(move |request: Request<Incoming>| Box::pin(router.clone().oneshot(request)));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(read_timeout).max_buf_size(MAX_HEAD_BYTES);
    let mut connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut closing = pin!(closing.changed());
    let mut is_closing = false;
    let result = poll_fn(|cx| {
        if !is_closing && closing.as_mut().poll(cx).is_ready() {
            is_closing = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
        connection.poll_without_shutdown(cx)
    })
    .await;
    let parts = connection.into_parts();
    let mut stream = parts.io.into_inner();
    let close = async {
        // A connection that was only idle gets no response.
        if result.is_err_and(|error| error.is_timeout()) && !parts.read_buf.is_empty() {
            let _ = stream.write_all(head_timeout_response(read_timeout).as_bytes()).await;
        }
        let _ = stream.shutdown().await;
    };
    let _ = timeout(CLOSE_TIMEOUT, close).await;
}

/// The response to a request whose head did not arrive in time. hyper sends none.
fn head_timeout_response(read_timeout: Duration) -> String {
    let body = Problem::too_slow("head", read_timeout).json();
    format!(
        "HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-type: {}\r\ncontent-length: {}\r\n\r\n{body}",
        problem::CONTENT_TYPE,
        body.len()
    )
}

#[cfg(feature = "grpc")]
async fn http2_connection(stream: TcpStream, router: Router, mut closing: watch::Receiver<()>, read_timeout: Duration) {
    let service = service_fn(move |request: Request<Incoming>| Box::pin(router.clone().oneshot(request)));
    let mut builder = hyper::server::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new());
    builder.timer(TokioTimer::new()).keep_alive_interval(read_timeout).keep_alive_timeout(read_timeout);
    builder.max_concurrent_streams(MAX_STREAMS);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut closing = pin!(closing.changed());
    let mut is_closing = false;
    let finished = poll_fn(|cx| {
        if !is_closing && closing.as_mut().poll(cx).is_ready() {
            is_closing = true;
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(cx)
    });
    // An error concerns this client only.
    let _ = finished.await;
}
