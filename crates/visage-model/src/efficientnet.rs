//! EfficientNet-B0 (Tan & Le, 2019) as torchvision builds it, with the two-stage head of the original write-up, and
//! EfficientNet-Lite0 (Google, 2020), its relative without gates for small devices.

use std::ops::Range;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::layers::{
    BatchNorm, Conv2d, ConvNorm, DepthwiseConv2d, DepthwiseNorm, Linear, NormConfig, PaddingRule, Pass, SqueezeExcite,
    dropout, stochastic_depth,
};
use crate::ops::{Activation, Precision};
use crate::plan::{Planned, Planner, Value};

/// A stage of inverted residual blocks; the first block strides, the rest keep the size.
struct Stage {
    expand: usize,
    kernel: usize,
    stride: usize,
    output: usize,
    blocks: usize,
}

const fn stage(expand: usize, kernel: usize, stride: usize, output: usize, blocks: usize) -> Stage {
    Stage { expand, kernel, stride, output, blocks }
}

/// The body both networks share (table 1 of the paper).
const STAGES: [Stage; 7] = [
    stage(1, 3, 1, 16, 1),
    stage(6, 3, 2, 24, 2),
    stage(6, 5, 2, 40, 2),
    stage(6, 3, 2, 80, 3),
    stage(6, 5, 1, 112, 3),
    stage(6, 5, 2, 192, 4),
    stage(6, 3, 1, 320, 1),
];

/// The first of the blocks behind the last halving of the resolution.
const LAST_HALVING: usize =
    STAGES[0].blocks + STAGES[1].blocks + STAGES[2].blocks + STAGES[3].blocks + STAGES[4].blocks;

const STEM: usize = 32;
const FEATURES: usize = 1280;
/// Widths of the two-stage head.
const SHARED: usize = 512;
const HIDDEN: usize = 256;

/// Where the two networks differ.
#[derive(Clone, Copy, Debug)]
struct Variant {
    activation: Activation,
    norm: NormConfig,
    padding: PaddingRule,
    gates: bool,
    /// Dropout rates before the linear layers of the head.
    dropout: [f64; 2],
    stochastic_depth: f64,
}

const B0: Variant = Variant {
    activation: Activation::Silu,
    norm: NormConfig { epsilon: 1e-5, momentum: 0.1 },
    padding: PaddingRule::Symmetric,
    gates: true,
    dropout: [0.3, 0.2],
    stochastic_depth: 0.2,
};

/// TensorFlow's padding, epsilon and momentum, which the published weights expect.
const LITE0: Variant = Variant {
    activation: Activation::Relu6,
    norm: NormConfig { epsilon: 1e-3, momentum: 0.01 },
    padding: PaddingRule::Same,
    gates: false,
    dropout: [0.2, 0.0],
    stochastic_depth: 0.2,
};

/// What a recipe may change about the random layers; `None` keeps the network's own rates.
#[derive(Clone, Copy, Debug, Default)]
pub struct Regularisation {
    /// Rate of every dropout of the head, in [0, 1).
    pub dropout: Option<f64>,
    /// Rate of stochastic depth at the last block, in [0, 1); it rises linearly from 0 at the first.
    pub stochastic_depth: Option<f64>,
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

#[allow(clippy::large_enum_variant, reason = "a process holds one or two, and every tensor lies on the heap anyway")]
#[derive(Module, Debug)]
enum Classifier {
    TwoStage(TwoStage),
    Linear(Linear),
}

/// Linear, norm, ReLU, dropout; linear, ReLU, dropout; linear.
#[derive(Module, Debug)]
struct TwoStage {
    shared: Linear,
    norm: BatchNorm,
    hidden: Linear,
    output: Linear,
}

impl EfficientNet {
    /// EfficientNet-B0 with the two-stage head, of zero filters, to be initialised or loaded.
    #[must_use]
    pub fn b0(outputs: usize, regularisation: Regularisation, device: &Device) -> Self {
        let classifier = Classifier::TwoStage(TwoStage {
            shared: Linear::new(FEATURES, SHARED, device),
            norm: BatchNorm::new(SHARED, B0.norm, device),
            hidden: Linear::new(SHARED, HIDDEN, device),
            output: Linear::new(HIDDEN, outputs, device),
        });
        Self::new(B0, classifier, regularisation, device)
    }

