//! The metrics of a model on a part of a dataset, as a file: `metrics-test.json` in the folder of a run.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use visage_data::Split;
use visage_judge::{Consistency, ConsistentScores, Evaluation, Gap, Group, Intervals};
use visage_model::Precision;
use visage_weights::atomic;

use crate::error::CommandError;

/// What `visage evaluate` writes and `visage compare` reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricsFile {
    /// The version of visage that judged.
    pub visage_version: String,
    /// The model file that was judged.
    pub model: PathBuf,
    /// The network.
    pub architecture: String,
    /// Name of the dataset.
    pub dataset: String,
    /// Where the dataset was found.
    pub data: PathBuf,
    /// What the dataset's table held: see [`visage_data::Dataset::fingerprint`].
    pub dataset_fingerprint: String,
    /// The part of the dataset.
    pub split: Split,
    /// The type that the network computed in.
    #[serde(default)]
    pub precision: Precision,
    /// How the model's probabilities are calibrated, if they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<String>,
    /// How the thresholds were chosen, in words.
    pub thresholds: String,
    /// What came of it.
    #[serde(flatten)]
    pub evaluation: Evaluation,
    /// How much of it is the luck of these images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intervals: Option<Intervals>,
    /// The same for groups of the images, if it was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Group>,
    /// The gaps between those groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
    /// How often labels and answers contradict themselves, where there are rules for the attributes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency: Option<Consistency>,
    /// What answers are worth that do not, if it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistent: Option<ConsistentScores>,
}

impl MetricsFile {
    /// What the file for `split` is called in a run folder.
    pub fn name(split: Split) -> String {
        format!("metrics-{split}.json")
    }

    /// Writes it to `path`, whole or not at all.
    ///
    /// # Errors
    ///
    /// When it cannot be written; an old file stays.
    pub fn write(&self, path: &Path) -> Result<(), CommandError> {
        atomic::write(path, |file| file.write_all(self.to_json().as_bytes()))
            .map_err(|source| CommandError::Write { path: path.to_owned(), source })
    }

    /// The file's contents.
    pub fn to_json(&self) -> String {
        // Fails only on maps whose keys are not strings, and there are none.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Reads the file at `path`.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is something else.
    pub fn read(path: &Path) -> Result<Self, CommandError> {
        let text = fs::read(path).map_err(|source| CommandError::Read { path: path.to_owned(), source })?;
        serde_json::from_slice(&text).map_err(|source| CommandError::Metrics { path: path.to_owned(), source })
    }
}
