//! The networks: images to logits, with gradients.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::architecture::{Architecture, Regularisation};
use crate::efficientnet::EfficientNet;
use crate::layers::Pass;
use crate::ops;
use crate::plan::{Plan, Planner};
use crate::resnet::ResNet;

/// Everything that decides a network's shape and its random layers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// The network.
    pub architecture: Architecture,
    /// The number of logits, one for each attribute.
    pub outputs: usize,
    /// Dropout rate of the classifier, in [0, 1); absent: the network's own. ResNet-18 has none to set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropout: Option<f64>,
    /// Stochastic depth rate of the last block, in [0, 1); absent: the network's own. ResNet-18 has none to set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stochastic_depth: Option<f64>,
}

impl NetworkConfig {
    /// `architecture` with its own rates of dropout and stochastic depth.
    #[must_use]
    pub fn new(architecture: Architecture, outputs: usize) -> Self {
        Self { architecture, outputs, dropout: None, stochastic_depth: None }
    }

    /// The network on `device`, its parameters drawn from `seed` as torchvision draws them: convolutions from Kaiming's
    /// normal distribution over the fan-out (He et al., 2015), linear layers uniformly within `1 / sqrt(inputs)`, norms the
    /// identity.
    #[must_use]
    pub fn init(&self, seed: u64, device: &Device) -> Network {
        self.zeroed(device).initialised(seed, self.architecture)
    }

    /// The network with zero filters, to be filled from a file.
    pub(crate) fn zeroed(&self, device: &Device) -> Network {
        let regularisation = Regularisation { dropout: self.dropout, stochastic_depth: self.stochastic_depth };
        (self.architecture.descriptor().zeroed)(self.outputs, regularisation, device)
    }
}

/// A network of one of the families.
#[allow(clippy::large_enum_variant, reason = "a process holds one or two, and every tensor lies on the heap anyway")]
#[derive(Module, Debug)]
pub enum Network {
    /// Residual networks.
    ResNet(ResNet),
    /// EfficientNets.
    EfficientNet(EfficientNet),
}

/// Evaluates an expression for the network of whichever family.
macro_rules! with_family {
    ($network:expr, $family:ident => $body:expr) => {
        match $network {
            Network::ResNet($family) => $body,
            Network::EfficientNet($family) => $body,
        }
    };
}

impl Network {
    /// Normalised images `[batch, height, width, 3]` to logits `[batch, outputs]`.
    ///
    /// Height and width are at least 32 and need not be equal.
    #[must_use]
    pub fn forward(&self, images: Tensor<4>, pass: Pass<'_>) -> Tensor<2> {
        self.classify(self.features(images, pass), pass)
    }

    /// The backbone: normalised images `[batch, height, width, 3]` to features `[batch, features]`.
    #[must_use]
    pub fn features(&self, images: Tensor<4>, pass: Pass<'_>) -> Tensor<2> {
        pass.round(ops::global_average_pool(self.feature_map(images, pass)))
    }

    /// The output of the backbone's last convolution for normalised images `[batch, height, width, 3]`: a map of a 32nd of
    /// their height and width, rounded up, whose mean over the positions is the [`features`](Self::features).
    #[must_use]
    pub fn feature_map(&self, images: Tensor<4>, pass: Pass<'_>) -> Tensor<4> {
        self.late_map(self.early_map(images, pass), pass)
    }

    /// The map before the resolution is halved for the last time: a 16th of the height and width of normalised images
    /// `[batch, height, width, 3]`, rounded up.
    #[must_use]
    pub fn early_map(&self, images: Tensor<4>, pass: Pass<'_>) -> Tensor<4> {
        with_family!(self, network => network.early_map(images, pass))
    }

    /// The [`feature_map`](Self::feature_map) from the [`early_map`](Self::early_map).
    #[must_use]
    pub fn late_map(&self, map: Tensor<4>, pass: Pass<'_>) -> Tensor<4> {
        with_family!(self, network => network.late_map(map, pass))
    }

    /// The classifier: features `[batch, features]` to logits `[batch, outputs]`, in f32 whatever the pass computes in.
    #[must_use]
    pub fn classify(&self, features: Tensor<2>, pass: Pass<'_>) -> Tensor<2> {
        ops::float32(with_family!(self, network => network.classify(features, pass)))
    }

    /// [`forward`](Self::forward) at inference as data, for images of this height and width, each at least 32.
    #[must_use]
    pub fn plan(&self, size: [usize; 2]) -> Plan {
        let (mut planner, images) = Planner::new(size);
        with_family!(self, network => network.plan(&mut planner, images));
        planner.finish()
    }
}
