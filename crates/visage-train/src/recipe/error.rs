//! What can be wrong with a recipe.

use std::fmt::{self, Display};
use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// A recipe that cannot be used, and what to do about it.
#[derive(Debug, Error)]
pub enum RecipeError {
    /// Neither a shipped recipe nor a file.
    #[error("there is no recipe {name:?}{}; shipped with visage: {}; a recipe of your own is the path of a .toml file",
        did_you_mean(nearest.as_deref()), shipped.join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
        /// The shipped name most like it, if one is.
        nearest: Option<String>,
        /// Every shipped name.
        shipped: Vec<&'static str>,
    },
    /// The file cannot be read.
    #[error("cannot read the recipe {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The text is not TOML, or a value is of the wrong kind.
    #[error(
        "{origin}, line {line}, column {column}: {message}\n    {excerpt}\ncorrect this line; the shipped recipes show every key in use"
    )]
    Toml {
        /// The file, or the shipped recipe.
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
    /// A key that means nothing, in a file or an override.
    #[error("{place}: there is no key `{key}`{}", did_you_mean(nearest.as_deref()))]
    UnknownKey {
        /// File, line and column, or the override.
        place: String,
        /// The key.
        key: String,
        /// The known key most like it, if one is.
        nearest: Option<String>,
    },
    /// A key without its section that several sections have.
    #[error("{assignment:?}: several sections have a key `{key}`; say which: {}", candidates.join(", "))]
    AmbiguousKey {
        /// The override.
        assignment: String,
        /// The key.
        key: String,
        /// The full keys it could be.
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
    /// A value that TOML cannot hold.
    #[error("the recipe cannot be written as TOML: {0}")]
    Unwritable(#[from] toml::ser::Error),
}

/// One value out of range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The full key, such as `training.epochs`.
    pub key: &'static str,
    /// Where the key stands in the recipe file, from 1, if it came from one.
    pub line: Option<usize>,
    /// The value, and what it must be.
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
