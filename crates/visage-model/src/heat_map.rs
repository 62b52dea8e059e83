//! Where in an image the network sees an attribute: Grad-CAM (Selvaraju et al., "Grad-CAM: Visual Explanations from Deep
//! Networks via Gradient-based Localization", 2017) and Grad-CAM++ (Chattopadhay et al., "Grad-CAM++: Improved Visual
//! Explanations for Deep Convolutional Networks", 2018), of the last feature map.

use burn::tensor::{Device, Tensor};
use visage_data::Size;

use crate::layers::Pass;
use crate::model_file::{Model, image_tensor};
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
}

/// What in an image speaks for an attribute, at a 32nd of the image's resolution.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatMap {
    /// How many positions there are.
    pub size: Size,
    /// What each says for the attribute: 0 or above, in units of the logit, row by row.
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

impl Network {
    /// Where the network sees each of `attributes` (numbers of its outputs) in one normalised image `[1, height, width, 3]`.
    ///
    /// # Panics
    ///
    /// If an attribute is not one of the network's outputs, or there is not one image.
    #[must_use]
    pub fn heat_maps(&self, image: Tensor<4>, attributes: &[usize], method: HeatMethod) -> Vec<HeatMap> {
        let map = self.feature_map(image, Pass::Inference);
        let [images, height, width, channels] = map.dims();
        assert_eq!(images, 1, "one image");
        // What follows the map begins with its mean over the positions, so the gradient is the same at each of them: that of
        // the features, divided by how many positions there are.
        let features = ops::global_average_pool(map.clone());
        let map = float_values(map.into_data());
        let positions = (height * width) as f32;
        let sums: Vec<f32> = float_values(features.clone().into_data()).iter().map(|mean| mean * positions).collect();
        let of_attribute = |&attribute: &usize| {
            let gradient = self.gradient(features.clone(), attribute);
            let gradient = gradient.into_iter().map(|gradient| gradient / positions);
            let weights: Vec<f32> = match method {
                HeatMethod::GradCam => gradient.collect(),
                HeatMethod::GradCamPlusPlus => {
                    gradient.zip(&sums).map(|(g, &sum)| positions * share(g, sum) * g.max(0.0)).collect()
                }
            };
            let weighed = |position: &[f32]| {
                let sum: f64 = position.iter().zip(&weights).map(|(&a, &w)| f64::from(a) * f64::from(w)).sum();
                sum.max(0.0) as f32
            };
            HeatMap { size: Size { height, width }, values: map.chunks(channels).map(weighed).collect() }
        };
        attributes.iter().map(of_attribute).collect()
    }

    /// Of one logit with respect to the features `[1, features]`.
    fn gradient(&self, features: Tensor<2>, attribute: usize) -> Vec<f32> {
        let features = features.autodiff().require_grad();
        let logit = self.classify(features.clone(), Pass::Inference).narrow(1, attribute, 1).sum();
        // Every head depends on its features, so there is a gradient.
        features.grad(&logit.backward()).map(|gradient| float_values(gradient.into_data())).unwrap_or_default()
    }
}

impl Model {
    /// Where the network sees each of `attributes` (numbers of its outputs) in one prepared image, which is what
    /// [`Preparation::pixels`](visage_data::Preparation::pixels) of the card's own preparation gave.
    ///
    /// # Panics
    ///
    /// If an attribute is not one of the network's outputs.
    #[must_use]
    pub fn heat_maps(&self, pixels: &[u8], attributes: &[usize], method: HeatMethod, device: &Device) -> Vec<HeatMap> {
        self.network.heat_maps(image_tensor(&self.card.preparation, pixels, 1, device), attributes, method)
    }
}

/// The weight that Grad-CAM++ gives a position's gradient (alpha, equation 19 of the paper), where `sum` is its channel's over
/// all positions.
fn share(gradient: f32, sum: f32) -> f32 {
    let denominator = 2.0 + gradient * sum;
    // Above 2 behind a ReLU. A channel that is negative on the whole, as swish allows, must not divide by nothing.
    if denominator > f32::EPSILON { 1.0 / denominator } else { 0.0 }
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
