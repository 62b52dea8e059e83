//! Errors that keep a server from starting.

use std::io;
use std::path::PathBuf;

use visage_model::ModelError;

/// Why a server cannot start. Errors of a single request are sent to its client instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages explain the variants and their fields")]
pub enum ServeError {
    #[error("cannot serve {name}")]
    Model { name: String, source: Box<ModelError> },
    #[error("cannot serve {}: {reason}", path.display())]
    Unfit { path: PathBuf, reason: String },
    #[error("two models would be served by the name {name}: rename one with NAME=PATH")]
    SameName { name: String },
    #[error("{name:?} cannot be a model's name in a URL: use letters, digits, `.`, `-` and `_`, as NAME=PATH")]
    BadName { name: String },
    #[error("there is no model to serve")]
    NoModel,
    #[error("the token must be 16 to 4,096 visible ASCII characters without spaces; `openssl rand -hex 32` prints one")]
    WeakToken,
    #[error("cannot listen on {address}: choose another --host or --port (0 for any free port)")]
    Listen { address: String, source: io::Error },
    #[error("cannot start the server's threads")]
    Start(#[source] io::Error),
}
