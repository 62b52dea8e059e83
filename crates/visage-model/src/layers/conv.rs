//! Dense and depthwise convolutions and the batch norms after them.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use super::{BatchNorm, NormConfig, Pass};
use crate::ops::{self, Activation, Padding, Window};
use crate::plan::{Filters, Node, Planner};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PaddingRule {
    /// `(kernel - 1) / 2` on every side, as in PyTorch.
    Symmetric,
    /// TensorFlow's "SAME": the output size is `ceil(input / stride)`. If the padding is odd, bottom and right get one more.
    Same,
}

impl PaddingRule {
    fn window(self, input: [usize; 2], kernel: [usize; 2], stride: usize) -> Window {
        let sides = |axis: usize| match self {
            PaddingRule::Symmetric => [(kernel[axis] - 1) / 2; 2],
            PaddingRule::Same => {
                let output = input[axis].div_ceil(stride);
                let total = ((output - 1) * stride + kernel[axis]).saturating_sub(input[axis]);
                [total / 2, total - total / 2]
            }
        };
        let ([top, bottom], [left, right]) = (sides(0), sides(1));
        Window { kernel, stride: [stride, stride], padding: Padding { top, left, bottom, right } }
    }
}

/// Convolution without bias. The weight is `[out_channels, kernel_height, kernel_width, in_channels]`.
#[derive(Module, Debug)]
struct Conv2d {
    weight: Param<Tensor<4>>,
    stride: usize,
    #[module(skip)]
    padding: PaddingRule,
}

impl Conv2d {
    /// `[batch, height, width, in_channels]` to `[batch, out_height, out_width, out_channels]`.
    fn forward(&self, input: Tensor<4>, pass: Pass<'_>) -> Tensor<4> {
        let [_, height, width, _] = input.dims();
        pass.round(ops::conv2d(input, pass.round(self.weight.val()), self.window([height, width])))
    }

    fn window(&self, input: [usize; 2]) -> Window {
        let [_, height, width, _] = self.weight.val().dims();
        self.padding.window(input, [height, width], self.stride)
    }
}

/// Depthwise convolution without bias. The weight is `[kernel_height, kernel_width, channels]`.
#[derive(Module, Debug)]
struct DepthwiseConv2d {
    weight: Param<Tensor<3>>,
    stride: usize,
    #[module(skip)]
    padding: PaddingRule,
}

impl DepthwiseConv2d {
    /// `[batch, height, width, channels]` to `[batch, out_height, out_width, channels]`.
    fn forward(&self, input: Tensor<4>, pass: Pass<'_>) -> Tensor<4> {
        let [_, height, width, _] = input.dims();
        pass.round(ops::depthwise_conv2d(input, pass.round(self.weight.val()), self.window([height, width])))
    }

    fn window(&self, input: [usize; 2]) -> Window {
        let [height, width, _] = self.weight.val().dims();
        self.padding.window(input, [height, width], self.stride)
    }
}

#[derive(Module, Debug)]
pub(crate) struct ConvNorm {
    conv: Conv2d,
    norm: BatchNorm,
}

impl ConvNorm {
    /// Zero filters and the identity as norm. `channels` are those of the input and of the output.
    pub(crate) fn new(
        channels: [usize; 2],
        kernel: usize,
        stride: usize,
        padding: PaddingRule,
        norm: NormConfig,
        device: &Device,
    ) -> Self {
        let [input, output] = channels;
        let weight = Param::from_tensor(Tensor::zeros([output, kernel, kernel, input], device));
        Self { conv: Conv2d { weight, stride, padding }, norm: BatchNorm::new(output, norm, device) }
    }

    /// `activation(norm(conv(input)) + residual)`, with the shapes of [`Conv2d::forward`].
    pub(crate) fn forward(
        &self,
        input: Tensor<4>,
        residual: Option<Tensor<4>>,
        activation: Activation,
        pass: Pass<'_>,
    ) -> Tensor<4> {
        self.norm.forward(self.conv.forward(input, pass), residual, activation, pass)
    }

    /// Adds [`forward`](Self::forward) to a plan, the norm folded into filters and bias.
    pub(crate) fn plan(
        &self,
        planner: &mut Planner,
        name: &str,
        input: Node,
        residual: Option<Node>,
        activation: Activation,
    ) -> Node {
        let [height, width, _] = input.shape;
        let (scale, shift) = self.norm.scale_and_shift();
        let weight = self.conv.weight.val();
        let [outputs, ..] = weight.dims();
        let weight = weight * scale.reshape([outputs, 1, 1, 1]);
        let mut x = planner.conv(name, input, filters(weight, shift, self.conv.window([height, width])));
        if let Some(residual) = residual {
            x = planner.add(name, x, residual);
        }
        planner.activation(name, x, activation)
    }
}

#[derive(Module, Debug)]
pub(crate) struct DepthwiseNorm {
    conv: DepthwiseConv2d,
    norm: BatchNorm,
}

impl DepthwiseNorm {
    /// Zero filters and the identity as norm.
    pub(crate) fn new(
        channels: usize,
        kernel: usize,
        stride: usize,
        padding: PaddingRule,
        norm: NormConfig,
        device: &Device,
    ) -> Self {
        let weight = Param::from_tensor(Tensor::zeros([kernel, kernel, channels], device));
        Self { conv: DepthwiseConv2d { weight, stride, padding }, norm: BatchNorm::new(channels, norm, device) }
    }

    /// `activation(norm(conv(input)))`, with the shapes of [`DepthwiseConv2d::forward`].
    pub(crate) fn forward(&self, input: Tensor<4>, activation: Activation, pass: Pass<'_>) -> Tensor<4> {
        self.norm.forward(self.conv.forward(input, pass), None, activation, pass)
    }

    /// Adds [`forward`](Self::forward) to a plan, the norm folded into filters and bias.
    pub(crate) fn plan(&self, planner: &mut Planner, name: &str, input: Node, activation: Activation) -> Node {
        let [height, width, _] = input.shape;
        let (scale, shift) = self.norm.scale_and_shift();
        let weight: Tensor<3> = self.conv.weight.val() * scale.unsqueeze();
        let x = planner.depthwise_conv(name, input, filters(weight, shift, self.conv.window([height, width])));
        planner.activation(name, x, activation)
    }
}

fn filters<const D: usize>(weight: Tensor<D>, bias: Tensor<1>, window: Window) -> Filters {
    Filters { weights: ops::values(weight), bias: ops::values(bias), window }
}
