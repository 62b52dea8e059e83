//! The EfficientNets and the names of their published weights.

use burn::tensor::Device;

use super::descriptor::Descriptor;
use crate::efficientnet::{EfficientNet, Variant};
use crate::layers::{NormConfig, PaddingRule, Regularisation};
use crate::naming::Naming;
use crate::network::Network;
use crate::ops::Activation;

const B0_VARIANT: Variant = Variant {
    width: 1.0,
    depth: 1.0,
    fixed_ends: false,
    activation: Activation::Silu,
    norm: NormConfig { epsilon: 1e-5, momentum: 0.1 },
    padding: PaddingRule::Symmetric,
    squeeze_excite: true,
    two_stage_head: true,
    dropout: [0.3, 0.2],
    stochastic_depth: 0.2,
};
const B1_VARIANT: Variant = Variant { depth: 1.1, two_stage_head: false, dropout: [0.2, 0.0], ..B0_VARIANT };
const B2_VARIANT: Variant = Variant { width: 1.1, depth: 1.2, dropout: [0.3, 0.0], ..B1_VARIANT };
const B3_VARIANT: Variant = Variant { width: 1.2, depth: 1.4, ..B2_VARIANT };

/// The published weights expect TensorFlow's padding, epsilon and momentum.
const LITE0_VARIANT: Variant = Variant {
    width: 1.0,
    depth: 1.0,
    fixed_ends: true,
    activation: Activation::Relu6,
    norm: NormConfig { epsilon: 1e-3, momentum: 0.01 },
    padding: PaddingRule::Same,
    squeeze_excite: false,
    two_stage_head: false,
    dropout: [0.2, 0.0],
    stochastic_depth: 0.2,
};
const LITE1_VARIANT: Variant = Variant { depth: 1.1, ..LITE0_VARIANT };
const LITE2_VARIANT: Variant = Variant { width: 1.1, depth: 1.2, dropout: [0.3, 0.0], ..LITE0_VARIANT };
const LITE3_VARIANT: Variant = Variant { width: 1.2, depth: 1.4, ..LITE2_VARIANT };
const LITE4_VARIANT: Variant = Variant { width: 1.4, depth: 1.8, ..LITE2_VARIANT };

pub(crate) static B0: Descriptor = Descriptor {
    name: "efficientnet-b0",
    zeroed: |outputs, regularisation, device| zeroed(&B0_VARIANT, outputs, regularisation, device),
    is_regularised: true,
    namings: &[Naming::Original, Naming::Torchvision, Naming::Timm],
    key: |naming, path| key(&B0_VARIANT, naming, path),
    stream: |path| path.replace("classifier.", "classifier.TwoStage."),
    output_weight: "classifier.output.weight",
    // The two-stage head replaces torchvision's classifier.
    python: |outputs| {
        format!(
            "model = torchvision.models.efficientnet_b0()\nmodel.classifier = nn.Sequential(nn.Linear(1280, 512), \
             nn.BatchNorm1d(512), nn.ReLU(), nn.Dropout(0.3), nn.Linear(512, 256), nn.ReLU(), nn.Dropout(0.2), \
             nn.Linear(256, {outputs}))"
        )
    },
    python_naming: Naming::Torchvision,
};

pub(crate) static B1: Descriptor = descriptor(
    "efficientnet-b1",
    &[Naming::Torchvision, Naming::Timm],
    |outputs, regularisation, device| zeroed(&B1_VARIANT, outputs, regularisation, device),
    |naming, path| key(&B1_VARIANT, naming, path),
    |outputs| torchvision("efficientnet_b1", outputs),
);

pub(crate) static B2: Descriptor = descriptor(
    "efficientnet-b2",
    &[Naming::Torchvision, Naming::Timm],
    |outputs, regularisation, device| zeroed(&B2_VARIANT, outputs, regularisation, device),
    |naming, path| key(&B2_VARIANT, naming, path),
    |outputs| torchvision("efficientnet_b2", outputs),
);

pub(crate) static B3: Descriptor = descriptor(
    "efficientnet-b3",
    &[Naming::Torchvision, Naming::Timm],
    |outputs, regularisation, device| zeroed(&B3_VARIANT, outputs, regularisation, device),
    |naming, path| key(&B3_VARIANT, naming, path),
    |outputs| torchvision("efficientnet_b3", outputs),
);

pub(crate) static LITE0: Descriptor = descriptor(
    "efficientnet-lite0",
    &[Naming::Timm, Naming::EfficientNetPytorch],
    |outputs, regularisation, device| zeroed(&LITE0_VARIANT, outputs, regularisation, device),
    |naming, path| key(&LITE0_VARIANT, naming, path),
    |outputs| timm("tf_efficientnet_lite0", outputs),
);

pub(crate) static LITE1: Descriptor = descriptor(
    "efficientnet-lite1",
    &[Naming::Timm, Naming::EfficientNetPytorch],
    |outputs, regularisation, device| zeroed(&LITE1_VARIANT, outputs, regularisation, device),
    |naming, path| key(&LITE1_VARIANT, naming, path),
    |outputs| timm("tf_efficientnet_lite1", outputs),
);

