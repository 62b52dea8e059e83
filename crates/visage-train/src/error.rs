//! What can go wrong in a run.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;
use visage_run::predict::PredictError;
use visage_run::{RecipeError, RunError};

use crate::loss::LossError;

/// An error of training or of judging with a trained model.
#[derive(Debug, Error)]
pub enum TrainError {
    /// The recipe.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The run folder.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The dataset or one of its images.
    #[error(transparent)]
    Data(#[from] visage_data::DataError),
    /// Running the network over the validation split.
    #[error(transparent)]
    Predict(#[from] PredictError),
    /// The loss.
    #[error(transparent)]
    Loss(#[from] LossError),
    /// The model.
    #[error(transparent)]
    Model(#[from] visage_model::ModelError),
    /// A weight file or checkpoint.
    #[error(transparent)]
    Weights(#[from] visage_weights::WeightsError),
    /// Weights by name.
    #[error(transparent)]
    Hub(#[from] visage_weights::hub::HubError),
    /// The judge.
    #[error(transparent)]
    Judge(#[from] visage_judge::Error),
    /// The device.
    #[error(transparent)]
    Device(#[from] visage_model::device::DeviceError),

    /// A checkpoint that cannot be resumed from.
    #[error("{}: cannot resume from this checkpoint: {reason}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// Why not.
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
    /// A training split that makes no batch a norm can work on.
    #[error("the training split holds a single image: batch normalisation needs at least two to a batch")]
    TooFewImages,
    /// Resuming on other data.
    #[error("the run in {} was trained on other data:\n{changes}\nresume it with the dataset it began with, or accept the \
             change with --accept-changes", run.display())]
    OtherData {
        /// The run.
        run: PathBuf,
        /// What is different, a line each.
        changes: String,
    },
    /// Resuming with another recipe.
    #[error("the run in {} was begun with another recipe: its recipe.toml has\n{theirs}\nwhere this one has\n{ours}\n\
             resume it with the recipe it began with, accept the change with --accept-changes, or start a new run with \
             another --out", run.display())]
    OtherRecipe {
        /// The run.
        run: PathBuf,
        /// Lines of its recipe that differ.
        theirs: String,
        /// Lines of the recipe given that differ.
        ours: String,
    },
    /// A loss or gradient that is no number.
    #[error("{0}")]
    Diverged(Box<Divergence>),
    /// Answers that are no numbers, on the validation split.
    #[error("{0}")]
    NotANumber(Box<NotANumber>),
}

impl TrainError {
    /// Whether it is the file system, or an image, that kept a run from going on, rather than what was asked for.
    #[must_use]
    pub fn is_of_the_world(&self) -> bool {
        matches!(self, Self::Run(RunError::Io { .. }) | Self::Data(_) | Self::Weights(_))
    }

    /// Whether there was no space left.
    #[must_use]
    pub fn is_full_disk(&self) -> bool {
        let full = |error: &std::io::Error| error.kind() == std::io::ErrorKind::StorageFull;
        match self {
            Self::Run(RunError::Io { source, .. }) => full(source),
            Self::Weights(visage_weights::WeightsError { problem: visage_weights::Problem::Io(error), .. }) => {
                full(error)
            }
            _ => false,
        }
    }
}

/// A step whose loss or gradient is no number.
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
    /// The last good checkpoint and the steps it had taken, if there is one.
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

/// A network whose answers on the validation split are no numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct NotANumber {
    /// The steps it had taken.
    pub step: u64,
    /// As in [`Divergence`].
    pub checkpoint: Option<(PathBuf, u64)>,
}

impl fmt::Display for NotANumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let step = self.step;
        writeln!(
            f,
            "training diverged: after step {step} the network's answers on the validation split are no numbers"
        )?;
        write_remedy(f, &self.checkpoint)
    }
}

fn write_remedy(f: &mut fmt::Formatter<'_>, checkpoint: &Option<(PathBuf, u64)>) -> fmt::Result {
    match checkpoint {
        Some((path, step)) => write!(f, "the last good checkpoint is {}, of step {step}; ", path.display())?,
        None => write!(f, "no checkpoint was written before; ")?,
    }
    write!(f, "begin a new run with a lower optimizer.learning_rate, a warm-up or optimizer.clip_norm")
}
