//! Errors of training.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;
use visage_model::LoadError;
use visage_run::predict::PredictError;
use visage_run::{RecipeError, RunError, shell};
use visage_weights::{Problem, WeightsError};

use crate::loss::LossError;

/// Why a run cannot start or continue.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages explain the variants and their fields")]
pub enum TrainError {
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    #[error(transparent)]
    Run(Box<RunError>),
    #[error(transparent)]
    Data(#[from] visage_data::DataError),
    #[error(transparent)]
    Predict(Box<PredictError>),
    #[error(transparent)]
    Loss(#[from] LossError),
    #[error(transparent)]
    Model(#[from] visage_model::ModelError),
    #[error(transparent)]
    Weights(#[from] WeightsError),
    #[error(transparent)]
    Hub(#[from] visage_weights::hub::HubError),
    #[error(transparent)]
    Judge(#[from] visage_judge::Error),
    #[error(transparent)]
    Device(#[from] visage_model::device::DeviceError),

    /// Pretrained weights that the network cannot start from.
    #[error("{}: {source}; visage weights {} shows what the file holds", path.display(), shell::path(path))]
    InitialWeights {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: LoadError,
    },
    /// A checkpoint that training cannot resume from.
    #[error("{}: cannot resume from this checkpoint: {reason}; {remedy}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// The cause.
        reason: String,
        /// What can be done.
        remedy: Remedy,
    },
    /// A best checkpoint that is damaged.
    #[error("{}: the best checkpoint of the run is damaged: {reason}; remove it and resume the run: the best of the epochs to come is \
             saved instead", path.display())]
    BestCheckpoint {
        /// The file.
        path: PathBuf,
        /// The cause.
        reason: String,
    },
    #[error(
        "{dataset} has no {split} images: training needs a train and a validation split; add a `split` column \
             with train, validation and test"
    )]
    EmptySplit { dataset: String, split: &'static str },
    #[error("the training split holds a single image: batch normalisation needs at least two to a batch")]
    TooFewImages,
    #[error("the run in {} was trained on other data:\n{changes}\nresume it with the dataset it started with, or accept the \
             change with --accept-changes", run.display())]
    OtherData {
        run: PathBuf,
        /// One difference a line.
        changes: String,
    },
    #[error("the run in {} was started with another recipe: its recipe.toml has\n{theirs}\nwhere this one has\n{ours}\n\
             resume it with the recipe it started with, accept the change with --accept-changes, or start a new run with \
             another --out", run.display())]
    OtherRecipe { run: PathBuf, theirs: String, ours: String },
    #[error("{} was changed: the last checkpoint of the run was trained with\n{theirs}\nwhere it has\n{ours}\n\
             write it again with: visage recipe show {} > {}\nor accept the change with --accept-changes",
            recipe.display(), shell::path(checkpoint), shell::path(recipe))]
    ChangedRecipe { recipe: PathBuf, checkpoint: PathBuf, theirs: String, ours: String },
    #[error("training diverged: {what}\n{}", remedy(checkpoint))]
    Diverged {
        what: String,
        /// The last checkpoint and the steps taken before it, if there is one.
        checkpoint: Option<(PathBuf, u64)>,
    },
}

impl TrainError {
    /// Whether the file system or an image is the cause, rather than the settings: the run can be resumed once that is fixed.
    pub fn is_external(&self) -> bool {
        match self {
            Self::Run(error) => matches!(**error, RunError::Io { .. }),
            Self::Predict(error) => matches!(**error, PredictError::Data(_)),
            Self::Data(_) | Self::Weights(_) => true,
            _ => false,
        }
    }

    /// Whether the disk is full.
    pub fn is_full_disk(&self) -> bool {
        let full = |error: &std::io::Error| error.kind() == std::io::ErrorKind::StorageFull;
        match self {
            Self::Run(error) => matches!(&**error, RunError::Io { source, .. } if full(source)),
            Self::Weights(WeightsError { problem: Problem::Io(error), .. }) => full(error),
            _ => false,
        }
    }
}

impl From<RunError> for TrainError {
    fn from(error: RunError) -> Self {
        Self::Run(Box::new(error))
    }
}

impl From<PredictError> for TrainError {
    fn from(error: PredictError) -> Self {
        Self::Predict(Box::new(error))
    }
}

fn remedy(checkpoint: &Option<(PathBuf, u64)>) -> String {
    let checkpoint = match checkpoint {
        Some((path, step)) => format!("the last good checkpoint is {}, of step {step}", path.display()),
        None => "no checkpoint was written before".to_owned(),
    };
    format!("{checkpoint}; start a new run with a lower optimizer.learning_rate, a warm-up or optimizer.clip_norm")
}

/// How to go on with a run whose last checkpoint cannot be resumed from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The best checkpoint is whole and holds the state of training.
    ResumeFromBest {
        /// The best checkpoint.
        best: PathBuf,
        /// The last checkpoint.
        last: PathBuf,
        /// The epochs done before the best checkpoint.
        epoch: u64,
    },
    /// A checkpoint can be read as a model.
    NewRun {
        /// The model file.
        weights: PathBuf,
    },
    /// The run has no other checkpoint that is whole.
    StartAgain,
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ResumeFromBest { best, last, epoch } => write!(
                f,
                "the best checkpoint, of epoch {epoch}, is whole: copy it over this one, then resume: cp {} {}",
                shell::path(best),
                shell::path(last)
            ),
            Self::NewRun { weights } => {
                let weights = shell::path(weights);
                write!(
                    f,
                    "the model {weights} is whole: predict and evaluate work with it, and a new run in another folder (--out) can start \
                     from its weights with --set weights={weights}"
                )
            }
            Self::StartAgain => {
                write!(
                    f,
                    "no other checkpoint of the run is whole: restore it, or start a new run in another folder with --out"
                )
            }
        }
    }
}
