//! `[model]`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use visage_model::{Architecture, NetworkConfig};

use super::check::Checks;

/// `[model]`: the network and its initial weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelRecipe {
    /// The network.
    pub architecture: Architecture,
    /// Pretrained weights: a file (`.safetensors` or `.pth`), relative to the working directory, or, if visage was built
    /// with the feature `hub`, `hub:OWNER/NAME[@REVISION]`. Absent: random weights.
    pub weights: Option<PathBuf>,
    /// The prefix, one or more dotted parts, of the tensors' names in that file. Needed only where the file holds several networks
    /// that fit, such as `model` and `ema`. Absent: the only one is found.
    pub weights_prefix: Option<String>,
    /// Dropout rate of the head, in 0..1. Absent: the network's default. ResNets have none.
    pub dropout: Option<f64>,
    /// Stochastic depth rate of the last block, in 0..1. Absent: the network's default. ResNets have none.
    pub stochastic_depth: Option<f64>,
}

impl ModelRecipe {
    /// The network with one output for each of `attributes` attributes.
    #[must_use]
    pub fn network(&self, attributes: usize) -> NetworkConfig {
        let Self { architecture, dropout, stochastic_depth, .. } = *self;
        NetworkConfig { architecture, outputs: attributes, dropout, stochastic_depth }
    }

    pub(super) fn check(&self, checks: &mut Checks) {
        if let Some(prefix) = &self.weights_prefix {
            let allowed = "left out without model.weights, whose tensors' names it begins";
            checks.require(self.weights.is_some(), "model.weights_prefix", format!("{prefix:?}"), allowed);
        }
        for (key, rate) in [("model.dropout", self.dropout), ("model.stochastic_depth", self.stochastic_depth)] {
            if let Some(rate) = rate {
                let allowed = format!("left out: {} has none", self.architecture);
                checks.require(self.architecture.is_regularised(), key, rate, &allowed);
                checks.at_least_0_below_1(key, rate);
            }
        }
    }
}
