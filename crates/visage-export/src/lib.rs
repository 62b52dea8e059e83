//! Export of models for other programs.
//!
//! [`onnx`] writes a model as an ONNX graph in f32 or int8, and has an interpreter for such graphs. [`torch`] writes a PyTorch state
//! dict that torchvision and timm load. Before a file is written, its outputs for sample images are compared with the model's; the
//! result is an [`Agreement`].
//!
//! ```no_run
//! use burn::tensor::Device;
//! use visage_export::{onnx, torch};
//! use visage_model::Model;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let device = Device::flex();
//! let model = Model::read("best.safetensors".as_ref(), &device)?;
//! let agreement = onnx::write(&model, onnx::PixelInput::Raw, "model.onnx".as_ref(), &device)?;
//! println!("probabilities differ by at most {:.1e}", agreement.probability);
//! torch::write(&model, "model.pth".as_ref(), &device)?;
//! # Ok(())
//! # }
//! ```
//!
//! The interpreter rejects what is not an ONNX graph of visage:
//!
//! ```
//! use visage_export::{GraphError, onnx};
//!
//! let error = onnx::decode(b"not a graph").unwrap_err();
//! assert!(matches!(error, GraphError::NotOnnx(_)));
//! ```

mod check;
mod error;
pub mod onnx;
pub mod torch;

pub use check::{Agreement, TOLERANCE};
pub use error::{ExportError, GraphError};
