//! Training: losses, schedules, optimisers, the trainer and its checkpoints.
//!
//! A recipe (`visage-run`) and a dataset make [`TrainSettings`]. [`train`] runs batches through a [`Stepper`], which owns the
//! network, its [`Loss`] and its optimiser, and writes a row of the run folder for each step. After every epoch it validates
//! the network and writes a checkpoint. [`RangeTest`] looks for a learning rate, [`CrossValidation`] trains a model for
//! each fold, and [`tune::Search`] searches the recipe that is best by a metric.
//!
//! The parts can be used by themselves. A loss masks unknown labels:
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use visage_run::LossKind;
//! use visage_train::Loss;
//!
//! let device = Device::flex();
//! let row = |values| Tensor::<2>::from_floats([values], &device);
//! let (logits, targets) = (row([0.0, 5.0, -3.0]), row([1.0, 0.0, 0.0]));
//! // The last two labels are unknown.
//! let loss = Loss::new(LossKind::Bce).mean(logits, targets, row([1.0, 0.0, 0.0]));
//! assert!((loss.into_scalar::<f32>() - std::f32::consts::LN_2).abs() < 1e-6);
//! ```

mod average;
mod checkpoint;
mod cross_validation;
mod early_stopping;
mod error;
#[cfg(test)]
mod golden;
mod gradients;
mod loss;
mod loss_scale;
mod lr_finder;
mod optimizer;
mod plateau;
mod pretrained;
mod sampler;
mod schedule;
mod shard;
mod stepper;
mod tensorboard;
mod trainer;
pub mod tune;

pub use cross_validation::{CrossValidation, Fold};
pub use error::{Remedy, TrainError};
pub use loss::{Loss, LossError};
pub use lr_finder::{Curve, Point, RangeTest};
pub use pretrained::{IMAGENET, ImageNetWeights, imagenet_weights, locate_weights, locate_weights_for};
pub use schedule::Rates;
pub use stepper::{PendingStep, Step, StepOutcome, StepOutput, Stepper};
pub use tensorboard::EventFile;
pub use trainer::{Event, Outcome, Started, TrainSettings, train};
