//! `run.json`.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What a run ran on, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Version of visage.
    pub version: String,
    /// Name of the recipe.
    pub recipe: String,
    /// When it started, in UTC.
    #[serde(with = "timestamp")]
    pub started: Timestamp,
    /// How it stands.
    pub status: RunStatus,
    /// The device, such as `cpu`.
    pub device: String,
    /// Threads the run may use.
    pub threads: usize,
    /// Name of the network.
    pub architecture: String,
    /// Number of trained values.
    pub parameters: u64,
    /// The dataset.
    pub data: DataRecord,
    /// How often the run was resumed.
    #[serde(default)]
    pub resumed: u32,
    /// What came of it, once it has ended.
    #[serde(default)]
    pub result: Option<RunResult>,
}

/// The dataset of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataRecord {
    /// Where it was.
    pub path: PathBuf,
    /// What it held: two datasets with the same fingerprint have the same samples, labels and splits.
    pub fingerprint: String,
    /// The attributes, in order.
    pub attributes: Vec<String>,
    /// Images in the training split.
    pub train: u64,
    /// Images in the validation split.
    pub validation: u64,
    /// Images in the test split.
    pub test: u64,
}

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Training, or killed while it was.
    Running,
    /// Stopped on request, after a checkpoint.
    Interrupted,
    /// Ended by its patience.
    StoppedEarly,
    /// Trained every epoch.
    Finished,
    /// Ended by an error.
    Failed,
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// Epochs trained.
    pub epochs: u32,
    /// The epoch whose weights are the model, counted from 1.
    pub best_epoch: u32,
    /// What the recipe's monitor was in that epoch.
    pub best_value: Option<f64>,
    /// Time spent, in seconds, in all of its parts if it was resumed.
    pub seconds: f64,
    /// Steps left out because their gradient overflowed f16.
    #[serde(default)]
    pub skipped_steps: u64,
    /// What went wrong, if something did.
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
