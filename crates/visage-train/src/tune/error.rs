//! Errors of a search.

use std::path::PathBuf;

use thiserror::Error;
use visage_data::with_causes;
use visage_run::space::SpaceError;
use visage_run::{RecipeError, RunError};

use crate::error::TrainError;

/// Why a search cannot begin or go on.
#[derive(Debug, Error)]
pub enum TuneError {
    /// The space.
    #[error(transparent)]
    Space(#[from] SpaceError),
    /// A recipe that cannot be written.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The folder of the search, or a file in it.
    #[error(transparent)]
    Folder(Box<RunError>),
    /// A trial that failed for another reason than its values.
    #[error("trial {trial}, in {}: {}", folder.display(), with_causes(&**error))]
    Trial {
        /// The trial, from 0.
        trial: usize,
        /// Its run folder.
        folder: PathBuf,
        /// The cause.
        error: Box<TrainError>,
    },
    /// A table of jobs that this search cannot have written.
    #[error("{}, job {job}: this search would not have trained trial {trial} for {epochs} epochs next; the table was changed, or \
             another version of visage wrote it: restore it, or search again in another folder with --out", path.display())]
    OtherJobs {
        /// The table.
        path: PathBuf,
        /// The job, from 1.
        job: u64,
        /// Its trial.
        trial: u32,
        /// Its epochs.
        epochs: u32,
    },
    /// A trial whose table of epochs lacks what was just trained.
    #[error("{}: there is no row of an epoch: remove this folder, and the search trains the trial again", path.display())]
    NoEpochs {
        /// The run folder of the trial.
        path: PathBuf,
    },
}

impl From<RunError> for TuneError {
    fn from(error: RunError) -> Self {
        Self::Folder(Box::new(error))
    }
}
