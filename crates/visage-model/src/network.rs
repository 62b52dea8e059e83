//! Which networks there are, and how one is made.

use std::fmt;
use std::str::FromStr;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};
use rand::Rng;
use rand_distr::{Distribution, Normal, Uniform};
use serde::{Deserialize, Serialize};
use visage_data::random::stream;

use crate::efficientnet::{EfficientNet, Regularisation};
use crate::inference;
use crate::layers::Pass;
use crate::ops::{self, Precision};
use crate::resnet::ResNet18;
use crate::state::replace;
use crate::threads;

/// A network by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Architecture {
    /// ResNet-18 (He et al., 2016), torchvision's.
    #[serde(rename = "resnet18")]
    ResNet18,
    /// EfficientNet-B0 (Tan & Le, 2019), torchvision's, with the original write-up's two-stage head.
    #[serde(rename = "efficientnet-b0")]
    EfficientNetB0,
    /// EfficientNet-Lite0 (Google, 2020): no gates, ReLU6, TensorFlow's padding.
    #[serde(rename = "efficientnet-lite0")]
    EfficientNetLite0,
}

impl Architecture {
    /// Every architecture, in the order they are listed to a user.
    pub const ALL: [Architecture; 3] =
        [Architecture::ResNet18, Architecture::EfficientNetB0, Architecture::EfficientNetLite0];

    /// The name recipes, model files and the command line use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Architecture::ResNet18 => "resnet18",
            Architecture::EfficientNetB0 => "efficientnet-b0",
            Architecture::EfficientNetLite0 => "efficientnet-lite0",
        }
    }

    /// The path of the last layer's weight, `[outputs, features]`.
    pub(crate) fn output_weight(self) -> &'static str {
        match self {
            Architecture::ResNet18 => "fc.weight",
            Architecture::EfficientNetB0 => "classifier.TwoStage.output.weight",
            Architecture::EfficientNetLite0 => "classifier.Linear.weight",
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no architecture's.
#[derive(Clone, Debug, thiserror::Error)]
#[error("there is no network called {0:?}; there are resnet18, efficientnet-b0 and efficientnet-lite0")]
pub struct UnknownArchitecture(String);

impl FromStr for Architecture {
    type Err = UnknownArchitecture;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|a| a.name() == name).ok_or_else(|| UnknownArchitecture(name.to_owned()))
    }
}

/// Everything that decides a network's shape and its random layers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// The network.
    pub architecture: Architecture,
    /// How many questions it answers: the number of attributes.
    pub outputs: usize,
    /// Dropout rate of the head, in [0, 1); absent: the network's own. ResNet-18 has none to set.
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

    /// The network on `device`, its parameters drawn from `seed` as torchvision draws them: convolutions from
    /// Kaiming's normal distribution over the fan out (He et al., 2015), linear layers uniformly within
    /// `1 / sqrt(inputs)`, norms the identity.
    #[must_use]
    pub fn init(&self, seed: u64, device: &Device) -> Network {
        self.zeroed(device).map(&mut Initialiser { seed, path: Path::default() })
    }

    /// The network with zero filters, to be filled from a file.
    pub(crate) fn zeroed(&self, device: &Device) -> Network {
        let regularisation = Regularisation { dropout: self.dropout, stochastic_depth: self.stochastic_depth };
        match self.architecture {
            Architecture::ResNet18 => Network::ResNet18(ResNet18::new(self.outputs, device)),
            Architecture::EfficientNetB0 => {
                Network::EfficientNet(EfficientNet::b0(self.outputs, regularisation, device))
            }
            Architecture::EfficientNetLite0 => {
                Network::EfficientNet(EfficientNet::lite0(self.outputs, regularisation, device))
            }
        }
    }
}

/// One of the networks.
#[allow(clippy::large_enum_variant, reason = "a process holds one or two, and every tensor lies on the heap anyway")]
#[derive(Module, Debug)]
pub enum Network {
    /// ResNet-18.
    ResNet18(ResNet18),
    /// EfficientNet-B0 or Lite0.
    EfficientNet(EfficientNet),
}

impl Network {
    /// Normalised images `[batch, height, width, 3]` to logits `[batch, outputs]`.
    ///
    /// Height and width are at least 32 and need not be equal.
    #[must_use]
    pub fn forward(&self, images: Tensor<4>, pass: Pass<'_>) -> Tensor<2> {
        match pass {
            Pass::Inference if ops::has_kernels(&images.device()) => {
                threads::awake(|| self.classify(self.features(images, pass), pass))
            }
            _ => self.classify(self.features(images, pass), pass),
        }
    }

    /// The backbone: normalised images `[batch, height, width, 3]` to features `[batch, features]`.
    #[must_use]
    pub fn features(&self, images: Tensor<4>, pass: Pass<'_>) -> Tensor<2> {
        let early = |images| self.early_map(images, pass);
        let late = |map| pass.round(ops::global_average_pool(self.late_map(map, pass)));
        match (self, pass) {
            // Early maps are large, and two images' leave the cache; late ones are small beside their filters, which are better
            // read once. ResNet-18's filters are large and its maps small throughout.
            (Network::EfficientNet(network), Pass::Inference)
                if network.is_folded() && ops::has_kernels(&images.device()) =>
            {
                inference::few_at_a_time(inference::few_at_a_time(images, 1, early), 8, late)
            }
            _ => late(early(images)),
        }
    }

