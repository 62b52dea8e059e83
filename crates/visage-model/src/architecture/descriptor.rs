//! What defines an architecture, apart from the code of its network.

use burn::tensor::Device;

use crate::layers::Regularisation;
use crate::naming::Naming;
use crate::network::Network;

pub(crate) struct Descriptor {
    pub(crate) name: &'static str,
    /// Makes the network with this number of outputs. All filters are zero.
    pub(crate) zeroed: fn(usize, Regularisation, &Device) -> Network,
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
    /// The Python statements that make the network with this number of outputs. It loads visage's state dict.
    pub(crate) python: fn(usize) -> String,
    /// The naming of the network in Python.
    pub(crate) python_naming: Naming,
}
