//! A model compiled for inference.

use burn::tensor::Device;

use crate::card::Card;
use crate::engine::{Engine, Pending, Prepared};
use crate::heat_map::{HeatMap, HeatMethod, heat_maps};
use crate::model_file::Model;
use crate::ops::Precision;
use crate::test_time::{Mirrored, TestTime, mirrored_map};

/// A model compiled for inference. It owns its weights, so that the [`Model`] can be dropped. Cheap to clone.
///
/// The logits of an ensemble are the mean of its networks'. With test-time augmentation, they are the mean over the views of an image
/// as well.
#[derive(Clone, Debug)]
pub struct Predictor {
    card: std::sync::Arc<Card>,
    engines: Vec<Engine>,
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
        let engine = |network| Engine::new(network, &model.card.preparation, device, precision);
        Self { card: model.card.clone().into(), engines: model.networks().map(engine).collect() }
    }

    /// The model's card.
    pub fn card(&self) -> &Card {
        &self.card
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
        self.mean_logits(&[Prepared::Pixels(pixels)])
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
        let logits = self.mean_logits(parts);
        let probabilities = visage_judge::probabilities(self.card.calibration.as_ref(), &logits);
        ModelOutput { logits, probabilities }
    }

    /// The heat maps of one prepared image for each of `attributes`, which are indices of the model's outputs. `model` is the one that
    /// was compiled: its networks give the gradients. The maps of several networks and views are averaged, as their logits are.
    ///
    /// # Panics
    ///
    /// If an attribute is not one of the outputs, or `image` is not one image of the card's size.
    pub fn heat_maps(
        &self,
        model: &Model,
        image: Prepared<'_>,
        attributes: &[usize],
        method: HeatMethod,
    ) -> Vec<HeatMap> {
        let mirrored = self.mirrored(&[image]);
        let mut sums: Vec<HeatMap> = Vec::new();
        let mut add_maps = |maps: Vec<HeatMap>| match &mut sums[..] {
            [] => sums = maps,
            sums => sums.iter_mut().zip(&maps).for_each(|(sum, map)| add(&mut sum.values, &map.values)),
        };
        for (network, engine) in model.networks().zip(&self.engines) {
            add_maps(heat_maps(network, engine, image, attributes, method));
            for view in &mirrored {
                let mut maps = heat_maps(network, engine, view.prepared(), attributes, method);
                maps.iter_mut().for_each(|map| map.values = mirrored_map(map));
                add_maps(maps);
            }
        }
        let terms = self.terms();
        sums.iter_mut().for_each(|sum| divide(&mut sum.values, terms));
        sums
    }

    /// The mean of the logits of all networks and views.
    fn mean_logits(&self, parts: &[Prepared<'_>]) -> Vec<f32> {
        let mirrored = self.mirrored(parts);
        let mirrored: Vec<Prepared<'_>> = mirrored.iter().map(Mirrored::prepared).collect();
        let mut pending = Vec::with_capacity(self.terms());
        for engine in &self.engines {
            pending.push(engine.start(parts));
            if !mirrored.is_empty() {
                pending.push(engine.start(&mirrored));
            }
        }
        let mut logits = pending.into_iter().map(Pending::read);
        let mut sum = logits.next().unwrap_or_default();
        logits.for_each(|logits| add(&mut sum, &logits));
        divide(&mut sum, self.terms());
        sum
    }

    /// The mirror images that are predicted as well, if any.
    fn mirrored(&self, parts: &[Prepared<'_>]) -> Vec<Mirrored> {
        let width = self.card.preparation.output_size().width;
        match self.card.test_time {
            TestTime::None => Vec::new(),
            TestTime::Flip => parts.iter().map(|&part| Mirrored::new(part, width)).collect(),
        }
    }

    /// How many results a mean is of.
    fn terms(&self) -> usize {
        self.card.test_time.views() * self.engines.len()
    }
}

fn add(sum: &mut [f32], values: &[f32]) {
    sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
}

fn divide(values: &mut [f32], terms: usize) {
    if terms > 1 {
        values.iter_mut().for_each(|value| *value /= terms as f32);
    }
}
