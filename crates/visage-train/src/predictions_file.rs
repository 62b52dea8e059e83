//! What a model answered about every image of a split: `predictions-test.safetensors` beside `metrics-test.json`.
//!
//! A safetensors file, which Python reads with `safetensors.numpy.load_file`:
//!
//! - `probabilities`, f32, `[images, attributes]`: of presence, as the model says them, calibration included
//! - `uncalibrated`, f32, `[images, attributes]`: the same without the calibration, if there is one
//! - `labels`, u8, `[images, attributes]`: 0 absent, 1 present, 255 unknown
//! - `thresholds`, f32, `[attributes]`: a probability at or above its attribute's is a positive decision
//!
//! The header's metadata holds, as JSON under the key `visage.predictions`, the names of images and attributes, the
//! dataset and its fingerprint, the split, the model, and how the thresholds were chosen.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use visage_data::Split;
use visage_judge::{Predictions, RunPredictions, ThresholdRule, Thresholds};
use visage_weights::{Tensor, TensorFile, TensorValues};

use crate::error::TrainError;

const METADATA: &str = "visage.predictions";
const PROBABILITIES: &str = "probabilities";
const UNCALIBRATED: &str = "uncalibrated";
const LABELS: &str = "labels";
const THRESHOLDS: &str = "thresholds";
const UNKNOWN: u8 = u8::MAX;

/// A model's answers about a split, and where both came from.
#[derive(Clone, Debug, PartialEq)]
pub struct PredictionsFile {
    /// What they are of.
    pub about: About,
    /// One label and one probability an image and attribute.
    pub predictions: Predictions,
    /// The same labels, with the probabilities before they were calibrated, if they are.
    pub uncalibrated: Option<Predictions>,
    /// What turns probabilities into decisions.
    pub thresholds: Thresholds,
}

/// What answers are of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// The version of visage that judged.
    pub visage_version: String,
    /// The model file.
    pub model: PathBuf,
    /// Name of the dataset.
    pub dataset: String,
    /// Its fingerprint: see [`visage_data::Dataset::fingerprint`].
    pub dataset_fingerprint: String,
    /// The part of it.
    pub split: Split,
    /// The images' names, in the order of the rows.
    pub images: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Metadata {
    #[serde(flatten)]
    about: About,
    attributes: Vec<String>,
    threshold_rule: ThresholdRule,
}

impl PredictionsFile {
    /// Where the predictions behind the metrics file `metrics` lie: `predictions-test.safetensors` for
    /// `metrics-test.json`, `NAME.predictions.safetensors` for any other `NAME.json`.
    #[must_use]
    pub fn beside(metrics: &Path) -> PathBuf {
        let stem = metrics.file_stem().unwrap_or_default().to_string_lossy();
        let name = match stem.strip_prefix("metrics-") {
            Some(split) => format!("predictions-{split}.safetensors"),
            None => format!("{stem}.predictions.safetensors"),
        };
        metrics.with_file_name(name)
    }

    /// Writes it to `path`, whole or not at all.
    ///
    /// # Errors
    ///
    /// The system's, naming the path.
    pub fn write(&self, path: &Path) -> Result<(), TrainError> {
        let attributes = self.predictions.attributes().to_vec();
        let shape = [self.predictions.images(), attributes.len()];
        let labels = self.predictions.labels().iter().map(|label| label.map_or(UNKNOWN, u8::from)).collect::<Vec<_>>();
        let mut tensors = vec![
            (PROBABILITIES, Tensor::new(shape, self.predictions.probabilities().to_vec())),
            (LABELS, Tensor::new(shape, labels)),
            (THRESHOLDS, Tensor::new([attributes.len()], self.thresholds.values.clone())),
        ];
        if let Some(uncalibrated) = &self.uncalibrated {
            tensors.push((UNCALIBRATED, Tensor::new(shape, uncalibrated.probabilities().to_vec())));
        }
        let metadata = Metadata { about: self.about.clone(), attributes, threshold_rule: self.thresholds.rule };
        // Fails only on maps whose keys are not strings, and there are none.
        let metadata = serde_json::to_string(&metadata).unwrap_or_default();
        let file = TensorFile {
            tensors: tensors.into_iter().map(|(name, tensor)| (name.to_owned(), tensor)).collect(),
            metadata: BTreeMap::from([(METADATA.to_owned(), metadata)]),
        };
        Ok(visage_weights::write_safetensors(path, &file)?)
    }

