//! Connections: accepted within the limits, given up when they are too slow, and finished before the server ends.

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

use crate::app::App;

/// How often the server looks whether it is to stop. Each look takes a processor from a network that may be computing.
const LOOK: Duration = Duration::from_millis(250);

/// Bytes that are read ahead of a request, and the most that its head may have.
const HEAD_BYTES: usize = 16 << 10;

/// How long a client may take to read that it was too slow.
const FAREWELL: Duration = Duration::from_secs(1);

/// What a client is told whose request did not arrive whole.
const TOO_SLOW: &str =
    "HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-type: application/problem+json\r\ncontent-length: ";
const TOO_SLOW_BODY: &str = r#"{"type":"urn:visage:too-slow","title":"Request Timeout","status":408,"detail":"the request's head did not arrive in time","error":"the request's head did not arrive in time"}"#;

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wire {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 from the first byte, as gRPC has it.
    #[cfg(feature = "grpc")]
    Http2,
}

/// Answers whoever comes until `stop` is set, then finishes what was begun, for at most `grace`.
pub(crate) async fn serve(
    listener: TcpListener,
    wire: Wire,
    router: Router,
    app: Arc<App>,
    stop: &AtomicBool,
    grace: Duration,
) {
    let open = Arc::new(Semaphore::new(app.limits.connections.clamp(1, Semaphore::MAX_PERMITS)));
    let (leave, leaving) = watch::channel(());
    let mut connections = JoinSet::new();
    while !stop.load(Ordering::Relaxed) {
        while connections.try_join_next().is_some() {}
        let Ok(Ok(permit)) = timeout(LOOK, Arc::clone(&open).acquire_owned()).await else { continue };
        let stream = match timeout(LOOK, listener.accept()).await {
            Err(_) => continue,
            Ok(Ok((stream, _))) => stream,
            Ok(Err(error)) => {
                // Too many open files, most likely: others must close first.
                tracing::warn!(%error, "cannot accept a connection");
                sleep(LOOK).await;
                continue;
            }
        };
        let (router, leaving, app) = (router.clone(), leaving.clone(), Arc::clone(&app));
        connections.spawn(async move {
            app.metrics.connections.inc();
            // Answers are small: waiting to fill a packet would only make them late.
            let _ = stream.set_nodelay(true);
            match wire {
                Wire::Http1 => connection(stream, router, leaving, app.limits.read).await,
                #[cfg(feature = "grpc")]
                Wire::Http2 => connection2(stream, router, leaving, app.limits.read).await,
            }
            app.metrics.connections.dec();
            drop(permit);
        });
    }
    drop(listener);
    app.leave();
    tracing::info!(connections = connections.len(), "stopping: what was accepted is finished");
    drop(leave);
    let all = async { while connections.join_next().await.is_some() {} };
    if timeout(grace, all).await.is_err() {
        tracing::warn!(connections = connections.len(), "gave up on connections that took too long to finish");
    }
}

async fn connection(stream: TcpStream, router: Router, mut leaving: watch::Receiver<()>, read: Duration) {
    let service = service_fn(move |request: Request<Incoming>| Box::pin(router.clone().oneshot(request)));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(read).max_buf_size(HEAD_BYTES);
    let mut connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut left = pin!(leaving.changed());
    let mut is_told = false;
    let done = poll_fn(|cx| {
        if !is_told && left.as_mut().poll(cx).is_ready() {
            is_told = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
        connection.poll_without_shutdown(cx)
    })
    .await;
    let parts = connection.into_parts();
    let mut stream = parts.io.into_inner();
    let farewell = async {
        match done {
            // Nobody is told anything on a connection that was only idle.
            Err(error) if error.is_timeout() && !parts.read_buf.is_empty() => {
                let text = format!("{TOO_SLOW}{}\r\n\r\n{TOO_SLOW_BODY}", TOO_SLOW_BODY.len());
                let _ = stream.write_all(text.as_bytes()).await;
            }
            _ => {}
        }
        let _ = stream.shutdown().await;
    };
    let _ = timeout(FAREWELL, farewell).await;
}

/// Requests under way on a connection of HTTP/2.
#[cfg(feature = "grpc")]
const STREAMS: u32 = 64;

#[cfg(feature = "grpc")]
async fn connection2(stream: TcpStream, router: Router, mut leaving: watch::Receiver<()>, read: Duration) {
    let service = service_fn(move |request: Request<Incoming>| Box::pin(router.clone().oneshot(request)));
    let mut builder = hyper::server::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new());
    builder.timer(TokioTimer::new()).keep_alive_interval(read).keep_alive_timeout(read).max_concurrent_streams(STREAMS);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut left = pin!(leaving.changed());
    let mut is_told = false;
    let done = poll_fn(|cx| {
        if !is_told && left.as_mut().poll(cx).is_ready() {
            is_told = true;
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(cx)
    });
    // A client that breaks off harms only itself.
    let _ = done.await;
}
