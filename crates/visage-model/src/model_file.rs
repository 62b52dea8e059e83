//! The model file: weights, and a card with everything that is needed to use them.
//!
//! It is a `.safetensors` file. Tensors have PyTorch's names and layout, so that other tools can read them. The header's metadata
//! holds the card as JSON under the key `visage`. Nothing outside the file can change what the model computes.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::Device;
use visage_weights::TensorFile;

use crate::card::{CARD, Card};
use crate::error::{LoadError, ModelError};
use crate::network::Network;
use crate::network_config::NetworkConfig;

/// The name prefix of a checkpoint's tensors that are not part of the model, such as the optimiser's state.
pub const TRAINING_PREFIX: &str = "training.";

/// The content of a model file: a card, and a network or several, whose logits are averaged.
///
/// The tensors of the first network have its own names. Those of the others begin with `ensemble.1.`, `ensemble.2.` and so on.
#[derive(Clone, Debug)]
pub struct Model {
    /// Everything except the weights.
    pub card: Card,
    /// The network, without gradients.
    pub network: Network,
    /// The further networks of an ensemble: those of [`Card::ensemble`].
    pub ensemble: Vec<Network>,
}

/// The name prefix of the tensors of the network at this place of an ensemble, from 1.
fn member_prefix(place: usize) -> String {
    format!("ensemble.{place}.")
}

/// Moves the tensors whose names begin with `prefix` out of a file. Their names lose it.
fn take_member(file: &mut TensorFile, prefix: &str) -> TensorFile {
    let mut member = TensorFile::default();
    for (name, tensor) in std::mem::take(&mut file.tensors) {
        match name.strip_prefix(prefix) {
            Some(name) => member.tensors.insert(name.to_owned(), tensor),
            None => file.tensors.insert(name, tensor),
        };
    }
    member
}

impl Model {
    /// A model of one network.
    #[must_use]
    pub fn new(card: Card, network: Network) -> Self {
        Self { card, network, ensemble: Vec::new() }
    }

    /// Reads a model file onto `device`.
    ///
    /// # Errors
    ///
    /// If the file is damaged, truncated, not a model of visage, or of a newer version of visage, or a weight is NaN or infinite.
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
        let load = |config: &NetworkConfig, file: &TensorFile| {
            let loaded = config.zeroed(device).load(config.architecture, file);
            let (network, loaded) = loaded.map_err(|error| match error {
                LoadError::NotFinite { .. } => ModelError::BadWeights { path: path.to_owned(), reason: error },
                error => bad(format!("it does not match the weights in the file: {error}")),
            })?;
            if loaded.classifier_replaced {
                let outputs = card.attributes.len();
                return Err(bad(format!("the classifier in the file does not have the card's {outputs} outputs")));
            }
            Ok(network)
        };
        let mut file = file;
        let mut members = Vec::with_capacity(card.ensemble.len());
        for (config, place) in card.ensemble.iter().zip(1..) {
            members.push(load(config, &take_member(&mut file, &member_prefix(place)))?);
        }
        let network = load(&card.network, &file)?;
        Ok(Self { card, network, ensemble: members })
    }

    /// The networks whose logits are averaged: one, or those of an ensemble.
    pub fn networks(&self) -> impl Iterator<Item = &Network> {
        std::iter::once(&self.network).chain(&self.ensemble)
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
        let mut tensors = self.network.tensors(self.card.network.architecture);
        for ((network, config), place) in self.ensemble.iter().zip(&self.card.ensemble).zip(1..) {
            let members = network.tensors(config.architecture);
            tensors.extend(members.into_iter().map(|(name, tensor)| (member_prefix(place) + &name, tensor)));
        }
        TensorFile { tensors, metadata: BTreeMap::from([(CARD.to_owned(), self.card.to_json())]) }
    }
}
