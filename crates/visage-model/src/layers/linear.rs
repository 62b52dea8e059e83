//! Linear layers.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use super::{BatchNorm, Pass};
use crate::ops::{self, Activation, POINT, composed};
use crate::plan::{Filters, Node, Planner};

/// `input * weight^T + bias`, as in PyTorch.
#[derive(Module, Debug)]
pub(crate) struct Linear {
    /// `[outputs, inputs]`
    pub(super) weight: Param<Tensor<2>>,
    /// `[outputs]`
    pub(super) bias: Param<Tensor<1>>,
}

impl Linear {
    /// A layer whose weight and bias are zero.
    pub(crate) fn new(inputs: usize, outputs: usize, device: &Device) -> Self {
        Self {
            weight: Param::from_tensor(Tensor::zeros([outputs, inputs], device)),
            bias: Param::from_tensor(Tensor::zeros([outputs], device)),
        }
    }

    /// `activation(norm(input * weight^T + bias))`: `[batch, inputs]` to `[batch, outputs]`.
    pub(crate) fn forward(
        &self,
        input: Tensor<2>,
        norm: Option<&BatchNorm>,
        activation: Activation,
        pass: Pass<'_>,
    ) -> Tensor<2> {
        let (weight, bias) = (pass.round(self.weight.val()), pass.round(self.bias.val()));
        // The features of a frozen backbone are f32 in every precision.
        let input = input.cast(weight.dtype());
        let output = pass.round(input.matmul(weight.transpose()) + bias.unsqueeze());
        match (norm, activation) {
            (Some(norm), _) => norm.forward_rows(output, activation, pass),
            (None, Activation::Identity) => output,
            (None, activation) => pass.round(composed::activated(output, activation)),
        }
    }

    /// Adds [`forward`](Self::forward) to a plan, the norm folded into weight and bias.
    pub(crate) fn plan(
        &self,
        planner: &mut Planner,
        name: &str,
        input: Node,
        norm: Option<&BatchNorm>,
        activation: Activation,
    ) -> Node {
        let (mut weight, mut bias) = (self.weight.val(), self.bias.val());
        if let Some(norm) = norm {
            let (scale, shift) = norm.scale_and_shift();
            weight = weight * scale.clone().unsqueeze_dim(1);
            bias = bias * scale + shift;
        }
        let x = planner.linear(name, input, filters(weight, bias));
        planner.activation(name, x, activation)
    }

    /// Adds the layer to a plan as a 1x1 convolution of a map of one position.
    pub(super) fn plan_as_conv(&self, planner: &mut Planner, name: &str, input: Node) -> Node {
        planner.conv(name, input, filters(self.weight.val(), self.bias.val()))
    }
}

fn filters(weight: Tensor<2>, bias: Tensor<1>) -> Filters {
    Filters { weights: ops::values(weight), bias: ops::values(bias), window: POINT }
}
