//! The parameters of a network by their paths in the module tree.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};

use crate::network::Network;

/// Whether the optimiser updates a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Learned by gradient descent.
    Parameter,
    /// The running mean or variance of a batch norm.
    RunningStatistic,
}

impl Kind {
    /// The kind of the tensor at `path`, by the last part of the path.
    #[must_use]
    pub fn of(path: &str) -> Self {
        if path.ends_with("running_mean") || path.ends_with("running_var") {
            Kind::RunningStatistic
        } else {
            Kind::Parameter
        }
    }
}

/// The current path of a walk over the module tree. The variant of [`Network`] is not part of it.
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

    /// The path, such as `blocks.3.project.conv.weight`.
    #[must_use]
    pub fn dotted(&self) -> String {
        self.0.get(1..).unwrap_or_default().join(".")
    }
}

impl Network {
    /// Calls `visit` with the path, kind and values (f32) of every parameter and running statistic, in the order of the forward
    /// pass.
    pub fn for_each(&self, visit: impl FnMut(&str, Kind, TensorData)) {
        self.visit(&mut Visitor { visit, path: Path::default() });
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

/// `tensor` with other values. A parameter of a network that tracks gradients stays a leaf of the graph.
pub(crate) fn replace<const D: usize>(tensor: Tensor<D>, values: Vec<f32>, kind: Kind) -> Tensor<D> {
    let replaced = Tensor::from_data(TensorData::new(values, tensor.dims()), &tensor.device());
    match kind {
        Kind::Parameter if replaced.is_autodiff() => replaced.require_grad(),
        _ => replaced,
    }
}
