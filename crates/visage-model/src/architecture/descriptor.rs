//! What defines an architecture, apart from the code of its network.

use burn::tensor::Device;

use crate::layers::Regularisation;
use crate::naming::Naming;
use crate::network::Network;

/// Everything that is specific to an architecture.
pub(crate) struct Descriptor {
    /// The name in recipes, model files and on the command line.
    pub(crate) name: &'static str,
    /// Makes the network with this number of outputs. All filters are zero.
    pub(crate) zeroed: fn(usize, Regularisation, &Device) -> Network,
    /// Whether the network has dropout and stochastic depth.
    pub(crate) is_regularised: bool,
    /// The namings in which its weights are published. visage writes the first.
    pub(crate) namings: &'static [Naming],
    /// The key, in a naming, of the parameter at a path of the module tree.
    pub(crate) key: fn(Naming, &str) -> String,
    /// The name, in random streams, of the parameter at a path of the module tree. It must never change: a seed gives the
    /// same initial weights in every version.
    pub(crate) stream: fn(&str) -> String,
    /// The path of the last layer's weight, `[outputs, features]`.
    pub(crate) output_weight: &'static str,
    /// The same network in Python.
    pub(crate) python: PythonNetwork,
}

/// The network of a Python library that loads visage's state dict.
pub(crate) struct PythonNetwork {
    /// The library's naming.
    pub(crate) naming: Naming,
    /// The Python statements that make the network with this number of outputs.
    pub(crate) code: fn(usize) -> String,
}
