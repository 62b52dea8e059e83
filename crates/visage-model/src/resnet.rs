//! Residual networks (He et al., 2016) as torchvision builds them.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::layers::{ConvNorm, Linear, NormConfig, PaddingRule, Pass};
use crate::ops::{self, Activation, Window};
use crate::plan::{Node, Planner};

const NORM: NormConfig = NormConfig { epsilon: 1e-5, momentum: 0.1 };

/// Width and stride of each of the four stages.
const STAGES: [(usize, usize); 4] = [(64, 1), (128, 2), (256, 2), (512, 2)];

/// Ratio of a bottleneck block's output channels to its width.
const EXPANSION: usize = 4;

const POOL: Window = Window::square(3, 2, 1);

/// The properties in which residual networks differ (table 1 of the paper).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Variant {
    /// The number of blocks in each stage.
    pub(crate) blocks: [usize; 4],
    /// Whether the blocks are bottlenecks, with three convolutions instead of two.
    pub(crate) bottleneck: bool,
}

/// A residual network with a linear classifier.
#[derive(Module, Debug)]
pub struct ResNet {
    stem: ConvNorm,
    stages: Vec<Vec<Block>>,
    fc: Linear,
}

impl ResNet {
    /// The network with this number of outputs. All filters are zero.
    pub(crate) fn new(variant: &Variant, outputs: usize, device: &Device) -> Self {
        let mut channels = 64;
        let mut stages = Vec::new();
        for ((width, stride), blocks) in STAGES.into_iter().zip(variant.blocks) {
            let mut stage = Vec::new();
            for index in 0..blocks {
                let stride = if index == 0 { stride } else { 1 };
                stage.push(Block::new(channels, width, stride, variant.bottleneck, device));
                channels = if variant.bottleneck { EXPANSION * width } else { width };
            }
            stages.push(stage);
        }
        Self { stem: conv_norm([3, 64], 7, 2, device), stages, fc: Linear::new(channels, outputs, device) }
    }

    /// From images `[batch, height, width, 3]` to the input of the last stage,
    /// `[batch, ceil(height / 16), ceil(width / 16), channels]`.
    pub(crate) fn early_map(&self, images: Tensor<4>, pass: Pass<'_>) -> Tensor<4> {
        let x = self.stem.forward(pass.round(images), None, Activation::Relu, pass);
        let x = ops::max_pool2d(x, POOL);
        self.stages[..STAGES.len() - 1].iter().flatten().fold(x, |x, block| block.forward(x, pass))
    }

    /// From the input of the last stage to the last feature map, `[batch, ceil(height / 32), ceil(width / 32), features]`.
    pub(crate) fn late_map(&self, map: Tensor<4>, pass: Pass<'_>) -> Tensor<4> {
        self.stages[STAGES.len() - 1..].iter().flatten().fold(map, |x, block| block.forward(x, pass))
    }

    /// From features `[batch, features]` to logits `[batch, outputs]`.
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

/// Two 3x3 convolutions, or a bottleneck of a 1x1, a 3x3 and a 1x1 convolution, and a shortcut around them. The first 3x3 convolution
/// has the stride, as in torchvision: the paper's bottleneck has it in the first 1x1 convolution.
#[derive(Module, Debug)]
struct Block {
    first: ConvNorm,
    second: ConvNorm,
    third: Option<ConvNorm>,
    downsample: Option<ConvNorm>,
}

impl Block {
    fn new(input: usize, width: usize, stride: usize, bottleneck: bool, device: &Device) -> Self {
        let output = if bottleneck { EXPANSION * width } else { width };
        let (kernel, strides) = if bottleneck { (1, [1, stride]) } else { (3, [stride, 1]) };
        Self {
            first: conv_norm([input, width], kernel, strides[0], device),
            second: conv_norm([width, width], 3, strides[1], device),
            third: bottleneck.then(|| conv_norm([width, output], 1, 1, device)),
            downsample: (stride != 1 || input != output).then(|| conv_norm([input, output], 1, stride, device)),
        }
    }

    fn forward(&self, input: Tensor<4>, pass: Pass<'_>) -> Tensor<4> {
        let shortcut = match &self.downsample {
            Some(downsample) => downsample.forward(input.clone(), None, Activation::Identity, pass),
            None => input.clone(),
        };
        let x = self.first.forward(input, None, Activation::Relu, pass);
        match &self.third {
            None => self.second.forward(x, Some(shortcut), Activation::Relu, pass),
            Some(third) => {
                let x = self.second.forward(x, None, Activation::Relu, pass);
                third.forward(x, Some(shortcut), Activation::Relu, pass)
            }
        }
    }

    fn plan(&self, planner: &mut Planner, name: &str, input: Node) -> Node {
        let shortcut = match &self.downsample {
            Some(downsample) => {
                downsample.plan(planner, &format!("{name}.downsample"), input, None, Activation::Identity)
            }
            None => input,
        };
        let x = self.first.plan(planner, &format!("{name}.first"), input, None, Activation::Relu);
        let second = format!("{name}.second");
        match &self.third {
            None => self.second.plan(planner, &second, x, Some(shortcut), Activation::Relu),
            Some(third) => {
                let x = self.second.plan(planner, &second, x, None, Activation::Relu);
                third.plan(planner, &format!("{name}.third"), x, Some(shortcut), Activation::Relu)
            }
        }
    }
}
