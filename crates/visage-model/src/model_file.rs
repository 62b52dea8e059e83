//! The model file: weights, and a card with everything that is needed to use them.
//!
//! It is a `.safetensors` file. Tensors have PyTorch's names and layout, so that other tools can read them. The header's metadata
//! holds the card as JSON under the key `visage`. Nothing outside the file can change what the model computes.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::Device;
use visage_weights::TensorFile;

use crate::card::{CARD, Card};
use crate::error::ModelError;
use crate::network::Network;

/// The name prefix of a checkpoint's tensors that are not part of the model, such as the optimiser's state.
pub const TRAINING_PREFIX: &str = "training.";

/// The content of a model file: a network and its card.
#[derive(Clone, Debug)]
pub struct Model {
    /// Everything except the weights.
    pub card: Card,
    /// The network, without gradients.
    pub network: Network,
}

impl Model {
    /// Reads a model file onto `device`.
    ///
    /// # Errors
    ///
    /// If the file is damaged, truncated, not a model of visage, or of a newer version of visage.
    pub fn read(path: &Path, device: &Device) -> Result<Self, ModelError> {
        Self::from_file(path, visage_weights::read(path)?, device)
    }

    /// Reads only the card of a model file.
    ///
    /// # Errors
    ///
    /// As [`Model::read`].
    pub fn read_card(path: &Path) -> Result<Card, ModelError> {
        Card::of(path, &visage_weights::read(path)?)
    }

    /// The model in `file`, which was read from `path`. Tensors with [`TRAINING_PREFIX`] are ignored.
    ///
    /// # Errors
    ///
    /// As [`Model::read`].
    pub fn from_file(path: &Path, file: TensorFile, device: &Device) -> Result<Self, ModelError> {
        let card = Card::of(path, &file)?;
        let bad = |reason| ModelError::BadCard { path: path.to_owned(), reason };
        let loaded = card.network.zeroed(device).load(card.network.architecture, &file);
        let (network, loaded) =
            loaded.map_err(|error| bad(format!("it does not match the weights in the file: {error}")))?;
        if loaded.classifier_replaced {
            return Err(bad(format!(
                "the classifier in the file does not have the card's {} outputs",
                card.attributes.len()
            )));
        }
        Ok(Self { card, network })
    }

    /// Writes the model file atomically: to a temporary file beside `path`, which is then renamed.
    ///
    /// # Errors
    ///
    /// If the file cannot be written. The error names the path.
    pub fn write(&self, path: &Path) -> Result<(), ModelError> {
        Ok(visage_weights::write_safetensors(path, &self.to_file())?)
    }

    /// The content that [`Model::write`] writes.
    pub fn to_file(&self) -> TensorFile {
        let tensors = self.network.tensors(self.card.network.architecture);
        TensorFile { tensors, metadata: BTreeMap::from([(CARD.to_owned(), self.card.to_json())]) }
    }
}
