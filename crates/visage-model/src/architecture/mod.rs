//! The known architectures. A new one is a [`Descriptor`] and a line in the call of `architectures!`.

mod descriptor;
mod efficientnet;
mod mobilenet;
mod resnet;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub(crate) use self::descriptor::Descriptor;
use crate::naming::Naming;

macro_rules! architectures {
    ($($(#[$documentation:meta])* $variant:ident = $descriptor:path;)*) => {
        /// A network architecture, by name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(into = "&'static str", try_from = "String")]
        pub enum Architecture {
            $($(#[$documentation])* $variant,)*
        }

        impl Architecture {
            /// Every architecture, in the order in which they are listed to users.
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
    /// ResNet-34 (He et al., 2016), torchvision's.
    ResNet34 = resnet::RESNET34;
    /// ResNet-50 (He et al., 2016), torchvision's: the 3x3 convolutions have the strides.
    ResNet50 = resnet::RESNET50;
    /// EfficientNet-B0 (Tan & Le, 2019), torchvision's, with the original write-up's two-stage head.
    EfficientNetB0 = efficientnet::B0;
    /// EfficientNet-B1 (Tan & Le, 2019), torchvision's, with a linear classifier.
    EfficientNetB1 = efficientnet::B1;
    /// EfficientNet-B2 (Tan & Le, 2019), torchvision's, with a linear classifier.
    EfficientNetB2 = efficientnet::B2;
    /// EfficientNet-B3 (Tan & Le, 2019), torchvision's, with a linear classifier.
    EfficientNetB3 = efficientnet::B3;
    /// EfficientNet-Lite0 (Google, 2020): no squeeze and excitation, ReLU6, TensorFlow's padding.
    EfficientNetLite0 = efficientnet::LITE0;
    /// EfficientNet-Lite1 (Google, 2020): Lite0, deeper.
    EfficientNetLite1 = efficientnet::LITE1;
    /// EfficientNet-Lite2 (Google, 2020): Lite0, wider and deeper.
    EfficientNetLite2 = efficientnet::LITE2;
    /// EfficientNet-Lite3 (Google, 2020): Lite0, wider and deeper.
    EfficientNetLite3 = efficientnet::LITE3;
    /// EfficientNet-Lite4 (Google, 2020): Lite0, wider and deeper.
    EfficientNetLite4 = efficientnet::LITE4;
    /// MobileNetV3-Large (Howard et al., 2019), torchvision's.
    MobileNetV3Large = mobilenet::V3_LARGE;
}

impl Architecture {
    /// The name in recipes, model files and on the command line.
    pub fn name(self) -> &'static str {
        self.descriptor().name
    }

    /// Whether the network has dropout and stochastic depth, so that a recipe may set their rates.
    pub fn is_regularised(self) -> bool {
        self.descriptor().is_regularised
    }

    /// The namings in which its weights are published. visage writes the first.
    pub fn namings(self) -> &'static [Naming] {
        self.descriptor().namings
    }

    /// The key, in one of its namings, of the parameter at `path` of the module tree.
    pub fn key(self, naming: Naming, path: &str) -> String {
        (self.descriptor().key)(naming, path)
    }

    /// The naming of the Python network that [`python`](Self::python) makes.
    pub fn python_naming(self) -> Naming {
        self.descriptor().python_naming
    }

    /// Python statements that make the network with this number of outputs. An exported state dict loads into it.
    pub fn python(self, outputs: usize) -> String {
        (self.descriptor().python)(outputs)
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is not the name of an architecture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown network {name:?}; known networks: {known}", name = .0, known = names())]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_as_text_and_as_json() {
        for architecture in Architecture::ALL {
            let name = architecture.name();
            assert_eq!(name.parse(), Ok(architecture));
            assert_eq!(architecture.to_string(), name);
            let json = serde_json::to_string(&architecture).unwrap();
            assert_eq!(json, format!("{name:?}"));
            assert_eq!(serde_json::from_str::<Architecture>(&json).unwrap(), architecture);
        }
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let error = "resnet51".parse::<Architecture>().unwrap_err();
        assert_eq!(error, UnknownArchitecture("resnet51".to_owned()));
        for architecture in Architecture::ALL {
            assert!(error.to_string().contains(architecture.name()), "{error}");
        }
        assert!(serde_json::from_str::<Architecture>("\"resnet51\"").is_err());
    }
}
