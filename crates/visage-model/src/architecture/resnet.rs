//! The residual networks and the names of their published weights.

use super::descriptor::Descriptor;
use crate::naming::Naming;
use crate::network::Network;
use crate::resnet::ResNet;

pub(crate) static RESNET18: Descriptor = Descriptor {
    name: "resnet18",
    zeroed: |outputs, _, device| Network::ResNet(ResNet::new(outputs, device)),
    is_regularised: false,
    // timm uses torchvision's names.
    namings: &[Naming::Torchvision],
    key: |_, path| torchvision_key(path),
    stream: str::to_owned,
    output_weight: "fc.weight",
    python: |outputs| format!("model = torchvision.models.resnet18(num_classes={outputs})"),
    python_naming: Naming::Torchvision,
};

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
    };
    let Some(rest) = path.strip_prefix("stages.") else { return renamed(path) };
    let (stage, rest) = rest.split_once('.').unwrap_or((rest, ""));
    let stage = stage.parse::<usize>().map_or(0, |stage| stage + 1);
    format!("layer{stage}.{}", renamed(rest))
}
