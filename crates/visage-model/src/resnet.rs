//! ResNet-18 (He et al., 2016) as torchvision builds it.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::layers::{BatchNorm, Conv2d, ConvNorm, Linear, NormConfig, PaddingRule, Pass};
use crate::ops::{self, Activation, Padding, Window};

const NORM: NormConfig = NormConfig { epsilon: 1e-5, momentum: 0.1 };

/// Channels and stride of each of the four stages; every stage is two basic blocks.
const STAGES: [(usize, usize); 4] = [(64, 1), (128, 2), (256, 2), (512, 2)];

/// Features before the classifier.
const FEATURES: usize = 512;

/// ResNet-18 with a linear classifier.
#[derive(Module, Debug)]
pub struct ResNet18 {
    conv1: Conv2d,
    bn1: BatchNorm,
    stages: Vec<Vec<BasicBlock>>,
    fc: Linear,
}

impl ResNet18 {
    /// A network of zero filters, to be initialised or loaded.
    #[must_use]
    pub fn new(outputs: usize, device: &Device) -> Self {
        let mut channels = 64;
        let stages = STAGES
            .iter()
            .map(|&(width, stride)| {
                let first = BasicBlock::new(channels, width, stride, device);
                channels = width;
                vec![first, BasicBlock::new(width, width, 1, device)]
            })
            .collect();
        Self {
            conv1: Conv2d::new([3, 64], 7, 2, PaddingRule::Symmetric, device),
            bn1: BatchNorm::new(64, NORM, device),
            stages,
            fc: Linear::new(FEATURES, outputs, device),
        }
    }

    /// Images `[batch, height, width, 3]` to features `[batch, 512]`.
    #[must_use]
    pub fn features(&self, images: Tensor<4>, pass: Pass<'_>) -> Tensor<2> {
        let x = self.bn1.forward(self.conv1.forward(pass.round(images), pass), None, Activation::Relu, pass);
        let window =
            Window { kernel: [3, 3], stride: [2, 2], padding: Padding { top: 1, left: 1, bottom: 1, right: 1 } };
        let mut x = ops::max_pool2d(x, window);
        for block in self.stages.iter().flatten() {
            x = block.forward(x, pass);
        }
        pass.round(ops::global_average_pool(x))
    }

    /// Features `[batch, 512]` to logits `[batch, outputs]`.
    #[must_use]
    pub fn classify(&self, features: Tensor<2>, pass: Pass<'_>) -> Tensor<2> {
        self.fc.forward(features, pass)
    }

    /// The key torchvision (and timm) gives the parameter at `path` of this module tree.
    pub(crate) fn torchvision_key(path: &str) -> String {
        let Some(rest) = path.strip_prefix("stages.") else { return path.to_owned() };
        let (stage, rest) = rest.split_once('.').unwrap_or((rest, ""));
        let stage = stage.parse::<usize>().map_or(0, |stage| stage + 1);
        let rest = rest.replace("downsample.conv.", "downsample.0.").replace("downsample.norm.", "downsample.1.");
        format!("layer{stage}.{rest}")
    }
}

/// Two 3x3 convolutions around a shortcut.
#[derive(Module, Debug)]
struct BasicBlock {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    downsample: Option<ConvNorm>,
}

impl BasicBlock {
    fn new(input: usize, output: usize, stride: usize, device: &Device) -> Self {
        let downsample = (stride != 1 || input != output).then(|| ConvNorm {
            conv: Conv2d::new([input, output], 1, stride, PaddingRule::Symmetric, device),
            norm: BatchNorm::new(output, NORM, device),
        });
        Self {
            conv1: Conv2d::new([input, output], 3, stride, PaddingRule::Symmetric, device),
            bn1: BatchNorm::new(output, NORM, device),
            conv2: Conv2d::new([output, output], 3, 1, PaddingRule::Symmetric, device),
            bn2: BatchNorm::new(output, NORM, device),
            downsample,
        }
    }

    fn forward(&self, input: Tensor<4>, pass: Pass<'_>) -> Tensor<4> {
        let shortcut = match &self.downsample {
            Some(downsample) => downsample.forward(input.clone(), None, Activation::Identity, pass),
            None => input.clone(),
        };
        let x = self.bn1.forward(self.conv1.forward(input, pass), None, Activation::Relu, pass);
        self.bn2.forward(self.conv2.forward(x, pass), Some(shortcut), Activation::Relu, pass)
    }
}
