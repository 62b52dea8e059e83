//! Named tensors in files, independent of any network: [`read`] takes safetensors files and PyTorch weight files,
//! [`write_safetensors`] stores model files and checkpoints, [`write_torch`] state dicts for PyTorch.
//!
//! Weight files come from strangers. Nothing in them is ever executed: pickles are read by a small interpreter that
//! knows the handful of constructors a state dict needs and refuses every other. Nothing in them is believed either:
//! a damaged, truncated, foreign or hostile file is an error that names the file and what is wrong with it, without a
//! panic and without an allocation that the file's own size does not justify.

pub mod atomic;
mod element;
mod error;
pub mod hub;
mod names;
mod read;
mod safetensors_read;
mod safetensors_write;
mod tensor;
mod torch;

pub use error::{Problem, WeightsError};
pub use read::{FileKind, kind, read};
pub use safetensors_write::write_safetensors;
pub use tensor::{Tensor, TensorFile, TensorValues};
pub use torch::write_torch;
