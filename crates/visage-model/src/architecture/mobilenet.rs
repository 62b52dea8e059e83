//! The MobileNets and the names of their published weights.

use super::descriptor::Descriptor;
use super::efficientnet::{block_path, renamed};
use crate::mobilenet::{BLOCKS, MobileNet};
use crate::naming::Naming;
use crate::network::Network;

pub(crate) static V3_LARGE: Descriptor = Descriptor {
    name: "mobilenet-v3-large",
    zeroed: |outputs, regularisation, device| Network::MobileNet(MobileNet::new(outputs, regularisation, device)),
    is_regularised: true,
    // timm's `mobilenetv3_large_100` has another epsilon, and other weights for it.
    namings: &[Naming::Torchvision],
    key: |_, path| torchvision_key(path),
    stream: str::to_owned,
    output_weight: "classifier.output.weight",
    python: |outputs| format!("model = torchvision.models.mobilenet_v3_large(num_classes={outputs})"),
    python_naming: Naming::Torchvision,
};

/// The key in torchvision of the parameter at `path` of the module tree.
fn torchvision_key(path: &str) -> String {
    let Some((index, rest)) = block_path(path) else {
        return renamed(
            path,
            &[
                ("stem.conv.", "features.0.0."),
                ("stem.norm.", "features.0.1."),
                ("head.conv.", "features.16.0."),
                ("head.norm.", "features.16.1."),
                ("classifier.hidden.", "classifier.0."),
                ("classifier.output.", "classifier.3."),
            ],
        );
    };
    // Layers that a block does not have are not counted.
    let depthwise = usize::from(BLOCKS[index].expands());
    let project = depthwise + 1 + usize::from(BLOCKS[index].gated);
    let rest = renamed(
        rest,
        &[
            ("expand.conv.", "0.0."),
            ("expand.norm.", "0.1."),
            ("depthwise.conv.", &format!("{depthwise}.0.")),
            ("depthwise.norm.", &format!("{depthwise}.1.")),
            ("gate.reduce.", &format!("{}.fc1.", depthwise + 1)),
            ("gate.expand.", &format!("{}.fc2.", depthwise + 1)),
            ("project.conv.", &format!("{project}.0.")),
            ("project.norm.", &format!("{project}.1.")),
        ],
    );
    format!("features.{}.block.{rest}", index + 1)
}
