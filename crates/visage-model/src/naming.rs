//! The programs whose parameter names are known.

use std::fmt;

/// The program whose names a state dict uses for its tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// torchvision. For ResNets, timm uses the same names.
    Torchvision,
    /// The original write-up: torchvision's EfficientNet-B0 as `backbone`, then its own head.
    Original,
    /// timm.
    Timm,
    /// The `EfficientNet-PyTorch` family, with which ImageNet weights of the EfficientNet-Lite networks were published.
    EfficientNetPytorch,
}

impl fmt::Display for Naming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Naming::Torchvision => "torchvision",
            Naming::Original => "the original's",
            Naming::Timm => "timm",
            Naming::EfficientNetPytorch => "EfficientNet-PyTorch",
        })
    }
}
