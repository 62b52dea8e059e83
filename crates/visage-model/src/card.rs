//! The card of a model: everything but its weights.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};
use visage_data::Preparation;
use visage_judge::Calibration;
use visage_weights::TensorFile;

use crate::error::ModelError;
use crate::network::NetworkConfig;

/// Metadata key of the card.
pub(crate) const CARD: &str = "visage";

/// Newest card format this program reads.
const FORMAT: u32 = 2;

/// The format of a card without a calibration, which programs from before there were any read.
const UNCALIBRATED_FORMAT: u32 = 1;

/// What every model of people must not be used for; written into every card.
pub const USES_TO_AVOID: &str = "Not for identifying people, nor for any decision about a person: hiring, credit, \
policing, access, medical or legal judgement. Labels such as Attractive or Young are annotators' opinions, and error \
rates differ between groups of people; judge by group before any use.";

/// Everything about a model but its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// Version of this structure.
    pub format: u32,
    /// The network.
    pub network: NetworkConfig,
    /// The questions, in the order of the network's outputs.
    pub attributes: Vec<String>,
    /// How an image becomes the network's input.
    pub preparation: Preparation,
    /// How a logit becomes a probability: by the sigmoid if `None`. Since format 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// Probability at or above which each attribute is called present.
    pub thresholds: Vec<f32>,
    /// How the thresholds were chosen, in words.
    pub threshold_rule: String,
    /// Where the model came from.
    pub origin: Origin,
    /// What the model must not be used for.
    pub uses_to_avoid: String,
}

/// Where a model came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// Version of visage that trained it.
    pub visage_version: String,
    /// When its training began, RFC 3339.
    pub started: String,
    /// The resolved recipe, as TOML.
    pub recipe: String,
    /// Name of the dataset.
    pub dataset: String,
    /// Fingerprint of the dataset's table: attributes, images, splits and labels.
    pub dataset_fingerprint: String,
    /// The seed the dataset's splits were assigned by, where its table has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split_seed: Option<u64>,
    /// How many images it was trained on.
    pub training_images: usize,
    /// Epochs completed.
    pub epoch: usize,
    /// Optimiser steps taken.
    pub step: u64,
    /// Metrics on the validation split when it was written, by name.
    pub validation: BTreeMap<String, f64>,
}

impl Card {
    /// Sets how probabilities are made and what they are measured by.
    pub fn set_calibration(&mut self, calibration: Option<Calibration>, thresholds: Vec<f32>, threshold_rule: String) {
        self.format = if calibration.is_some() { FORMAT } else { UNCALIBRATED_FORMAT };
        self.calibration = calibration;
        self.thresholds = thresholds;
        self.threshold_rule = threshold_rule;
    }

    /// Puts this card in the place of the one in the model file `path`, and writes the whole to `out`, which may be the same
    /// file: whole or not at all. Every tensor stays, those of a checkpoint that training resumes from among them.
    ///
    /// # Errors
    ///
    /// A file that is no model of visage; a card that contradicts itself; the system's.
    pub fn replace_in(&self, path: &Path, out: &Path) -> Result<(), ModelError> {
        self.check().map_err(|reason| ModelError::BadCard { path: path.to_owned(), reason })?;
        let mut file = visage_weights::read(path)?;
        Self::of(path, &file)?;
        file.metadata.insert(CARD.to_owned(), self.to_json());
        Ok(visage_weights::write_safetensors(out, &file)?)
    }

    pub(crate) fn to_json(&self) -> String {
        // Fails only on maps whose keys are not strings, and a card has none.
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
            return Err("an attribute named twice".to_owned());
        }
        if let Some(calibration) = &self.calibration {
            calibration.check(outputs)?;
        }
        self.preparation.validate().map_err(|error| error.to_string())
    }

    /// The card in the metadata of `file`, which was read from `path`.
    pub(crate) fn of(path: &Path, file: &TensorFile) -> Result<Self, ModelError> {
        /// The one field every format has.
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

/// The format number a new card, without a calibration, carries.
#[must_use]
pub fn card_format() -> u32 {
    UNCALIBRATED_FORMAT
}
