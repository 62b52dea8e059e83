//! A model compiled for inference.

use burn::tensor::Device;

use crate::card::Card;
use crate::engine::{Engine, Prepared};
use crate::model_file::Model;
use crate::ops::Precision;

/// A model compiled for inference. It owns its weights, so that the [`Model`] can be dropped. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Predictor {
    card: std::sync::Arc<Card>,
    engine: Engine,
}

/// A model's predictions for a batch of images, each `[images, attributes]`, row-major.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelOutput {
    /// The network's outputs, before calibration.
    pub logits: Vec<f32>,
    /// In [0, 1], after the card's calibration, or the sigmoid if there is none.
    pub probabilities: Vec<f32>,
}

impl Predictor {
    /// Compiles `model` for a device that supports `precision`: see [`Engine::new`].
    pub fn new(model: &Model, device: &Device, precision: Precision) -> Self {
        let engine = Engine::new(&model.network, &model.card.preparation, device, precision);
        Self { card: model.card.clone().into(), engine }
    }

    /// The model's card.
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// The compiled network.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The logits of prepared images: `[images, attributes]`, row-major.
    ///
    /// `pixels` are RGB bytes from [`Preparation::pixels`](visage_data::Preparation::pixels) of the card's preparation, one image
    /// after another.
    ///
    /// # Panics
    ///
    /// If the pixels are not a whole number of images of the card's size.
    pub fn logits(&self, pixels: &[u8]) -> Vec<f32> {
        self.engine.logits(&[Prepared::Pixels(pixels)])
    }

    /// The calibrated probability of each attribute of prepared images: `[images, attributes]`, row-major.
    ///
    /// # Panics
    ///
    /// As [`logits`](Self::logits).
    pub fn probabilities(&self, pixels: &[u8]) -> Vec<f32> {
        self.predict(&[Prepared::Pixels(pixels)]).probabilities
    }

    /// Logits and probabilities of all images of `parts`, in their order.
    ///
    /// # Panics
    ///
    /// As [`logits`](Self::logits).
    pub fn predict(&self, parts: &[Prepared<'_>]) -> ModelOutput {
        let logits = self.engine.logits(parts);
        let probabilities = visage_judge::probabilities(self.card.calibration.as_ref(), &logits);
        ModelOutput { logits, probabilities }
    }
}