    /// EfficientNet-Lite0 with a linear classifier, of zero filters, to be initialised or loaded.
    #[must_use]
    pub fn lite0(outputs: usize, regularisation: Regularisation, device: &Device) -> Self {
        Self::new(LITE0, Classifier::Linear(Linear::new(FEATURES, outputs, device)), regularisation, device)
    }

    fn new(mut variant: Variant, classifier: Classifier, regularisation: Regularisation, device: &Device) -> Self {
        if let Some(rate) = regularisation.dropout {
            variant.dropout = [rate; 2];
        }
        if let Some(rate) = regularisation.stochastic_depth {
            variant.stochastic_depth = rate;
        }
        let norm = |channels| BatchNorm::new(channels, variant.norm, device);
        let conv_norm = |channels: [usize; 2], kernel, stride| {
            ConvNorm::new(Conv2d::new(channels, kernel, stride, variant.padding, device), norm(channels[1]))
        };
        let mut blocks = Vec::new();
        let mut input = STEM;
        for stage in &STAGES {
            for repeat in 0..stage.blocks {
                let stride = if repeat == 0 { stage.stride } else { 1 };
                let middle = input * stage.expand;
                // The squeeze is a quarter of the block's input, not of the expanded channels.
                let squeezed = input / 4;
                blocks.push(Block {
                    expand: (stage.expand != 1).then(|| conv_norm([input, middle], 1, 1)),
                    depthwise: DepthwiseNorm::new(
                        DepthwiseConv2d::new(middle, stage.kernel, stride, variant.padding, device),
                        norm(middle),
                    ),
                    gate: variant.gates.then(|| {
                        SqueezeExcite::new(Linear::new(middle, squeezed, device), Linear::new(squeezed, middle, device))
                    }),
                    project: conv_norm([middle, stage.output], 1, 1),
                    residual: stride == 1 && input == stage.output,
                });
                input = stage.output;
            }
        }
        Self { stem: conv_norm([3, STEM], 3, 2), blocks, head: conv_norm([input, FEATURES], 1, 1), classifier, variant }
    }

    /// Images `[batch, height, width, 3]` to the map before the resolution is halved for the last time,
    /// `[batch, height / 16, width / 16, 112]`, rounded up.
    #[must_use]
    pub fn early_map(&self, images: Tensor<4>, pass: Pass<'_>) -> Tensor<4> {
        let x = self.stem.forward(pass.round(images), None, self.variant.activation, pass);
        self.blocks(0..LAST_HALVING, x, pass)
    }

    /// From there to the last feature map, `[batch, height / 32, width / 32, 1280]`, rounded up.
    #[must_use]
    pub fn late_map(&self, map: Tensor<4>, pass: Pass<'_>) -> Tensor<4> {
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

    /// Features `[batch, 1280]` to logits `[batch, outputs]`.
    #[must_use]
    pub fn classify(&self, features: Tensor<2>, pass: Pass<'_>) -> Tensor<2> {
        let rates = self.variant.dropout;
        match &self.classifier {
            Classifier::Linear(linear) => {
                linear.forward(dropout(features, rates[0], "dropout", pass), None, Activation::Identity, pass)
            }
            Classifier::TwoStage(head) => {
                let x = head.shared.forward(features, Some(&head.norm), Activation::Relu, pass);
                let x = dropout(x, rates[0], "dropout of shared features", pass);
                let x = head.hidden.forward(x, None, Activation::Relu, pass);
                let x = dropout(x, rates[1], "dropout of hidden features", pass);
                head.output.forward(x, None, Activation::Identity, pass)
            }
        }
    }
}

impl EfficientNet {
    /// Adds the whole network to a plan and names its logits.
    pub(crate) fn plan(&self, planner: &mut Planner, images: Planned) -> Value {
        let activation = self.variant.activation;
        let mut x = self.stem.plan(planner, "stem", images, None, activation);
        for (index, block) in self.blocks.iter().enumerate() {
            x = block.plan(planner, &format!("blocks.{index}"), x, activation);
        }
        let x = self.head.plan(planner, "head", x, None, activation);
        let features = planner.pooled_features(x);
        let logits = match &self.classifier {
            Classifier::Linear(linear) => linear.plan(planner, "classifier", features, None, Activation::Identity),
            Classifier::TwoStage(head) => {
                let norm = Some(&head.norm);
                let x = head.shared.plan(planner, "classifier.shared", features, norm, Activation::Relu);
                let x = head.hidden.plan(planner, "classifier.hidden", x, None, Activation::Relu);
                head.output.plan(planner, "classifier.output", x, None, Activation::Identity)
            }
        };
        logits.value
    }

