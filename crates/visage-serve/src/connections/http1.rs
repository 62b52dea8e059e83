//! A connection of HTTP/1.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use futures_util::future::select;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep_until, timeout};

use super::places::{LAST_REQUEST, Place};
use super::request::{WatchedStream, answer};
use crate::problem::{self, Problem};

/// Size of the read buffer, and so the largest head of a request.
const MAX_HEAD_BYTES: usize = 16 << 10;

/// Time that a client has to read the last response on a connection, and to close it.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Why no more requests are read from a connection.
enum Ended {
    Finished(hyper::Result<()>),
    LostPlace,
}

/// Serves a connection until it ends, it is spent, its place is given away, or it is idle after `closing`.
pub(super) async fn serve(
    stream: TcpStream,
    router: Router,
    place: Arc<Place>,
    closing: watch::Receiver<bool>,
    read_timeout: Duration,
) {
    let (asked_at, is_closing) = (Arc::clone(&place), closing.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        let (router, place, is_closing) = (router.clone(), Arc::clone(&asked_at), is_closing.clone());
        Box::pin(async move {
            let mut response = answer(router, Arc::clone(&place), request).await;
            if *is_closing.borrow() || place.is_spent() {
                place.ending();
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, std::convert::Infallible>(response)
        })
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(read_timeout).max_buf_size(MAX_HEAD_BYTES);
    let stream = WatchedStream { stream, place: Arc::clone(&place) };
    let mut connection = builder.serve_connection(TokioIo::new(stream), service);
    let (mut lost, mut unused) = (pin!(place.lost()), pin!(unused_after(closing, &place)));
    let mut is_unused = false;
    let ended = poll_fn(|cx| {
        if lost.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ended::LostPlace);
        }
        // Requests that have arrived are read before the connection counts as unused.
        if let Poll::Ready(result) = connection.poll_without_shutdown(cx) {
            return Poll::Ready(Ended::Finished(result));
        }
        if !is_unused && unused.as_mut().poll(cx).is_ready() {
            is_unused = true;
            Pin::new(&mut connection).graceful_shutdown();
            return connection.poll_without_shutdown(cx).map(Ended::Finished);
        }
        Poll::Pending
    })
    .await;
    let parts = connection.into_parts();
    let mut stream = parts.io.into_inner().stream;
    let result = match ended {
        Ended::Finished(result) => result,
        Ended::LostPlace => {
            // Whoever is sending a request may not be waited for.
            if place.is_receiving() {
                let _ = stream.try_write(last_response(&Problem::lost_place()).as_bytes());
            }
            return;
        }
    };
    // A connection that was only idle gets no response.
    let is_late = result.is_err_and(|error| error.is_timeout()) && !parts.read_buf.is_empty();
    let close = async {
        if is_late {
            let response = last_response(&Problem::too_slow("head", read_timeout));
            let _ = stream.write_all(response.as_bytes()).await;
        }
        let _ = stream.shutdown().await;
        // The system resets a connection that is closed with unread bytes, and the client would lose the response.
        let mut rest = [0; 4096];
        while stream.read(&mut rest).await.is_ok_and(|bytes| bytes > 0) {}
    };
    let _ = timeout(CLOSE_TIMEOUT, select(pin!(close), pin!(place.lost()))).await;
}

/// Completes some time after `closing`, when no part of a request has arrived since.
async fn unused_after(mut closing: watch::Receiver<bool>, place: &Place) {
    let _ = closing.wait_for(|&is_closing| is_closing).await;
    let closed = Instant::now();
    loop {
        let since = place.idle_since().map(|since| since.max(closed));
        let end = since.unwrap_or_else(Instant::now) + LAST_REQUEST;
        if since.is_some() && end <= Instant::now() {
            return;
        }
        sleep_until(end.into()).await;
    }
}

/// A response that hyper does not send, before the connection is closed.
pub(super) fn last_response(problem: &Problem) -> String {
    let (status, body) = (problem.status(), problem.json());
    let retry = problem.retry_after().map(|seconds| format!("retry-after: {seconds}\r\n")).unwrap_or_default();
    format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\n{retry}content-type: {}\r\ncontent-length: {}\r\n\r\n{body}",
        problem::CONTENT_TYPE,
        body.len()
    )
}
