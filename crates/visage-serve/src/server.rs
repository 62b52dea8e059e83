//! Starts and joins the threads of a server.

use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};

use burn::tensor::Device;
use futures_util::future::{join_all, select};
use socket2::SockRef;
use tokio::runtime::{self, Runtime};

use crate::body::BodyReader;
use crate::connections::{Acceptor, BACKLOG, HttpVersion};
use crate::decode::DecodePool;
use crate::engine::{self, Queue};
use crate::error::ServeError;
use crate::faces::FaceSearch;
use crate::metrics::Metrics;
use crate::middleware::Middleware;
use crate::models::Models;
use crate::options::Options;
use crate::origin::OriginPolicy;
use crate::readiness::Readiness;
use crate::reload;
use crate::router::router;
use crate::source::Source;
use crate::state::AppState;
use crate::state::Pipeline;

/// The addresses that a server listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Address for HTTP.
    pub http: SocketAddr,
    /// Address for gRPC, if it is enabled.
    pub grpc: Option<SocketAddr>,
}

/// Serves models until `stop` is set, even before the server listens, and then finishes the accepted requests. The networks run on the calling thread. `ready` is
/// called once, when the server accepts connections.
///
/// # Errors
///
/// A model cannot be read or used, a model's name is invalid or repeated, or an address cannot be bound.
pub fn serve(
    sources: Vec<Source>,
    options: &Options,
    device: &Device,
    stop: &AtomicBool,
    ready: &mut dyn FnMut(Addresses),
) -> Result<(), ServeError> {
    if stop.load(Ordering::Relaxed) {
        tracing::info!("told to stop before listening: no request was accepted");
        return Ok(());
    }
    let (listeners, addresses) = listen(options)?;
    // Before the models are read, so that a change in between is noticed.
    let stamps = reload::stamps(&sources);
    let models = Arc::new(Models::load(sources, device, options.precision, options.test_time)?);
    let state = state(models, options);
    let acceptor = acceptor(state.clone(), options, addresses.http);
    let runtime = runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(options.decoders.get() + 2)
        // New connections are accepted after so many steps of open ones, each of up to a tenth of a millisecond. The default of 61 would
        // let a thousand busy connections keep newcomers waiting for seconds.
        .event_interval(8)
        .build()
        .map_err(ServeError::Start)?;
    let queue = &state.pipeline.queue;
    let stopped = AtomicBool::new(false);
    thread::scope(|scope| {
        let watcher = thread::Builder::new().name("visage-reload".to_owned()).spawn_scoped(scope, || {
            reload::watch(&state.models, stamps, options.reload_every, &state.metrics, &stopped);
        });
        let watcher = watcher.map_err(ServeError::Start)?.thread().clone();
        let end = EndOnDrop { queue, stopped: &stopped, watcher };
        let network = thread::Builder::new().name("visage-http".to_owned()).spawn_scoped(scope, move || {
            // Dropped when this thread ends for any reason, also when it cannot be spawned.
            let _end = end;
            accept(runtime, &acceptor, listeners, stop);
        });
        network.map_err(ServeError::Start)?;
        ready(addresses);
        engine::run(queue);
        Ok(())
    })
}

type Listeners = Vec<(TcpListener, HttpVersion)>;

fn listen(options: &Options) -> Result<(Listeners, Addresses), ServeError> {
    let bind = |port| {
        let failed = |source| ServeError::Listen { address: format!("{}:{port}", options.host), source };
        let listener = TcpListener::bind((options.host.as_str(), port)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        // The standard library's backlog of 128 would overflow in a burst, and clients wait a second before they try again.
        SockRef::from(&listener).listen(BACKLOG.into()).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok((listener, address))
    };
    let (listener, http) = bind(options.port)?;
    #[allow(unused_mut, reason = "changed with gRPC only")]
    let (mut listeners, mut addresses) = (vec![(listener, HttpVersion::Http1)], Addresses { http, grpc: None });
    #[cfg(feature = "grpc")]
    if let Some(port) = options.grpc_port {
        let (listener, grpc) = bind(port)?;
        listeners.push((listener, HttpVersion::Http2));
        addresses.grpc = Some(grpc);
    }
    Ok((listeners, addresses))
}

fn state(models: Arc<Models>, options: &Options) -> AppState {
    let limits = &options.limits;
    let metrics = Arc::new(Metrics::with_log(Arc::clone(&options.log_lines_dropped)));
    let pipeline = Pipeline {
        bodies: BodyReader::new(limits),
        decoding: Arc::new(DecodePool::new(options, Arc::clone(&metrics))),
        faces: FaceSearch::new(options.faces.clone(), Arc::clone(&metrics)),
        queue: Arc::new(Queue::new(options.batching, Arc::clone(&metrics))),
        max_images: limits.images,
    };
    let (queue, decoding) = (Arc::clone(&pipeline.queue), Arc::clone(&pipeline.decoding));
    let readiness = Arc::new(Readiness::new(queue, decoding, options.stall));
    AppState { models, pipeline: Arc::new(pipeline), metrics, readiness }
}

fn acceptor(state: AppState, options: &Options, address: SocketAddr) -> Acceptor {
    let (metrics, readiness) = (Arc::clone(&state.metrics), Arc::clone(&state.readiness));
    let origins = OriginPolicy::new(options.allowed_origins.clone(), address);
    let middleware = Arc::new(Middleware::new(options.token.clone(), origins, Arc::clone(&metrics)));
    let router = router(state, middleware);
    Acceptor { router, limits: options.limits, grace: options.grace, metrics, readiness }
}

/// Serves all listeners on the calling thread until `stop` is set, and watches over the engine and the decoding threads meanwhile.
fn accept(runtime: Runtime, acceptor: &Acceptor, listeners: Listeners, stop: &AtomicBool) {
    runtime.block_on(async {
        let served =
            listeners.into_iter().map(async |(listener, version)| match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => acceptor.serve(listener, version, stop).await,
                Err(error) => tracing::error!(%error, "cannot listen"),
            });
        select(pin!(join_all(served)), pin!(acceptor.readiness.watch())).await;
    });
    // Whatever is still being decoded is for clients who have gone.
    runtime.shutdown_background();
}

struct EndOnDrop<'a> {
    queue: &'a Queue,
    stopped: &'a AtomicBool,
    watcher: Thread,
}

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        self.watcher.unpark();
        self.queue.close();
    }
}