    /// Whether inference was made ready.
    pub(crate) fn is_folded(&self) -> bool {
        self.stem.is_folded()
    }

    /// Makes inference ready: from now on it computes with what the weights are now, in `precision`.
    pub(crate) fn fold(&mut self, precision: Precision) {
        self.stem.fold(precision);
        self.head.fold(precision);
        for block in &mut self.blocks {
            block.expand.iter_mut().for_each(|expand| expand.fold(precision));
            block.depthwise.fold(precision);
            block.gate.iter_mut().for_each(SqueezeExcite::fold);
            block.project.fold(precision);
        }
        match &mut self.classifier {
            Classifier::Linear(linear) => linear.fold(None, precision),
            Classifier::TwoStage(head) => {
                head.shared.fold(Some(&head.norm), precision);
                head.hidden.fold(None, precision);
                head.output.fold(None, precision);
            }
        }
    }
}

struct DropBlock {
    index: usize,
    rate: f64,
}

/// Inverted residual: expand, filter each channel, gate, project back, add the input where shapes allow.
#[derive(Module, Debug)]
struct Block {
    expand: Option<ConvNorm>,
    depthwise: DepthwiseNorm,
    gate: Option<SqueezeExcite>,
    project: ConvNorm,
    residual: bool,
}

impl Block {
    fn forward(&self, input: Tensor<4>, activation: Activation, drop: DropBlock, pass: Pass<'_>) -> Tensor<4> {
        // Where there is none, the expansion is the last that holds the input, and its memory goes on.
        let shortcut = self.residual.then(|| input.clone());
        let mut x = match &self.expand {
            Some(expand) => self.depthwise.forward_expanded(expand, input, activation, pass),
            None => self.depthwise.forward(input, activation, pass),
        };
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
}

impl Block {
    fn plan(&self, planner: &mut Planner, name: &str, input: Planned, activation: Activation) -> Planned {
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

/// Stage and place within it of the block at `index`, and whether the block expands.
fn place(index: usize) -> (usize, usize, bool) {
    let mut first = 0;
    for (number, stage) in STAGES.iter().enumerate() {
        if index < first + stage.blocks {
            return (number, index - first, stage.expand != 1);
        }
        first += stage.blocks;
    }
    (STAGES.len(), index - first, true)
}

/// Splits `blocks.7.project.conv.weight` into block 7 and `project.conv.weight`.
fn block_path(path: &str) -> Option<(usize, &str)> {
    let (index, rest) = path.strip_prefix("blocks.")?.split_once('.')?;
    Some((index.parse().ok()?, rest))
}

/// The first of `renames` whose left side begins `path`, replaced by its right side.
fn renamed(path: &str, renames: &[(&str, &str)]) -> String {
    for (ours, theirs) in renames {
        if let Some(rest) = path.strip_prefix(ours) {
            return format!("{theirs}{rest}");
        }
    }
    path.to_owned()
}

/// Keys of the original's model: torchvision's network as `backbone`, then its own head.
pub(crate) fn original_key(path: &str) -> String {
    const HEAD: [(&str, &str); 4] = [
        ("classifier.TwoStage.shared.", "shared_features.0."),
        ("classifier.TwoStage.norm.", "shared_features.1."),
        ("classifier.TwoStage.hidden.", "classifier.0."),
        ("classifier.TwoStage.output.", "classifier.3."),
    ];
    if path.starts_with("classifier.") { renamed(path, &HEAD) } else { format!("backbone.{}", torchvision_key(path)) }
}

/// torchvision's keys.
pub(crate) fn torchvision_key(path: &str) -> String {
    let Some((index, rest)) = block_path(path) else {
        return renamed(
            path,
            &[
                ("stem.conv.", "features.0.0."),
                ("stem.norm.", "features.0.1."),
                ("head.conv.", "features.8.0."),
                ("head.norm.", "features.8.1."),
                ("classifier.Linear.", "classifier.1."),
                // The two-stage head as one `nn.Sequential` in torchvision's place for a classifier.
                ("classifier.TwoStage.shared.", "classifier.0."),
                ("classifier.TwoStage.norm.", "classifier.1."),
                ("classifier.TwoStage.hidden.", "classifier.4."),
                ("classifier.TwoStage.output.", "classifier.7."),
            ],
        );
    };
    let (stage, block, expands) = place(index);
    // A block that does not expand counts its layers from the depthwise convolution.
    let layer = usize::from(expands);
    let rest = renamed(
        rest,
        &[
            ("expand.conv.", "0.0."),
            ("expand.norm.", "0.1."),
            ("depthwise.conv.", &format!("{layer}.0.")),
            ("depthwise.norm.", &format!("{layer}.1.")),
            ("gate.reduce.", &format!("{}.fc1.", layer + 1)),
            ("gate.expand.", &format!("{}.fc2.", layer + 1)),
            ("project.conv.", &format!("{}.0.", layer + 2)),
            ("project.norm.", &format!("{}.1.", layer + 2)),
        ],
    );
    format!("features.{}.{block}.block.{rest}", stage + 1)
}

/// timm's keys (`efficientnet_b0`, `tf_efficientnet_lite0`).
pub(crate) fn timm_key(path: &str) -> String {
    let Some((index, rest)) = block_path(path) else {
        return renamed(
            path,
            &[
                ("stem.conv.", "conv_stem."),
                ("stem.norm.", "bn1."),
                ("head.conv.", "conv_head."),
                ("head.norm.", "bn2."),
                ("classifier.Linear.", "classifier."),
            ],
        );
    };
    let (stage, block, expands) = place(index);
    let (depthwise_norm, project, project_norm) =
        if expands { ("bn2.", "conv_pwl.", "bn3.") } else { ("bn1.", "conv_pw.", "bn2.") };
    let rest = renamed(
        rest,
        &[
            ("expand.conv.", "conv_pw."),
            ("expand.norm.", "bn1."),
            ("depthwise.conv.", "conv_dw."),
            ("depthwise.norm.", depthwise_norm),
            ("gate.reduce.", "se.conv_reduce."),
            ("gate.expand.", "se.conv_expand."),
            ("project.conv.", project),
            ("project.norm.", project_norm),
        ],
    );
    format!("blocks.{stage}.{block}.{rest}")
}

/// Keys of the `EfficientNet-PyTorch` family, in which Lite0's ImageNet weights are published.
pub(crate) fn efficientnet_pytorch_key(path: &str) -> String {
    let Some((index, rest)) = block_path(path) else {
        return renamed(
            path,
            &[
                ("stem.conv.", "_conv_stem."),
                ("stem.norm.", "_bn0."),
                ("head.conv.", "_conv_head."),
                ("head.norm.", "_bn1."),
                ("classifier.Linear.", "_fc."),
            ],
        );
    };
    let rest = renamed(
        rest,
        &[
            ("expand.conv.", "_expand_conv."),
            ("expand.norm.", "_bn0."),
            ("depthwise.conv.", "_depthwise_conv."),
            ("depthwise.norm.", "_bn1."),
            ("gate.reduce.", "_se_reduce."),
            ("gate.expand.", "_se_expand."),
            ("project.conv.", "_project_conv."),
            ("project.norm.", "_bn2."),
        ],
    );
    format!("_blocks.{index}.{rest}")
}
