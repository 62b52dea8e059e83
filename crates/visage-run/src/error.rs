//! Errors of the run folder and its files.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::recipe::RecipeError;

/// Why a run folder or a file of it cannot be created, read or written.
#[derive(Debug, Error)]
pub enum RunError {
    /// The folder holds something else.
    #[error("{} is not empty and is not a run: choose another folder with --out", path.display())]
    NotARun {
        /// The folder.
        path: PathBuf,
    },
    /// The folder already holds a run.
    #[error("{} already holds a run: continue it with --resume, or choose another folder with --out", path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// There is no run to open.
    #[error("{} is not a run: it has no run.json", path.display())]
    Missing {
        /// The folder.
        path: PathBuf,
    },
    /// Another process is training in the folder.
    #[error("another process is writing {}: wait for it to end, or stop it, before resuming its run", path.display())]
    InUse {
        /// The table that is being written.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The operation.
        action: &'static str,
        /// Its file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// `run.json` is damaged.
    #[error("{}, line {}, column {}: {source}; this is not a run.json that visage wrote: {remedy}", path.display(), source.line(),
            source.column())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
        /// What can be done without it.
        remedy: String,
    },
    /// A table has other columns, or a row that does not fit them.
    #[error("{}, line {line}: {message}; the table was changed after visage wrote it: restore it, or remove \
            it to go on without its rows", path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// What is wrong.
        message: String,
    },
    /// The folder holds no search.
    #[error("{} holds no search: it has no tune.json; begin one without --resume", path.display())]
    NoSearch {
        /// The folder.
        path: PathBuf,
    },
    /// The folder holds something else than a search.
    #[error("{} is not empty and holds no search: choose another folder with --out", path.display())]
    NotASearch {
        /// The folder.
        path: PathBuf,
    },
    /// The folder holds a search that was begun with other options.
    #[error("{} holds another search:{}\ngo on with what it was begun with (--resume --out {} does), or choose another folder with \
            --out", path.display(), differences.iter().map(|difference| format!("\n  {difference}")).collect::<String>(),
            crate::shell::path(path))]
    OtherSearch {
        /// The folder.
        path: PathBuf,
        /// Each difference: the value of the search in the folder, and the value asked for now.
        differences: Vec<String>,
    },
    /// `tune.json` is damaged.
    #[error("{}, line {}, column {}: {source}; this is not a tune.json that visage wrote: restore it, or choose another folder with \
            --out", path.display(), source.line(), source.column())]
    Request {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A recipe.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// `recipe.toml` is damaged or missing.
    #[error("{reason}\n{remedy}")]
    DamagedRecipe {
        /// The file and what is wrong with it.
        reason: String,
        /// What can be done.
        remedy: String,
    },
    /// A metrics file that visage did not write.
    #[error("{}, line {}, column {}: this is not a metrics file that visage wrote; write it again with \
            visage evaluate", path.display(), source.line(), source.column())]
    Metrics {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// Metrics that answer another question than those to be written.
    #[error("{} answers another question:{}\nwrite the new metrics to another file with --out, or replace the old ones with --force",
            path.display(), differences.iter().map(|difference| format!("\n  {difference}")).collect::<String>())]
    OtherQuestion {
        /// The metrics file.
        path: PathBuf,
        /// Each difference, in words.
        differences: Vec<String>,
    },
    /// A predictions file that visage did not write.
    #[error("{}: these are not predictions that visage wrote: {reason}; write them again with visage evaluate", path.display())]
    Predictions {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The tensors of a predictions file cannot be read or written.
    #[error(transparent)]
    Tensors(#[from] visage_weights::WeightsError),
}

impl RunError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}
