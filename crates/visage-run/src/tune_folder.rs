//! The folder of a search.
//!
//! ```text
//! runs/tune-enhanced/
//!   tune.json     what was asked for                                                    TuneRequest
//!   jobs.csv      a row for every finished job: a trial trained up to some epoch        JobRow
//!   trials/000    the run folder of a trial                                             RunFolder
//!   tune.csv      the trials and their scores
//!   best.toml     the recipe of the best trial
//!   tune.html     the page
//! ```
//!
//! `jobs.csv` is the memory of a search. The other tables are written from it, and a search that is killed goes on after its last
//! row.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use visage_weights::atomic;

use crate::error::RunError;
use crate::recipe::Monitor;
use crate::table::{self, Row, Table};

/// What a search was asked for: with the data, everything that decides its result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TuneRequest {
    /// The recipe that the trials vary, as TOML.
    pub recipe: String,
    /// The parameters, each `key=domain`.
    pub parameters: Vec<String>,
    /// The metric on the validation split by which trials are judged.
    pub metric: Monitor,
    /// The number of trials. Absent: as many as fit into the hours.
    pub trials: Option<u32>,
    /// Hours of training after which no job begins.
    pub hours: Option<f64>,
    /// Of this many trials, one is trained further; and that much longer.
    pub eta: u32,
    /// The least number of epochs after which a trial may be given up.
    pub min_epochs: u32,
    /// The seed of the values of the trials.
    pub seed: u64,
    /// The fingerprint of the dataset.
    pub data: String,
}

impl TuneRequest {
    /// What differs between two requests, in the words of the command line; each with the value of this one and of the other.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let option = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
        let values = |request: &Self| {
            [
                ("--trials", option(request.trials.map(|trials| trials.to_string()))),
                ("--hours", option(request.hours.map(|hours| hours.to_string()))),
                ("--metric", request.metric.name().to_owned()),
                ("--eta", request.eta.to_string()),
                ("--min-epochs", request.min_epochs.to_string()),
                ("--seed", request.seed.to_string()),
                ("the parameters (--space, --param)", request.parameters.join(" ")),
                ("the data (--data)", format!("{:.12}", request.data)),
            ]
        };
        let mut found: Vec<String> = values(self)
            .into_iter()
            .zip(values(other))
            .filter(|(ours, theirs)| ours != theirs)
            .map(|((name, ours), (_, theirs))| format!("{name}: {ours}, not {theirs}"))
            .collect();
        if self.recipe != other.recipe {
            let lines = |recipe: &Self, other: &Self| -> String {
                let other: Vec<&str> = other.recipe.lines().collect();
                let only: Vec<&str> = recipe.recipe.lines().filter(|line| !other.contains(line)).collect();
                if only.is_empty() { "nothing".to_owned() } else { only.join(", ") }
            };
            found.push(format!("the recipe (RECIPE, --set): {}; not {}", lines(self, other), lines(other, self)));
        }
        found
    }
}

/// A finished job: a trial trained up to some epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct JobRow {
    /// The job, from 1.
    pub job: u64,
    /// The trial, from 0.
    pub trial: u32,
    /// The epochs that the trial was to have at its end.
    pub epochs: u32,
    /// The epochs that it has: fewer if it diverged or stopped early.
    pub trained: u32,
    /// Whether its loss became infinite or undefined.
    pub diverged: bool,
    /// Seconds that the job took.
    pub seconds: f64,
    /// The best of its epochs by the metric of the search, from 1; 0 if the metric was never defined. The columns that follow are
    /// the scores on the validation split after that epoch.
    pub best_epoch: u32,
    /// Mean loss.
    pub validation_loss: Option<f64>,
    /// Accuracy.
    pub accuracy: Option<f64>,
    /// Balanced accuracy.
    pub balanced_accuracy: Option<f64>,
    /// F1.
    pub f1: Option<f64>,
    /// Average precision.
    pub average_precision: Option<f64>,
}

impl JobRow {
    /// The value of a metric; `None` where it is not defined.
    #[must_use]
    pub fn value(&self, metric: Monitor) -> Option<f64> {
        let value = match metric {
            Monitor::ValidationLoss => self.validation_loss,
            Monitor::Accuracy => self.accuracy,
            Monitor::BalancedAccuracy => self.balanced_accuracy,
            Monitor::F1 => self.f1,
            Monitor::AveragePrecision => self.average_precision,
        };
        value.filter(|value| value.is_finite())
    }
}

impl Row for JobRow {
    const HEADER: &str = "job,trial,epochs,trained,diverged,seconds,best_epoch,validation_loss,accuracy,balanced_accuracy,f1,\
                          average_precision";

    fn number(&self) -> u64 {
        self.job
    }
}

/// `jobs.csv`, open for appending. While it is open, no other process can search in the folder.
pub type JobTable = Table<JobRow>;

/// The folder of one search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TuneFolder {
    path: PathBuf,
}

impl TuneFolder {
    /// Name of what was asked for.
    pub const REQUEST: &str = "tune.json";
    /// Name of the table of finished jobs.
    pub const JOBS: &str = "jobs.csv";
    /// Name of the table of trials.
    pub const TABLE: &str = "tune.csv";
    /// Name of the recipe of the best trial.
    pub const BEST: &str = "best.toml";
    /// Name of the page.
    pub const PAGE: &str = "tune.html";

