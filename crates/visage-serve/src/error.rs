//! Errors that keep a server from starting.

use std::io;
use std::path::PathBuf;

use visage_model::ModelError;

/// Why a server cannot start. Errors of a single request are sent to its client instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// A model file that cannot be read.
    #[error("cannot serve {name}")]
    Model {
        /// Name of the model.
        name: String,
        /// The cause.
        source: Box<ModelError>,
    },
    /// A model that was read but fails on a test image.
    #[error("cannot serve {}: {reason}", path.display())]
    Unfit {
        /// Path of the model file.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// Two models with the same name.
    #[error("two models would be served by the name {name}: rename one with NAME=PATH")]
    SameName {
        /// The name.
        name: String,
    },
    /// A name that does not fit into a URL.
    #[error("{name:?} cannot be a model's name in a URL: use letters, digits, `.`, `-` and `_`, as NAME=PATH")]
    BadName {
        /// The name.
        name: String,
    },
    /// No model to serve.
    #[error("there is no model to serve")]
    NoModel,
    /// A token that is too easy to guess, or does not fit into a header.
    #[error("the token must be 16 to 4,096 visible ASCII characters without spaces; `openssl rand -hex 32` prints one")]
    WeakToken,
    /// An address that cannot be bound.
    #[error("cannot listen on {address}: choose another --host or --port (0 for any free port)")]
    Listen {
        /// Host and port.
        address: String,
        /// The cause.
        source: io::Error,
    },
    /// A thread or the asynchronous runtime cannot be created.
    #[error("cannot start the server's threads")]
    Start(#[source] io::Error),
}