    /// What the backbone's last convolution makes of normalised images `[batch, height, width, 3]`: a map of a 32nd of their
    /// height and width, rounded up, whose mean over the positions is the [`features`](Self::features).
    #[must_use]
    pub fn feature_map(&self, images: Tensor<4>, pass: Pass<'_>) -> Tensor<4> {
        self.late_map(self.early_map(images, pass), pass)
    }

    /// The map before the resolution is halved for the last time: a 16th of the height and width of normalised images
    /// `[batch, height, width, 3]`, rounded up.
    #[must_use]
    pub fn early_map(&self, images: Tensor<4>, pass: Pass<'_>) -> Tensor<4> {
        match self {
            Network::ResNet18(network) => network.early_map(images, pass),
            Network::EfficientNet(network) => network.early_map(images, pass),
        }
    }

    /// The [`feature_map`](Self::feature_map), of the [`early_map`](Self::early_map).
    #[must_use]
    pub fn late_map(&self, map: Tensor<4>, pass: Pass<'_>) -> Tensor<4> {
        match self {
            Network::ResNet18(network) => network.late_map(map, pass),
            Network::EfficientNet(network) => network.late_map(map, pass),
        }
    }

    /// The head: features `[batch, features]` to logits `[batch, outputs]`, in f32 whatever the pass computes in.
    #[must_use]
    pub fn classify(&self, features: Tensor<2>, pass: Pass<'_>) -> Tensor<2> {
        ops::float32(match self {
            Network::ResNet18(network) => network.classify(features, pass),
            Network::EfficientNet(network) => network.classify(features, pass),
        })
    }

    /// The network made ready for inference: norms are folded into filters, which lie as the kernels read them.
    ///
    /// It answers faster, and the same but for rounding. It keeps answering as the weights are now: train another one.
    #[must_use]
    pub fn folded(self) -> Self {
        self.folded_in(Precision::F32)
    }

    /// The same with convolutions and products in `precision`, on a graphics card that has the type
    /// ([`check_precision`](crate::device::check_precision)). On the CPU only the filters are rounded.
    #[must_use]
    pub fn folded_in(mut self, precision: Precision) -> Self {
        match &mut self {
            Network::ResNet18(network) => network.fold(precision),
            Network::EfficientNet(network) => network.fold(precision),
        }
        self
    }

    /// Calls `visit` with the path, kind and value of every parameter and running statistic, in a fixed order.
    pub fn for_each(&self, visit: impl FnMut(&str, Kind, TensorData)) {
        self.visit(&mut Collector { visit, path: Path::default() });
    }
}

/// Whether the optimiser moves a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Learned by gradient.
    Parameter,
    /// Gathered by batch norms.
    RunningStatistic,
}

impl Kind {
    /// Decided by the last part of the path.
    #[must_use]
    pub fn of(path: &str) -> Self {
        if path.ends_with("running_mean") || path.ends_with("running_var") {
            Kind::RunningStatistic
        } else {
            Kind::Parameter
        }
    }
}

/// Where a walk over the module tree is. The network's own enum adds no part to a path.
#[derive(Debug, Default)]
pub struct Path(Vec<String>);

impl Path {
    /// Call from `enter_module`.
    pub fn enter(&mut self, name: &str) {
        self.0.push(name.to_owned());
    }

    /// Call from `exit_module`.
    pub fn exit(&mut self) {
        self.0.pop();
    }

    /// `blocks.3.project.conv.weight`
    #[must_use]
    pub fn dotted(&self) -> String {
        self.0.get(1..).unwrap_or_default().join(".")
    }
}

struct Collector<F> {
    visit: F,
    path: Path,
}

impl<F: FnMut(&str, Kind, TensorData)> ModuleVisitor for Collector<F> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let path = self.path.dotted();
        (self.visit)(&path, Kind::of(&path), param.val().into_data());
    }
}

struct Initialiser {
    seed: u64,
    path: Path,
}

impl ModuleMapper for Initialiser {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.dotted();
        let dims = param.val().dims();
        // Norms were made the identity; the bias of a linear layer is drawn with its weight's bound, which is
        // not known here, so biases stay zero: what every head is fine with.
        // The path is in the stream's name, so that adding a layer changes no other layer's draw.
        let mut random = stream(self.seed, &format!("initialisation of {path}"), 0, 0);
        let values = match dims.as_slice() {
            [output, height, width, _] => kaiming_normal(output * height * width, dims.iter().product(), &mut random),
            // PyTorch counts the fan out of a depthwise filter over all its channels.
            [height, width, channels] => {
                kaiming_normal(height * width * channels, height * width * channels, &mut random)
            }
            [outputs, inputs] => uniform(1.0 / (*inputs as f64).sqrt(), outputs * inputs, &mut random),
            _ => return param,
        };
        param.map(|tensor| replace(tensor, values, Kind::Parameter))
    }
}

fn kaiming_normal(fan_out: usize, count: usize, random: &mut impl Rng) -> Vec<f32> {
    let deviation = (2.0 / fan_out as f64).sqrt();
    let normal = Normal::new(0.0, deviation).expect("a positive deviation");
    (0..count).map(|_| normal.sample(random) as f32).collect()
}

fn uniform(bound: f64, count: usize, random: &mut impl Rng) -> Vec<f32> {
    let uniform = Uniform::new(-bound, bound).expect("a positive bound");
    (0..count).map(|_| uniform.sample(random) as f32).collect()
}
