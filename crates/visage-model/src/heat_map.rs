//! Where in an image the network sees an attribute: Grad-CAM (Selvaraju et al., "Grad-CAM: Visual Explanations from Deep
//! Networks via Gradient-based Localization", 2017), Grad-CAM++ (Chattopadhay et al., "Grad-CAM++: Improved Visual
//! Explanations for Deep Convolutional Networks", 2018) and Score-CAM (Wang et al., "Score-CAM: Score-Weighted Visual
//! Explanations for Convolutional Neural Networks", 2020), of the last feature map; LayerCAM (Jiang et al., "LayerCAM: Exploring
//! Hierarchical Class Activation Maps for Localization", 2021) of the one before, which is twice as fine.

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use visage_data::Size;

use crate::engine::{Engine, Prepared};
use crate::layers::Pass;
use crate::network::Network;
use crate::ops;
use crate::state::float_values;

/// How the channels of a feature map are weighed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HeatMethod {
    /// By the mean over the positions of the logit's gradient.
    #[default]
    GradCam,
    /// By the positive gradients, each position's weighed by second and third derivatives of the logit's exponential, so that
    /// an attribute which shows in several places is seen in each.
    GradCamPlusPlus,
    /// Without gradients: by the logit that is left of an image in which only what the channel answers to is seen, as a softmax over
    /// the channels. A forward pass a channel.
    ScoreCam,
    /// By the positive gradients, each position's by itself, of the map before the last halving: twice as fine as the others.
    LayerCam,
}

/// Masked images that go through the network together.
const MASKED: usize = 32;

/// What in an image speaks for an attribute, at a 32nd of the image's resolution, by [`HeatMethod::LayerCam`] at a 16th.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatMap {
    /// How many positions there are.
    pub size: Size,
    /// What each says for the attribute: 0 or above, row by row; by gradients in units of the logit.
    pub values: Vec<f32>,
}

impl HeatMap {
    /// The map at the `size` of the prepared image: bilinear between the positions' middles, as PyTorch's `interpolate` with
    /// `align_corners=False`.
    #[must_use]
    pub fn resized(&self, size: Size) -> Vec<f32> {
        let rows = neighbours(self.size.height, size.height);
        let columns = neighbours(self.size.width, size.width);
        let at = |row: usize, column: usize| self.values[row * self.size.width + column];
        let mut values = Vec::with_capacity(size.pixels());
        for &(top, bottom, down) in &rows {
            for &(left, right, across) in &columns {
                let between = |row| at(row, left) * (1.0 - across) + at(row, right) * across;
                values.push(between(top) * (1.0 - down) + between(bottom) * down);
            }
        }
        values
    }
}

/// For each of `to` places along a side, the two of `from` positions that it lies between, and how far it is from the first.
fn neighbours(from: usize, to: usize) -> Vec<(usize, usize, f32)> {
    let scale = from as f32 / to as f32;
    let place = |index: usize| {
        let at = ((index as f32 + 0.5) * scale - 0.5).clamp(0.0, (from - 1) as f32);
        let first = at as usize;
        (first, (first + 1).min(from - 1), at - first as f32)
    };
    (0..to).map(place).collect()
}

/// Where a network sees each of `attributes` (numbers of its outputs) in one prepared image.
///
/// `engine` is the compiled `network`, which Score-CAM's many forward passes go through.
///
/// # Panics
///
/// If an attribute is not one of the network's outputs, or there is not one image of the size of the engine's preparation.
#[must_use]
pub fn heat_maps(
    network: &Network,
    engine: &Engine,
    image: Prepared<'_>,
    attributes: &[usize],
    method: HeatMethod,
) -> Vec<HeatMap> {
    let Size { height, width } = engine.preparation().output_size();
    let image = engine.normalised(&[image]);
    assert_eq!(image.len(), height * width * 3, "one image");
    let device = network.devices().into_iter().next().unwrap_or_default();
    let tensor = Tensor::from_data(TensorData::new(image.clone(), [1, height, width, 3]), &device);
    if method == HeatMethod::LayerCam {
        let map = ops::float32(network.early_map(tensor, Pass::Inference));
        return attributes.iter().map(|&attribute| layer_cam(network, &map, attribute)).collect();
    }
    let map = ops::float32(network.feature_map(tensor, Pass::Inference));
    let [_, height, width, channels] = map.dims();
    let features = ops::global_average_pool(map.clone());
    let map = float_values(map.into_data());
    let size = Size { height, width };
    let weights: Vec<Vec<f32>> = match method {
        HeatMethod::GradCam | HeatMethod::GradCamPlusPlus => {
            let of_attribute = |&attribute: &usize| gradient_weights(network, &features, size, attribute, method);
            attributes.iter().map(of_attribute).collect()
        }
        HeatMethod::ScoreCam | HeatMethod::LayerCam => {
            let scores = masked_logits(engine, &image, &map, size);
            let of_attribute = |&attribute: &usize| softmax(scores.iter().map(|scores| scores[attribute]));
            attributes.iter().map(of_attribute).collect()
        }
    };
    let weighted_sum = |weights: &Vec<f32>| HeatMap {
        size,
        values: map.chunks(channels).map(|values| positive_sum(values, weights.iter().copied())).collect(),
    };
    weights.iter().map(weighted_sum).collect()
}

