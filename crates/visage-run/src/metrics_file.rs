//! The metrics of a model on a split of a dataset: `metrics-test.json` in the folder of a run.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use visage_data::{SplitOrAll, TableOptions};
use visage_judge::{Consistency, ConsistentScores, Evaluation, Gap, Group, Intervals};
use visage_model::{Precision, TestTime};
use visage_weights::atomic;

use crate::error::RunError;

/// How [`MetricsFile::thresholds`] begins where they are those of the model file.
pub(crate) const THRESHOLDS_OF_MODEL: &str = "the model's: ";

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
    /// The split of the dataset, or all.
    pub split: SplitOrAll,
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

/// What metrics answer: two files with the same question are an older and a newer answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// The name of the dataset.
    pub dataset: String,
    /// Its fingerprint.
    pub dataset_fingerprint: String,
    /// The split of the dataset, or all.
    pub split: SplitOrAll,
    /// The attributes that are judged.
    pub attributes: Vec<String>,
    /// Whose thresholds, in words.
    pub threshold: String,
    /// The views of an image.
    pub test_time: TestTime,
    /// The precision that the network computes in.
    pub precision: Precision,
}

impl Question {
    /// What differs from another question, each in words: what is there, and what is asked now.
    fn differences(&self, now: &Self) -> Vec<String> {
        let attributes = |question: &Self, other: &Self| match question.attributes.as_slice() {
            [only] => format!("{only} alone"),
            several if several.len() > other.attributes.len() => format!("{} attributes", several.len()),
            several => several.join(", "),
        };
        let short = |question: &Self| {
            let fingerprint = &question.dataset_fingerprint;
            format!("{} ({})", question.dataset, fingerprint.get(..8).unwrap_or(fingerprint))
        };
        let same_attributes = self.attributes == now.attributes;
        [
            (self.dataset_fingerprint == now.dataset_fingerprint, "data", short(self), short(now)),
            (self.split == now.split, "images", self.split.phrase(), now.split.phrase()),
            (same_attributes, "attributes", attributes(self, now), attributes(now, self)),
            (self.threshold == now.threshold, "thresholds", self.threshold.clone(), now.threshold.clone()),
            (self.test_time == now.test_time, "views", self.test_time.to_string(), now.test_time.to_string()),
            (
                self.precision == now.precision,
                "precision",
                self.precision.name().to_owned(),
                now.precision.name().to_owned(),
            ),
        ]
        .into_iter()
        .filter_map(|(is_same, what, there, now)| (!is_same).then(|| format!("{what}: {there} there, {now} now")))
        .collect()
    }
}

impl MetricsFile {
    /// The name of the file for these images in a run folder.
    #[must_use]
    pub fn name(images: impl Into<SplitOrAll>) -> String {
        format!("metrics-{}.json", images.into())
    }

    /// The images in words: `the test split of faces`.
    #[must_use]
    pub fn images(&self) -> String {
        self.split.of(&self.dataset)
    }

    /// The question that the metrics answer.
    #[must_use]
    pub fn question(&self) -> Question {
        let attributes = self.evaluation.attributes.iter().map(|each| each.attribute.clone()).collect();
        Question {
            dataset: self.dataset.clone(),
            dataset_fingerprint: self.dataset_fingerprint.clone(),
            split: self.split,
            attributes,
            // Calibrating chooses other thresholds, but does not change the question.
            threshold: self
                .thresholds
                .strip_prefix(THRESHOLDS_OF_MODEL)
                .map_or_else(|| self.thresholds.clone(), |_| "the model's".to_owned()),
            test_time: self.test_time,
            precision: self.precision,
        }
    }

    /// Checks that `path` holds no metrics, damaged metrics, or metrics that answer the same question.
    ///
    /// # Errors
    ///
    /// [`RunError::OtherQuestion`].
    pub fn require_same_question(path: &Path, question: &Question) -> Result<(), RunError> {
        let Ok(there) = Self::read(path) else { return Ok(()) };
        let differences = there.question().differences(question);
        if differences.is_empty() {
            Ok(())
        } else {
            Err(RunError::OtherQuestion { path: path.to_owned(), differences })
        }
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
