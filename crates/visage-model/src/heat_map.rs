//! Heat maps of the image regions that an attribute's logit depends on (class activation maps).
//!
//! - Grad-CAM: Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", 2017
//! - Grad-CAM++: Chattopadhay et al., "Grad-CAM++: Improved Visual Explanations for Deep Convolutional Networks", 2018
//! - Score-CAM: Wang et al., "Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural Networks", 2020
//! - LayerCAM: Jiang et al., "LayerCAM: Exploring Hierarchical Class Activation Maps for Localization", 2021
//!
//! The first three use the last feature map. LayerCAM uses the map before the last halving of the resolution.

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use visage_data::Size;

use crate::engine::{Engine, Prepared};
use crate::layers::Pass;
use crate::network::Network;
use crate::ops;

/// How the channels of a feature map are weighted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HeatMethod {
    /// By the logit's gradient, averaged over the positions.
    #[default]
    GradCam,
    /// By the positive gradients. Each position is weighted by second and third derivatives of the logit's exponential, so that
    /// an attribute that appears in several places is highlighted in each.
    GradCamPlusPlus,
    /// Without gradients: by the softmax over the channels of the logit of the image masked by the channel. This takes one forward
    /// pass for each channel.
    ScoreCam,
    /// By the positive gradient at each position. The map has twice the resolution of the others.
    LayerCam,
}

const MASKED_IMAGES: usize = 32;

/// The contribution of each image region to an attribute. Its resolution is a 32nd of the image's, with [`HeatMethod::LayerCam`] a
/// 16th.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatMap {
    /// Height and width of the map.
    pub size: Size,
    /// The contribution of each position, row-major, at least 0. The methods that use gradients give it in units of the logit.
    pub values: Vec<f32>,
}

impl HeatMap {
    /// The values of the map resized to `size`, row-major: bilinear, as PyTorch's `interpolate` with `align_corners=False`.
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

/// For bilinear interpolation of `from` values to `to` values: the indices of the two neighbours and the weight of the second.
fn neighbours(from: usize, to: usize) -> Vec<(usize, usize, f32)> {
    let scale = from as f32 / to as f32;
    let place = |index: usize| {
        let at = ((index as f32 + 0.5) * scale - 0.5).clamp(0.0, (from - 1) as f32);
        let first = at as usize;
        (first, (first + 1).min(from - 1), at - first as f32)
    };
    (0..to).map(place).collect()
}

/// The heat maps of one prepared image for each of `attributes`, which are indices of the network's outputs.
///
/// `engine` is the compiled `network`. It runs Score-CAM's forward passes.
///
/// # Panics
///
/// If an attribute is not one of the network's outputs, or `image` is not one image of the size of the engine's preparation.
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
    let map = ops::values(map);
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

/// The weight of each channel of a map of `size` by the gradient of a logit. `features` are the means of the channels.
///
/// The classifier reads only these means. The gradient is therefore the same at each position: the gradient of the mean divided by
/// the number of positions.
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
    let sums = ops::values(features.clone()).into_iter().map(|mean| mean * positions);
    gradient.zip(sums).map(|(g, sum)| positions * alpha(g, sum) * g.max(0.0)).collect()
}

/// Score-CAM: for each channel of a feature map of `size`, the logits of the normalised image multiplied by the channel, which is
/// resized and scaled to [0, 1]. A constant channel masks the whole image.
fn masked_logits(engine: &Engine, image: &[f32], map: &[f32], size: Size) -> Vec<Vec<f32>> {
    let image_size = engine.preparation().output_size();
    let (pixels, _) = image.as_chunks::<3>();
    let channels = map.len() / size.pixels().max(1);
    let mut scores = Vec::with_capacity(channels);
    for first in (0..channels).step_by(MASKED_IMAGES) {
        let batch = first..(first + MASKED_IMAGES).min(channels);
        let mut masked = Vec::with_capacity(batch.len() * image.len());
        for channel in batch.clone() {
            let values = map.iter().skip(channel).step_by(channels).copied().collect();
            let mask = HeatMap { size, values }.resized(image_size);
            let min = mask.iter().copied().fold(f32::INFINITY, f32::min);
            let max = mask.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let range = max - min;
            let scaled = |value: f32| if range > 0.0 { (value - min) / range } else { 0.0 };
            masked.extend(pixels.iter().zip(&mask).flat_map(|(pixel, &mask)| pixel.map(|value| value * scaled(mask))));
        }
        let logits = engine.logits(&[Prepared::Normalised(&masked)]);
        scores.extend(logits.chunks(logits.len() / batch.len()).map(<[f32]>::to_vec));
    }
    scores
}

/// LayerCAM of a map `[1, height, width, channels]` before the last halving (equations 4 to 6 of the paper).
fn layer_cam(network: &Network, map: &Tensor<4>, attribute: usize) -> HeatMap {
    let [_, height, width, channels] = map.dims();
    let values = ops::values(map.clone());
    let tracked = map.clone().autodiff().require_grad();
    let features = ops::global_average_pool(network.late_map(tracked.clone(), Pass::Inference));
    let gradient = logit_gradient(network.classify(features, Pass::Inference), attribute, &tracked);
    let positions = values.chunks(channels).zip(gradient.chunks(channels));
    let weighted = positions.map(|(values, gradient)| positive_sum(values, gradient.iter().map(|g| g.max(0.0))));
    HeatMap { size: Size { height, width }, values: weighted.collect() }
}

/// The gradient of a logit with respect to `input`.
fn logit_gradient<const D: usize>(logits: Tensor<2>, attribute: usize, input: &Tensor<D>) -> Vec<f32> {
    let logit = logits.narrow(1, attribute, 1).sum();
    input.grad(&logit.backward()).map(ops::values).unwrap_or_default()
}

/// The weighted sum of a position's values, or 0 if it is negative.
fn positive_sum(values: &[f32], weights: impl Iterator<Item = f32>) -> f32 {
    let sum: f64 = values.iter().zip(weights).map(|(&value, weight)| f64::from(value) * f64::from(weight)).sum();
    sum.max(0.0) as f32
}

/// Grad-CAM++'s weight of a position's gradient (alpha, equation 19 of the paper). `sum` is the sum of the channel's values.
fn alpha(gradient: f32, sum: f32) -> f32 {
    let denominator = 2.0 + gradient * sum;
    // At least 2 after a ReLU. SiLU allows a negative sum: avoid a division by zero.
    if denominator > f32::EPSILON { 1.0 / denominator } else { 0.0 }
}

fn softmax(logits: impl Iterator<Item = f32> + Clone) -> Vec<f32> {
    let max = logits.clone().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = logits.map(|logit| (logit - max).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resizing_equals_pytorch() {
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
