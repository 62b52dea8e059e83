//! The model file: weights, and a card saying everything needed to use them.
//!
//! One `.safetensors` file. Its tensors carry the names and layout PyTorch programs use, so that other tools can
//! read them; its header's metadata holds the card as JSON under the key `visage`. Nothing outside the file
//! can change what the model computes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use burn::tensor::{DType, Device, FloatDType, Int, Tensor, TensorData, activation};
use serde::{Deserialize, Serialize};
use visage_data::Preparation;
use visage_judge::Calibration;
use visage_weights::TensorFile;

use crate::error::ModelError;
use crate::layers::Pass;
use crate::network::{Network, NetworkConfig};
use crate::ops::{Precision, buffers, has_kernels};

/// Metadata key of the card.
const CARD: &str = "visage";

/// Names of tensors that a checkpoint keeps beside the model's begin with this.
pub const TRAINING_PREFIX: &str = "training.";

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
        read_card(path, &file)?;
        file.metadata.insert(CARD.to_owned(), self.to_json());
        Ok(visage_weights::write_safetensors(out, &file)?)
    }

    fn to_json(&self) -> String {
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
}

/// A network and its card: what a model file holds.
#[derive(Clone, Debug)]
pub struct Model {
    /// Everything but the weights.
    pub card: Card,
    /// The weights, without gradients.
    pub network: Network,
}

impl Model {
    /// Reads a model file onto `device`.
    ///
    /// # Errors
    ///
    /// A file that is damaged, truncated, no model of visage, or of a newer visage.
    pub fn read(path: &Path, device: &Device) -> Result<Self, ModelError> {
        Self::from_file(path, visage_weights::read(path)?, device)
    }

    /// Reads the card of a model file alone.
    ///
    /// # Errors
    ///
    /// As [`Model::read`].
    pub fn read_card(path: &Path) -> Result<Card, ModelError> {
        read_card(path, &visage_weights::read(path)?)
    }

    /// The model in `file`, which was read from `path`. Tensors of a checkpoint that are not the model's
    /// ([`TRAINING_PREFIX`]) are passed over.
    ///
    /// # Errors
    ///
    /// As [`Model::read`].
    pub fn from_file(path: &Path, mut file: TensorFile, device: &Device) -> Result<Self, ModelError> {
        file.tensors.retain(|name, _| !name.starts_with(TRAINING_PREFIX));
        let card = read_card(path, &file)?;
        let bad = |reason| ModelError::BadCard { path: path.to_owned(), reason };
        let loaded = card.network.zeroed(device).load(card.network.architecture, &file);
        let (network, loaded) =
            loaded.map_err(|error| bad(format!("it is not of the weights beside it: {}", error.brief())))?;
        if loaded.classifier_replaced {
            return Err(bad(format!("its classifier does not answer the card's {} attributes", card.attributes.len())));
        }
        Ok(Self { card, network })
    }

    /// The model made ready to be asked: see [`Network::folded_in`].
    #[must_use]
    pub fn folded_in(self, precision: Precision) -> Self {
        Self { network: self.network.folded_in(precision), ..self }
    }

    /// Writes the model file, whole or not at all: to a temporary file beside `path`, which then takes its place.
    ///
    /// # Errors
    ///
    /// The system's, naming the path.
    pub fn write(&self, path: &Path) -> Result<(), ModelError> {
        Ok(visage_weights::write_safetensors(path, &self.to_file())?)
    }

    /// What [`Model::write`] writes.
    #[must_use]
    pub fn to_file(&self) -> TensorFile {
        let tensors = self.network.tensors(self.card.network.architecture);
        TensorFile { tensors, metadata: BTreeMap::from([(CARD.to_owned(), self.card.to_json())]) }
    }

    /// Probability of each attribute for each of `images` prepared images: `[images, attributes]`, row-major. The card's
    /// calibration, if it has one, is applied.
    ///
    /// `pixels` are what [`Preparation::pixels`] of the card's own preparation gave, image after image.
    #[must_use]
    pub fn probabilities(&self, pixels: &[u8], images: usize, device: &Device) -> Vec<f32> {
        self.answers(image_tensor(&self.card.preparation, pixels, images, device)).probabilities
    }

