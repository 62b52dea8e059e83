//! How far from the image each parameter of a network is, which is what layer-wise learning rates go by.

use crate::network::Network;

/// The layers of a network, counted as timm counts them: the stem is the first, then one a block, the head's
/// convolution where there is one, and the classifier last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depths {
    blocks: usize,
    /// Whether a convolution lies between the last block and the classifier.
    head: bool,
}

impl Depths {
    /// Those of `network`.
    #[must_use]
    pub fn of(network: &Network) -> Self {
        match network {
            Network::ResNet18(_) => Self { blocks: 8, head: false },
            Network::EfficientNet(_) => Self { blocks: 16, head: true },
        }
    }

    /// How many layers there are.
    #[must_use]
    pub fn count(self) -> usize {
        1 + self.blocks + usize::from(self.head) + 1
    }

    /// The layer, from 0, of the parameter at `path` of the module tree.
    #[must_use]
    pub fn at(self, path: &str) -> usize {
        let number = |text: Option<&str>| text.and_then(|text| text.parse::<usize>().ok()).unwrap_or_default();
        let mut parts = path.split('.');
        match parts.next() {
            Some("blocks") => 1 + number(parts.next()),
            // Every stage of ResNet-18 has two blocks.
            Some("stages") => 1 + 2 * number(parts.next()) + number(parts.next()),
            Some("head") => 1 + self.blocks,
            Some("fc" | "classifier") => self.count() - 1,
            _ => 0,
        }
    }
}

/// Whether the parameter at `path` of the module tree belongs to the head that answers the questions; every other is
/// the backbone's.
#[must_use]
pub fn is_classifier(path: &str) -> bool {
    path.starts_with("fc.") || path.starts_with("classifier.")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use burn::tensor::Device;

    use super::*;
    use crate::network::{Architecture, NetworkConfig};

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
    fn layers_are_counted_from_the_image() {
        let resnet = Depths { blocks: 8, head: false };
        let efficientnet = Depths { blocks: 16, head: true };
        for (depths, path, layer) in [
            (resnet, "conv1.weight", 0),
            (resnet, "stages.0.1.bn2.bias", 2),
            (resnet, "stages.3.0.downsample.conv.weight", 7),
            (resnet, "fc.bias", 9),
            (efficientnet, "stem.norm.weight", 0),
            (efficientnet, "blocks.15.gate.reduce.weight", 16),
            (efficientnet, "head.conv.weight", 17),
            (efficientnet, "classifier.TwoStage.norm.weight", 18),
        ] {
            assert_eq!(depths.at(path), layer, "{path}");
        }
    }
}
