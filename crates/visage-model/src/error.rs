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

    /// The tensors of a file cannot be loaded into the network.
    #[error(transparent)]
    Load(#[from] LoadError),

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

    /// A model whose weights are not numbers.
    #[error("{}: {reason}", path.display())]
    BadWeights {
        /// The file.
        path: PathBuf,
        /// [`LoadError::NotFinite`].
        reason: LoadError,
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

/// Why the tensors of a file cannot be loaded into a network.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// They are those of another network, or of none.
    #[error("the weights are not those of {architecture} (read with {naming} names): {}", summary(.missing, .misshapen, .surplus))]
    Mismatch {
        /// The architecture.
        architecture: Architecture,
        /// The naming that most of the names have.
        naming: Naming,
        /// Names of the network that the file lacks, with the prefix that most of the names have.
        missing: Vec<String>,
        /// Tensors of another shape or type, with both shapes.
        misshapen: Vec<String>,
        /// Names in the file that the network lacks.
        surplus: Vec<String>,
    },
    /// A weight or statistic is NaN or infinite.
    #[error(
        "its weights are unusable: {} holds {value}; the training that wrote them diverged, or the file is damaged",
        shortened(tensor)
    )]
    NotFinite {
        /// The name of the tensor in the file.
        tensor: String,
        /// The first such value.
        value: f32,
    },
    /// The file holds several networks that fit, with different weights.
    #[error("the file holds different weights of {architecture} under the prefixes {}: choose one, such as --set weights_prefix={}",
            listing(.prefixes), prefixes.last().map_or("", String::as_str))]
    Ambiguous {
        /// The architecture.
        architecture: Architecture,
        /// The prefixes of their names, without the last dot; the empty one is that of names without a prefix.
        prefixes: Vec<String>,
    },
    /// The network is not where it was said to be.
    #[error("the file has no weights of {architecture} under the prefix {prefix:?} of model.weights_prefix; it has them under {}",
            listing(.prefixes))]
    NoSuchPrefix {
        /// The architecture.
        architecture: Architecture,
        /// The prefix.
        prefix: String,
        /// The prefixes under which there are.
        prefixes: Vec<String>,
    },
}

/// The number of tensors of each kind, with an example of each, so that the message stays short.
fn summary(missing: &[String], misshapen: &[String], surplus: &[String]) -> String {
    let parts = [("missing", missing), ("of another shape", misshapen), ("surplus", surplus)];
    let counts = parts.iter().filter_map(|(what, names)| {
        let first = shortened(names.first()?);
        Some(match names.len() {
            1 => format!("1 {what} ({first})"),
            count => format!("{count} {what} (such as {first})"),
        })
    });
    counts.collect::<Vec<_>>().join(", ")
}

/// A name from a file, which may be hostile.
fn shortened(name: &str) -> String {
    const LONGEST: usize = 150;
    let visible = |letter: char| if letter.is_control() { char::REPLACEMENT_CHARACTER } else { letter };
    let shown: String = name.chars().take(LONGEST).map(visible).collect();
    if name.chars().nth(LONGEST).is_some() { shown + "..." } else { shown }
}

/// At most three prefixes.
fn listing(prefixes: &[String]) -> String {
    let mut shown: Vec<String> = prefixes.iter().take(3).map(|prefix| format!("\"{}\"", shortened(prefix))).collect();
    if prefixes.len() > shown.len() {
        shown.push(format!("{} more", prefixes.len() - shown.len()));
    }
    shown.join(", ")
}
