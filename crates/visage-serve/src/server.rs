//! The threads of a server.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};

use burn::tensor::Device;
use futures_util::future::join_all;
use tokio::runtime;

use crate::app::{App, router};
use crate::connections::{self, Wire};
use crate::engine::Engine;
use crate::error::ServeError;
use crate::metrics::Metrics;
use crate::models::{Models, Source};
use crate::options::Options;
use crate::reload;

/// Where a server is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// HTTP.
    pub http: SocketAddr,
    /// gRPC, if it was asked for.
    pub grpc: Option<SocketAddr>,
}

/// Serves the models until `stop` is set, and then finishes what it accepted. Networks compute on the calling thread. `ready` is
/// called once, with the addresses, when requests are answered.
///
/// # Errors
///
/// A model that cannot be read or does not answer, names that are not fit or not distinct, an address that cannot be listened on.
pub fn serve(
    sources: Vec<Source>,
    options: &Options,
    device: &Device,
    stop: &AtomicBool,
    ready: &mut dyn FnMut(Addresses),
) -> Result<(), ServeError> {
    #[allow(unused_mut, reason = "there is more with gRPC")]
    let mut wires = vec![(Wire::Http1, options.port)];
    #[cfg(feature = "grpc")]
    wires.extend(options.grpc_port.map(|port| (Wire::Http2, port)));
    let (mut listeners, mut heard) = (Vec::new(), Vec::new());
    for (wire, port) in wires {
        let (listener, address) = listen(&options.host, port)?;
        listeners.push((listener, wire));
        heard.push(address);
    }

    let stamps = reload::stamps(&sources);
    let models = Arc::new(Models::read(sources, device, options.precision)?);
    let metrics = Arc::new(Metrics::new());
    let engine = Arc::new(Engine::new(options.batching, Arc::clone(&metrics)));
    let app = App::new(
        Arc::clone(&models),
        Arc::clone(&engine),
        Arc::clone(&metrics),
        options.limits,
        options.token.clone(),
        options.decoders,
    );
    let runtime = runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(options.decoders.get() + 1)
        .build()
        .map_err(ServeError::Start)?;
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let watcher = thread::Builder::new().name("visage-reload".to_owned()).spawn_scoped(scope, || {
            reload::watch(&models, stamps, options.reload_every, &metrics, &ended);
        });
        let watcher = watcher.map_err(ServeError::Start)?;
        let end = End { engine: &engine, ended: &ended, watcher: watcher.thread().clone() };
        let network = thread::Builder::new().name("visage-http".to_owned()).spawn_scoped(scope, move || {
            // Whatever becomes of this thread, also if it never begins, the others end with it.
            let _end = end;
            runtime.block_on(async {
                let app = Arc::new(app);
                let router = router(Arc::clone(&app));
                let each =
                    listeners.into_iter().map(async |(listener, wire)| {
                        match tokio::net::TcpListener::from_std(listener) {
                            Ok(listener) => {
                                let (router, app) = (router.clone(), Arc::clone(&app));
                                connections::serve(listener, wire, router, app, stop, options.grace).await;
                            }
                            Err(error) => tracing::error!(%error, "cannot listen"),
                        }
                    });
                join_all(each).await;
            });
            runtime.shutdown_timeout(options.grace);
        });
        network.map_err(ServeError::Start)?;
        if let Some(&http) = heard.first() {
            ready(Addresses { http, grpc: heard.get(1).copied() });
        }
        engine.run();
        Ok(())
    })
}

/// Listens on a port of the host; also returns the address, where any port would do.
fn listen(host: &str, port: u16) -> Result<(TcpListener, SocketAddr), ServeError> {
    let unheard = |source| ServeError::Listen { address: format!("{host}:{port}"), source };
    let listener = TcpListener::bind((host, port)).map_err(unheard)?;
    listener.set_nonblocking(true).map_err(unheard)?;
    let address = listener.local_addr().map_err(unheard)?;
    Ok((listener, address))
}

/// Ends the other threads when it is dropped.
struct End<'a> {
    engine: &'a Engine,
    ended: &'a AtomicBool,
    watcher: Thread,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        self.watcher.unpark();
        self.engine.close();
    }
}
