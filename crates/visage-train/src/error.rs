//! What can go wrong in a run.

use std::path::PathBuf;

use thiserror::Error;

use crate::loss::LossError;
use crate::recipe::RecipeError;
use crate::run_folder::RunFolderError;

/// An error of training or of judging with a trained model.
#[derive(Debug, Error)]
pub enum TrainError {
    /// The recipe.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The run folder.
    #[error(transparent)]
    RunFolder(#[from] RunFolderError),
    /// The dataset or one of its images.
    #[error(transparent)]
    Data(#[from] visage_data::DataError),
    /// The loss.
    #[error(transparent)]
    Loss(#[from] LossError),
    /// The model.
    #[error(transparent)]
    Model(#[from] visage_model::ModelError),
    /// A weight file or checkpoint.
    #[error(transparent)]
    Weights(#[from] visage_weights::WeightsError),
    /// The judge.
    #[error(transparent)]
    Judge(#[from] visage_judge::Error),

    /// A checkpoint that cannot be resumed from.
    #[error("{}: cannot resume from this checkpoint: {reason}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A predictions file that is none.
    #[error("{}: these are not predictions that visage wrote: {reason}; write them anew with visage evaluate", path.display())]
    Predictions {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
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
    /// The dataset does not have what the model answers.
    #[error("{dataset} lacks {} of the model's attributes: {}; attributes are matched by name", missing.len(), missing.join(", "))]
    UnknownAttributes {
        /// The dataset.
        dataset: String,
        /// The attributes it lacks.
        missing: Vec<String>,
    },
    /// Resuming on other data.
    #[error("the run in {} was trained on another dataset (fingerprint {expected:.12}, this one has {found:.12}): resume it \
             with the dataset it began with", run.display())]
    OtherData {
        /// The run.
        run: PathBuf,
        /// Fingerprint of the run's data.
        expected: String,
        /// Fingerprint of the data given.
        found: String,
    },
    /// Resuming with another recipe.
    #[error("the run in {} was begun with another recipe: its recipe.toml has\n{theirs}\nwhere this one has\n{ours}\n\
             resume it with the recipe it began with, or start a new run with another --out", run.display())]
    OtherRecipe {
        /// The run.
        run: PathBuf,
        /// Lines of its recipe that differ.
        theirs: String,
        /// Lines of the recipe given that differ.
        ours: String,
    },
    /// A loss or gradient that is no number.
    #[error(
        "training diverged: at step {step} the loss was {loss} and the gradient norm {gradient_norm}; begin a new run \
             with a lower optimizer.learning_rate"
    )]
    Diverged {
        /// The step.
        step: u64,
        /// The loss.
        loss: f64,
        /// The gradient norm.
        gradient_norm: f64,
    },
}
