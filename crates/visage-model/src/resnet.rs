//! Residual networks (He et al., 2016) as torchvision builds them.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::layers::{ConvNorm, Linear, NormConfig, PaddingRule, Pass};
use crate::ops::{self, Activation, Window};
use crate::plan::{Node, Planner};

const NORM: NormConfig = NormConfig { epsilon: 1e-5, momentum: 0.1 };

/// Channels and stride of each of the four stages.
const STAGES: [(usize, usize); 4] = [(64, 1), (128, 2), (256, 2), (512, 2)];

const POOL: Window = Window::square(3, 2, 1);

const FEATURES: usize = 512;

/// ResNet-18 with a linear classifier.
#[derive(Module, Debug)]
pub struct ResNet {
    stem: ConvNorm,
    stages: Vec<Vec<BasicBlock>>,
    fc: Linear,
}

impl ResNet {
    /// ResNet-18 with this number of outputs. All filters are zero.
    pub(crate) fn new(outputs: usize, device: &Device) -> Self {
        let mut channels = 64;
        let stages = STAGES
            .iter()
            .map(|&(width, stride)| {
                let first = BasicBlock::new(channels, width, stride, device);
                channels = width;
                vec![first, BasicBlock::new(width, width, 1, device)]
            })
            .collect();
        Self { stem: conv_norm([3, 64], 7, 2, device), stages, fc: Linear::new(FEATURES, outputs, device) }
    }

    /// From images `[batch, height, width, 3]` to the input of the last stage,
    /// `[batch, ceil(height / 16), ceil(width / 16), 256]`.
    pub(crate) fn early_map(&self, images: Tensor<4>, pass: Pass<'_>) -> Tensor<4> {
        let x = self.stem.forward(pass.round(images), None, Activation::Relu, pass);
        let x = ops::max_pool2d(x, POOL);
        self.stages[..STAGES.len() - 1].iter().flatten().fold(x, |x, block| block.forward(x, pass))
    }

    /// From the input of the last stage to the last feature map, `[batch, ceil(height / 32), ceil(width / 32), 512]`.
    pub(crate) fn late_map(&self, map: Tensor<4>, pass: Pass<'_>) -> Tensor<4> {
        self.stages[STAGES.len() - 1..].iter().flatten().fold(map, |x, block| block.forward(x, pass))
    }

    /// From features `[batch, 512]` to logits `[batch, outputs]`.
    pub(crate) fn classify(&self, features: Tensor<2>, pass: Pass<'_>) -> Tensor<2> {
        self.fc.forward(features, None, Activation::Identity, pass)
    }

    pub(crate) fn plan(&self, planner: &mut Planner, images: Node) {
        let x = self.stem.plan(planner, "stem", images, None, Activation::Relu);
        let mut x = planner.max_pool("maxpool", x, POOL);
        for (stage, blocks) in self.stages.iter().enumerate() {
            for (index, block) in blocks.iter().enumerate() {
                x = block.plan(planner, &format!("stages.{stage}.{index}"), x);
            }
        }
        let features = planner.pooled_features(x);
        self.fc.plan(planner, "fc", features, None, Activation::Identity);
    }
}

fn conv_norm(channels: [usize; 2], kernel: usize, stride: usize, device: &Device) -> ConvNorm {
    ConvNorm::new(channels, kernel, stride, PaddingRule::Symmetric, NORM, device)
}

#[derive(Module, Debug)]
struct BasicBlock {
    first: ConvNorm,
    second: ConvNorm,
    downsample: Option<ConvNorm>,
}

impl BasicBlock {
    fn new(input: usize, output: usize, stride: usize, device: &Device) -> Self {
        Self {
            first: conv_norm([input, output], 3, stride, device),
            second: conv_norm([output, output], 3, 1, device),
            downsample: (stride != 1 || input != output).then(|| conv_norm([input, output], 1, stride, device)),
        }
    }

    fn forward(&self, input: Tensor<4>, pass: Pass<'_>) -> Tensor<4> {
        let shortcut = match &self.downsample {
            Some(downsample) => downsample.forward(input.clone(), None, Activation::Identity, pass),
            None => input.clone(),
        };
        let x = self.first.forward(input, None, Activation::Relu, pass);
        self.second.forward(x, Some(shortcut), Activation::Relu, pass)
    }

    fn plan(&self, planner: &mut Planner, name: &str, input: Node) -> Node {
        let shortcut = match &self.downsample {
            Some(downsample) => {
                downsample.plan(planner, &format!("{name}.downsample"), input, None, Activation::Identity)
            }
            None => input,
        };
        let x = self.first.plan(planner, &format!("{name}.first"), input, None, Activation::Relu);
        self.second.plan(planner, &format!("{name}.second"), x, Some(shortcut), Activation::Relu)
    }
}
