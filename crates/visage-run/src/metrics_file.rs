//! The metrics of a model on a split of a dataset: `metrics-test.json` in the folder of a run.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use visage_data::{Split, TableOptions};
use visage_judge::{Consistency, ConsistentScores, Evaluation, Gap, Group, Intervals};
use visage_model::{Precision, TestTime};
use visage_weights::atomic;

use crate::error::RunError;

/// The metrics file that `visage evaluate` writes and `visage compare` reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricsFile {
    /// The version of visage that evaluated.
    pub visage_version: String,
    /// The model file.
    pub model: PathBuf,
    /// The network.
    pub architecture: String,
    /// Name of the dataset.
    pub dataset: String,
    /// The path of the dataset.
    pub data: PathBuf,
    /// The choices with which its table was read.
    #[serde(default, skip_serializing_if = "TableOptions::is_default")]
    pub table: TableOptions,
    /// The fingerprint of the dataset: see [`visage_data::Dataset::fingerprint`].
    pub dataset_fingerprint: String,
    /// The split of the dataset.
    pub split: Split,
    /// The precision that the network computed in.
    #[serde(default)]
    pub precision: Precision,
    /// The views of an image whose logits were averaged.
    #[serde(default, skip_serializing_if = "TestTime::is_none")]
    pub test_time: TestTime,
    /// The method of the model's calibration, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<String>,
    /// How the thresholds were chosen, in words.
    pub thresholds: String,
    /// The metrics.
    #[serde(flatten)]
    pub evaluation: Evaluation,
    /// Bootstrap intervals of the metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intervals: Option<Intervals>,
    /// The metrics of groups of images, with `--group-by`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Group>,
    /// The gaps between those groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
    /// How often labels and answers break rules between attributes, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency: Option<Consistency>,
    /// The metrics of answers that break no rule, with `--consistent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistent: Option<ConsistentScores>,
}

impl MetricsFile {
    /// The name of the file for `split` in a run folder.
    #[must_use]
    pub fn name(split: Split) -> String {
        format!("metrics-{split}.json")
    }

    /// Writes the file atomically.
    ///
    /// # Errors
    ///
    /// When it cannot be written; an old file stays.
    pub fn write(&self, path: &Path) -> Result<(), RunError> {
        atomic::write(path, |file| file.write_all(self.to_json().as_bytes())).map_err(RunError::io("write", path))
    }

    /// The contents of the file.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Fails only on maps whose keys are not strings, and there are none.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Reads the file at `path`.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is another kind of file.
    pub fn read(path: &Path) -> Result<Self, RunError> {
        let text = fs::read(path).map_err(RunError::io("read", path))?;
        serde_json::from_slice(&text).map_err(|source| RunError::Metrics { path: path.to_owned(), source })
    }
}
