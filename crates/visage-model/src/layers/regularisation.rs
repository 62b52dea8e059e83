//! Random layers: dropout and stochastic depth.

use burn::tensor::{Tensor, TensorData};
use rand::RngExt;
use visage_data::random::stream;

use super::Pass;
use crate::ops;

/// Dropout (Srivastava et al., 2014) of features `[batch, features]`, scaled so that the mean is kept. `purpose` names the layer's
/// random stream.
pub(crate) fn dropout(input: Tensor<2>, rate: f64, purpose: &'static str, pass: Pass<'_>) -> Tensor<2> {
    let Some(draws) = pass.draws() else { return input };
    if rate == 0.0 {
        return input;
    }
    let [_, features] = input.dims();
    let kept = (1.0 / (1.0 - rate)) as f32;
    let mut mask = Vec::with_capacity(draws.samples.len() * features);
    for &sample in draws.samples {
        let mut random = stream(draws.seed, purpose, draws.epoch, sample);
        mask.extend((0..features).map(|_| if random.random::<f64>() < rate { 0.0 } else { kept }));
    }
    let mask = Tensor::from_data(TensorData::new(mask, [draws.samples.len(), features]), &input.device());
    pass.round(ops::float32(input) * mask)
}

/// Stochastic depth (Huang et al., 2016), torchvision's "row" mode: the whole branch of an image is dropped with
/// probability `rate`, and scaled by `1 / (1 - rate)` where it is kept. `block` is the block's index.
pub(crate) fn stochastic_depth(branch: Tensor<4>, rate: f64, block: usize, pass: Pass<'_>) -> Tensor<4> {
    let Some(draws) = pass.draws() else { return branch };
    if rate == 0.0 {
        return branch;
    }
    let [_, _, _, channels] = branch.dims();
    let kept = (1.0 / (1.0 - rate)) as f32;
    let mut gate = Vec::with_capacity(draws.samples.len() * channels);
    for &sample in draws.samples {
        let mut random = stream(draws.seed, "stochastic depth", draws.epoch, sample);
        // One draw a block from the sample's stream: the block's own is the one at its index.
        let draw = (0..=block).map(|_| random.random::<f64>()).last().unwrap_or(0.0);
        let scale = if draw < rate { 0.0 } else { kept };
        gate.extend(std::iter::repeat_n(scale, channels));
    }
    let gate = Tensor::from_data(TensorData::new(gate, [draws.samples.len(), channels]), &branch.device());
    pass.round(ops::channel_gate(branch, gate))
}
