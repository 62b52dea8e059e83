//! Errors of networks, weights and model files.

use std::path::PathBuf;

use crate::architecture::Architecture;
use crate::naming::Naming;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages explain the variants and their fields")]
pub enum ModelError {
    #[error(transparent)]
    Weights(#[from] visage_weights::WeightsError),

    #[error("the weights are not those of {architecture} (read with {naming} names){}", listing(.missing, .misshapen, .surplus))]
    Mismatch {
        architecture: Architecture,
        naming: Naming,
        missing: Vec<String>,
        misshapen: Vec<String>,
        surplus: Vec<String>,
    },

    #[error(
        "{}: this is a weight file, not a visage model: it has no `visage` card in its header; to start a training from it, set \
         `model.weights` in the recipe", path.display()
    )]
    NoCard { path: PathBuf },

    #[error("{}: the model's card is damaged: {reason}", path.display())]
    BadCard { path: PathBuf, reason: String },

    #[error("{}: the model has format {found}, this version of visage reads formats up to {known}; update visage", path.display())]
    NewerFormat { path: PathBuf, found: u32, known: u32 },
}

impl ModelError {
    /// The message in one line. A mismatch is summarised by the number of tensors of each kind and an example.
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