/// The weight of each channel by the gradient of a logit, given the mean of each over a map of `size`.
///
/// The classifier begins with that mean, so the gradient is the same at each position: that of the mean, divided by the number of
/// positions.
fn gradient_weights(
    network: &Network,
    features: &Tensor<2>,
    size: Size,
    attribute: usize,
    method: HeatMethod,
) -> Vec<f32> {
    let positions = size.pixels() as f32;
    let tracked = features.clone().autodiff().require_grad();
    let gradient = logit_gradient(network.classify(tracked.clone(), Pass::Inference), attribute, &tracked);
    let gradient = gradient.into_iter().map(|gradient| gradient / positions);
    if method == HeatMethod::GradCam {
        return gradient.collect();
    }
    let sums = float_values(features.clone().into_data()).into_iter().map(|mean| mean * positions);
    gradient.zip(sums).map(|(g, sum)| positions * share(g, sum) * g.max(0.0)).collect()
}

/// Score-CAM: for each channel of a feature map of `size`, the logits of the normalised image times the channel, which is enlarged
/// and scaled to reach from 0 to 1. A channel of one value throughout masks everything.
fn masked_logits(engine: &Engine, image: &[f32], map: &[f32], size: Size) -> Vec<Vec<f32>> {
    let image_size = engine.preparation().output_size();
    let (pixels, _) = image.as_chunks::<3>();
    let channels = map.len() / size.pixels().max(1);
    let mut scores = Vec::with_capacity(channels);
    for first in (0..channels).step_by(MASKED) {
        let together = first..(first + MASKED).min(channels);
        let mut masked = Vec::with_capacity(together.len() * image.len());
        for channel in together.clone() {
            let values = map.iter().skip(channel).step_by(channels).copied().collect();
            let mask = HeatMap { size, values }.resized(image_size);
            let least = mask.iter().copied().fold(f32::INFINITY, f32::min);
            let most = mask.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let range = most - least;
            let shown = |value: f32| if range > 0.0 { (value - least) / range } else { 0.0 };
            masked.extend(pixels.iter().zip(&mask).flat_map(|(pixel, &mask)| pixel.map(|value| value * shown(mask))));
        }
        let logits = engine.logits(&[Prepared::Normalised(&masked)]);
        scores.extend(logits.chunks(logits.len() / together.len()).map(<[f32]>::to_vec));
    }
    scores
}

/// LayerCAM of a map `[1, height, width, channels]` before the last halving (equations 4 to 6 of the paper).
fn layer_cam(network: &Network, map: &Tensor<4>, attribute: usize) -> HeatMap {
    let [_, height, width, channels] = map.dims();
    let values = float_values(map.clone().into_data());
    let tracked = map.clone().autodiff().require_grad();
    let features = ops::global_average_pool(network.late_map(tracked.clone(), Pass::Inference));
    let gradient = logit_gradient(network.classify(features, Pass::Inference), attribute, &tracked);
    let positions = values.chunks(channels).zip(gradient.chunks(channels));
    let weighted = positions.map(|(values, gradient)| positive_sum(values, gradient.iter().map(|g| g.max(0.0))));
    HeatMap { size: Size { height, width }, values: weighted.collect() }
}

/// The gradient of a logit for `input`, on which it depends.
fn logit_gradient<const D: usize>(logits: Tensor<2>, attribute: usize, input: &Tensor<D>) -> Vec<f32> {
    let logit = logits.narrow(1, attribute, 1).sum();
    input.grad(&logit.backward()).map(|gradient| float_values(gradient.into_data())).unwrap_or_default()
}

/// The weighted sum of a position's values, or 0 where that is negative.
fn positive_sum(values: &[f32], weights: impl Iterator<Item = f32>) -> f32 {
    let sum: f64 = values.iter().zip(weights).map(|(&value, weight)| f64::from(value) * f64::from(weight)).sum();
    sum.max(0.0) as f32
}

/// The weight that Grad-CAM++ gives a position's gradient (alpha, equation 19 of the paper), where `sum` is its channel's over
/// all positions.
fn share(gradient: f32, sum: f32) -> f32 {
    let denominator = 2.0 + gradient * sum;
    // Above 2 behind a ReLU. A channel that is negative on the whole, as swish allows, must not divide by nothing.
    if denominator > f32::EPSILON { 1.0 / denominator } else { 0.0 }
}

/// Positive numbers in proportion to the exponentials, of sum 1.
fn softmax(logits: impl Iterator<Item = f32> + Clone) -> Vec<f32> {
    let most = logits.clone().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = logits.map(|logit| (logit - most).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_enlarged_as_by_pytorch() {
        let map = HeatMap { size: Size { height: 2, width: 3 }, values: vec![0.0, 1.0, 4.0, 2.0, 0.0, 8.0] };
        // torch.nn.functional.interpolate(map, (3, 5), mode="bilinear")
        let golden = [
            0.0, 0.4, 1.0, 2.8, 4.0, //
            1.0, 0.8, 0.5, 3.8, 6.0, //
            2.0, 1.2, 0.0, 4.8, 8.0,
        ];
        for (found, golden) in map.resized(Size { height: 3, width: 5 }).iter().zip(golden) {
            assert!((found - golden).abs() < 1e-5, "{found} {golden}");
        }
        assert_eq!(map.resized(map.size), map.values);
    }
}