pub(crate) static LITE2: Descriptor = descriptor(
    "efficientnet-lite2",
    &[Naming::Timm, Naming::EfficientNetPytorch],
    |outputs, regularisation, device| zeroed(&LITE2_VARIANT, outputs, regularisation, device),
    |naming, path| key(&LITE2_VARIANT, naming, path),
    |outputs| timm("tf_efficientnet_lite2", outputs),
);

pub(crate) static LITE3: Descriptor = descriptor(
    "efficientnet-lite3",
    &[Naming::Timm, Naming::EfficientNetPytorch],
    |outputs, regularisation, device| zeroed(&LITE3_VARIANT, outputs, regularisation, device),
    |naming, path| key(&LITE3_VARIANT, naming, path),
    |outputs| timm("tf_efficientnet_lite3", outputs),
);

pub(crate) static LITE4: Descriptor = descriptor(
    "efficientnet-lite4",
    &[Naming::Timm, Naming::EfficientNetPytorch],
    |outputs, regularisation, device| zeroed(&LITE4_VARIANT, outputs, regularisation, device),
    |naming, path| key(&LITE4_VARIANT, naming, path),
    |outputs| timm("tf_efficientnet_lite4", outputs),
);

/// A network with the library's own classifier: dropout and a linear layer.
const fn descriptor(
    name: &'static str,
    namings: &'static [Naming],
    zeroed: fn(usize, Regularisation, &Device) -> Network,
    key: fn(Naming, &str) -> String,
    python: fn(usize) -> String,
) -> Descriptor {
    Descriptor {
        name,
        zeroed,
        is_regularised: true,
        namings,
        key,
        stream: |path| path.replace("classifier.output.", "classifier.Linear."),
        output_weight: "classifier.output.weight",
        python,
        python_naming: namings[0],
    }
}

fn zeroed(variant: &Variant, outputs: usize, regularisation: Regularisation, device: &Device) -> Network {
    Network::EfficientNet(EfficientNet::new(variant, outputs, regularisation, device))
}

fn torchvision(function: &str, outputs: usize) -> String {
    format!("model = torchvision.models.{function}(num_classes={outputs})")
}

fn timm(name: &str, outputs: usize) -> String {
    format!("model = timm.create_model(\"{name}\", num_classes={outputs})")
}

fn key(variant: &Variant, naming: Naming, path: &str) -> String {
    match naming {
        Naming::Original => original_key(variant, path),
        Naming::Torchvision => torchvision_key(variant, path),
        Naming::Timm => timm_key(variant, path),
        Naming::EfficientNetPytorch => efficientnet_pytorch_key(path),
    }
}

/// Splits `blocks.7.project.conv.weight` into block 7 and `project.conv.weight`.
pub(super) fn block_path(path: &str) -> Option<(usize, &str)> {
    let (index, rest) = path.strip_prefix("blocks.")?.split_once('.')?;
    Some((index.parse().ok()?, rest))
}

/// `path` with its prefix replaced by the first of `renames` that matches.
pub(super) fn renamed(path: &str, renames: &[(&str, &str)]) -> String {
    for (from, to) in renames {
        if let Some(rest) = path.strip_prefix(from) {
            return format!("{to}{rest}");
        }
    }
    path.to_owned()
}

/// Keys of the original write-up's model: torchvision's network as `backbone`, then its own head.
fn original_key(variant: &Variant, path: &str) -> String {
    const HEAD: [(&str, &str); 4] = [
        ("classifier.shared.", "shared_features.0."),
        ("classifier.norm.", "shared_features.1."),
        ("classifier.hidden.", "classifier.0."),
        ("classifier.output.", "classifier.3."),
    ];
    if path.starts_with("classifier.") {
        renamed(path, &HEAD)
    } else {
        format!("backbone.{}", torchvision_key(variant, path))
    }
}

fn torchvision_key(variant: &Variant, path: &str) -> String {
    let Some((index, rest)) = block_path(path) else {
        return renamed(
            path,
            &[
                ("stem.conv.", "features.0.0."),
                ("stem.norm.", "features.0.1."),
                ("head.conv.", "features.8.0."),
                ("head.norm.", "features.8.1."),
                // The two-stage head is one `nn.Sequential` in place of torchvision's classifier.
                ("classifier.shared.", "classifier.0."),
                ("classifier.norm.", "classifier.1."),
                ("classifier.hidden.", "classifier.4."),
                ("classifier.output.", if variant.two_stage_head { "classifier.7." } else { "classifier.1." }),
            ],
        );
    };
    let (stage, block, expands) = variant.block_position(index);
    // In a block that does not expand, the depthwise convolution is layer 0.
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

/// timm's keys (`efficientnet_b0`, `tf_efficientnet_lite0` and so on).
fn timm_key(variant: &Variant, path: &str) -> String {
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
    let (stage, block, expands) = variant.block_position(index);
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

/// Keys of the `EfficientNet-PyTorch` family.
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
