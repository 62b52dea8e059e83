//! What a network is made from: its architecture, its outputs and its rates.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor};
use rand::Rng;
use rand_distr::{Distribution, Normal, Uniform};
use serde::{Deserialize, Serialize};
use visage_data::random::stream;

use crate::architecture::Architecture;
use crate::layers::Regularisation;
use crate::network::Network;
use crate::parameters::{Kind, Path, replace};

/// Everything that decides a network's shape and its random layers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// The architecture.
    pub architecture: Architecture,
    /// The number of logits, one for each attribute.
    pub outputs: usize,
    /// Dropout rate of the classifier, in [0, 1). `None`: the architecture's own. ResNets have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropout: Option<f64>,
    /// Stochastic depth rate of the last block, in [0, 1). `None`: the architecture's own. ResNets have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stochastic_depth: Option<f64>,
}

impl NetworkConfig {
    /// `architecture` with its own rates of dropout and stochastic depth.
    pub fn new(architecture: Architecture, outputs: usize) -> Self {
        Self { architecture, outputs, dropout: None, stochastic_depth: None }
    }

    /// The network on `device`, with random parameters from `seed`, distributed as in torchvision: convolutions by Kaiming's
    /// normal distribution over the fan-out (He et al., 2015), linear layers uniformly within `1 / sqrt(inputs)`. Norms are the
    /// identity.
    pub fn init(&self, seed: u64, device: &Device) -> Network {
        let stream = self.architecture.descriptor().stream;
        self.zeroed(device).map(&mut Initialiser { seed, stream, path: Path::default() })
    }

    /// The network with filters of zeros, to be loaded from a file.
    pub(crate) fn zeroed(&self, device: &Device) -> Network {
        let regularisation = Regularisation { dropout: self.dropout, stochastic_depth: self.stochastic_depth };
        (self.architecture.descriptor().zeroed)(self.outputs, regularisation, device)
    }
}

struct Initialiser {
    seed: u64,
    stream: fn(&str) -> String,
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
        let dims = param.val().dims();
        // Every parameter has its own stream, so that adding a layer does not change the values of the others.
        let name = (self.stream)(&self.path.dotted());
        let mut random = stream(self.seed, &format!("initialisation of {name}"), 0, 0);
        let values = match dims.as_slice() {
            [output, height, width, _] => kaiming_normal(output * height * width, dims.iter().product(), &mut random),
            // PyTorch counts the fan-out of a depthwise filter over all its channels.
            [height, width, channels] => {
                kaiming_normal(height * width * channels, height * width * channels, &mut random)
            }
            [outputs, inputs] => uniform(1.0 / (*inputs as f64).sqrt(), outputs * inputs, &mut random),
            // Norms stay the identity. PyTorch also draws the bias of a linear layer, within the bound of its weight. That
            // bound is not known here, and biases stay zero.
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
