//! Errors of networks, weights and model files.

use std::path::PathBuf;

use crate::architecture::Architecture;
use crate::naming::Naming;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file cannot be read or written as tensors.
    #[error(transparent)]
    Weights(#[from] visage_weights::WeightsError),

    /// The tensors of a file do not fit the network.
    #[error("the weights are not those of {architecture} (read with {naming} names){}", listing(.missing, .misshapen, .surplus))]
    Mismatch {
        /// The architecture.
        architecture: Architecture,
        /// The naming that most of the keys have.
        naming: Naming,
        /// Keys of the network that the file lacks.
        missing: Vec<String>,
        /// Tensors of another shape or type, with both shapes.
        misshapen: Vec<String>,
        /// Keys of the file that the network lacks.
        surplus: Vec<String>,
    },

    /// A readable tensor file that is not a model of visage.
    #[error(
        "{}: this is a weight file, not a visage model: it has no `visage` card in its header; to start a training from it, set \
         `model.weights` in the recipe", path.display()
    )]
    NoCard {
        /// The file.
        path: PathBuf,
    },

    /// A card that cannot be read or is inconsistent.
    #[error("{}: the model's card is damaged: {reason}", path.display())]
    BadCard {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },

    /// A model that a newer version of visage wrote.
    #[error("{}: the model has format {found}, this version of visage reads formats up to {known}; update visage", path.display())]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// The file's format.
        found: u32,
        /// The newest format that this version reads.
        known: u32,
    },
}

impl ModelError {
    /// The message in one line. A mismatch is summarised by the number of tensors of each kind and an example.
    #[must_use]
    pub fn brief(&self) -> String {
        let Self::Mismatch { architecture, naming, missing, misshapen, surplus } = self else {
            return self.to_string();
        };
        let parts = [("missing", missing), ("of another shape", misshapen), ("surplus", surplus)];
        let counts =
            parts.iter().filter_map(|(what, keys)| Some(format!("{} {what} (such as {})", keys.len(), keys.first()?)));
        format!("{architecture} (by {naming} names): {}", counts.collect::<Vec<_>>().join(", "))
    }
}

fn listing(missing: &[String], misshapen: &[String], surplus: &[String]) -> String {
    [("missing", missing), ("of another shape", misshapen), ("surplus", surplus)]
        .iter()
        .filter(|(_, keys)| !keys.is_empty())
        .map(|(what, keys)| format!("\n  {} {what}:\n    {}", keys.len(), keys.join("\n    ")))
        .collect()
}
