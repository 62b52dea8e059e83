//! How a model is trained: losses, schedules, optimisers, the trainer and its checkpoints.
//!
//! The walk: a recipe and a dataset become [`TrainSettings`]; [`train`] takes batches through the network, the loss
//! and the [`optimizer`], a row of the run folder a step; after every epoch the validation split decides what is
//! best, and a [`checkpoint`] keeps it.

pub mod average;
pub mod checkpoint;
pub mod early_stopping;
pub mod error;
pub mod gradients;
mod learner;
pub mod loss;
pub mod loss_scale;
pub mod lr_finder;
mod mixing;
pub mod optimizer;
pub mod plateau;
pub mod pretrained;
pub mod sampler;
pub mod schedule;
pub mod tensorboard;
pub mod trainer;

pub use early_stopping::{BestEpoch, EarlyStopping, Verdict};
pub use error::{Divergence, NotANumber, TrainError};
pub use gradients::Gradients;
pub use learner::tracking;
pub use loss::{Loss, LossError};
pub use schedule::{Rates, Schedule};
pub use trainer::{Event, Outcome, TrainSettings, train};
