//! The card of a model: everything except its weights.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};
use visage_data::{Preparation, TableOptions};
use visage_judge::Calibration;
use visage_weights::TensorFile;

use crate::error::ModelError;
use crate::network_config::NetworkConfig;

pub(crate) const CARD: &str = "visage";

/// The newest card format that this version reads.
const FORMAT: u32 = 3;

/// What a model of people must not be used for. It is written to every card.
pub const USES_TO_AVOID: &str = "Not for identifying people, nor for any decision about a person: hiring, credit, \
policing, access, medical or legal judgement. Labels such as Attractive or Young are annotators' opinions, and error \
rates differ between groups of people; judge by group before any use.";

/// Everything about a model except its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// The format of this card.
    pub format: u32,
    /// The network's shape.
    pub network: NetworkConfig,
    /// The names of the attributes, in the order of the network's outputs.
    pub attributes: Vec<String>,
    /// How an image is aligned, decoded, resized, cropped and normalised. Its alignment is there since format 3.
    pub preparation: Preparation,
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
    /// Sets the calibration and the thresholds of the calibrated probabilities.
    pub fn set_calibration(&mut self, calibration: Option<Calibration>, thresholds: Vec<f32>, threshold_rule: String) {
        self.format = card_format(&self.preparation, calibration.is_some());
        self.calibration = calibration;
        self.thresholds = thresholds;
        self.threshold_rule = threshold_rule;
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

    pub(crate) fn to_json(&self) -> String {
        // This fails only on maps whose keys are not strings, and a card has none.
        serde_json::to_string(self).unwrap_or_default()
    }

    fn check(&self) -> Result<(), String> {
        let outputs = self.network.outputs;
        if self.attributes.len() != outputs {
            return Err(format!("{} attribute names for {outputs} outputs", self.attributes.len()));
        }
        if self.thresholds.len() != outputs {
            return Err(format!("{} thresholds for {outputs} outputs", self.thresholds.len()));
        }
        if let Some(bad) = self.thresholds.iter().find(|t| !(0.0..=1.0).contains(*t)) {
            return Err(format!("a threshold of {bad}, outside 0 to 1"));
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

/// The format number of a card: the oldest that can express it, so that older versions of visage read it where they can.
#[must_use]
pub fn card_format(preparation: &Preparation, is_calibrated: bool) -> u32 {
    match (preparation.alignment, is_calibrated) {
        (Some(_), _) => FORMAT,
        (None, true) => 2,
        (None, false) => 1,
    }
}