    /// What [`Model::probabilities`] is made of, before calibration: any number, 0 for one half.
    #[must_use]
    pub fn logits(&self, pixels: &[u8], images: usize, device: &Device) -> Vec<f32> {
        let input = image_tensor(&self.card.preparation, pixels, images, device);
        crate::state::float_values(self.network.forward(input, Pass::Inference).into_data())
    }

    /// What the model says of images that come from several places: of all of them in their order.
    ///
    /// # Panics
    ///
    /// If a part is not a whole number of images of the card's size.
    #[must_use]
    pub fn answers_to(&self, parts: &[Prepared<'_>], device: &Device) -> Answers {
        let size = self.card.preparation.output_size();
        let mut values = buffers::take(parts.iter().map(|part| part.len()).sum());
        let images = values.len() / (size.pixels() * 3);
        let mut rest = &mut *values;
        for part in parts {
            let (own, others) = rest.split_at_mut(part.len());
            match part {
                Prepared::Pixels(pixels) => self.card.preparation.normalise(pixels, own),
                Prepared::Normalised(normalised) => own.copy_from_slice(normalised),
            }
            rest = others;
        }
        self.answers(Tensor::from_data(values.into_data([images, size.height, size.width, 3]), device))
    }

    fn answers(&self, input: Tensor<4>) -> Answers {
        let logits = self.network.forward(input, Pass::Inference);
        let Some(calibration) = &self.card.calibration else {
            let probabilities = crate::state::float_values(activation::sigmoid(logits.clone()).into_data());
            return Answers { logits: crate::state::float_values(logits.into_data()), probabilities };
        };
        let (logits, outputs) = (crate::state::float_values(logits.into_data()), self.card.network.outputs);
        let cells = logits.iter().enumerate();
        let probabilities = cells.map(|(cell, &logit)| calibration.probability(cell % outputs, logit)).collect();
        Answers { logits, probabilities }
    }
}

/// Images of a model's own size, one after the other, in one of the two forms that they can be given in.
#[derive(Clone, Copy, Debug)]
pub enum Prepared<'a> {
    /// RGB bytes, as [`Preparation::pixels`] gives them.
    Pixels(&'a [u8]),
    /// What [`Preparation::normalise`] makes of them, in the same order.
    Normalised(&'a [f32]),
}

impl Prepared<'_> {
    /// How many numbers they are.
    fn len(&self) -> usize {
        match self {
            Self::Pixels(pixels) => pixels.len(),
            Self::Normalised(normalised) => normalised.len(),
        }
    }
}

/// What a model says of some images, `[images, attributes]` each, row-major.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answers {
    /// Before calibration: any number, 0 for one half.
    pub logits: Vec<f32>,
    /// With the card's calibration applied, if it has one.
    pub probabilities: Vec<f32>,
}

fn read_card(path: &Path, file: &TensorFile) -> Result<Card, ModelError> {
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

/// The format number a new card, without a calibration, carries.
#[must_use]
pub fn card_format() -> u32 {
    UNCALIBRATED_FORMAT
}

/// Prepared pixels `[images, height, width, 3]` as the network's normalised input of the same shape.
///
/// A graphics card is sent the bytes and normalises them itself.
#[must_use]
pub fn image_tensor(preparation: &Preparation, pixels: &[u8], images: usize, device: &Device) -> Tensor<4> {
    let size = preparation.output_size();
    if !has_kernels(device) {
        let bytes = TensorData::new(pixels.to_vec(), [images, size.height, size.width, 3]);
        let bytes = Tensor::<4, Int>::from_data(bytes, (device, DType::U8));
        let channels = |values: [f32; 3]| Tensor::<1>::from_floats(values, device).unsqueeze::<4>();
        return (bytes.cast(FloatDType::F32) / 255.0 - channels(preparation.mean)) / channels(preparation.std);
    }
    let mut values = buffers::take(pixels.len());
    preparation.normalise(pixels, &mut values);
    Tensor::from_data(values.into_data([images, size.height, size.width, 3]), device)
}
