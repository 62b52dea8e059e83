//! `[training]`.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use visage_model::Precision;

use super::check::Checks;

/// `[training]`: length of the run, batches, precision, seed, and when to stop.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainingRecipe {
    /// Passes over the training split.
    pub epochs: u32,
    /// Images in a batch.
    pub batch_size: usize,
    /// Batches per optimiser step (gradient accumulation), weighted by their known labels; the last step of an epoch takes
    /// the batches that are left. Norms see each batch by itself.
    pub accumulate: usize,
    /// How the images of an epoch are chosen.
    pub sampling: Sampling,
    /// The type that activations and their gradients are stored in; weights and the optimiser stay f32. The CPU computes in
    /// f32 and rounds, so that a 16-bit type saves nothing there: it shows what another device would compute.
    pub precision: Precision,
    /// Epochs at the beginning in which the backbone is frozen, its norms at their running statistics, and only the
    /// classifier learns.
    pub freeze_backbone_epochs: u32,
    /// Whether the backbone's norms stay at their loaded running statistics in every epoch.
    pub freeze_norms: bool,
    /// Decay of an exponential moving average of the weights, in 0..1, such as 0.999. The average is validated and saved
    /// as the model. Absent: the weights themselves are.
    pub ema_decay: Option<f64>,
    /// Seed of every random draw of the run: initial weights, order, augmentation, dropout.
    pub seed: u64,
    /// The metric that decides which epoch is best, and so which weights become the model.
    pub monitor: Monitor,
    /// Stops after this many epochs in a row without an improvement of the monitor. Absent: trains every epoch.
    pub patience: Option<u32>,
    /// Smallest improvement of the monitor that counts.
    pub min_delta: f64,
    /// Whether the outputs of norms and gates are recomputed in the backward pass, to the same bits, instead of being kept:
    /// less memory, more time.
    pub checkpoint_activations: bool,
    /// Minutes between checkpoints within an epoch. Absent: only after each epoch.
    pub checkpoint_minutes: Option<f64>,
}

impl Default for TrainingRecipe {
    fn default() -> Self {
        Self {
            epochs: 10,
            batch_size: 64,
            accumulate: 1,
            sampling: Sampling::Shuffle,
            precision: Precision::F32,
            freeze_backbone_epochs: 0,
            freeze_norms: false,
            ema_decay: None,
            seed: 0,
            monitor: Monitor::ValidationLoss,
            patience: None,
            min_delta: 0.0,
            checkpoint_activations: false,
            checkpoint_minutes: None,
        }
    }
}

impl TrainingRecipe {
    /// `pretrained` says whether the recipe names pretrained weights.
    pub(super) fn check(&self, pretrained: bool, checks: &mut Checks) {
        checks.require(self.epochs > 0, "training.epochs", self.epochs, "at least 1");
        let allowed = "at least 2: batch norm needs a variance";
        checks.require(self.batch_size > 1, "training.batch_size", self.batch_size, allowed);
        checks.require(self.accumulate > 0, "training.accumulate", self.accumulate, "at least 1");
        if let Some(decay) = self.ema_decay {
            checks.between_0_and_1("training.ema_decay", decay);
        }
        let allowed = "left out without model.weights: random weights are not worth freezing";
        let epochs = self.freeze_backbone_epochs;
        checks.require(pretrained || epochs == 0, "training.freeze_backbone_epochs", epochs, allowed);
        let norms = self.freeze_norms;
        checks.require(pretrained || !norms, "training.freeze_norms", norms, allowed);
        // TOML integers are signed.
        let fits = i64::try_from(self.seed).is_ok();
        checks.require(fits, "training.seed", self.seed, "at most 9223372036854775807");
        checks.require(self.patience != Some(0), "training.patience", 0, "at least 1, or left out");
        checks.at_least_0("training.min_delta", self.min_delta);
        if let Some(minutes) = self.checkpoint_minutes {
            checks.above_0("training.checkpoint_minutes", minutes);
        }
    }
}

/// How the images of an epoch are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sampling {
    /// Every image once, in random order.
    #[default]
    Shuffle,
    /// Class-aware sampling: as many draws as there are images, with replacement, so that rare answers are seen as often as
    /// common ones.
    Balanced,
}

/// The validation metric that decides which epoch is best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Monitor {
    /// The training loss, on the validation split: lower is better.
    ValidationLoss,
    /// Mean accuracy over the attributes.
    Accuracy,
    /// Mean balanced accuracy over the attributes.
    BalancedAccuracy,
    /// Mean F1 over the attributes.
    F1,
    /// Mean average precision over the attributes: the only one that depends on no threshold.
    AveragePrecision,
}

impl Monitor {
    const ALL: [Self; 5] =
        [Self::AveragePrecision, Self::F1, Self::Accuracy, Self::BalancedAccuracy, Self::ValidationLoss];

    /// The name in a recipe.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Monitor::ValidationLoss => "validation_loss",
            Monitor::Accuracy => "accuracy",
            Monitor::BalancedAccuracy => "balanced_accuracy",
            Monitor::F1 => "f1",
            Monitor::AveragePrecision => "average_precision",
        }
    }

    /// The name in a sentence.
    #[must_use]
    pub fn in_words(self) -> String {
        if self == Monitor::F1 { "F1".to_owned() } else { self.name().replace('_', " ") }
    }

    /// Whether a lower value is better.
    #[must_use]
    pub fn lower_is_better(self) -> bool {
        self == Monitor::ValidationLoss
    }
}

impl FromStr for Monitor {
    type Err = String;

    /// The metric of this name in a recipe.
    fn from_str(name: &str) -> Result<Self, String> {
        let names = || Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|monitor| monitor.name() == name);
        found.ok_or_else(|| format!("there is no metric {name:?}: choose one of {}", names()))
    }
}
