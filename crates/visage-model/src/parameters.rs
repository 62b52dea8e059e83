//! A walk over the parameters of a network, and their first values.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};
use rand::Rng;
use rand_distr::{Distribution, Normal, Uniform};
use visage_data::random::stream;

use crate::architecture::Architecture;
use crate::network::Network;
use crate::state::replace;

/// Whether the optimiser moves a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Learned by gradient.
    Parameter,
    /// The mean or variance that a batch norm keeps.
    RunningStatistic,
}

impl Kind {
    /// By the last part of the path.
    #[must_use]
    pub fn of(path: &str) -> Self {
        if path.ends_with("running_mean") || path.ends_with("running_var") {
            Kind::RunningStatistic
        } else {
            Kind::Parameter
        }
    }
}

/// The position of a walk over the module tree. The variant of [`Network`] is no part of a path.
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

impl Network {
    /// Calls `visit` with the path, kind and value of every parameter and running statistic, in a fixed order: from the
    /// image to the logits.
    pub fn for_each(&self, visit: impl FnMut(&str, Kind, TensorData)) {
        self.visit(&mut Visitor { visit, path: Path::default() });
    }

    /// The network with parameters drawn from `seed` as torchvision draws them: convolutions from Kaiming's normal
    /// distribution over the fan-out (He et al., 2015), linear layers uniformly within `1 / sqrt(inputs)`; norms are the identity.
    pub(crate) fn initialised(self, seed: u64, architecture: Architecture) -> Self {
        self.map(&mut Initialiser { seed, stream: architecture.descriptor().stream, path: Path::default() })
    }
}

struct Visitor<F> {
    visit: F,
    path: Path,
}

impl<F: FnMut(&str, Kind, TensorData)> ModuleVisitor for Visitor<F> {
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
        // Every parameter has a stream of its own, so that adding a layer changes no other layer's draw.
        let name = (self.stream)(&self.path.dotted());
        let mut random = stream(self.seed, &format!("initialisation of {name}"), 0, 0);
        let values = match dims.as_slice() {
            [output, height, width, _] => kaiming_normal(output * height * width, dims.iter().product(), &mut random),
            // PyTorch counts the fan-out of a depthwise filter over all its channels.
            [height, width, channels] => {
                kaiming_normal(height * width * channels, height * width * channels, &mut random)
            }
            [outputs, inputs] => uniform(1.0 / (*inputs as f64).sqrt(), outputs * inputs, &mut random),
            // Norms were made the identity. PyTorch draws a linear layer's bias within its weight's bound, which is not
            // known here; biases stay zero.
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
