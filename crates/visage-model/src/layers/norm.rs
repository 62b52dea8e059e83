//! Batch normalisation.

use burn::module::{Module, Param, RunningState};
use burn::tensor::{Device, Tensor};

use super::{Norms, Pass, Training};
use crate::ops::{self, Activation};

/// Batch normalisation (Ioffe & Szegedy, 2015) with PyTorch's conventions: the biased variance normalises the batch, and the
/// running variance averages the unbiased one.
#[derive(Module, Debug)]
pub(crate) struct BatchNorm {
    /// gamma, `[channels]`
    weight: Param<Tensor<1>>,
    /// beta, `[channels]`
    bias: Param<Tensor<1>>,
    /// Mean at inference, `[channels]`
    running_mean: RunningState<Tensor<1>>,
    /// Variance at inference, `[channels]`
    running_var: RunningState<Tensor<1>>,
    epsilon: f64,
    momentum: f64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct NormConfig {
    /// Is added to the variance.
    pub(crate) epsilon: f64,
    /// The weight of the newest batch: `running = (1 - momentum) * running + momentum * batch`
    pub(crate) momentum: f64,
}

impl BatchNorm {
    /// The identity: weight and variance are one, bias and mean zero.
    pub(crate) fn new(channels: usize, config: NormConfig, device: &Device) -> Self {
        Self {
            weight: Param::from_tensor(Tensor::ones([channels], device)),
            bias: Param::from_tensor(Tensor::zeros([channels], device)),
            running_mean: RunningState::new(Tensor::zeros([channels], device)),
            running_var: RunningState::new(Tensor::ones([channels], device)),
            epsilon: config.epsilon,
            momentum: config.momentum,
        }
    }

    /// `activation(norm(input) + residual)`, all `[batch, height, width, channels]`.
    pub(super) fn forward(
        &self,
        input: Tensor<4>,
        residual: Option<Tensor<4>>,
        activation: Activation,
        pass: Pass<'_>,
    ) -> Tensor<4> {
        match pass {
            Pass::Inference => {
                let (scale, shift) = self.scale_and_shift();
                ops::scale_shift(input, scale, shift, residual, activation)
            }
            Pass::Training(Training { norms: Norms::Frozen, .. }) => {
                let (scale, shift) = self.affine(self.weight.val().detach(), self.bias.val().detach());
                pass.round(ops::scale_shift(input, scale, shift, residual, activation))
            }
            Pass::Training(Training { norms: Norms::Batch, .. }) => {
                let [batch, height, width, _] = input.dims();
                let rows = (batch * height * width) as f64;
                let (gamma, beta) = (self.weight.val(), self.bias.val());
                let normed = ops::batch_norm_train(input, gamma, beta, residual, self.epsilon, activation);
                let unbiased = normed.variance * (rows / (rows - 1.0).max(1.0));
                self.update(&self.running_mean, normed.mean);
                self.update(&self.running_var, unbiased);
                pass.round(normed.output)
            }
        }
    }

    /// `activation(norm(input))` over the rows of a matrix, `[batch, channels]`.
    pub(super) fn forward_rows(&self, input: Tensor<2>, activation: Activation, pass: Pass<'_>) -> Tensor<2> {
        let [batch, channels] = input.dims();
        self.forward(input.reshape([batch, 1, 1, channels]), None, activation, pass).reshape([batch, channels])
    }

    /// `scale` and `shift`, both `[channels]`: with its running statistics, the norm is `input * scale + shift`.
    pub(super) fn scale_and_shift(&self) -> (Tensor<1>, Tensor<1>) {
        self.affine(self.weight.val(), self.bias.val())
    }

    fn affine(&self, weight: Tensor<1>, bias: Tensor<1>) -> (Tensor<1>, Tensor<1>) {
        let (mean, variance) = (self.running_mean.value_sync(), self.running_var.value_sync());
        let scale = weight / (variance + self.epsilon).sqrt();
        let shift = bias - mean * scale.clone();
        (scale, shift)
    }

    fn update(&self, running: &RunningState<Tensor<1>>, batch: Tensor<1>) {
        let before = running.value_sync();
        running.update((before * (1.0 - self.momentum) + batch.detach() * self.momentum).detach());
        // Burn applies an update only when the value is read, and a visitor of the module does not read it that way.
        running.value_sync();
    }
}
