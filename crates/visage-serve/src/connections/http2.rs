//! A connection of HTTP/2, for gRPC.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use futures_util::future::select;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use super::places::Place;
use super::request::{WatchedStream, answer};

const MAX_STREAMS: u32 = 64;

/// Serves a connection until it ends, its place is given away, or its requests are answered after it is spent or after `closing`.
pub(super) async fn serve(
    stream: TcpStream,
    router: Router,
    place: Arc<Place>,
    mut closing: watch::Receiver<bool>,
    read_timeout: Duration,
) {
    let (asked_at, spent) = (Arc::clone(&place), Arc::new(Notify::new()));
    let is_spent = Arc::clone(&spent);
    let service = service_fn(move |request: Request<Incoming>| {
        let (router, place, spent) = (router.clone(), Arc::clone(&asked_at), Arc::clone(&spent));
        Box::pin(async move {
            let response = answer(router, Arc::clone(&place), request).await;
            if place.is_spent() {
                spent.notify_one();
            }
            Ok::<_, std::convert::Infallible>(response)
        })
    });
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.timer(TokioTimer::new()).keep_alive_interval(read_timeout).keep_alive_timeout(read_timeout);
    builder.max_concurrent_streams(MAX_STREAMS);
    let stream = WatchedStream { stream, place: Arc::clone(&place) };
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    // Clients of gRPC keep connections open without requests, so that time has to be noticed without a response.
    let ends = async {
        let (spent, age) = (pin!(is_spent.notified()), pin!(sleep(place.age_limit())));
        let closing = pin!(closing.wait_for(|&is_closing| is_closing));
        select(select(spent, age), closing).await;
    };
    let (mut lost, mut ends) = (pin!(place.lost()), pin!(ends));
    let mut is_ending = false;
    poll_fn(|cx| {
        if lost.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if !is_ending && ends.as_mut().poll(cx).is_ready() {
            is_ending = true;
            place.ending();
            connection.as_mut().graceful_shutdown();
        }
        // An error concerns this client only.
        connection.as_mut().poll(cx).map(|_| ())
    })
    .await;
}
