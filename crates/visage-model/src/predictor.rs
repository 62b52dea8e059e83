//! A model ready to answer images.

use burn::tensor::Device;

use crate::card::Card;
use crate::engine::{Engine, Prepared};
use crate::model_file::Model;
use crate::ops::Precision;

/// A model compiled for inference, without the weights that it was compiled from. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Predictor {
    card: std::sync::Arc<Card>,
    engine: Engine,
}

/// What a model predicts for some images, `[images, attributes]` each, row-major.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelOutput {
    /// Before calibration.
    pub logits: Vec<f32>,
    /// With the card's calibration applied, if it has one.
    pub probabilities: Vec<f32>,
}

impl Predictor {
    /// Compiles `model` for a device that has `precision`; see [`Engine::new`].
    #[must_use]
    pub fn new(model: &Model, device: &Device, precision: Precision) -> Self {
        let engine = Engine::new(&model.network, &model.card.preparation, device, precision);
        Self { card: model.card.clone().into(), engine }
    }

    /// Everything about the model but its weights.
    #[must_use]
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// The compiled network.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The logits of prepared images: `[images, attributes]`, row-major.
    ///
    /// `pixels` are what [`Preparation::pixels`](visage_data::Preparation::pixels) of the card's own preparation gave, image after
    /// image.
    ///
    /// # Panics
    ///
    /// If they are not a whole number of images of the card's size.
    #[must_use]
    pub fn logits(&self, pixels: &[u8]) -> Vec<f32> {
        self.engine.logits(&[Prepared::Pixels(pixels)])
    }

    /// The probability of each attribute of prepared images, with the card's calibration applied: `[images, attributes]`,
    /// row-major.
    ///
    /// # Panics
    ///
    /// As [`logits`](Self::logits).
    #[must_use]
    pub fn probabilities(&self, pixels: &[u8]) -> Vec<f32> {
        self.predict(&[Prepared::Pixels(pixels)]).probabilities
    }

    /// Logits and probabilities of images that come in several parts: of all of them in their order.
    ///
    /// # Panics
    ///
    /// As [`logits`](Self::logits).
    #[must_use]
    pub fn predict(&self, parts: &[Prepared<'_>]) -> ModelOutput {
        let logits = self.engine.logits(parts);
        let probabilities = visage_judge::probabilities(self.card.calibration.as_ref(), &logits);
        ModelOutput { logits, probabilities }
    }
}
