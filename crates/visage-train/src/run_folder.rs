//! The folder of a run, which explains itself: what was asked for, on what, and what happened.
//!
//! ```text
//! runs/enhanced-20260131-142501/
//!   recipe.toml    the recipe, every value spelt out
//!   run.json       version, device, data, size of the model, state and result
//!   steps.csv      a row for every optimiser step
//!   epochs.csv     a row for every epoch
//! ```
//!
//! `recipe.toml` and `run.json` are replaced whole, so that a reader sees the old file or the new one. The two tables are
//! appended to a row at a time; a resumed run first takes back the rows it is about to write again.

mod record;
mod table;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use thiserror::Error;
use visage_weights::atomic;

pub use record::{DataRecord, RunRecord, RunResult, RunStatus};
pub use table::{EpochLog, EpochRow, StepLog, StepRow};

use crate::recipe::{Recipe, RecipeError};

/// Where runs go that are not told where to go.
const DEFAULT_PARENT: &str = "runs";

/// What keeps a run folder from being made, read or written.
#[derive(Debug, Error)]
pub enum RunFolderError {
    /// The folder holds something else.
    #[error("{} is not empty and is not a run: choose another folder with --out", path.display())]
    NotARun {
        /// The folder.
        path: PathBuf,
    },
    /// The folder holds a run already.
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
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// `run.json` is damaged.
    #[error("{}, line {}, column {}: {source}; this is not a run.json that visage wrote", path.display(), source.line(), source.column())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A table has other columns, or a row that does not fit them.
    #[error("{}, line {line}: {message}; the table was changed after visage wrote it: restore it, or start a new run", path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// What is wrong.
        message: String,
    },
    /// `recipe.toml` is damaged.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
}

impl RunFolderError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

