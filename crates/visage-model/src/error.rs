//! What can be wrong with a model.

use std::path::PathBuf;

use crate::architecture::Architecture;
use crate::state::Naming;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file could not be read or written as tensors.
    #[error(transparent)]
    Weights(#[from] visage_weights::WeightsError),

    /// A file's tensors are not the network's.
    #[error("the weights are not those of {architecture} (read with {naming} names){}", listing(.missing, .misshapen, .surplus))]
    Mismatch {
        /// The network.
        architecture: Architecture,
        /// The naming that fitted best.
        naming: Naming,
        /// Keys the network needs and the file lacks.
        missing: Vec<String>,
        /// Tensors of another shape.
        misshapen: Vec<String>,
        /// Keys the network has no place for.
        surplus: Vec<String>,
    },

    /// A readable tensor file that is no model of visage.
    #[error("{}: this is a weight file, not a visage model: it has no `visage` card in its header; to start a training \
             from it, name it as `model.weights` in a recipe", path.display())]
    NoCard {
        /// The file.
        path: PathBuf,
    },

    /// A card that cannot be read or contradicts itself.
    #[error("{}: the model's card is damaged: {reason}", path.display())]
    BadCard {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// A model of a newer visage.
    #[error("{}: the model is of format {found}, this visage reads formats up to {known}; use a newer visage", path.display())]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Format of the file.
        found: u32,
        /// Newest format this program reads.
        known: u32,
    },
}

impl ModelError {
    /// The message in one line: of a mismatch, how many tensors and one of each kind.
    #[must_use]
    pub fn brief(&self) -> String {
        let Self::Mismatch { architecture, naming, missing, misshapen, surplus } = self else {
            return self.to_string();
        };
        let parts = [("missing", missing), ("of another shape", misshapen), ("surplus", surplus)];
        let told =
            parts.iter().filter_map(|(what, keys)| Some(format!("{} {what} (such as {})", keys.len(), keys.first()?)));
        format!("{architecture} (by {naming} names): {}", told.collect::<Vec<_>>().join(", "))
    }
}

fn listing(missing: &[String], misshapen: &[String], surplus: &[String]) -> String {
    [("missing", missing), ("of another shape", misshapen), ("surplus", surplus)]
        .iter()
        .filter(|(_, keys)| !keys.is_empty())
        .map(|(what, keys)| format!("\n  {} {what}:\n    {}", keys.len(), keys.join("\n    ")))
        .collect()
}
