//! A connection of HTTP/2, for gRPC.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::places::Place;
use super::request::{WatchedStream, answer};

const MAX_STREAMS: u32 = 64;

/// Serves a connection until it ends, its place is given away, or its requests are answered after `closing`.
pub(super) async fn serve(
    stream: TcpStream,
    router: Router,
    place: Arc<Place>,
    mut closing: watch::Receiver<bool>,
    read_timeout: Duration,
) {
    let asked_at = Arc::clone(&place);
    let service = service_fn(move |request: Request<Incoming>| {
        let (router, place) = (router.clone(), Arc::clone(&asked_at));
        Box::pin(async move { Ok::<_, std::convert::Infallible>(answer(router, place, request).await) })
    });
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.timer(TokioTimer::new()).keep_alive_interval(read_timeout).keep_alive_timeout(read_timeout);
    builder.max_concurrent_streams(MAX_STREAMS);
    let stream = WatchedStream { stream, place: Arc::clone(&place) };
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let (mut lost, mut closing) = (pin!(place.lost()), pin!(closing.wait_for(|&is_closing| is_closing)));
    let mut is_closing = false;
    poll_fn(|cx| {
        if lost.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if !is_closing && closing.as_mut().poll(cx).is_ready() {
            is_closing = true;
            connection.as_mut().graceful_shutdown();
        }
        // An error concerns this client only.
        connection.as_mut().poll(cx).map(|_| ())
    })
    .await;
}