/// The folder of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Name of the resolved recipe.
    pub const RECIPE: &str = "recipe.toml";
    /// Name of the record.
    pub const RECORD: &str = "run.json";
    /// Name of the table of steps.
    pub const STEPS: &str = "steps.csv";
    /// Name of the table of epochs.
    pub const EPOCHS: &str = "epochs.csv";

    /// Where a run of the recipe called `recipe` goes by default: `runs/<recipe>-<date>-<time>`, in UTC, with a number
    /// after it if that is taken.
    #[must_use]
    pub fn default_path(recipe: &str, started: Timestamp) -> PathBuf {
        let name = format!("{recipe}-{}", started.strftime("%Y%m%d-%H%M%S"));
        let first = Path::new(DEFAULT_PARENT).join(&name);
        let numbered = (2..).map(|number| Path::new(DEFAULT_PARENT).join(format!("{name}-{number}")));
        std::iter::once(first.clone()).chain(numbered).find(|path| !path.exists()).unwrap_or(first)
    }

    /// Starts a run in `path`, a folder that does not exist, is empty, or holds no more than what a process that was
    /// killed while it started the same run had written.
    ///
    /// # Errors
    ///
    /// When the folder holds a run or anything else, or cannot be written.
    pub fn create(path: &Path, recipe: &Recipe, record: &RunRecord) -> Result<Self, RunFolderError> {
        if Self::holds_run(path) {
            return Err(RunFolderError::Exists { path: path.to_owned() });
        }
        fs::create_dir_all(path).map_err(RunFolderError::io("make the folder", path))?;
        let text = recipe.to_toml()?;
        for entry in fs::read_dir(path).map_err(RunFolderError::io("read the folder", path))? {
            let name = entry.map_err(RunFolderError::io("read the folder", path))?.file_name();
            let same_recipe =
                || name == Self::RECIPE && fs::read(path.join(&name)).is_ok_and(|theirs| theirs == text.as_bytes());
            let left_behind =
                || [Self::RECIPE, Self::RECORD].iter().any(|file| atomic::is_left_behind(&name, file.as_ref()));
            if !(same_recipe() || left_behind()) {
                return Err(RunFolderError::NotARun { path: path.to_owned() });
            }
        }
        let folder = Self { path: path.to_owned() };
        folder.replace(Self::RECIPE, text.as_bytes())?;
        // Last, because it is what makes the folder a run.
        folder.write_record(record)?;
        Ok(folder)
    }

    /// Opens the run in `path`.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn open(path: &Path) -> Result<Self, RunFolderError> {
        if Self::holds_run(path) {
            Ok(Self { path: path.to_owned() })
        } else {
            Err(RunFolderError::Missing { path: path.to_owned() })
        }
    }

    /// The runs in the folder `parent`, by name; those in folders of folders are left out.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read.
    pub fn all_in(parent: &Path) -> Result<Vec<Self>, RunFolderError> {
        let mut runs = Vec::new();
        for entry in fs::read_dir(parent).map_err(RunFolderError::io("read the folder", parent))? {
            let path = entry.map_err(RunFolderError::io("read the folder", parent))?.path();
            if Self::holds_run(&path) {
                runs.push(Self { path });
            }
        }
        runs.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(runs)
    }

    /// Whether `path` is the folder of a run.
    #[must_use]
    pub fn holds_run(path: &Path) -> bool {
        path.join(Self::RECORD).is_file()
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file of the folder.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The recipe of the run.
    ///
    /// # Errors
    ///
    /// When `recipe.toml` is missing or damaged.
    pub fn recipe(&self) -> Result<Recipe, RunFolderError> {
        let path = self.file(Self::RECIPE);
        let text = fs::read_to_string(&path).map_err(RunFolderError::io("read", &path))?;
        Ok(Recipe::parse(&text, &path.display().to_string(), "")?)
    }

    /// The record of the run.
    ///
    /// # Errors
    ///
    /// When `run.json` is missing or damaged.
    pub fn record(&self) -> Result<RunRecord, RunFolderError> {
        let path = self.file(Self::RECORD);
        let text = fs::read(&path).map_err(RunFolderError::io("read", &path))?;
        serde_json::from_slice(&text).map_err(|source| RunFolderError::Record { path, source })
    }

    /// Replaces the record of the run.
    ///
    /// # Errors
    ///
    /// When it cannot be written; the old record stays.
    pub fn write_record(&self, record: &RunRecord) -> Result<(), RunFolderError> {
        let path = self.file(Self::RECORD);
        let mut text = serde_json::to_vec_pretty(record).map_err(|source| RunFolderError::Record { path, source })?;
        text.push(b'\n');
        self.replace(Self::RECORD, &text)
    }

    /// Opens `steps.csv` for the rows after step `done`, which is 0 for a new run; later rows are taken back.
    ///
    /// # Errors
    ///
    /// When the table was changed by hand, another process is writing it, or it cannot be written.
    pub fn steps(&self, done: u64) -> Result<StepLog, RunFolderError> {
        StepLog::open(&self.file(Self::STEPS), done)
    }

    /// Opens `epochs.csv` for the rows after epoch `done`, which is 0 for a new run; later rows are taken back.
    ///
    /// # Errors
    ///
    /// As [`RunFolder::steps`].
    pub fn epochs(&self, done: u64) -> Result<EpochLog, RunFolderError> {
        EpochLog::open(&self.file(Self::EPOCHS), done)
    }

    /// Every row of `steps.csv`, none if it is not there.
    ///
    /// # Errors
    ///
    /// When a row cannot be read.
    pub fn read_steps(&self) -> Result<Vec<StepRow>, RunFolderError> {
        table::read(&self.file(Self::STEPS))
    }

    /// Every row of `epochs.csv`, none if it is not there.
    ///
    /// # Errors
    ///
    /// When a row cannot be read.
    pub fn read_epochs(&self) -> Result<Vec<EpochRow>, RunFolderError> {
        table::read(&self.file(Self::EPOCHS))
    }

    /// Replaces a file of the folder whole: a reader, and a run that is killed meanwhile, finds the old one or the new one.
    ///
    /// # Errors
    ///
    /// When it cannot be written; the old file stays.
    pub fn replace(&self, name: &str, contents: &[u8]) -> Result<(), RunFolderError> {
        let path = self.file(name);
        atomic::write(&path, |file| file.write_all(contents)).map_err(RunFolderError::io("write", &path))
    }
}

#[cfg(test)]
mod tests;
