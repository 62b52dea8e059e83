//! The blocks of EfficientNets and MobileNets.

use std::ops::Range;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::{
    ConvNorm, DepthwiseNorm, ExcitationConfig, NormConfig, PaddingRule, Pass, SqueezeExcite, stochastic_depth,
};
use crate::ops::Activation;
use crate::plan::{Node, Planner};

/// The nearest multiple of 8, at least 8, and at least 90 % of `channels`: `_make_divisible` of torchvision and timm.
pub(crate) fn divisible_by_8(channels: f64) -> usize {
    let rounded = ((channels + 4.0) as usize / 8 * 8).max(8);
    if (rounded as f64) < 0.9 * channels { rounded + 8 } else { rounded }
}

/// What an [`InvertedResidual`] is made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockConfig {
    /// Channels of the input, of the depthwise convolution and of the output. The block expands its channels if the first two differ.
    pub(crate) channels: [usize; 3],
    /// Size of the depthwise filters.
    pub(crate) kernel: usize,
    /// Stride of the depthwise convolution.
    pub(crate) stride: usize,
    pub(crate) excitation: Option<ExcitationConfig>,
    /// Follows the expansion and the depthwise convolution.
    pub(crate) activation: Activation,
    pub(crate) norm: NormConfig,
    pub(crate) padding: PaddingRule,
}

/// Inverted residual block (Sandler et al., 2018): expansion, depthwise convolution, squeeze and excitation, projection, and a shortcut if
/// the shapes are equal.
#[derive(Module, Debug)]
pub(crate) struct InvertedResidual {
    expand: Option<ConvNorm>,
    depthwise: DepthwiseNorm,
    gate: Option<SqueezeExcite>,
    project: ConvNorm,
    residual: bool,
    #[module(skip)]
    activation: Activation,
}

struct DropBlock {
    index: usize,
    rate: f64,
}

impl InvertedResidual {
    /// Zero filters and the identity as norms.
    pub(crate) fn new(config: BlockConfig, device: &Device) -> Self {
        let BlockConfig { channels, kernel, stride, excitation, activation, norm, padding } = config;
        let [input, middle, output] = channels;
        let pointwise = |channels| ConvNorm::new(channels, 1, 1, padding, norm, device);
        Self {
            expand: (input != middle).then(|| pointwise([input, middle])),
            depthwise: DepthwiseNorm::new(middle, kernel, stride, padding, norm, device),
            gate: excitation.map(|excitation| SqueezeExcite::new(middle, excitation, device)),
            project: pointwise([middle, output]),
            residual: stride == 1 && input == output,
            activation,
        }
    }

    fn forward(&self, input: Tensor<4>, drop: DropBlock, pass: Pass<'_>) -> Tensor<4> {
        // Without a shortcut, the expansion holds the last handle of the input, and its memory is reused.
        let shortcut = self.residual.then(|| input.clone());
        let mut x = match &self.expand {
            Some(expand) => expand.forward(input, None, self.activation, pass),
            None => input,
        };
        x = self.depthwise.forward(x, self.activation, pass);
        if let Some(gate) = &self.gate {
            x = gate.forward(x, pass);
        }
        let drops = matches!(pass, Pass::Training(_)) && drop.rate > 0.0;
        match shortcut {
            Some(input) if drops => {
                let branch = self.project.forward(x, None, Activation::Identity, pass);
                pass.round(stochastic_depth(branch, drop.rate, drop.index, pass) + input)
            }
            shortcut => self.project.forward(x, shortcut, Activation::Identity, pass),
        }
    }

    /// Adds the forward pass at inference to a plan.
    pub(crate) fn plan(&self, planner: &mut Planner, name: &str, input: Node) -> Node {
        let mut x = match &self.expand {
            Some(expand) => expand.plan(planner, &format!("{name}.expand"), input, None, self.activation),
            None => input,
        };
        x = self.depthwise.plan(planner, &format!("{name}.depthwise"), x, self.activation);
        if let Some(gate) = &self.gate {
            x = gate.plan(planner, &format!("{name}.gate"), x);
        }
        let residual = self.residual.then_some(input);
        self.project.plan(planner, &format!("{name}.project"), x, residual, Activation::Identity)
    }
}

/// The blocks of `range`, one after another: `[batch, height, width, channels]` to the map of the last. The rate of stochastic depth rises
/// linearly from 0 at the first of all `blocks` to `rate` after the last.
pub(crate) fn forward_blocks(
    blocks: &[InvertedResidual],
    range: Range<usize>,
    rate: f64,
    input: Tensor<4>,
    pass: Pass<'_>,
) -> Tensor<4> {
    range.fold(input, |x, index| {
        let rate = rate * index as f64 / blocks.len() as f64;
        blocks[index].forward(x, DropBlock { index, rate }, pass)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_rounded_as_in_torchvision() {
        // torchvision.models._utils._make_divisible(channels, 8)
        for (channels, rounded) in
            [(3.0, 8), (12.0, 16), (17.6, 16), (18.0, 24), (19.2, 24), (38.4, 40), (123.2, 120), (448.0, 448)]
        {
            assert_eq!(divisible_by_8(channels), rounded, "{channels}");
        }
    }
}
