//! Checksums of what a safetensors file holds, so that a flipped bit is noticed instead of changing answers.
//!
//! They are CRC-32, as in zip and PNG files: enough against damage, which they find in all but one of four billion cases. They
//! do not protect against somebody who changes a file and its checksums.

use std::collections::BTreeMap;

use crc32fast::Hasher;
use safetensors::tensor::Dtype;
use serde::{Deserialize, Serialize};

use crate::error::{Problem, quoted};

/// The key of the checksums in the metadata.
pub(crate) const KEY: &str = "visage.crc32";

/// The checksums of a file.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Checksums {
    metadata: u32,
    tensors: BTreeMap<String, u32>,
}

impl Checksums {
    /// The checksums of a file with this metadata, before its tensors are added.
    pub(crate) fn new(metadata: &BTreeMap<String, String>) -> Self {
        let mut hasher = Hasher::new();
        for (key, text) in metadata.iter().filter(|(key, _)| *key != KEY) {
            for part in [key, text] {
                hasher.update(&(part.len() as u64).to_le_bytes());
                hasher.update(part.as_bytes());
            }
        }
        Checksums { metadata: hasher.finalize(), tensors: BTreeMap::new() }
    }

    pub(crate) fn add(&mut self, name: &str, tensor: TensorChecksum) {
        self.tensors.insert(name.to_owned(), tensor.0.finalize());
    }

    /// Checks that `self`, computed from a file's content, equals the checksums that the file states.
    ///
    /// # Errors
    ///
    /// [`Problem::Checksum`], naming a part that differs.
    pub(crate) fn check(&self, stated: &str) -> Result<(), Problem> {
        let differs = |part: String| Err(Problem::Checksum { part });
        let Ok(stated) = serde_json::from_str::<Checksums>(stated) else {
            return differs("the list of checksums".to_owned());
        };
        let names = self.tensors.keys().chain(stated.tensors.keys());
        if let Some(name) = names.into_iter().find(|&name| self.tensors.get(name) != stated.tensors.get(name)) {
            return differs(format!("tensor {}", quoted(name)));
        }
        if self.metadata != stated.metadata {
            return differs("its metadata".to_owned());
        }
        Ok(())
    }
}

/// The checksum of a tensor: its type, its shape, and its bytes in the file.
pub(crate) struct TensorChecksum(Hasher);

impl TensorChecksum {
    pub(crate) fn new(dtype: Dtype, shape: &[usize]) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(format!("{dtype:?}{shape:?}").as_bytes());
        TensorChecksum(hasher)
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}

/// Encoded values are hashed in the way in which they are written.
impl std::io::Write for TensorChecksum {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
