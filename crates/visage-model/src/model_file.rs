//! The model file: weights, and a card with everything needed to use them.
//!
//! One `.safetensors` file. Its tensors carry the names and layout that PyTorch programs use, so that other tools can
//! read them; its header's metadata holds the card as JSON under the key `visage`. Nothing outside the file
//! can change what the model computes.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::Device;
use visage_weights::TensorFile;

use crate::card::{CARD, Card};
use crate::error::ModelError;
use crate::network::Network;

/// Names of tensors that a checkpoint keeps beside the model's begin with this.
pub const TRAINING_PREFIX: &str = "training.";

/// A network and its card: what a model file holds.
#[derive(Clone, Debug)]
pub struct Model {
    /// Everything but the weights.
    pub card: Card,
    /// The weights, without gradients.
    pub network: Network,
}

impl Model {
    /// Reads a model file onto `device`.
    ///
    /// # Errors
    ///
    /// A file that is damaged, truncated, no model of visage, or of a newer visage.
    pub fn read(path: &Path, device: &Device) -> Result<Self, ModelError> {
        Self::from_file(path, visage_weights::read(path)?, device)
    }

    /// Reads the card of a model file alone.
    ///
    /// # Errors
    ///
    /// As [`Model::read`].
    pub fn read_card(path: &Path) -> Result<Card, ModelError> {
        Card::of(path, &visage_weights::read(path)?)
    }

    /// The model in `file`, which was read from `path`. Tensors of a checkpoint that are not the model's
    /// ([`TRAINING_PREFIX`]) are passed over.
    ///
    /// # Errors
    ///
    /// As [`Model::read`].
    pub fn from_file(path: &Path, mut file: TensorFile, device: &Device) -> Result<Self, ModelError> {
        file.tensors.retain(|name, _| !name.starts_with(TRAINING_PREFIX));
        let card = Card::of(path, &file)?;
        let bad = |reason| ModelError::BadCard { path: path.to_owned(), reason };
        let loaded = card.network.zeroed(device).load(card.network.architecture, &file);
        let (network, loaded) =
            loaded.map_err(|error| bad(format!("it is not of the weights beside it: {}", error.brief())))?;
        if loaded.classifier_replaced {
            return Err(bad(format!("its classifier does not answer the card's {} attributes", card.attributes.len())));
        }
        Ok(Self { card, network })
    }

    /// Writes the model file, whole or not at all: to a temporary file beside `path`, which then takes its place.
    ///
    /// # Errors
    ///
    /// The system's, naming the path.
    pub fn write(&self, path: &Path) -> Result<(), ModelError> {
        Ok(visage_weights::write_safetensors(path, &self.to_file())?)
    }

    /// What [`Model::write`] writes.
    #[must_use]
    pub fn to_file(&self) -> TensorFile {
        let tensors = self.network.tensors(self.card.network.architecture);
        TensorFile { tensors, metadata: BTreeMap::from([(CARD.to_owned(), self.card.to_json())]) }
    }
}
