//! EfficientNets (Tan & Le, 2019): B0 to B3 as torchvision builds them, B0 with the two-stage head of the original write-up, and Lite0 to
//! Lite4 (Google, 2020), for small devices: ReLU6, and no squeeze and excitation.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::layers::{
    BatchNorm, BlockConfig, ConvNorm, ExcitationConfig, InvertedResidual, Linear, NormConfig, PaddingRule, Pass,
    Regularisation, divisible_by_8, dropout, forward_blocks,
};
use crate::ops::{Activation, GateFunction};
use crate::plan::{Node, Planner};

/// A stage of inverted residual blocks. Only the first block may have a stride.
#[derive(Clone, Copy)]
struct Stage {
    /// Ratio of the expanded channels to the block's input channels.
    expand: usize,
    kernel: usize,
    stride: usize,
    output: usize,
    blocks: usize,
}

const fn stage(expand: usize, kernel: usize, stride: usize, output: usize, blocks: usize) -> Stage {
    Stage { expand, kernel, stride, output, blocks }
}

/// The stages of B0 and Lite0 (table 1 of the paper). The others are wider and deeper.
const STAGES: [Stage; 7] = [
    stage(1, 3, 1, 16, 1),
    stage(6, 3, 2, 24, 2),
    stage(6, 5, 2, 40, 2),
    stage(6, 3, 2, 80, 3),
    stage(6, 5, 1, 112, 3),
    stage(6, 5, 2, 192, 4),
    stage(6, 3, 1, 320, 1),
];

/// Channels after the stem.
const STEM: usize = 32;
/// Ratio of the features to the channels of the last block.
const HEAD: usize = 4;
/// Widths of the two-stage head.
const SHARED: usize = 512;
const HIDDEN: usize = 256;

/// The properties in which EfficientNets differ.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Variant {
    /// Multiplies the channels of B0. The products are rounded to multiples of 8.
    pub(crate) width: f64,
    /// Multiplies the blocks of B0's stages. The products are rounded up.
    pub(crate) depth: f64,
    /// Whether the channels of the stem and the head and the blocks of the first and the last stage are those of B0, as in the Lite
    /// networks.
    pub(crate) fixed_ends: bool,
    pub(crate) activation: Activation,
    pub(crate) norm: NormConfig,
    pub(crate) padding: PaddingRule,
    pub(crate) squeeze_excite: bool,
    /// Whether the classifier is the two-stage head. Otherwise it is linear.
    pub(crate) two_stage_head: bool,
    /// Dropout rates before the linear layers of the classifier.
    pub(crate) dropout: [f64; 2],
    /// Stochastic depth rate of the last block.
    pub(crate) stochastic_depth: f64,
}

impl Variant {
    fn stages(&self) -> [Stage; 7] {
        let mut stages = STAGES;
        for (index, stage) in stages.iter_mut().enumerate() {
            stage.output = divisible_by_8(stage.output as f64 * self.width);
            if !(self.fixed_ends && (index == 0 || index == STAGES.len() - 1)) {
                stage.blocks = (stage.blocks as f64 * self.depth).ceil() as usize;
            }
        }
        stages
    }

    fn stem(&self) -> usize {
        if self.fixed_ends { STEM } else { divisible_by_8(STEM as f64 * self.width) }
    }

    /// The number of features.
    fn features(&self) -> usize {
        let [.., last] = if self.fixed_ends { STAGES } else { self.stages() };
        HEAD * last.output
    }

    /// The first block of the stage that halves the resolution for the last time.
    fn last_halving(&self) -> usize {
        let stages = self.stages();
        let last = stages.iter().rposition(|stage| stage.stride == 2).unwrap_or_default();
        stages[..last].iter().map(|stage| stage.blocks).sum()
    }

    /// The stage of the block at `index`, its position in the stage, and whether the block expands its channels.
    pub(crate) fn block_position(&self, index: usize) -> (usize, usize, bool) {
        let mut first = 0;
        for (number, stage) in self.stages().iter().enumerate() {
            if index < first + stage.blocks {
                return (number, index - first, stage.expand != 1);
            }
            first += stage.blocks;
        }
        (STAGES.len(), index - first, true)
    }

    fn conv_norm(&self, channels: [usize; 2], kernel: usize, stride: usize, device: &Device) -> ConvNorm {
        ConvNorm::new(channels, kernel, stride, self.padding, self.norm, device)
    }

    fn block(&self, input: usize, stage: Stage, device: &Device) -> InvertedResidual {
        let Self { activation, norm, padding, .. } = *self;
        let Stage { expand, kernel, stride, output, .. } = stage;
        // A quarter of the block's input channels, not of the expanded ones.
        let excitation = ExcitationConfig { hidden: input / 4, activation, gate: GateFunction::Sigmoid };
        let excitation = self.squeeze_excite.then_some(excitation);
        let channels = [input, input * expand, output];
        InvertedResidual::new(BlockConfig { channels, kernel, stride, excitation, activation, norm, padding }, device)
    }
}