    /// Opens the search in `path`, or begins it there: the folder must hold the same search, be new, or be empty.
    ///
    /// # Errors
    ///
    /// When the folder holds another search or anything else, or cannot be written.
    pub fn open(path: &Path, request: &TuneRequest) -> Result<Self, RunError> {
        let folder = Self { path: path.to_owned() };
        match folder.request() {
            Ok(before) => {
                let differences = before.differences(request);
                let same = differences.is_empty();
                if same { Ok(folder) } else { Err(RunError::OtherSearch { path: path.to_owned(), differences }) }
            }
            Err(RunError::NoSearch { .. }) => folder.create(request),
            Err(error) => Err(error),
        }
    }

    fn create(self, request: &TuneRequest) -> Result<Self, RunError> {
        let path = &self.path;
        fs::create_dir_all(path).map_err(RunError::io("create the folder", path))?;
        for entry in fs::read_dir(path).map_err(RunError::io("read the folder", path))? {
            let name = entry.map_err(RunError::io("read the folder", path))?.file_name();
            if !atomic::is_left_behind(&name, Self::REQUEST.as_ref()) {
                return Err(RunError::NotASearch { path: path.to_owned() });
            }
        }
        let mut text = serde_json::to_vec_pretty(request)
            .map_err(io::Error::from)
            .map_err(RunError::io("write", &self.file(Self::REQUEST)))?;
        text.push(b'\n');
        self.replace(Self::REQUEST, &text)?;
        Ok(self)
    }

    /// What the search in the folder `path` was asked for.
    ///
    /// # Errors
    ///
    /// When there is no search, or `tune.json` is damaged.
    pub fn request_of(path: &Path) -> Result<TuneRequest, RunError> {
        Self { path: path.to_owned() }.request()
    }

    fn request(&self) -> Result<TuneRequest, RunError> {
        let path = self.file(Self::REQUEST);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(RunError::NoSearch { path: self.path.clone() });
            }
            text => text.map_err(RunError::io("read", &path))?,
        };
        serde_json::from_slice(&text).map_err(|source| RunError::Request { path, source })
    }

    /// Opens `jobs.csv`, and returns the rows in it.
    ///
    /// # Errors
    ///
    /// When it was changed by hand, another process is searching in the folder, or it cannot be read.
    pub fn jobs(&self) -> Result<(JobTable, Vec<JobRow>), RunError> {
        let path = self.file(Self::JOBS);
        let table = Table::open_whole(&path)?;
        Ok((table, table::read(&path)?))
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

    /// The run folder of a trial.
    #[must_use]
    pub fn trial(&self, trial: u32) -> PathBuf {
        self.path.join("trials").join(format!("{trial:03}"))
    }

    /// Replaces a file of the folder atomically.
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
mod tests {
    use super::*;

    fn request() -> TuneRequest {
        TuneRequest {
            recipe: "name = \"a\"\nepochs = 3\n".to_owned(),
            parameters: vec!["loss.gamma=0:3".to_owned()],
            metric: Monitor::F1,
            trials: Some(4),
            hours: None,
            eta: 3,
            min_epochs: 1,
            seed: 0,
            data: "0123456789abcdef".to_owned(),
        }
    }

    #[test]
    fn a_search_goes_on_only_with_what_it_began_with() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("tune");
        assert!(matches!(TuneFolder::request_of(&path), Err(RunError::NoSearch { .. })));
        let folder = TuneFolder::open(&path, &request()).unwrap();
        assert_eq!(TuneFolder::open(&path, &request()).unwrap(), folder);
        assert_eq!(TuneFolder::request_of(&path).unwrap(), request());
        let other = TuneRequest {
            metric: Monitor::Accuracy,
            trials: None,
            hours: Some(0.5),
            recipe: "name = \"a\"\nepochs = 5\n".to_owned(),
            ..request()
        };
        let error = TuneFolder::open(&path, &other).unwrap_err().to_string();
        for part in [
            "--trials: 4, not none",
            "--hours: none, not 0.5",
            "--metric: f1, not accuracy",
            "the recipe (RECIPE, --set): epochs = 3; not epochs = 5",
        ] {
            assert!(error.contains(part), "{part} in\n{error}");
        }
        fs::write(path.join(TuneFolder::REQUEST), "{}").unwrap();
        assert!(matches!(TuneFolder::open(&path, &request()), Err(RunError::Request { .. })));
        assert!(matches!(TuneFolder::open(parent.path(), &request()), Err(RunError::NotASearch { .. })));
    }

    #[test]
    fn jobs_read_back_exactly_and_are_written_by_one_process() {
        let parent = tempfile::tempdir().unwrap();
        let folder = TuneFolder::open(&parent.path().join("tune"), &request()).unwrap();
        let row = JobRow {
            job: 1,
            trial: 2,
            epochs: 3,
            trained: 1,
            diverged: true,
            seconds: 0.25,
            best_epoch: 1,
            validation_loss: Some(f64::NAN),
            accuracy: Some(1.0 / 3.0),
            balanced_accuracy: None,
            f1: Some(0.1 + 0.2),
            average_precision: None,
        };
        let (mut table, rows) = folder.jobs().unwrap();
        assert_eq!(rows, []);
        assert!(matches!(folder.jobs(), Err(RunError::InUse { .. })));
        table.append(&row).unwrap();
        drop(table);
        let (_table, rows) = folder.jobs().unwrap();
        assert_eq!((rows[0].f1, rows[0].accuracy, rows[0].diverged), (row.f1, row.accuracy, true));
        assert_eq!(
            [Monitor::F1, Monitor::ValidationLoss, Monitor::AveragePrecision].map(|m| rows[0].value(m)),
            [row.f1, None, None]
        );
    }
}
