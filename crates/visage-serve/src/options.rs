//! Settings of a server.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use visage_data::Truncated;
use visage_faces::FaceFinder;
use visage_model::{Precision, TestTime};

use crate::origin::AllowedOrigin;
use crate::token::Token;

/// Settings of a server.
#[derive(Clone, Debug)]
pub struct Options {
    /// Host name or IP address to listen on.
    pub host: String,
    /// Port for HTTP; 0 for any free port.
    pub port: u16,
    /// Port for gRPC, different from the HTTP port; `None` for no gRPC.
    #[cfg(feature = "grpc")]
    pub grpc_port: Option<u16>,
    /// Floating-point type of inference. The device must support it.
    pub precision: Precision,
    /// The views of an image that models predict; `None` for those of each model's card.
    pub test_time: Option<TestTime>,
    /// Bearer token that requests must carry; `None` for no authentication.
    pub token: Option<Token>,
    /// The origins of pages, other than the server's own, that may use it from a browser.
    pub allowed_origins: Vec<AllowedOrigin>,
    /// Batching and queue.
    pub batching: Batching,
    /// Limits on requests and connections.
    pub limits: Limits,
    /// Finding faces in photographs; `None` if requests may not ask for it.
    pub faces: Option<FaceOptions>,
    /// What is done with images whose files are cut short.
    pub truncated: Truncated,
    /// Number of threads that decode images.
    pub decoders: NonZeroUsize,
    /// Interval at which model files are checked for changes.
    pub reload_every: Duration,
    /// Longest time that a batch of the network, the decoding of an image, or an answer to the watchdog may take before the server
    /// counts as stalled.
    pub stall: Duration,
    /// Time that accepted requests have to finish once the server is told to stop.
    pub grace: Duration,
    /// Where the program counts the lines of its log that it drops, for the metrics.
    pub log_lines_dropped: Arc<AtomicU64>,
}

/// How faces are found in photographs, before each is aligned and classified.
#[derive(Clone, Debug)]
pub struct FaceOptions {
    /// The networks that find them.
    pub finder: Arc<FaceFinder>,
    /// Largest number of faces that are answered of a photograph: the largest ones.
    pub max_faces: NonZeroUsize,
    /// Longest time that the search in the photographs of a request may take.
    pub timeout: Duration,
}

/// How images of different requests are combined into batches.
#[derive(Clone, Copy, Debug)]
pub struct Batching {
    /// Largest number of images in a batch.
    pub images: NonZeroUsize,
    /// Longest time that an image waits for others. It does not wait when no others are being decoded.
    pub delay: Duration,
    /// Largest number of images that are accepted and not yet answered.
    pub queue: NonZeroUsize,
}

/// Limits on requests and connections. A request above a limit gets a 4xx response and does not affect others.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest request body, in bytes.
    pub body_bytes: usize,
    /// Largest total size of the request bodies in memory at once, in bytes.
    pub held_bytes: usize,
    /// Largest total number of pixels of a request's images, read from the file headers before decoding.
    pub pixels: usize,
    /// Largest number of images in a request.
    pub images: usize,
    /// Largest number of open connections. A further one takes the place of an idle or slow one, or waits if there is none.
    pub connections: usize,
    /// The connections of one address that are not the first to lose their places.
    pub connections_per_client: usize,
    /// Most requests on one connection. It is closed with the response to the last one.
    pub requests_per_connection: usize,
    /// Longest time that a connection is used, give or take a tenth. It is closed with the next response.
    pub connection_age: Duration,
    /// Memory that decoding may use at once, in bytes. Further images wait. One that needs more is decoded alone.
    pub decode_bytes: usize,
    /// Time for a request's head to arrive, and again for its body. Also the longest time that a connection may be idle.
    pub read: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 8080,
            #[cfg(feature = "grpc")]
            grpc_port: None,
            precision: Precision::F32,
            test_time: None,
            token: None,
            allowed_origins: Vec::new(),
            batching: Batching::default(),
            limits: Limits::default(),
            faces: None,
            truncated: Truncated::Refuse,
            decoders: default_decoders(),
            reload_every: Duration::from_secs(1),
            stall: Duration::from_secs(120),
            grace: Duration::from_secs(30),
            log_lines_dropped: Arc::default(),
        }
    }
}

impl Default for Batching {
    fn default() -> Self {
        let number = |number| NonZeroUsize::new(number).unwrap_or(NonZeroUsize::MIN);
        Self { images: number(16), delay: Duration::from_millis(2), queue: number(256) }
    }
}

/// One thread for each processor.
fn default_decoders() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 32 << 20,
            held_bytes: 512 << 20,
            pixels: 50_000_000,
            images: 64,
            connections: 1024,
            connections_per_client: 64,
            // nginx closes connections after 1,000 requests, Envoy never. A client of gRPC sends all its requests on one connection, which
            // may be a thousand in a second.
            requests_per_connection: 10_000,
            // As in nginx. Behind a balancer of connections, new servers thus get a share of old clients.
            connection_age: Duration::from_secs(3600),
            // A photograph of 16 million pixels on each thread, or two of 50 million.
            decode_bytes: default_decoders().get().saturating_mul(128 << 20).max(1 << 30),
            read: Duration::from_secs(15),
        }
    }
}
