//! Models behind HTTP.
//!
//! One thread, the caller's, computes; one reads and writes connections; a few decode images; one looks whether model files
//! changed. An image in a request is decoded, waits in a bounded queue, goes through its network in a batch with others, and its
//! answer goes back: nothing of it is kept, written or logged.
//!
//! [`serve()`] is all there is to call.

mod app;
mod asked;
mod attributes;
mod body;
mod connections;
mod decode;
mod description;
mod engine;
mod error;
mod guard;
mod heat;
mod metrics;
mod models;
mod options;
mod page;
mod problem;
mod protocol;
mod reload;
mod server;
mod status;
mod token;

pub use error::ServeError;
pub use models::Source;
pub use options::{Batching, Limits, Options};
pub use protocol::read_request;
pub use server::{Addresses, serve};
pub use token::Token;
