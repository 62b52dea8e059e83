//! Serves image-attribute classifiers over HTTP: a JSON API, the Open Inference Protocol (HTTP and, with the feature `grpc`, gRPC),
//! Prometheus metrics and a web page.
//!
//! [`serve()`] blocks until it is told to stop. The calling thread runs the networks, one thread handles connections, a pool decodes
//! images and finds faces in them where a request asks for it, and one thread watches the model files for changes. Images are decoded, wait in a bounded queue and are answered in
//! batches. They stay in memory only: none is written to disk or logged.
//!
//! ```no_run
//! use std::sync::atomic::AtomicBool;
//!
//! use burn::tensor::Device;
//! use visage_serve::{Options, Source, serve};
//!
//! # fn main() -> Result<(), visage_serve::ServeError> {
//! let models = vec![Source::parse("faces=runs/enhanced/best.safetensors")];
//! let options = Options { port: 0, ..Options::default() };
//! let stop = AtomicBool::new(false); // set it from a signal handler to shut down
//! serve(models, &options, &Device::flex(), &stop, &mut |addresses| println!("http://{}", addresses.http))
//! # }
//! ```

mod body;
mod body_memory;
mod client;
mod connections;
mod decode;
mod engine;
mod error;
mod extract;
mod faces;
mod gate;
mod handlers;
mod metrics;
mod middleware;
mod models;
mod openapi;
mod options;
mod origin;
mod page;
mod problem;
mod protocol;
mod readiness;
mod reload;
mod request_id;
mod response;
mod router;
mod server;
mod source;
mod state;
mod token;
mod turns;
mod upload;

pub use error::ServeError;
pub use options::{Batching, FaceOptions, Limits, Options};
pub use origin::{AllowedOrigin, InvalidOrigin};
#[doc(hidden)]
pub use protocol::infer::read_request;
pub use server::{Addresses, serve};
pub use source::Source;
pub use token::Token;
