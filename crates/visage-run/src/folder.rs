//! The folder of a run.
//!
//! `recipe.toml` and `run.json` are replaced atomically, so that a reader sees the old file or the new one. The two tables
//! are appended to row by row; a resumed run first removes the rows that it is about to write again.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use visage_weights::atomic;

use crate::error::RunError;
use crate::recipe::Recipe;
use crate::record::RunRecord;
use crate::shell;
use crate::table::{self, EpochRow, EpochTable, StepRow, StepTable, TableMark};

/// The parent of default run folders.
const DEFAULT_PARENT: &str = "runs";

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
    /// Name of the checkpoint that a run resumes from.
    pub const LAST: &str = "last.safetensors";
    /// Name of the checkpoint of the best epoch: the model of the run.
    pub const BEST: &str = "best.safetensors";

    /// The default folder for a run of the recipe named `recipe`: `runs/<recipe>-<date>-<time>`, in UTC, with a number
    /// appended if that exists.
    #[must_use]
    pub fn default_path(recipe: &str, started: Timestamp) -> PathBuf {
        let name = format!("{recipe}-{}", started.strftime("%Y%m%d-%H%M%S"));
        let first = Path::new(DEFAULT_PARENT).join(&name);
        let numbered = (2..).map(|number| Path::new(DEFAULT_PARENT).join(format!("{name}-{number}")));
        std::iter::once(first.clone()).chain(numbered).find(|path| !path.exists()).unwrap_or(first)
    }

    /// Creates a run in `path`, which must not exist, be empty, or hold only what a process wrote that was killed while it
    /// created the same run.
    ///
    /// # Errors
    ///
    /// When the folder holds a run or anything else, or cannot be written.
    pub fn create(path: &Path, recipe: &Recipe, record: &RunRecord) -> Result<Self, RunError> {
        Self::require_free(path, recipe)?;
        fs::create_dir_all(path).map_err(RunError::io("create the folder", path))?;
        let folder = Self { path: path.to_owned() };
        folder.replace(Self::RECIPE, recipe.to_toml()?.as_bytes())?;
        // Last, because the record is what makes the folder a run.
        folder.write_record(record)?;
        Ok(folder)
    }

    /// Checks that a run of this recipe can be created in `path`, as [`RunFolder::create`] does.
    ///
    /// # Errors
    ///
    /// When the folder holds a run or anything else.
    pub fn require_free(path: &Path, recipe: &Recipe) -> Result<(), RunError> {
        if Self::holds_run(path) {
            return Err(RunError::Exists { path: path.to_owned() });
        }
        let text = recipe.to_toml()?;
        let entries = match fs::read_dir(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(RunError::io("read the folder", path))?,
        };
        for entry in entries {
            let name = entry.map_err(RunError::io("read the folder", path))?.file_name();
            let same_recipe =
                || name == Self::RECIPE && fs::read(path.join(&name)).is_ok_and(|found| found == text.as_bytes());
            let temporary =
                || [Self::RECIPE, Self::RECORD].iter().any(|file| atomic::is_left_behind(&name, file.as_ref()));
            if !(same_recipe() || temporary()) {
                return Err(RunError::NotARun { path: path.to_owned() });
            }
        }
        Ok(())
    }

    /// Opens the run in `path`.
    ///
    /// # Errors
    ///
    /// When there is no run.
    pub fn open(path: &Path) -> Result<Self, RunError> {
        if Self::holds_run(path) {
            Ok(Self { path: path.to_owned() })
        } else {
            Err(RunError::Missing { path: path.to_owned() })
        }
    }

    /// The runs directly in the folder `parent`, sorted by name.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read.
    pub fn all_in(parent: &Path) -> Result<Vec<Self>, RunError> {
        let mut runs = Vec::new();
        for entry in fs::read_dir(parent).map_err(RunError::io("read the folder", parent))? {
            let path = entry.map_err(RunError::io("read the folder", parent))?.path();
            if Self::holds_run(&path) {
                runs.push(Self { path });
            }
        }
        runs.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(runs)
    }

    /// Whether `path` is the folder of a run: whether it has a record.
    #[must_use]
    pub fn holds_run(path: &Path) -> bool {
        path.join(Self::RECORD).is_file()
    }

    /// Removes temporary files of a killed process that wrote to the folder.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read, or a file in it not removed.
    pub fn remove_left_behind(&self) -> Result<(), RunError> {
        atomic::remove_all_left_behind(&self.path).map_err(RunError::io("remove temporary files from", &self.path))
    }

    /// The path of the folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of the file `name` in the folder.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The model file of the run in `folder`: its best checkpoint, or the last if no epoch has ended. It may not exist yet.
    #[must_use]
    pub fn model_file(folder: &Path) -> PathBuf {
        let best = folder.join(Self::BEST);
        if best.is_file() { best } else { folder.join(Self::LAST) }
    }

    /// The other checkpoint of the run that the checkpoint `file` belongs to, if there is one.
    #[must_use]
    pub fn other_checkpoint(file: &Path) -> Option<PathBuf> {
        let other = match file.file_name()?.to_str()? {
            Self::BEST => Self::LAST,
            Self::LAST => Self::BEST,
            _ => return None,
        };
        Some(file.with_file_name(other)).filter(|other| other.is_file())
    }

    /// The recipe of the run.
    ///
    /// # Errors
    ///
    /// When `recipe.toml` is missing or damaged.
    pub fn recipe(&self) -> Result<Recipe, RunError> {
        let path = self.file(Self::RECIPE);
        let damaged = |reason: String| {
            let model = Self::model_file(&self.path);
            let remedy = if model.is_file() {
                let (model, recipe) = (shell::path(&model), shell::path(&path));
                format!(
                    "the model holds a copy of the run's recipe; write it again with: visage recipe show {model} > {recipe}"
                )
            } else {
                "restore the run's recipe.toml, or start a new run in another folder with --out".to_owned()
            };
            RunError::DamagedRecipe { reason, remedy }
        };
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(damaged(format!("{} is missing", path.display())));
            }
            bytes => bytes.map_err(RunError::io("read", &path))?,
        };
        let text = String::from_utf8(bytes).map_err(|_| damaged(format!("{} is not UTF-8 text", path.display())))?;
        Recipe::parse(&text, &path.display().to_string(), "").map_err(|error| damaged(error.to_string()))
    }

    /// The record of the run.
    ///
    /// # Errors
    ///
    /// When `run.json` is missing or damaged.
    pub fn record(&self) -> Result<RunRecord, RunError> {
        let path = self.file(Self::RECORD);
        let text = fs::read(&path).map_err(RunError::io("read", &path))?;
        serde_json::from_slice(&text).map_err(|source| RunError::Record { path, source, remedy: self.without_record() })
    }

    /// What can be done with the run if its record is lost.
    fn without_record(&self) -> String {
        let model = Self::model_file(&self.path);
        if !model.is_file() {
            return "restore it, or start a new run in another folder with --out".to_owned();
        }
        let model = shell::path(&model);
        format!(
            "restore it; without it the run can be neither resumed nor reported, but visage evaluate and predict work with {model}, \
             and a new run can start from its weights with --set weights={model}"
        )
    }

    /// Replaces the record of the run.
    ///
    /// # Errors
    ///
    /// When it cannot be written; the old record stays.
    pub fn write_record(&self, record: &RunRecord) -> Result<(), RunError> {
        let path = self.file(Self::RECORD);
        let mut text =
            serde_json::to_vec_pretty(record).map_err(io::Error::from).map_err(RunError::io("write", &path))?;
        text.push(b'\n');
        self.replace(Self::RECORD, &text)
    }

    /// Opens `steps.csv` for the rows after step `done`, which is 0 for a new run; later rows are removed. `before` is what
    /// it held when the checkpoint was written, where that is known.
    ///
    /// # Errors
    ///
    /// When the table was changed by hand, another process is writing it, or it cannot be written.
    pub fn steps(&self, done: u64, before: Option<TableMark>) -> Result<StepTable, RunError> {
        StepTable::open(&self.file(Self::STEPS), done, before)
    }

    /// Opens `epochs.csv` for the rows after epoch `done`, which is 0 for a new run; later rows are removed.
    ///
    /// # Errors
    ///
    /// As [`RunFolder::steps`].
    pub fn epochs(&self, done: u64, before: Option<TableMark>) -> Result<EpochTable, RunError> {
        EpochTable::open(&self.file(Self::EPOCHS), done, before)
    }

    /// Every row of `steps.csv`, none if there is no file.
    ///
    /// # Errors
    ///
    /// When a row cannot be read.
    pub fn read_steps(&self) -> Result<Vec<StepRow>, RunError> {
        table::read(&self.file(Self::STEPS))
    }

    /// Every row of `epochs.csv`, none if there is no file.
    ///
    /// # Errors
    ///
    /// When a row cannot be read.
    pub fn read_epochs(&self) -> Result<Vec<EpochRow>, RunError> {
        table::read(&self.file(Self::EPOCHS))
    }

    /// Replaces a file of the folder atomically: a reader, and a run that is killed meanwhile, finds the old or the new one.
    ///
    /// # Errors
    ///
    /// When it cannot be written; the old file stays.
    pub fn replace(&self, name: &str, contents: &[u8]) -> Result<(), RunError> {
        let path = self.file(name);
        atomic::write(&path, |file| file.write_all(contents)).map_err(RunError::io("write", &path))
    }
}

#[cfg(test)]
mod tests;
