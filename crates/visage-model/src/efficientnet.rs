//! EfficientNets (Tan & Le, 2019): B0 as torchvision builds it, with the two-stage head of the original write-up, and
//! Lite0 (Google, 2020), for small devices: ReLU6, and no squeeze and excitation.

use std::ops::Range;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::layers::{
    BatchNorm, ConvNorm, DepthwiseNorm, Linear, NormConfig, PaddingRule, Pass, Regularisation, SqueezeExcite, dropout,
    stochastic_depth,
};
use crate::ops::Activation;
use crate::plan::{Node, Planner};

/// A stage of inverted residual blocks. Only the first block may have a stride.
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

/// The stages of B0 and Lite0 (table 1 of the paper).
const STAGES: [Stage; 7] = [
    stage(1, 3, 1, 16, 1),
    stage(6, 3, 2, 24, 2),
    stage(6, 5, 2, 40, 2),
    stage(6, 3, 2, 80, 3),
    stage(6, 5, 1, 112, 3),
    stage(6, 5, 2, 192, 4),
    stage(6, 3, 1, 320, 1),
];

/// The first block of the stage that halves the resolution for the last time.
const LAST_HALVING: usize =
    STAGES[0].blocks + STAGES[1].blocks + STAGES[2].blocks + STAGES[3].blocks + STAGES[4].blocks;

const STEM: usize = 32;
const FEATURES: usize = 1280;
/// Widths of the two-stage head.
const SHARED: usize = 512;
const HIDDEN: usize = 256;

/// The properties in which EfficientNets differ.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Variant {
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

/// The stage of the block at `index`, its position in the stage, and whether the block expands its channels.
pub(crate) fn block_position(index: usize) -> (usize, usize, bool) {
    let mut first = 0;
    for (number, stage) in STAGES.iter().enumerate() {
        if index < first + stage.blocks {
            return (number, index - first, stage.expand != 1);
        }
        first += stage.blocks;
    }
    (STAGES.len(), index - first, true)
}

/// EfficientNet-B0 or Lite0.
#[derive(Module, Debug)]
pub struct EfficientNet {
    stem: ConvNorm,
    blocks: Vec<Block>,
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
        let mut input = STEM;
        for stage in &STAGES {
            for repeat in 0..stage.blocks {
                let stride = if repeat == 0 { stage.stride } else { 1 };
                blocks.push(Block::new(&variant, input, Stage { stride, ..*stage }, device));
                input = stage.output;
            }
        }
        Self {
            stem: variant.conv_norm([3, STEM], 3, 2, device),
            blocks,
            head: variant.conv_norm([input, FEATURES], 1, 1, device),
            classifier: Classifier::new(&variant, outputs, device),
            variant,
        }
    }

    /// From images `[batch, height, width, 3]` to the last map before the resolution is halved for the last time,
    /// `[batch, ceil(height / 16), ceil(width / 16), 112]`.
    pub(crate) fn early_map(&self, images: Tensor<4>, pass: Pass<'_>) -> Tensor<4> {
        let x = self.stem.forward(pass.round(images), None, self.variant.activation, pass);
        self.blocks(0..LAST_HALVING, x, pass)
    }

    /// From that map to the last feature map, `[batch, ceil(height / 32), ceil(width / 32), 1280]`.
    pub(crate) fn late_map(&self, map: Tensor<4>, pass: Pass<'_>) -> Tensor<4> {
        let x = self.blocks(LAST_HALVING..self.blocks.len(), map, pass);
        self.head.forward(x, None, self.variant.activation, pass)
    }

    fn blocks(&self, range: Range<usize>, input: Tensor<4>, pass: Pass<'_>) -> Tensor<4> {
        let Variant { activation, stochastic_depth, .. } = self.variant;
        let blocks = self.blocks.iter().enumerate().take(range.end).skip(range.start);
        blocks.fold(input, |x, (index, block)| {
            let rate = stochastic_depth * index as f64 / self.blocks.len() as f64;
            block.forward(x, activation, DropBlock { index, rate }, pass)
        })
    }

    /// From features `[batch, 1280]` to logits `[batch, outputs]`.
    pub(crate) fn classify(&self, features: Tensor<2>, pass: Pass<'_>) -> Tensor<2> {
        self.classifier.forward(features, self.variant.dropout, pass)
    }

    pub(crate) fn plan(&self, planner: &mut Planner, images: Node) {
        let activation = self.variant.activation;
        let mut x = self.stem.plan(planner, "stem", images, None, activation);
        for (index, block) in self.blocks.iter().enumerate() {
            x = block.plan(planner, &format!("blocks.{index}"), x, activation);
        }
        let x = self.head.plan(planner, "head", x, None, activation);
        let features = planner.pooled_features(x);
        self.classifier.plan(planner, features);
    }
}

impl Variant {
    fn conv_norm(&self, channels: [usize; 2], kernel: usize, stride: usize, device: &Device) -> ConvNorm {
        ConvNorm::new(channels, kernel, stride, self.padding, self.norm, device)
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
        let two_stage = variant.two_stage_head;
        Self {
            shared: two_stage.then(|| Linear::new(FEATURES, SHARED, device)),
            norm: two_stage.then(|| BatchNorm::new(SHARED, variant.norm, device)),
            hidden: two_stage.then(|| Linear::new(SHARED, HIDDEN, device)),
            output: Linear::new(if two_stage { HIDDEN } else { FEATURES }, outputs, device),
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

struct DropBlock {
    index: usize,
    rate: f64,
}

/// Inverted residual block: expansion, depthwise convolution, squeeze and excitation, projection, and a shortcut if the shapes
/// are equal.
#[derive(Module, Debug)]
struct Block {
    expand: Option<ConvNorm>,
    depthwise: DepthwiseNorm,
    gate: Option<SqueezeExcite>,
    project: ConvNorm,
    residual: bool,
}

impl Block {
    fn new(variant: &Variant, input: usize, stage: Stage, device: &Device) -> Self {
        let Stage { expand, kernel, stride, output, .. } = stage;
        let middle = input * expand;
        // A quarter of the block's input channels, not of the expanded ones.
        let squeezed = input / 4;
        Self {
            expand: (expand != 1).then(|| variant.conv_norm([input, middle], 1, 1, device)),
            depthwise: DepthwiseNorm::new(middle, kernel, stride, variant.padding, variant.norm, device),
            gate: variant.squeeze_excite.then(|| SqueezeExcite::new(middle, squeezed, device)),
            project: variant.conv_norm([middle, output], 1, 1, device),
            residual: stride == 1 && input == output,
        }
    }

    fn forward(&self, input: Tensor<4>, activation: Activation, drop: DropBlock, pass: Pass<'_>) -> Tensor<4> {
        // Without a shortcut, the expansion holds the last handle of the input, and its memory is reused.
        let shortcut = self.residual.then(|| input.clone());
        let mut x = match &self.expand {
            Some(expand) => expand.forward(input, None, activation, pass),
            None => input,
        };
        x = self.depthwise.forward(x, activation, pass);
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

    fn plan(&self, planner: &mut Planner, name: &str, input: Node, activation: Activation) -> Node {
        let mut x = match &self.expand {
            Some(expand) => expand.plan(planner, &format!("{name}.expand"), input, None, activation),
            None => input,
        };
        x = self.depthwise.plan(planner, &format!("{name}.depthwise"), x, activation);
        if let Some(gate) = &self.gate {
            x = gate.plan(planner, &format!("{name}.gate"), x);
        }
        let residual = self.residual.then_some(input);
        self.project.plan(planner, &format!("{name}.project"), x, residual, Activation::Identity)
    }
}
