//! The residual networks and the names of their published weights.

use burn::tensor::Device;

use super::descriptor::Descriptor;
use crate::layers::Regularisation;
use crate::naming::Naming;
use crate::network::Network;
use crate::resnet::{ResNet, Variant};

const RESNET18_VARIANT: Variant = Variant { blocks: [2, 2, 2, 2], bottleneck: false };
const RESNET34_VARIANT: Variant = Variant { blocks: [3, 4, 6, 3], bottleneck: false };
const RESNET50_VARIANT: Variant = Variant { blocks: [3, 4, 6, 3], bottleneck: true };

pub(crate) static RESNET18: Descriptor = descriptor(
    "resnet18",
    |outputs, _, device| zeroed(&RESNET18_VARIANT, outputs, device),
    |outputs| python("resnet18", outputs),
);

pub(crate) static RESNET34: Descriptor = descriptor(
    "resnet34",
    |outputs, _, device| zeroed(&RESNET34_VARIANT, outputs, device),
    |outputs| python("resnet34", outputs),
);

pub(crate) static RESNET50: Descriptor = descriptor(
    "resnet50",
    |outputs, _, device| zeroed(&RESNET50_VARIANT, outputs, device),
    |outputs| python("resnet50", outputs),
);

const fn descriptor(
    name: &'static str,
    zeroed: fn(usize, Regularisation, &Device) -> Network,
    python: fn(usize) -> String,
) -> Descriptor {
    Descriptor {
        name,
        zeroed,
        is_regularised: false,
        // timm uses torchvision's names.
        namings: &[Naming::Torchvision],
        key: |_, path| torchvision_key(path),
        stream: str::to_owned,
        output_weight: "fc.weight",
        python,
        python_naming: Naming::Torchvision,
    }
}

fn zeroed(variant: &Variant, outputs: usize, device: &Device) -> Network {
    Network::ResNet(ResNet::new(variant, outputs, device))
}

fn python(function: &str, outputs: usize) -> String {
    format!("model = torchvision.models.{function}(num_classes={outputs})")
}

/// The key in torchvision and timm of the parameter at `path` of the module tree.
fn torchvision_key(path: &str) -> String {
    let renamed = |path: &str| {
        path.replace("downsample.conv.", "downsample.0.")
            .replace("downsample.norm.", "downsample.1.")
            .replace("stem.conv.", "conv1.")
            .replace("stem.norm.", "bn1.")
            .replace("first.conv.", "conv1.")
            .replace("first.norm.", "bn1.")
            .replace("second.conv.", "conv2.")
            .replace("second.norm.", "bn2.")
            .replace("third.conv.", "conv3.")
            .replace("third.norm.", "bn3.")
    };
    let Some(rest) = path.strip_prefix("stages.") else { return renamed(path) };
    let (stage, rest) = rest.split_once('.').unwrap_or((rest, ""));
    let stage = stage.parse::<usize>().map_or(0, |stage| stage + 1);
    format!("layer{stage}.{}", renamed(rest))
}
