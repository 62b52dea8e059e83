//! The depth of each parameter of a network, for layer-wise learning rates.

use crate::network::Network;

/// The layers of a network, counted as in timm: the stem, then every block, then the convolution after the blocks if there is
/// one, then the classifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Depths {
    /// The common path prefix of each layer's parameters, in the order of the forward pass.
    layers: Vec<String>,
}

impl Depths {
    /// The layers of `network`.
    pub fn of(network: &Network) -> Self {
        let mut layers: Vec<String> = Vec::new();
        network.for_each(|path, _, _| {
            let layer = layer(path);
            if layers.last().is_none_or(|last| last != layer) {
                layers.push(layer.to_owned());
            }
        });
        Self { layers }
    }

    /// The number of layers.
    pub fn count(&self) -> usize {
        self.layers.len()
    }

    /// The layer, counted from 0, of the parameter at `path` of the module tree.
    pub fn at(&self, path: &str) -> usize {
        self.layers.iter().position(|known| known == layer(path)).unwrap_or_default()
    }
}

/// The prefix of a path that names its layer: the first part and the numbers after it, such as `stages.0.1`.
fn layer(path: &str) -> &str {
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let mut end = path.find('.').unwrap_or(path.len());
    while let Some(part) = path.get(end + 1..).and_then(|rest| rest.split('.').next()).filter(|part| is_number(part)) {
        end += 1 + part.len();
    }
    &path[..end]
}

/// Whether the parameter at `path` of the module tree belongs to the classifier. All others belong to the backbone.
pub(crate) fn is_classifier(path: &str) -> bool {
    path.starts_with("fc.") || path.starts_with("classifier.")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use burn::tensor::Device;

    use super::*;
    use crate::architecture::Architecture;
    use crate::network_config::NetworkConfig;

    #[test]
    fn every_layer_has_parameters_and_the_classifier_is_last() {
        for architecture in Architecture::ALL {
            let network = NetworkConfig::new(architecture, 3).init(0, &Device::flex());
            let depths = Depths::of(&network);
            let mut found = BTreeSet::new();
            network.for_each(|path, _, _| {
                found.insert(depths.at(path));
                assert_eq!(is_classifier(path), depths.at(path) == depths.count() - 1, "{path}");
            });
            assert_eq!(found, (0..depths.count()).collect(), "{architecture}");
        }
    }

    #[test]
    fn layers_are_counted_in_the_order_of_the_forward_pass() {
        let depths = |architecture| Depths::of(&NetworkConfig::new(architecture, 3).init(0, &Device::flex()));
        let resnet = &depths(Architecture::ResNet18);
        let efficientnet = &depths(Architecture::EfficientNetB0);
        for (depths, path, layer) in [
            (resnet, "stem.conv.weight", 0),
            (resnet, "stages.0.1.second.norm.bias", 2),
            (resnet, "stages.3.0.downsample.conv.weight", 7),
            (resnet, "fc.bias", 9),
            (efficientnet, "stem.norm.weight", 0),
            (efficientnet, "blocks.15.gate.reduce.weight", 16),
            (efficientnet, "head.conv.weight", 17),
            (efficientnet, "classifier.norm.weight", 18),
        ] {
            assert_eq!(depths.at(path), layer, "{path}");
        }
    }
}
