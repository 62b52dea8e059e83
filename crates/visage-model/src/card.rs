//! The card of a model: everything except its weights.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};
use visage_data::{MAX_ATTRIBUTES, Preparation, TableOptions};
use visage_judge::Calibration;
use visage_weights::TensorFile;

use crate::error::ModelError;
use crate::network_config::NetworkConfig;
use crate::test_time::TestTime;

pub(crate) const CARD: &str = "visage";

/// The newest card format that this version reads.
const FORMAT: u32 = 4;

/// What a model of people must not be used for. It is written to every card.
pub const USES_TO_AVOID: &str = "Not for identifying people, nor for any decision about a person: hiring, credit, \
policing, access, medical or legal judgement. Labels such as Attractive or Young are annotators' opinions, and error \
rates differ between groups of people; judge by group before any use.";

/// Everything about a model except its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// The format of this card: the oldest that can express it, so that older versions of visage read it where they can.
    pub format: u32,
    /// The network's shape.
    pub network: NetworkConfig,
    /// The shapes of further networks. The model's logits are the mean of all. Since format 4.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ensemble: Vec<NetworkConfig>,
    /// The names of the attributes, in the order of the network's outputs.
    pub attributes: Vec<String>,
    /// How an image is aligned, decoded, resized, cropped and normalised. Its alignment is there since format 3.
    pub preparation: Preparation,
    /// The views of an image whose logits are averaged. Since format 4.
    #[serde(default, skip_serializing_if = "TestTime::is_none")]
    pub test_time: TestTime,
    /// How a logit becomes a probability. `None`: by the sigmoid. Since format 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// For each attribute the probability, in [0, 1], from which it is predicted present.
    pub thresholds: Vec<f32>,
    /// A description of how the thresholds were chosen.
    pub threshold_rule: String,
    /// Where the model came from.
    pub origin: Origin,
    /// What the model must not be used for.
    pub uses_to_avoid: String,
}

/// Where a model came from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// The version of visage that trained it.
    pub visage_version: String,
    /// The time at which its training began, in RFC 3339.
    pub started: String,
    /// The resolved recipe, as TOML.
    pub recipe: String,
    /// The name of the dataset.
    pub dataset: String,
    /// A hash of the dataset's table: attributes, images, splits and labels.
    pub dataset_fingerprint: String,
    /// The choices with which the dataset's table was read, such as the meaning of -1.
    #[serde(default, skip_serializing_if = "TableOptions::is_default")]
    pub table: TableOptions,
    /// The seed of the random splits, if the dataset's table assigns none or no validation split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split_seed: Option<u64>,
    /// The number of training images.
    pub training_images: usize,
    /// The number of completed epochs.
    pub epoch: usize,
    /// The number of optimiser steps.
    pub step: u64,
    /// Metrics on the validation split, by name.
    pub validation: BTreeMap<String, f64>,
}

impl Card {
    /// The card of a network that has not been trained: thresholds of 0.5, no calibration, and no origin.
    #[must_use]
    pub fn new(network: NetworkConfig, attributes: Vec<String>, preparation: Preparation) -> Self {
        let mut card = Card {
            format: 1,
            network,
            ensemble: Vec::new(),
            thresholds: vec![0.5; attributes.len()],
            attributes,
            preparation,
            test_time: TestTime::None,
            calibration: None,
            threshold_rule: String::new(),
            origin: Origin::default(),
            uses_to_avoid: USES_TO_AVOID.to_owned(),
        };
        card.format = card.oldest_format();
        card
    }

    /// The names of the networks, such as `resnet18`, or `resnet18 + efficientnet-b0` for an ensemble.
    #[must_use]
    pub fn architectures(&self) -> String {
        let networks = std::iter::once(&self.network).chain(&self.ensemble);
        networks.map(|network| network.architecture.name()).collect::<Vec<_>>().join(" + ")
    }

    /// Sets the calibration and the thresholds of the calibrated probabilities.
    pub fn set_calibration(&mut self, calibration: Option<Calibration>, thresholds: Vec<f32>, threshold_rule: String) {
        self.calibration = calibration;
        self.thresholds = thresholds;
        self.threshold_rule = threshold_rule;
        self.format = self.oldest_format();
    }

    /// Sets the views of an image whose logits are averaged.
    pub fn set_test_time(&mut self, test_time: TestTime) {
        self.test_time = test_time;
        self.format = self.oldest_format();
    }

    /// Sets the further networks of an ensemble.
    pub(crate) fn set_ensemble(&mut self, ensemble: Vec<NetworkConfig>) {
        self.ensemble = ensemble;
        self.format = self.oldest_format();
    }

    fn oldest_format(&self) -> u32 {
        if !self.ensemble.is_empty() || !self.test_time.is_none() {
            4
        } else if self.preparation.alignment.is_some() {
            3
        } else if self.calibration.is_some() {
            2
        } else {
            1
        }
    }

    /// Reads the model file `path`, replaces its card by this one, and writes the result atomically to `out`, which may be the
    /// same file. All tensors stay, including a checkpoint's state of training.
    ///
    /// # Errors
    ///
    /// If the file is not a model of visage or cannot be read or written, or this card is inconsistent.
    pub fn replace_in(&self, path: &Path, out: &Path) -> Result<(), ModelError> {
        self.check().map_err(|reason| ModelError::BadCard { path: path.to_owned(), reason })?;
        let mut file = visage_weights::read(path)?;
        Self::of(path, &file)?;
        file.metadata.insert(CARD.to_owned(), self.to_json());
        Ok(visage_weights::write_safetensors(out, &file)?)
    }

    /// The card as JSON, as it is written to model files.
    #[must_use]
    pub fn to_json(&self) -> String {
        // This fails only on maps whose keys are not strings, and a card has none.
        serde_json::to_string(self).unwrap_or_default()
    }

    fn check(&self) -> Result<(), String> {
        let outputs = self.network.outputs;
        if outputs > MAX_ATTRIBUTES {
            return Err(format!("{outputs} outputs, and a model may have {MAX_ATTRIBUTES} at most"));
        }
        if self.attributes.len() != outputs {
            return Err(format!("{} attribute names for {outputs} outputs", self.attributes.len()));
        }
        if self.thresholds.len() != outputs {
            return Err(format!("{} thresholds for {outputs} outputs", self.thresholds.len()));
        }
        if let Some(bad) = self.thresholds.iter().find(|t| !(0.0..=1.0).contains(*t)) {
            return Err(format!("a threshold of {bad}, outside 0 to 1"));
        }
        if let Some(other) = self.ensemble.iter().find(|network| network.outputs != outputs) {
            return Err(format!("networks of {outputs} and {} outputs", other.outputs));
        }
        let distinct: BTreeSet<_> = self.attributes.iter().collect();
        if distinct.len() != outputs {
            return Err("duplicate attribute names".to_owned());
        }
        if let Some(calibration) = &self.calibration {
            calibration.check(outputs)?;
        }
        self.preparation.validate().map_err(|error| error.to_string())
    }

    pub(crate) fn of(path: &Path, file: &TensorFile) -> Result<Self, ModelError> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }

        let Some(text) = file.metadata.get(CARD) else {
            return Err(ModelError::NoCard { path: path.to_owned() });
        };
        let bad = |reason: String| ModelError::BadCard { path: path.to_owned(), reason };
        let Format { format } = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
        if format > FORMAT {
            return Err(ModelError::NewerFormat { path: path.to_owned(), found: format, known: FORMAT });
        }
        let card: Card = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
        card.check().map_err(bad)?;
        Ok(card)
    }
}
