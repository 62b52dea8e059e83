//! Random layers: dropout and stochastic depth.

use burn::tensor::{Tensor, TensorData};
use rand::RngExt;
use visage_data::random::stream;

use super::Pass;
use crate::ops;

/// Rates of the random layers that replace the architecture's own. `None` keeps the own rate.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Regularisation {
    /// Rate of every dropout of the classifier, in [0, 1).
    pub(crate) dropout: Option<f64>,
    /// Rate of stochastic depth at the last block, in [0, 1). It rises linearly from 0 at the first block.
    pub(crate) stochastic_depth: Option<f64>,
}

/// Dropout (Srivastava et al., 2014) of features `[batch, features]`. Kept values are scaled by `1 / (1 - rate)`. `purpose` names
/// the layer's random stream.
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

/// Stochastic depth (Huang et al., 2016) in torchvision's "row" mode: the branch of an image is dropped with probability `rate`
/// and otherwise scaled by `1 / (1 - rate)`. `block` is the block's index.
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
        // The sample's stream has one draw for each block.
        let draw = (0..=block).map(|_| random.random::<f64>()).last().unwrap_or(0.0);
        let scale = if draw < rate { 0.0 } else { kept };
        gate.extend(std::iter::repeat_n(scale, channels));
    }
    let gate = Tensor::from_data(TensorData::new(gate, [draws.samples.len(), channels]), &branch.device());
    pass.round(ops::channel_gate(branch, gate))
}
