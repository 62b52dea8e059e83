//! `run.json`.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use visage_data::TableOptions;

/// The device and data of a run, its status and its result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Version of visage.
    pub version: String,
    /// Name of the recipe.
    pub recipe: String,
    /// When it started, in UTC.
    #[serde(with = "timestamp")]
    pub started: Timestamp,
    /// Its status.
    pub status: RunStatus,
    /// The device, such as `cpu`.
    pub device: String,
    /// Threads of the thread pool.
    pub threads: usize,
    /// Name of the network.
    pub architecture: String,
    /// Number of trainable parameters.
    pub parameters: u64,
    /// The dataset.
    pub data: DataRecord,
    /// How many times the run was resumed.
    #[serde(default)]
    pub resumed: u32,
    /// Tables that were removed and begin anew after a checkpoint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restarted_tables: Vec<RestartedTable>,
    /// The result, once it has ended.
    #[serde(default)]
    pub result: Option<RunResult>,
}

/// A table that was removed and begins anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartedTable {
    /// The name of its file.
    pub table: String,
    /// The step of the checkpoint after which it begins.
    pub step: u64,
}

/// The dataset of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataRecord {
    /// Its path.
    pub path: PathBuf,
    /// Its fingerprint: two datasets with the same fingerprint have the same samples, labels and splits.
    pub fingerprint: String,
    /// The attributes, in order.
    pub attributes: Vec<String>,
    /// The choices with which its table was read.
    #[serde(default, skip_serializing_if = "TableOptions::is_default")]
    pub table: TableOptions,
    /// Images in the training split.
    pub train: u64,
    /// Images in the validation split.
    pub validation: u64,
    /// Images in the test split.
    pub test: u64,
    /// Whether images that are cut short were accepted.
    #[serde(default)]
    pub allow_truncated: bool,
    /// Whether images that cannot be used were left out.
    #[serde(default)]
    pub skip_bad_images: bool,
    /// The most images of the training split, and of the validation split, that were used; the counts above are those of the dataset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// The status of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Training, or killed while training.
    Running,
    /// Stopped on request, after a checkpoint.
    Interrupted,
    /// Ended by early stopping.
    StoppedEarly,
    /// Trained every epoch.
    Finished,
    /// Ended by an error.
    Failed,
}

/// The result of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// Epochs trained.
    pub epochs: u32,
    /// The epoch whose weights are the model, from 1.
    pub best_epoch: u32,
    /// The monitored metric of that epoch.
    pub best_value: Option<f64>,
    /// Duration in seconds, summed over resumptions.
    pub seconds: f64,
    /// Steps skipped because their gradient overflowed f16.
    #[serde(default)]
    pub skipped_steps: u64,
    /// The error that ended it, if one did.
    #[serde(default)]
    pub error: Option<String>,
}

/// RFC 3339.
mod timestamp {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(timestamp: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(timestamp)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
