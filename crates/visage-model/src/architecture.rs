//! Which networks there are. A new one is a [`Descriptor`] in its own file and a line in [`architectures`](self).

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::network::Network;
use crate::state::Naming;
use crate::{efficientnet, resnet};

/// Everything that is particular to an architecture.
pub(crate) struct Descriptor {
    /// The name in recipes, model files and on the command line.
    pub(crate) name: &'static str,
    /// Makes the network with so many outputs, its filters zero.
    pub(crate) zeroed: fn(usize, Regularisation, &Device) -> Network,
    /// Whether the network has dropout and stochastic depth.
    pub(crate) is_regularised: bool,
    /// The namings its weights are published in. The first is the one that visage writes.
    pub(crate) namings: &'static [Naming],
    /// The key in one of the namings of the parameter at a path of the module tree.
    pub(crate) key: fn(Naming, &str) -> String,
    /// The name in random streams of the parameter at a path of the module tree. It must never change, so that a seed gives
    /// the same initial weights in every version.
    pub(crate) stream: fn(&str) -> String,
    /// The path of the last layer's weight, `[outputs, features]`.
    pub(crate) output_weight: &'static str,
    /// The same network in Python.
    pub(crate) python: PythonNetwork,
}

/// The network of a Python library that a state dict loads into.
pub(crate) struct PythonNetwork {
    /// The library's naming.
    pub(crate) naming: Naming,
    /// The statements that make the network with so many outputs.
    pub(crate) code: fn(usize) -> String,
}

/// What a recipe may change about the random layers; `None` keeps the network's own rates.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Regularisation {
    /// Rate of every dropout of the classifier, in [0, 1).
    pub(crate) dropout: Option<f64>,
    /// Rate of stochastic depth at the last block, in [0, 1); it rises linearly from 0 at the first.
    pub(crate) stochastic_depth: Option<f64>,
}

macro_rules! architectures {
    ($($(#[$documentation:meta])* $variant:ident = $descriptor:path;)*) => {
        /// A network by name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(into = "&'static str", try_from = "String")]
        pub enum Architecture {
            $($(#[$documentation])* $variant,)*
        }

        impl Architecture {
            /// Every architecture, in the order in which they are listed to a user.
            pub const ALL: [Architecture; [$(Architecture::$variant),*].len()] = [$(Architecture::$variant),*];

            pub(crate) fn descriptor(self) -> &'static Descriptor {
                match self {
                    $(Architecture::$variant => &$descriptor,)*
                }
            }
        }
    };
}

architectures! {
    /// ResNet-18 (He et al., 2016), torchvision's.
    ResNet18 = resnet::RESNET18;
    /// EfficientNet-B0 (Tan & Le, 2019), torchvision's, with the original write-up's two-stage head.
    EfficientNetB0 = efficientnet::B0;
    /// EfficientNet-Lite0 (Google, 2020): no squeeze and excitation, ReLU6, TensorFlow's padding.
    EfficientNetLite0 = efficientnet::LITE0;
}

impl Architecture {
    /// The name in recipes, model files and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.descriptor().name
    }

    /// Whether the network has dropout and stochastic depth, whose rates a recipe may set.
    #[must_use]
    pub fn is_regularised(self) -> bool {
        self.descriptor().is_regularised
    }

    /// The namings its weights are published in. The first is the one that visage writes.
    #[must_use]
    pub fn namings(self) -> &'static [Naming] {
        self.descriptor().namings
    }

    /// The key in one of its namings of the parameter at `path` of the module tree.
    #[must_use]
    pub fn key(self, naming: Naming, path: &str) -> String {
        (self.descriptor().key)(naming, path)
    }

    /// The naming of the Python network that [`python`](Self::python) makes.
    #[must_use]
    pub fn python_naming(self) -> Naming {
        self.descriptor().python.naming
    }

    /// Python statements that make the network with so many outputs, for a state dict to be loaded into.
    #[must_use]
    pub fn python(self, outputs: usize) -> String {
        (self.descriptor().python.code)(outputs)
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name of no architecture.
#[derive(Clone, Debug, thiserror::Error)]
#[error("no network is called {name:?}; known networks: {known}", name = .0, known = names())]
pub struct UnknownArchitecture(String);

fn names() -> String {
    Architecture::ALL.map(Architecture::name).join(", ")
}

impl FromStr for Architecture {
    type Err = UnknownArchitecture;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|a| a.name() == name).ok_or_else(|| UnknownArchitecture(name.to_owned()))
    }
}

impl TryFrom<String> for Architecture {
    type Error = UnknownArchitecture;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        name.parse()
    }
}

impl From<Architecture> for &'static str {
    fn from(architecture: Architecture) -> Self {
        architecture.name()
    }
}
