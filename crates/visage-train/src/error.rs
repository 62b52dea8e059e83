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
pub enum TrainError {
    /// The recipe.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The run folder.
    #[error(transparent)]
    Run(Box<RunError>),
    /// The dataset or one of its images.
    #[error(transparent)]
    Data(#[from] visage_data::DataError),
    /// Running the network over the validation split.
    #[error(transparent)]
    Predict(Box<PredictError>),
    /// The loss.
    #[error(transparent)]
    Loss(#[from] LossError),
    /// The model.
    #[error(transparent)]
    Model(#[from] visage_model::ModelError),
    /// A weight file or checkpoint.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Weights by name.
    #[error(transparent)]
    Hub(#[from] visage_weights::hub::HubError),
    /// The judge.
    #[error(transparent)]
    Judge(#[from] visage_judge::Error),
    /// The device.
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
    /// A split without images.
    #[error(
        "{dataset} has no {split} images: training needs a train and a validation split; add a `split` column \
             with train, validation and test"
    )]
    EmptySplit {
        /// The dataset.
        dataset: String,
        /// The split.
        split: &'static str,
    },
    /// A training split of one image, which batch normalisation cannot use.
    #[error("the training split holds a single image: batch normalisation needs at least two to a batch")]
    TooFewImages,
    /// Resuming with other data than the run's.
    #[error("the run in {} was trained on other data:\n{changes}\nresume it with the dataset it started with, or accept the \
             change with --accept-changes", run.display())]
    OtherData {
        /// The run.
        run: PathBuf,
        /// The differences, one per line.
        changes: String,
    },
    /// Resuming with another recipe than the run's.
    #[error("the run in {} was started with another recipe: its recipe.toml has\n{theirs}\nwhere this one has\n{ours}\n\
             resume it with the recipe it started with, accept the change with --accept-changes, or start a new run with \
             another --out", run.display())]
    OtherRecipe {
        /// The run.
        run: PathBuf,
        /// The lines that only its recipe has.
        theirs: String,
        /// The lines that only the given recipe has.
        ours: String,
    },
    /// A loss or gradient that is not finite.
    #[error("{0}")]
    Diverged(Box<Divergence>),
    /// NaN on the validation split.
    #[error("{0}")]
    NotANumber(Box<NotANumber>),
}

impl TrainError {
    /// Whether the file system or an image is the cause, rather than the settings: the run can be resumed once that is fixed.
    #[must_use]
    pub fn is_external(&self) -> bool {
        match self {
            Self::Run(error) => matches!(**error, RunError::Io { .. }),
            Self::Predict(error) => matches!(**error, PredictError::Data(_)),
            Self::Weights(error) => matches!(error.problem, Problem::Io(_)),
            Self::Data(_) => true,
            _ => false,
        }
    }

    /// Whether the disk is full.
    #[must_use]
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

/// A step whose loss or gradient is not finite.
#[derive(Clone, Debug, PartialEq)]
pub struct Divergence {
    /// The step, from 1.
    pub step: u64,
    /// The loss.
    pub loss: f64,
    /// The gradient norm.
    pub gradient_norm: f64,
    /// The learning rate.
    pub learning_rate: f64,
    /// The images of the batch, as the dataset names them.
    pub images: Vec<String>,
    /// The last checkpoint and the steps taken before it, if there is one.
    pub checkpoint: Option<(PathBuf, u64)>,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { step, loss, gradient_norm, learning_rate, images, checkpoint } = self;
        writeln!(
            f,
            "training diverged: at step {step}, with a learning rate of {learning_rate:e}, the loss was {loss} and the \
             gradient norm {gradient_norm}"
        )?;
        writeln!(f, "the images of that step: {}", images.join(", "))?;
        write_remedy(f, checkpoint)
    }
}

/// A network that produced NaN on the validation split.
#[derive(Clone, Debug, PartialEq)]
pub struct NotANumber {
    /// The steps taken before.
    pub step: u64,
    /// As in [`Divergence`].
    pub checkpoint: Option<(PathBuf, u64)>,
}

impl fmt::Display for NotANumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let step = self.step;
        writeln!(f, "training diverged: after step {step} the network produced NaN on the validation split")?;
        write_remedy(f, &self.checkpoint)
    }
}

fn write_remedy(f: &mut fmt::Formatter<'_>, checkpoint: &Option<(PathBuf, u64)>) -> fmt::Result {
    match checkpoint {
        Some((path, step)) => write!(f, "the last good checkpoint is {}, of step {step}; ", path.display())?,
        None => write!(f, "no checkpoint was written before; ")?,
    }
    write!(f, "start a new run with a lower optimizer.learning_rate, a warm-up or optimizer.clip_norm")
}
