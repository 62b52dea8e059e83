//! What an image and its labels are.
//!
//! The path of a picture through this crate: a row of a table becomes a [`Sample`] of a [`Dataset`]; a
//! [`Preparation`] turns its file into pixels, the same way for training, evaluation and prediction; an
//! [`Augmentation`] varies them, in training only; a [`Loader`] delivers them in batches, in an order and with a
//! randomness that only the seed and the epoch decide. [`Statistics`] and [`AttributeWeights`] are counted from typed
//! [`Label`]s of one split.

pub mod attributes;
pub mod augment;
pub mod dataset;
pub mod duplicates;
pub mod error;
mod files;
mod folds;
pub mod label;
pub mod loader;
pub mod prepare;
pub mod random;
pub mod sample;
pub mod size;
mod sources;
pub mod split;
pub mod statistics;
pub mod weights;

pub use attributes::CELEBA_ATTRIBUTES;
pub use augment::{Augmentation, Noise};
pub use dataset::Dataset;
pub use error::{DataError, ImageError, InvalidSetting, TableFault};
pub use label::Label;
pub use loader::{Batch, Loader, LoaderOptions};
pub use prepare::{Filter, Preparation, Resize};
pub use sample::Sample;
pub use size::Size;
pub use split::Split;
pub use statistics::{AttributeStatistics, Statistics};
pub use weights::{AttributeWeights, WeightError, Weighting};
