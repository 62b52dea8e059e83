//! EfficientNets (Tan & Le, 2019): B0 as torchvision builds it, with the two-stage head of the original write-up, and
//! Lite0 (Google, 2020), its relative without squeeze and excitation for small devices.

use std::ops::Range;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::architecture::{Descriptor, PythonNetwork, Regularisation};
use crate::layers::{
    BatchNorm, Conv2d, ConvNorm, DepthwiseConv2d, DepthwiseNorm, Linear, NormConfig, PaddingRule, Pass, SqueezeExcite,
    dropout, stochastic_depth,
};
use crate::network::Network;
use crate::ops::Activation;
use crate::plan::{Node, Planner};
use crate::state::Naming;

/// EfficientNet-B0 with the two-stage head.
pub(crate) static B0: Descriptor = Descriptor {
    name: "efficientnet-b0",
    zeroed: |outputs, regularisation, device| {
        Network::EfficientNet(EfficientNet::new(&B0_VARIANT, outputs, regularisation, device))
    },
    is_regularised: true,
    namings: &[Naming::Original, Naming::Torchvision, Naming::Timm],
    key,
    stream: |path| path.replace("classifier.", "classifier.TwoStage."),
    output_weight: "classifier.output.weight",
    python: PythonNetwork {
        naming: Naming::Torchvision,
        // The two-stage head takes the place of torchvision's classifier.
        code: |outputs| {
            format!(
                "model = torchvision.models.efficientnet_b0()\nmodel.classifier = nn.Sequential(nn.Linear(1280, 512), \
                 nn.BatchNorm1d(512), nn.ReLU(), nn.Dropout(0.3), nn.Linear(512, 256), nn.ReLU(), nn.Dropout(0.2), \
                 nn.Linear(256, {outputs}))"
            )
        },
    },
};

/// EfficientNet-Lite0 with a linear classifier.
pub(crate) static LITE0: Descriptor = Descriptor {
    name: "efficientnet-lite0",
    zeroed: |outputs, regularisation, device| {
        Network::EfficientNet(EfficientNet::new(&LITE0_VARIANT, outputs, regularisation, device))
    },
    is_regularised: true,
    namings: &[Naming::Timm, Naming::EfficientNetPytorch],
    key,
    stream: |path| path.replace("classifier.output.", "classifier.Linear."),
    output_weight: "classifier.output.weight",
    python: PythonNetwork {
        naming: Naming::Timm,
        code: |outputs| format!("model = timm.create_model(\"tf_efficientnet_lite0\", num_classes={outputs})"),
    },
};

/// A stage of inverted residual blocks; the first block strides, the rest keep the size.
struct Stage {
    /// Factor from the block's input channels to its expanded ones.
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

/// The first of the blocks behind the last halving of the resolution.
const LAST_HALVING: usize =
    STAGES[0].blocks + STAGES[1].blocks + STAGES[2].blocks + STAGES[3].blocks + STAGES[4].blocks;

const STEM: usize = 32;
const FEATURES: usize = 1280;
/// Widths of the two-stage head.
const SHARED: usize = 512;
const HIDDEN: usize = 256;

/// The properties in which the networks differ.
#[derive(Clone, Copy, Debug)]
struct Variant {
    activation: Activation,
    norm: NormConfig,
    padding: PaddingRule,
    squeeze_excite: bool,
    two_stage_head: bool,
    /// Dropout rates before the linear layers of the classifier.
    dropout: [f64; 2],
    stochastic_depth: f64,
}

const B0_VARIANT: Variant = Variant {
    activation: Activation::Silu,
    norm: NormConfig { epsilon: 1e-5, momentum: 0.1 },
    padding: PaddingRule::Symmetric,
    squeeze_excite: true,
    two_stage_head: true,
    dropout: [0.3, 0.2],
    stochastic_depth: 0.2,
};

/// TensorFlow's padding, epsilon and momentum, which the published weights expect.
const LITE0_VARIANT: Variant = Variant {
    activation: Activation::Relu6,
    norm: NormConfig { epsilon: 1e-3, momentum: 0.01 },
    padding: PaddingRule::Same,
    squeeze_excite: false,
    two_stage_head: false,
    dropout: [0.2, 0.0],
    stochastic_depth: 0.2,
};

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
    fn new(variant: &Variant, outputs: usize, regularisation: Regularisation, device: &Device) -> Self {
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

    /// Images `[batch, height, width, 3]` to the map before the resolution is halved for the last time,
    /// `[batch, height / 16, width / 16, 112]`, rounded up.
    pub(crate) fn early_map(&self, images: Tensor<4>, pass: Pass<'_>) -> Tensor<4> {
        let x = self.stem.forward(pass.round(images), None, self.variant.activation, pass);
        self.blocks(0..LAST_HALVING, x, pass)
    }

    /// From there to the last feature map, `[batch, height / 32, width / 32, 1280]`, rounded up.
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

    /// Features `[batch, 1280]` to logits `[batch, outputs]`.
    pub(crate) fn classify(&self, features: Tensor<2>, pass: Pass<'_>) -> Tensor<2> {
        self.classifier.forward(features, self.variant.dropout, pass)
    }

    /// Adds the forward pass to a plan.
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
        let conv = Conv2d::new(channels, kernel, stride, self.padding, device);
        ConvNorm::new(conv, BatchNorm::new(channels[1], self.norm, device))
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

/// Inverted residual: expand, filter each channel, squeeze and excite, project back, add the input where shapes allow.
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
        // The squeeze is a quarter of the block's input, not of the expanded channels.
        let squeezed = input / 4;
        Self {
            expand: (expand != 1).then(|| variant.conv_norm([input, middle], 1, 1, device)),
            depthwise: DepthwiseNorm::new(
                DepthwiseConv2d::new(middle, kernel, stride, variant.padding, device),
                BatchNorm::new(middle, variant.norm, device),
            ),
            gate: variant.squeeze_excite.then(|| {
                SqueezeExcite::new(Linear::new(middle, squeezed, device), Linear::new(squeezed, middle, device))
            }),
            project: variant.conv_norm([middle, output], 1, 1, device),
            residual: stride == 1 && input == output,
        }
    }

