//! What an image and its labels are.
//!
//! The path of a picture through this crate: a row of a table becomes a [`Sample`] of a [`Dataset`]; a
//! [`Preparation`] turns its file into pixels, the same way for training, evaluation and prediction; an
//! [`Augmentation`] varies them, in training only; a [`Loader`] delivers them in batches, in an order and with a
//! randomness that only the seed and the epoch decide. [`Statistics`] and [`AttributeWeights`] are counted from typed
//! [`Label`]s of one split.

pub mod archive;
pub mod association;
pub mod attributes;
pub mod augment;
pub mod convert;
pub mod dataset;
pub mod decode;
pub mod duplicates;
pub mod error;
mod exif;
mod files;
mod folds;
pub mod header;
mod jpeg;
pub mod label;
pub mod loader;
pub mod mixing;
pub mod pack;
pub mod prepare;
pub mod preview;
pub mod random;
pub mod sample;
pub mod size;
mod sources;
pub mod split;
pub mod statistics;
mod stratify;
pub mod verify;
pub mod weights;

pub use archive::Archive;
pub use association::Associations;
pub use attributes::CELEBA_ATTRIBUTES;
pub use augment::{Affine, Augmentation, Blur, BrightnessContrast, Crop, Erasing, Noise};
pub use dataset::Dataset;
pub use error::{DataError, ImageError, InvalidSetting, TableFault};
pub use header::stated_size;
pub use label::Label;
pub use loader::{Batch, Loader, LoaderOptions};
pub use mixing::{Mixed, Mixing};
pub use prepare::{Filter, Preparation, Resize};
pub use sample::Sample;
pub use size::Size;
pub use split::Split;
pub use statistics::{AttributeStatistics, Statistics};
pub use verify::{Finding, Verification};
pub use weights::{AttributeWeights, WeightError, Weighting};
