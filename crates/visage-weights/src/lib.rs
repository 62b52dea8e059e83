//! Named tensors in files, independent of any network.
//!
//! [`read`] reads safetensors files and PyTorch weight files, [`write_safetensors`] writes model files and checkpoints, and
//! [`write_torch`] writes state dicts for PyTorch. [`atomic`] replaces files atomically, and [`hub`] downloads weights.
//!
//! Weight files are not trusted. Nothing in them is executed: a small interpreter reads pickles, knows the few constructors
//! that a state dict needs, and refuses all others. A damaged, truncated, foreign or hostile file is an error that names the
//! file and the problem, without a panic and without an allocation that the size of the file does not justify.
//!
//! ```
//! use visage_weights::{Tensor, TensorFile, read, write_safetensors};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("weights.safetensors");
//! let tensors = [("fc.bias".to_owned(), Tensor::new([2], vec![0.5f32, -1.0]))];
//! let file = TensorFile { tensors: tensors.into(), ..TensorFile::default() };
//!
//! write_safetensors(&path, &file)?;
//! assert_eq!(read(&path)?, file);
//! # Ok(())
//! # }
//! ```

pub mod atomic;
mod checksum;
mod element;
mod error;
pub mod hub;
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