/// An EfficientNet.
#[derive(Module, Debug)]
pub struct EfficientNet {
    stem: ConvNorm,
    blocks: Vec<InvertedResidual>,
    head: ConvNorm,
    classifier: Classifier,
    #[module(skip)]
    variant: Variant,
}

impl EfficientNet {
    /// The network with this number of outputs. All filters are zero.
    pub(crate) fn new(variant: &Variant, outputs: usize, regularisation: Regularisation, device: &Device) -> Self {
        let mut variant = *variant;
        if let Some(rate) = regularisation.dropout {
            variant.dropout = [rate; 2];
        }
        if let Some(rate) = regularisation.stochastic_depth {
            variant.stochastic_depth = rate;
        }
        let mut blocks = Vec::new();
        let stem = variant.stem();
        let mut input = stem;
        for stage in variant.stages() {
            for repeat in 0..stage.blocks {
                let stride = if repeat == 0 { stage.stride } else { 1 };
                blocks.push(variant.block(input, Stage { stride, ..stage }, device));
                input = stage.output;
            }
        }
        Self {
            stem: variant.conv_norm([3, stem], 3, 2, device),
            blocks,
            head: variant.conv_norm([input, variant.features()], 1, 1, device),
            classifier: Classifier::new(&variant, outputs, device),
            variant,
        }
    }

    /// From images `[batch, height, width, 3]` to the last map before the resolution is halved for the last time,
    /// `[batch, ceil(height / 16), ceil(width / 16), channels]`.
    pub(crate) fn early_map(&self, images: Tensor<4>, pass: Pass<'_>) -> Tensor<4> {
        let Variant { activation, stochastic_depth, .. } = self.variant;
        let x = self.stem.forward(pass.round(images), None, activation, pass);
        forward_blocks(&self.blocks, 0..self.variant.last_halving(), stochastic_depth, x, pass)
    }

    /// From that map to the last feature map, `[batch, ceil(height / 32), ceil(width / 32), features]`.
    pub(crate) fn late_map(&self, map: Tensor<4>, pass: Pass<'_>) -> Tensor<4> {
        let Variant { activation, stochastic_depth, .. } = self.variant;
        let late = self.variant.last_halving()..self.blocks.len();
        let x = forward_blocks(&self.blocks, late, stochastic_depth, map, pass);
        self.head.forward(x, None, activation, pass)
    }

    /// From features `[batch, features]` to logits `[batch, outputs]`.
    pub(crate) fn classify(&self, features: Tensor<2>, pass: Pass<'_>) -> Tensor<2> {
        self.classifier.forward(features, self.variant.dropout, pass)
    }

    pub(crate) fn plan(&self, planner: &mut Planner, images: Node) {
        let activation = self.variant.activation;
        let mut x = self.stem.plan(planner, "stem", images, None, activation);
        for (index, block) in self.blocks.iter().enumerate() {
            x = block.plan(planner, &format!("blocks.{index}"), x);
        }
        let x = self.head.plan(planner, "head", x, None, activation);
        let features = planner.pooled_features(x);
        self.classifier.plan(planner, features);
    }
}

/// Dropout and a linear layer, or the two-stage head: linear, norm, ReLU, dropout; linear, ReLU, dropout; linear.
#[derive(Module, Debug)]
struct Classifier {
    shared: Option<Linear>,
    norm: Option<BatchNorm>,
    hidden: Option<Linear>,
    output: Linear,
}

impl Classifier {
    fn new(variant: &Variant, outputs: usize, device: &Device) -> Self {
        let (two_stage, features) = (variant.two_stage_head, variant.features());
        Self {
            shared: two_stage.then(|| Linear::new(features, SHARED, device)),
            norm: two_stage.then(|| BatchNorm::new(SHARED, variant.norm, device)),
            hidden: two_stage.then(|| Linear::new(SHARED, HIDDEN, device)),
            output: Linear::new(if two_stage { HIDDEN } else { features }, outputs, device),
        }
    }

    fn forward(&self, features: Tensor<2>, rates: [f64; 2], pass: Pass<'_>) -> Tensor<2> {
        let features = match (&self.shared, &self.hidden) {
            (Some(shared), Some(hidden)) => {
                let x = shared.forward(features, self.norm.as_ref(), Activation::Relu, pass);
                let x = dropout(x, rates[0], "dropout of shared features", pass);
                let x = hidden.forward(x, None, Activation::Relu, pass);
                dropout(x, rates[1], "dropout of hidden features", pass)
            }
            _ => dropout(features, rates[0], "dropout", pass),
        };
        self.output.forward(features, None, Activation::Identity, pass)
    }

    fn plan(&self, planner: &mut Planner, features: Node) -> Node {
        let mut x = features;
        if let (Some(shared), Some(hidden)) = (&self.shared, &self.hidden) {
            x = shared.plan(planner, "classifier.shared", x, self.norm.as_ref(), Activation::Relu);
            x = hidden.plan(planner, "classifier.hidden", x, None, Activation::Relu);
        }
        self.output.plan(planner, "classifier.output", x, None, Activation::Identity)
    }
}
