//! Errors of recipes.

use std::fmt::{self, Display};
use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a recipe cannot be used. Every message names the remedy.
#[derive(Debug, Error)]
pub enum RecipeError {
    /// Neither a shipped recipe nor a file.
    #[error("there is no recipe {name:?}{}; shipped with visage: {}; for a recipe of your own give the path of its .toml file",
        did_you_mean(nearest.as_deref()), shipped.join(", "))]
    Unknown {
        /// The name.
        name: String,
        /// The most similar shipped name, if any is similar.
        nearest: Option<String>,
        /// Every shipped name.
        shipped: Vec<&'static str>,
    },
    /// The file cannot be read.
    #[error("cannot read the recipe {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The text is not TOML, or a value is of the wrong type.
    #[error(
        "{origin}, line {line}, column {column}: {message}\n    {excerpt}\ncorrect this line; the shipped recipes show every key in use"
    )]
    Toml {
        /// The file or shipped recipe.
        origin: String,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// What is wrong.
        message: String,
        /// The line itself.
        excerpt: String,
    },
    /// An unknown key, in a file or an override.
    #[error("{place}: there is no key `{key}`{}", did_you_mean(nearest.as_deref()))]
    UnknownKey {
        /// File, line and column, or the override.
        place: String,
        /// The key.
        key: String,
        /// The most similar known key, if any is similar.
        nearest: Option<String>,
    },
    /// A key without its section, which several sections have.
    #[error("{assignment:?}: several sections have a key `{key}`; say which: {}", candidates.join(", "))]
    AmbiguousKey {
        /// The override.
        assignment: String,
        /// The key.
        key: String,
        /// The full keys that it could mean.
        candidates: Vec<String>,
    },
    /// An override that cannot be applied.
    #[error("{assignment:?}: {message}")]
    Assignment {
        /// The override.
        assignment: String,
        /// What is wrong.
        message: String,
    },
    /// Values out of range.
    #[error("{origin} cannot be trained:{}", problems.iter().map(|problem| format!("\n  {problem}")).collect::<String>())]
    Invalid {
        /// The recipe.
        origin: String,
        /// Everything that is out of range.
        problems: Vec<Problem>,
    },
    /// A value that TOML cannot represent.
    #[error("the recipe cannot be written as TOML: {0}")]
    Unwritable(#[from] toml::ser::Error),
}

/// One value out of range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The full key, such as `training.epochs`.
    pub key: &'static str,
    /// Line of the key in the recipe file, from 1, if it came from a file.
    pub line: Option<usize>,
    /// The value, and its allowed range.
    pub message: String,
}

impl Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(formatter, "line {line}: ")?;
        }
        write!(formatter, "{} {}", self.key, self.message)
    }
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}
