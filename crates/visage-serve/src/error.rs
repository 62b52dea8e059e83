//! What can keep a server from starting.

use std::io;
use std::path::PathBuf;

use visage_model::ModelError;

/// An error of this crate. What is wrong with one request is answered and stays with its sender.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// A model that cannot be read.
    #[error("cannot serve {name}")]
    Model {
        /// The name it was to be served by.
        name: String,
        /// Why not.
        source: Box<ModelError>,
    },
    /// A model that was read, and does not answer.
    #[error("cannot serve {}: {reason}", path.display())]
    Unfit {
        /// Its file.
        path: PathBuf,
        /// What it did instead.
        reason: String,
    },
    /// Two models of one name.
    #[error("two models would be served by the name {name}: give one of them another, as NAME=PATH")]
    SameName {
        /// The name.
        name: String,
    },
    /// A name that cannot stand in an address.
    #[error(
        "{name:?} cannot be a model's name in an address: name it with letters, digits, `.`, `-` and `_`, as NAME=PATH"
    )]
    BadName {
        /// The name.
        name: String,
    },
    /// Nothing to serve.
    #[error("there is no model to serve")]
    NoModel,
    /// A token that keeps nobody out.
    #[error(
        "the token must be 16 to 4,096 visible ASCII characters, without blanks, such as `openssl rand -hex 32` makes"
    )]
    WeakToken,
    /// An address that cannot be listened on.
    #[error("cannot listen on {address}: choose another --host or --port (0 for any that is free)")]
    Listen {
        /// The address.
        address: String,
        /// Why not.
        source: io::Error,
    },
    /// The system refuses what a server needs.
    #[error("cannot start the server's threads")]
    Start(#[source] io::Error),
}
