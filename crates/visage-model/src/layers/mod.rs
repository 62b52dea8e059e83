//! The layers of the networks, each with its forward pass and its steps of a [`Plan`](crate::Plan).
//!
//! Fields have PyTorch's names (`weight`, `bias`, `running_mean`, `running_var`), so that a parameter's path in the module tree
//! resembles its key in a state dict.

mod conv;
mod inverted_residual;
mod linear;
mod norm;
mod pass;
mod regularisation;
mod squeeze_excite;

pub(crate) use conv::{ConvNorm, DepthwiseNorm, PaddingRule};
pub(crate) use inverted_residual::{BlockConfig, InvertedResidual, divisible_by_8, forward_blocks};
pub(crate) use linear::Linear;
pub(crate) use norm::{BatchNorm, NormConfig};
pub use pass::{Draws, Norms, Pass, Training};
pub(crate) use regularisation::{Regularisation, dropout, stochastic_depth};
pub(crate) use squeeze_excite::{ExcitationConfig, SqueezeExcite};
