//! How a model is trained: recipes, losses, schedules, the trainer, checkpoints and the run folder.
//!
//! The walk: a [`Recipe`] and a dataset become [`TrainSettings`]; [`train`] takes batches through the network, the loss
//! and the [`optimizer`], a row of the [`run_folder`] a step; after every epoch the validation split decides what is
//! best, and a [`checkpoint`] keeps it. [`inference`] asks a finished model.

pub mod average;
pub mod checkpoint;
pub mod early_stopping;
pub mod error;
pub mod gradients;
pub mod inference;
mod learner;
pub mod loss;
pub mod loss_scale;
pub mod lr_finder;
mod mixing;
pub mod optimizer;
pub mod plateau;
pub mod predictions_file;
pub mod pretrained;
pub mod recipe;
pub mod run_folder;
pub mod sampler;
pub mod schedule;
pub mod tensorboard;
pub mod trainer;

pub use early_stopping::{BestEpoch, EarlyStopping, Monitor, Verdict};
pub use error::{Divergence, NotANumber, TrainError};
pub use gradients::Gradients;
pub use loss::{Loss, LossError, LossKind};
pub use predictions_file::{About, PredictionsFile};
pub use recipe::{Recipe, RecipeError};
pub use run_folder::{RunFolder, RunFolderError};
pub use schedule::{Anneal, OneCycle, Rates, Schedule};
pub use trainer::{Event, Outcome, TrainSettings, train};
