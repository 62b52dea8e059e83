//! Models written for other programs.
//!
//! [`onnx`] turns a model into an ONNX graph, in float or in int8, reads such files back and computes what they say;
//! [`torch`] into a state dict that torchvision and timm load. [`check`] asks the written file what it answers to sample
//! images and compares that with the model, which is how an export is known to be right before anyone uses it.

pub mod check;
pub mod error;
pub mod onnx;
pub mod torch;

pub use check::Agreement;
pub use error::ExportError;
