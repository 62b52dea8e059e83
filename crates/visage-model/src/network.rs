//! The networks: images to logits, with gradients.

use burn::module::Module;
use burn::tensor::Tensor;

use crate::efficientnet::EfficientNet;
use crate::layers::Pass;
use crate::mobilenet::MobileNet;
use crate::ops;
use crate::plan::{Plan, Planner};
use crate::resnet::ResNet;

/// A network of one of the families.
#[allow(clippy::large_enum_variant, reason = "a process holds one or two")]
#[derive(Module, Debug)]
pub enum Network {
    /// Residual networks.
    ResNet(ResNet),
    /// EfficientNets.
    EfficientNet(EfficientNet),
    /// MobileNets.
    MobileNet(MobileNet),
}

/// Evaluates an expression with the network of the family.
macro_rules! with_family {
    ($network:expr, $family:ident => $body:expr) => {
        match $network {
            Network::ResNet($family) => $body,
            Network::EfficientNet($family) => $body,
            Network::MobileNet($family) => $body,
        }
    };
}

impl Network {
    /// The forward pass: from normalised images `[batch, height, width, 3]` to logits `[batch, outputs]`.
    ///
    /// Height and width are at least 32 and may differ.
    pub fn forward(&self, images: Tensor<4>, pass: Pass<'_>) -> Tensor<2> {
        self.classify(self.features(images, pass), pass)
    }

    /// The backbone: from normalised images `[batch, height, width, 3]` to features `[batch, features]`.
    pub fn features(&self, images: Tensor<4>, pass: Pass<'_>) -> Tensor<2> {
        pass.round(ops::global_average_pool(self.feature_map(images, pass)))
    }

    /// The last feature map: from normalised images `[batch, height, width, 3]` to
    /// `[batch, ceil(height / 32), ceil(width / 32), features]`. Its mean over the positions is the
    /// [`features`](Self::features).
    pub fn feature_map(&self, images: Tensor<4>, pass: Pass<'_>) -> Tensor<4> {
        self.late_map(self.early_map(images, pass), pass)
    }

    /// The last map before the resolution is halved for the last time: from normalised images `[batch, height, width, 3]` to
    /// `[batch, ceil(height / 16), ceil(width / 16), channels]`.
    pub fn early_map(&self, images: Tensor<4>, pass: Pass<'_>) -> Tensor<4> {
        with_family!(self, network => network.early_map(images, pass))
    }

    /// From the [`early_map`](Self::early_map) to the [`feature_map`](Self::feature_map).
    pub fn late_map(&self, map: Tensor<4>, pass: Pass<'_>) -> Tensor<4> {
        with_family!(self, network => network.late_map(map, pass))
    }

    /// The classifier: from features `[batch, features]` to logits `[batch, outputs]`, which are f32 in every precision.
    pub fn classify(&self, features: Tensor<2>, pass: Pass<'_>) -> Tensor<2> {
        ops::float32(with_family!(self, network => network.classify(features, pass)))
    }

    /// The forward pass at inference as a list of operations, for images of this height and width, each at least 32.
    pub fn plan(&self, size: [usize; 2]) -> Plan {
        let (mut planner, images) = Planner::new(size);
        with_family!(self, network => network.plan(&mut planner, images));
        planner.finish()
    }
}
