//! Connections: accepted within the limits, closed when a client is too slow, and finished before the server ends.

mod http1;
#[cfg(feature = "grpc")]
mod http2;
mod places;
mod request;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinSet, yield_now};
use tokio::time::{sleep, timeout};

#[cfg(feature = "grpc")]
use self::places::Place;
use self::places::{Held, Places};
use crate::client::Client;
use crate::metrics::Metrics;
use crate::options::Limits;
use crate::problem::Problem;
use crate::readiness::Readiness;

/// Interval at which the server checks whether to stop. Each check takes CPU time from a network that may be running.
const STOP_CHECK: Duration = Duration::from_millis(250);

/// Most connections that the system accepts before the server does.
pub(crate) const BACKLOG: u16 = 4096;

/// Files that stay free for other uses, such as models that are read again, when the system allows no more connections.
const FREE_FILES: usize = 16;

/// The error code of a process with too many open files on Linux and other Unix systems.
const TOO_MANY_FILES: i32 = 24;

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

/// The open connections of a listener.
struct Connections<'a> {
    acceptor: &'a Acceptor,
    version: HttpVersion,
    places: Arc<Places>,
    tasks: JoinSet<()>,
    closing: watch::Receiver<bool>,
}

impl Acceptor {
    /// Serves connections to `listener` until `stop` is set, and then finishes those that are open.
    pub(crate) async fn serve(&self, listener: TcpListener, version: HttpVersion, stop: &AtomicBool) {
        let (close, closing) = watch::channel(false);
        let places = Arc::new(Places::new(&self.limits, Arc::clone(&self.metrics)));
        let mut connections = Connections { acceptor: self, version, places, tasks: JoinSet::new(), closing };
        let mut swept = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            while connections.tasks.try_join_next().is_some() {}
            if swept.elapsed() >= STOP_CHECK {
                swept = Instant::now();
                connections.expire();
            }
            match timeout(STOP_CHECK, listener.accept()).await {
                Err(_) => {}
                Ok(Ok((stream, address))) => connections.open(stream, address, stop).await,
                Ok(Err(error)) => connections.refused(&error).await,
            }
        }
        self.readiness.shut_down();
        let _ = close.send(true);
        let finished = async {
            connections.accept_waiting(listener, stop).await;
            let open = connections.tasks.len();
            tracing::info!(connections = open, "shutting down: finishing accepted requests");
            while connections.tasks.join_next().await.is_some() {}
        };
        if timeout(self.grace, finished).await.is_err() {
            let open = connections.tasks.len();
            tracing::warn!(connections = open, "closing connections that did not finish in time");
        }
    }
}

impl Connections<'_> {
    /// Serves a new connection, as soon as there is a place for it.
    async fn open(&mut self, stream: TcpStream, address: SocketAddr, stop: &AtomicBool) {
        let Some(held) = self.place(Client::of(address), stop).await else {
            let _ = stream.try_write(http1::last_response(&Problem::shutting_down()).as_bytes());
            return;
        };
        let (router, closing, version) = (self.acceptor.router.clone(), self.closing.clone(), self.version);
        let read_timeout = self.acceptor.limits.read;
        self.tasks.spawn(async move {
            // Responses are small. Waiting to fill a packet would only delay them.
            let _ = stream.set_nodelay(true);
            let place = Arc::clone(&held.place);
            match version {
                HttpVersion::Http1 => http1::serve(stream, router, place, closing, read_timeout).await,
                #[cfg(feature = "grpc")]
                HttpVersion::Http2 => http2::serve(stream, router, place, closing, read_timeout).await,
            }
            drop(held);
        });
    }

    /// A place for a newcomer; `None` if the server is told to stop while all of them are occupied.
    async fn place(&self, client: Client, stop: &AtomicBool) -> Option<Held> {
        loop {
            if let Some(held) = self.places.take(client) {
                if self.places.are_full() {
                    // Lets the connection that has lost its place to this one close.
                    yield_now().await;
                }
                return Some(held);
            }
            if stop.load(Ordering::Relaxed) {
                return None;
            }
            // An answered request is noticed at the next check.
            let _ = timeout(STOP_CHECK / 25, self.places.changed.notified()).await;
        }
    }

    /// Closes connections whose clients do not read their response. Others are closed before, with an error.
    fn expire(&self) {
        let limit = self.acceptor.limits.read * 2;
        match self.version {
            HttpVersion::Http1 => self.places.expire(limit, |_| true),
            // Clients of gRPC keep connections open without requests, until they are told that the connection ends.
            #[cfg(feature = "grpc")]
            HttpVersion::Http2 => self.places.expire(limit, Place::is_ending),
        }
    }

    /// Handles an error of accepting a connection.
    async fn refused(&self, error: &io::Error) {
        if error.kind() == io::ErrorKind::ConnectionAborted {
            return;
        }
        if error.raw_os_error() == Some(TOO_MANY_FILES)
            && let Some(limit) = self.places.shrink(FREE_FILES)
        {
            tracing::warn!(
                limit,
                "the system allows no more open files: fewer connections are kept (raise `ulimit -n`)"
            );
            yield_now().await;
            return;
        }
        tracing::warn!(%error, "cannot accept a connection");
        sleep(STOP_CHECK).await;
    }

    /// Serves the connections that the system has accepted already, and closes the listener.
    async fn accept_waiting(&mut self, listener: TcpListener, stop: &AtomicBool) {
        let Ok(listener) = listener.into_std() else { return };
        // Not more than can have been waiting, however many come.
        for _ in 0..BACKLOG {
            match listener.accept() {
                Ok((stream, address)) => {
                    let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
                    if let Ok(stream) = stream {
                        self.open(stream, address, stop).await;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(_) => return,
            }
        }
    }
}
