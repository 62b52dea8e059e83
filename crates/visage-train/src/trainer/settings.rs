//! What a run needs, reports and returns.

use std::path::PathBuf;
use std::sync::Arc;

use burn::tensor::Device;
use visage_data::Dataset;
use visage_model::Architecture;
use visage_model::LoadReport;
use visage_run::{EpochRow, Recipe, RunResult, RunStatus, StepRow};

/// Everything that a run needs.
#[derive(Clone, Debug)]
pub struct TrainSettings {
    /// The recipe.
    pub recipe: Recipe,
    /// The dataset to train and validate on.
    pub dataset: Arc<Dataset>,
    /// The path of the dataset, for the record.
    pub data_path: PathBuf,
    /// The seed that the dataset's splits were drawn from, if its table has none; stored in the model file.
    pub split_seed: Option<u64>,
    /// Whether images that cannot be used were left out of the dataset, for the record.
    pub skip_bad_images: bool,
    /// The most images of the training split, and of the validation split, to use: a random subset of each.
    pub limit: Option<usize>,
    /// The folder of the run: new or empty, or one that holds a run if `resume` is set.
    pub folder: PathBuf,
    /// Whether to resume the run in `folder`.
    pub resume: bool,
    /// Whether to resume even if the recipe or the dataset has changed since the run began; the run then continues with
    /// the new ones.
    pub accept_changes: bool,
    /// Ends the run as [`RunStatus::Interrupted`] once it has this many epochs, to be resumed later. Absent: trains the recipe's
    /// epochs. Schedules follow the recipe in either case.
    pub pause_after: Option<u32>,
    /// The device that holds the weights.
    pub device: Device,
    /// Further devices of the same kind, for data-parallel training: every batch is split between all of them, and norms
    /// see only their device's shard.
    pub other_devices: Vec<Device>,
    /// The name of the device or devices, for the record and for messages.
    pub device_name: String,
    /// The size of the thread pool, for the record.
    pub threads: usize,
}

/// Progress of a run.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// Training is about to begin or to resume.
    Started(&'a Started),
    /// A step was taken.
    Step {
        /// The row of `steps.csv`.
        row: &'a StepRow,
        /// Steps in an epoch.
        steps_per_epoch: usize,
        /// Steps in the whole run.
        total_steps: u64,
    },
    /// Validation is under way.
    Validating {
        /// Images done.
        done: usize,
        /// Images in the validation split.
        images: usize,
    },
    /// An epoch ended.
    Epoch(&'a EpochRow),
    /// A checkpoint was written within an epoch.
    Saved,
}

/// The state at the beginning of a run.
#[derive(Clone, Debug)]
pub struct Started {
    /// The folder.
    pub folder: PathBuf,
    /// The network.
    pub architecture: Architecture,
    /// Number of trainable parameters.
    pub parameters: u64,
    /// Images in the training split.
    pub training_images: usize,
    /// Images in the validation split.
    pub validation_images: usize,
    /// Epochs of the whole run.
    pub epochs: u32,
    /// Steps taken before this process.
    pub resumed_at: u64,
    /// What was loaded from pretrained weights, if the recipe names some.
    pub pretrained: Option<LoadReport>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Finished, stopped early, or interrupted.
    pub status: RunStatus,
    /// The result so far.
    pub result: RunResult,
}
