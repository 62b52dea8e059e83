//! How to serve.

use std::num::NonZeroUsize;
use std::time::Duration;

use visage_model::Precision;

use crate::token::Token;

/// Everything that can be chosen about a server.
#[derive(Clone, Debug)]
pub struct Options {
    /// Name or number of the host to listen on.
    pub host: String,
    /// Port to listen on; 0 for any that is free.
    pub port: u16,
    /// Port for gRPC, which is another; none if `None`.
    #[cfg(feature = "grpc")]
    pub grpc_port: Option<u16>,
    /// The type that models compute in, which the device must have.
    pub precision: Precision,
    /// What requests must carry, if anything.
    pub token: Option<Token>,
    /// How requests are put together.
    pub batching: Batching,
    /// What one client may ask for.
    pub limits: Limits,
    /// Threads that decode images.
    pub decoders: NonZeroUsize,
    /// How often model files are looked at for a change.
    pub reload_every: Duration,
    /// How long requests that were accepted may take once the server is asked to stop.
    pub grace: Duration,
}

/// How requests are put together into batches.
#[derive(Clone, Copy, Debug)]
pub struct Batching {
    /// Most images that go through the network together.
    pub images: NonZeroUsize,
    /// How long an image waits for others at most. It does not wait where none are on their way.
    pub delay: Duration,
    /// Most images that are accepted and not yet answered.
    pub queue: NonZeroUsize,
}

/// What one client may ask for; what is above is answered with a 4xx and touches nobody else.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// Bytes of all bodies that are held at once.
    pub held_bytes: usize,
    /// Pixels of an image, by its header.
    pub pixels: usize,
    /// Images of a request.
    pub images: usize,
    /// Connections at once; more wait to be accepted.
    pub connections: usize,
    /// How long a request's head may take to arrive, and then its body. A connection may be idle for as long.
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
            token: None,
            batching: Batching::default(),
            limits: Limits::default(),
            decoders: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            reload_every: Duration::from_secs(1),
            grace: Duration::from_secs(30),
        }
    }
}

impl Default for Batching {
    fn default() -> Self {
        let number = |number| NonZeroUsize::new(number).unwrap_or(NonZeroUsize::MIN);
        Self { images: number(16), delay: Duration::from_millis(2), queue: number(256) }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 32 << 20,
            held_bytes: 512 << 20,
            pixels: 50_000_000,
            images: 64,
            connections: 1024,
            read: Duration::from_secs(15),
        }
    }
}
