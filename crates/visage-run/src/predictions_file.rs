//! A model's probabilities for every image of a split: `predictions-test.safetensors` beside `metrics-test.json`.
//!
//! A safetensors file, which Python reads with `safetensors.numpy.load_file`:
//!
//! - `probabilities`, f32, `[images, attributes]`: of presence, calibrated if the model has a calibration
//! - `uncalibrated`, f32, `[images, attributes]`: the same without the calibration, if the model has one
//! - `labels`, u8, `[images, attributes]`: 0 absent, 1 present, 255 unknown
//! - `targets`, f32, `[images, attributes]`: the probability that each label is present, if the dataset has soft labels
//! - `thresholds`, f32, `[attributes]`: a probability at or above its attribute's is a positive decision
//!
//! The header's metadata holds, as JSON under the key `visage.predictions`, the names of images and attributes, the
//! dataset and its fingerprint, the split, the model, and how the thresholds were chosen.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use visage_data::SplitOrAll;
use visage_judge::{Predictions, RunPredictions, ThresholdRule, Thresholds};
use visage_weights::{Problem, Tensor, TensorFile, TensorValues};

use crate::error::RunError;

const METADATA: &str = "visage.predictions";
const PROBABILITIES: &str = "probabilities";
const UNCALIBRATED: &str = "uncalibrated";
const LABELS: &str = "labels";
const TARGETS: &str = "targets";
const THRESHOLDS: &str = "thresholds";
const UNKNOWN: u8 = u8::MAX;

/// A model's probabilities on a split, the labels, and their origin.
#[derive(Clone, Debug, PartialEq)]
pub struct PredictionsFile {
    /// The model and the images.
    pub origin: PredictionsOrigin,
    /// A label and a probability for each image and attribute.
    pub predictions: Predictions,
    /// The same labels with the probabilities before calibration, if the model has one.
    pub uncalibrated: Option<Predictions>,
    /// The thresholds of positive decisions.
    pub thresholds: Thresholds,
}

/// The model and the images of predictions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PredictionsOrigin {
    /// The version of visage that computed them.
    pub visage_version: String,
    /// The model file.
    pub model: PathBuf,
    /// Name of the dataset.
    pub dataset: String,
    /// Its fingerprint: see [`visage_data::Dataset::fingerprint`].
    pub dataset_fingerprint: String,
    /// The split, or all.
    pub split: SplitOrAll,
    /// The names of the images, in the order of the rows.
    pub images: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Metadata {
    #[serde(flatten)]
    origin: PredictionsOrigin,
    attributes: Vec<String>,
    threshold_rule: ThresholdRule,
}

impl PredictionsFile {
    /// The path of the predictions that belong to the metrics file `metrics`: `predictions-test.safetensors` for
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

    /// Writes the file atomically.
    ///
    /// # Errors
    ///
    /// When it cannot be written; an old file stays.
    pub fn write(&self, path: &Path) -> Result<(), RunError> {
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
        let metadata = Metadata { origin: self.origin.clone(), attributes, threshold_rule: self.thresholds.rule };
        if let Some(targets) = self.predictions.targets() {
            tensors.push((TARGETS, Tensor::new(shape, targets.to_vec())));
        }
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
    /// When it cannot be read, is damaged, or is another kind of file.
    pub fn read(path: &Path) -> Result<Self, RunError> {
        let bad = |reason: String| RunError::Predictions { path: path.to_owned(), reason };
        let mut file = visage_weights::read(path).map_err(|error| match error.problem {
            Problem::Io(_) => RunError::Tensors(error),
            problem => bad(problem.to_string()),
        })?;
        let metadata = file.metadata.get(METADATA).ok_or_else(|| bad("it holds other tensors".to_owned()))?;
        let Metadata { origin, attributes, threshold_rule } =
            serde_json::from_str(metadata).map_err(|error| bad(error.to_string()))?;
        let mut values = |name: &str| {
            let tensor = file.tensors.remove(name).ok_or_else(|| bad(format!("it has no `{name}`")))?;
            Ok::<_, RunError>(tensor.data)
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
        let mut optional = |name: &str| match file.tensors.remove(name).map(|tensor| tensor.data) {
            None => Ok(None),
            Some(TensorValues::F32(values)) => Ok(Some(values)),
            Some(_) => Err(bad("its tensors are of other types".to_owned())),
        };
        let (uncalibrated, targets) = (optional(UNCALIBRATED)?, optional(TARGETS)?);
        let predictions = |probabilities| {
            let predictions = Predictions::new(attributes.clone(), labels.clone(), probabilities);
            let predictions = match &targets {
                None => predictions,
                Some(targets) => predictions.and_then(|predictions| predictions.with_targets(targets.clone())),
            };
            predictions.map_err(|error| bad(error.to_string()))
        };
        let uncalibrated = uncalibrated.map(predictions).transpose()?;
        let predictions = predictions(probabilities)?;
        if predictions.images() != origin.images.len() || thresholds.len() != predictions.attributes().len() {
            return Err(bad("its tables differ in length".to_owned()));
        }
        Ok(Self {
            origin,
            predictions,
            uncalibrated,
            thresholds: Thresholds { rule: threshold_rule, values: thresholds },
        })
    }

    /// The predictions, under the name of a run.
    #[must_use]
    pub fn answers(self, name: &str) -> RunPredictions {
        RunPredictions {
            name: name.to_owned(),
            images: self.origin.images,
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
            origin: PredictionsOrigin {
                visage_version: "0".to_owned(),
                model: "best.safetensors".into(),
                dataset: "faces".to_owned(),
                dataset_fingerprint: "f".to_owned(),
                split: visage_data::Split::Test.into(),
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
        let calibrated = PredictionsFile { uncalibrated: Some(before.clone().unwrap()), ..file() };
        calibrated.write(&path).unwrap();
        assert_eq!(PredictionsFile::read(&path).unwrap(), calibrated);
        let soft = |predictions: Predictions| predictions.with_targets(vec![0.75, -1.0, 0.25, 1.0]).unwrap();
        let (predictions, uncalibrated) = (soft(file().predictions), Some(soft(before.unwrap())));
        let soft = PredictionsFile { predictions, uncalibrated, ..file() };
        soft.write(&path).unwrap();
        assert_eq!(PredictionsFile::read(&path).unwrap(), soft);
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.safetensors");
        let mut short = file();
        short.origin.images.pop();
        short.write(&path).unwrap();
        let error = PredictionsFile::read(&path).unwrap_err().to_string();
        assert!(error.contains("p.safetensors") && error.contains("differ in length"), "{error}");
        visage_weights::write_safetensors(&path, &TensorFile::default()).unwrap();
        let error = PredictionsFile::read(&path).unwrap_err().to_string();
        assert!(error.contains("holds other tensors") && error.contains("visage evaluate"), "{error}");
        file().write(&path).unwrap();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        let error = PredictionsFile::read(&path).unwrap_err().to_string();
        assert!(error.contains("truncated") && error.ends_with("write them again with visage evaluate"), "{error}");
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
