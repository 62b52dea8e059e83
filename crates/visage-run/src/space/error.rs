//! Errors of spaces.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::recipe::RecipeError;

/// Why a space cannot be searched. Every message names the remedy.
#[derive(Debug, Error)]
pub enum SpaceError {
    /// Neither a shipped space nor a file.
    #[error("there is no space {name:?}; shipped with visage: {}; for a space of your own give the path of its .toml file",
        shipped.join(", "))]
    Unknown {
        /// The name.
        name: String,
        /// Every shipped name.
        shipped: Vec<&'static str>,
    },
    /// The file cannot be read.
    #[error("cannot read the space {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The text is not TOML, or not a space.
    #[error("{origin}: {message}")]
    Malformed {
        /// The file or shipped space.
        origin: String,
        /// What is wrong.
        message: String,
    },
    /// A parameter whose domain is wrong.
    #[error("{parameter:?}: {message}")]
    Domain {
        /// The parameter.
        parameter: String,
        /// What is wrong.
        message: String,
    },
    /// A key that is the same for all trials.
    #[error("{key} cannot be searched: {remedy}")]
    Fixed {
        /// The key.
        key: String,
        /// Why, and what to do instead.
        remedy: &'static str,
    },
    /// Nothing to vary.
    #[error("there is nothing to search: name parameters with --param KEY=LOW:HIGH, or a space with --space FILE (shipped with \
             visage: {})", shipped.join(", "))]
    Empty {
        /// Every shipped name.
        shipped: Vec<&'static str>,
    },
    /// Losses compared with other losses.
    #[error(
        "{key} changes what the validation loss measures, so that the losses of trials cannot be compared: choose another metric, \
             such as --metric average_precision"
    )]
    LossOfLosses {
        /// The searched key.
        key: String,
    },
    /// A trial whose recipe is not valid.
    #[error(
        "a trial with {assignments} is not possible: {source}; change the domains so that all their values fit together"
    )]
    Trial {
        /// The values of the trial, as `key=value`.
        assignments: String,
        /// What is wrong with its recipe.
        source: RecipeError,
    },
    /// A key, or a change to every trial.
    #[error(transparent)]
    Recipe(RecipeError),
}