    fn forward(&self, input: Tensor<4>, activation: Activation, drop: DropBlock, pass: Pass<'_>) -> Tensor<4> {
        // Without a shortcut the expansion holds the input last, and its memory is reused.
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

/// The key in a naming of the parameter at `path` of the module tree.
fn key(naming: Naming, path: &str) -> String {
    match naming {
        Naming::Original => original_key(path),
        Naming::Torchvision => torchvision_key(path),
        Naming::Timm => timm_key(path),
        Naming::EfficientNetPytorch => efficientnet_pytorch_key(path),
    }
}

/// The stage of the block at `index`, its position in the stage, and whether it expands.
fn position(index: usize) -> (usize, usize, bool) {
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

/// Keys of the original write-up's model: torchvision's network as `backbone`, then its own head.
fn original_key(path: &str) -> String {
    const HEAD: [(&str, &str); 4] = [
        ("classifier.shared.", "shared_features.0."),
        ("classifier.norm.", "shared_features.1."),
        ("classifier.hidden.", "classifier.0."),
        ("classifier.output.", "classifier.3."),
    ];
    if path.starts_with("classifier.") { renamed(path, &HEAD) } else { format!("backbone.{}", torchvision_key(path)) }
}

/// torchvision's keys.
fn torchvision_key(path: &str) -> String {
    let Some((index, rest)) = block_path(path) else {
        return renamed(
            path,
            &[
                ("stem.conv.", "features.0.0."),
                ("stem.norm.", "features.0.1."),
                ("head.conv.", "features.8.0."),
                ("head.norm.", "features.8.1."),
                // The two-stage head as one `nn.Sequential` in the place of torchvision's classifier.
                ("classifier.shared.", "classifier.0."),
                ("classifier.norm.", "classifier.1."),
                ("classifier.hidden.", "classifier.4."),
                ("classifier.output.", "classifier.7."),
            ],
        );
    };
    let (stage, block, expands) = position(index);
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
fn timm_key(path: &str) -> String {
    let Some((index, rest)) = block_path(path) else {
        return renamed(
            path,
            &[
                ("stem.conv.", "conv_stem."),
                ("stem.norm.", "bn1."),
                ("head.conv.", "conv_head."),
                ("head.norm.", "bn2."),
                ("classifier.output.", "classifier."),
            ],
        );
    };
    let (stage, block, expands) = position(index);
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
fn efficientnet_pytorch_key(path: &str) -> String {
    let Some((index, rest)) = block_path(path) else {
        return renamed(
            path,
            &[
                ("stem.conv.", "_conv_stem."),
                ("stem.norm.", "_bn0."),
                ("head.conv.", "_conv_head."),
                ("head.norm.", "_bn1."),
                ("classifier.output.", "_fc."),
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
