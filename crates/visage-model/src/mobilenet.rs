//! MobileNetV3-Large (Howard et al., 2019) as torchvision builds it.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::layers::{
    BlockConfig, ConvNorm, ExcitationConfig, InvertedResidual, Linear, NormConfig, PaddingRule, Pass, Regularisation,
    divisible_by_8, dropout, forward_blocks,
};
use crate::ops::{Activation, GateFunction};
use crate::plan::{Node, Planner};

const NORM: NormConfig = NormConfig { epsilon: 1e-3, momentum: 0.01 };
const PADDING: PaddingRule = PaddingRule::Symmetric;

/// A block of table 1 of the paper.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    /// Channels of the input, of the depthwise convolution and of the output.
    channels: [usize; 3],
    kernel: usize,
    stride: usize,
    /// Whether the block has squeeze and excitation.
    pub(crate) gated: bool,
    activation: Activation,
}

impl Row {
    /// Whether the block expands its channels.
    pub(crate) fn expands(&self) -> bool {
        self.channels[0] != self.channels[1]
    }

    fn block(&self, device: &Device) -> InvertedResidual {
        let &Self { channels, kernel, stride, gated, activation } = self;
        let excitation = ExcitationConfig {
            hidden: divisible_by_8((channels[1] / 4) as f64),
            activation: Activation::Relu,
            gate: GateFunction::HardSigmoid,
        };
        let excitation = gated.then_some(excitation);
        let config = BlockConfig { channels, kernel, stride, excitation, activation, norm: NORM, padding: PADDING };
        InvertedResidual::new(config, device)
    }
}

const fn row(channels: [usize; 3], kernel: usize, stride: usize, gated: bool, activation: Activation) -> Row {
    Row { channels, kernel, stride, gated, activation }
}

pub(crate) const BLOCKS: [Row; 15] = [
    row([16, 16, 16], 3, 1, false, Activation::Relu),
    row([16, 64, 24], 3, 2, false, Activation::Relu),
    row([24, 72, 24], 3, 1, false, Activation::Relu),
    row([24, 72, 40], 5, 2, true, Activation::Relu),
    row([40, 120, 40], 5, 1, true, Activation::Relu),
    row([40, 120, 40], 5, 1, true, Activation::Relu),
    row([40, 240, 80], 3, 2, false, Activation::HardSwish),
    row([80, 200, 80], 3, 1, false, Activation::HardSwish),
    row([80, 184, 80], 3, 1, false, Activation::HardSwish),
    row([80, 184, 80], 3, 1, false, Activation::HardSwish),
    row([80, 480, 112], 3, 1, true, Activation::HardSwish),
    row([112, 672, 112], 3, 1, true, Activation::HardSwish),
    row([112, 672, 160], 5, 2, true, Activation::HardSwish),
    row([160, 960, 160], 5, 1, true, Activation::HardSwish),
    row([160, 960, 160], 5, 1, true, Activation::HardSwish),
];

/// The block that halves the resolution for the last time.
const LAST_HALVING: usize = 12;

const STEM: usize = 16;
const FEATURES: usize = 960;
/// Width of the classifier's first layer.
const HIDDEN: usize = 1280;
/// Dropout rate of the classifier.
const DROPOUT: f64 = 0.2;

/// MobileNetV3-Large.
#[derive(Module, Debug)]
pub struct MobileNet {
    stem: ConvNorm,
    blocks: Vec<InvertedResidual>,
    head: ConvNorm,
    classifier: Classifier,
    dropout: f64,
    /// Rate of the last block. torchvision's network has none.
    stochastic_depth: f64,
}

/// Linear, hard-swish, dropout; linear.
#[derive(Module, Debug)]
struct Classifier {
    hidden: Linear,
    output: Linear,
}

impl MobileNet {
    /// The network with this number of outputs. All filters are zero.
    pub(crate) fn new(outputs: usize, regularisation: Regularisation, device: &Device) -> Self {
        let [.., last] = BLOCKS;
        Self {
            stem: ConvNorm::new([3, STEM], 3, 2, PADDING, NORM, device),
            blocks: BLOCKS.iter().map(|row| row.block(device)).collect(),
            head: ConvNorm::new([last.channels[2], FEATURES], 1, 1, PADDING, NORM, device),
            classifier: Classifier {
                hidden: Linear::new(FEATURES, HIDDEN, device),
                output: Linear::new(HIDDEN, outputs, device),
            },
            dropout: regularisation.dropout.unwrap_or(DROPOUT),
            stochastic_depth: regularisation.stochastic_depth.unwrap_or(0.0),
        }
    }

    /// From images `[batch, height, width, 3]` to the last map before the resolution is halved for the last time,
    /// `[batch, ceil(height / 16), ceil(width / 16), 112]`.
    pub(crate) fn early_map(&self, images: Tensor<4>, pass: Pass<'_>) -> Tensor<4> {
        let x = self.stem.forward(pass.round(images), None, Activation::HardSwish, pass);
        forward_blocks(&self.blocks, 0..LAST_HALVING, self.stochastic_depth, x, pass)
    }

    /// From that map to the last feature map, `[batch, ceil(height / 32), ceil(width / 32), 960]`.
    pub(crate) fn late_map(&self, map: Tensor<4>, pass: Pass<'_>) -> Tensor<4> {
        let x = forward_blocks(&self.blocks, LAST_HALVING..self.blocks.len(), self.stochastic_depth, map, pass);
        self.head.forward(x, None, Activation::HardSwish, pass)
    }

    /// From features `[batch, 960]` to logits `[batch, outputs]`.
    pub(crate) fn classify(&self, features: Tensor<2>, pass: Pass<'_>) -> Tensor<2> {
        let Classifier { hidden, output } = &self.classifier;
        let x = hidden.forward(features, None, Activation::HardSwish, pass);
        let x = dropout(x, self.dropout, "dropout", pass);
        output.forward(x, None, Activation::Identity, pass)
    }

    pub(crate) fn plan(&self, planner: &mut Planner, images: Node) {
        let mut x = self.stem.plan(planner, "stem", images, None, Activation::HardSwish);
        for (index, block) in self.blocks.iter().enumerate() {
            x = block.plan(planner, &format!("blocks.{index}"), x);
        }
        let x = self.head.plan(planner, "head", x, None, Activation::HardSwish);
        let features = planner.pooled_features(x);
        let Classifier { hidden, output } = &self.classifier;
        let x = hidden.plan(planner, "classifier.hidden", features, None, Activation::HardSwish);
        output.plan(planner, "classifier.output", x, None, Activation::Identity);
    }
}