    /// Reads the file at `path`.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is something else or damaged.
    pub fn read(path: &Path) -> Result<Self, TrainError> {
        let bad = |reason: String| TrainError::Predictions { path: path.to_owned(), reason };
        let mut file = visage_weights::read(path)?;
        let metadata = file.metadata.get(METADATA).ok_or_else(|| bad("it holds other tensors".to_owned()))?;
        let Metadata { about, attributes, threshold_rule } =
            serde_json::from_str(metadata).map_err(|error| bad(error.to_string()))?;
        let mut values = |name: &str| {
            let tensor = file.tensors.remove(name).ok_or_else(|| bad(format!("it has no `{name}`")))?;
            Ok::<_, TrainError>(tensor.data)
        };
        let (TensorValues::F32(probabilities), TensorValues::U8(labels), TensorValues::F32(thresholds)) =
            (values(PROBABILITIES)?, values(LABELS)?, values(THRESHOLDS)?)
        else {
            return Err(bad("its tensors are of other types".to_owned()));
        };
        let labels = labels.into_iter().map(|label| match label {
            0 => Ok(Some(false)),
            1 => Ok(Some(true)),
            UNKNOWN => Ok(None),
            other => Err(bad(format!("{other} is no label: 0, 1 and {UNKNOWN} are"))),
        });
        let labels: Vec<Option<bool>> = labels.collect::<Result<_, _>>()?;
        let uncalibrated = match file.tensors.remove(UNCALIBRATED).map(|tensor| tensor.data) {
            None => None,
            Some(TensorValues::F32(probabilities)) => Some(
                Predictions::new(attributes.clone(), labels.clone(), probabilities)
                    .map_err(|error| bad(error.to_string()))?,
            ),
            Some(_) => return Err(bad("its tensors are of other types".to_owned())),
        };
        let predictions =
            Predictions::new(attributes, labels, probabilities).map_err(|error| bad(error.to_string()))?;
        if predictions.images() != about.images.len() || thresholds.len() != predictions.attributes().len() {
            return Err(bad("its tables differ in length".to_owned()));
        }
        Ok(Self {
            about,
            predictions,
            uncalibrated,
            thresholds: Thresholds { rule: threshold_rule, values: thresholds },
        })
    }

    /// The answers, under the name of a run.
    #[must_use]
    pub fn answers(self, name: &str) -> RunPredictions {
        RunPredictions {
            name: name.to_owned(),
            images: self.about.images,
            predictions: self.predictions,
            thresholds: self.thresholds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> PredictionsFile {
        PredictionsFile {
            about: About {
                visage_version: "0".to_owned(),
                model: "best.safetensors".into(),
                dataset: "faces".to_owned(),
                dataset_fingerprint: "f".to_owned(),
                split: Split::Test,
                images: vec!["1.jpg".to_owned(), "2.jpg".to_owned()],
            },
            predictions: Predictions::new(
                vec!["Male".to_owned(), "Young".to_owned()],
                vec![Some(true), None, Some(false), Some(true)],
                vec![0.1, 0.2, 0.3, 0.4],
            )
            .unwrap(),
            uncalibrated: None,
            thresholds: Thresholds { rule: ThresholdRule::BestF1, values: vec![0.5, 0.25] },
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("predictions-test.safetensors");
        file().write(&path).unwrap();
        assert_eq!(PredictionsFile::read(&path).unwrap(), file());
        let before = Predictions::new(
            file().predictions.attributes().to_vec(),
            file().predictions.labels().to_vec(),
            vec![0.5, 0.6, 0.7, 0.8],
        );
        let calibrated = PredictionsFile { uncalibrated: Some(before.unwrap()), ..file() };
        calibrated.write(&path).unwrap();
        assert_eq!(PredictionsFile::read(&path).unwrap(), calibrated);
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.safetensors");
        let mut short = file();
        short.about.images.pop();
        short.write(&path).unwrap();
        let error = PredictionsFile::read(&path).unwrap_err().to_string();
        assert!(error.contains("p.safetensors") && error.contains("differ in length"), "{error}");
        visage_weights::write_safetensors(&path, &TensorFile::default()).unwrap();
        let error = PredictionsFile::read(&path).unwrap_err().to_string();
        assert!(error.contains("holds other tensors") && error.contains("visage evaluate"), "{error}");
    }

    #[test]
    fn each_metrics_file_has_a_place_for_its_predictions() {
        for (metrics, predictions) in [
            ("runs/a/metrics-test.json", "runs/a/predictions-test.safetensors"),
            ("m.json", "m.predictions.safetensors"),
        ] {
            assert_eq!(PredictionsFile::beside(Path::new(metrics)), Path::new(predictions));
        }
    }
}
