//! `[optimizer]`.

use serde::{Deserialize, Serialize};

use super::check::{Checks, list, refuse_unused};

/// `[optimizer]`: the rule that turns gradients into steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "OptimizerSection", into = "OptimizerSection")]
pub struct OptimizerRecipe {
    /// The rule and its parameters.
    pub kind: OptimizerKind,
    /// The peak learning rate, which the schedule scales at each step.
    pub learning_rate: f64,
    /// Weight decay: added to the gradient by `adam` and `sgd`, applied to the weights directly by `adamw`.
    pub weight_decay: f64,
    /// Whether weight decay applies to the scales and shifts of norms and to biases too.
    pub decay_norms_and_biases: bool,
    /// Layer-wise decay, in 0..=1: the factor between the learning rates of a layer and of the layer before it, nearer to
    /// the image. The classifier has the full rate; 1 gives every layer the same.
    pub layer_decay: f64,
    /// Largest L2 norm of the gradient of all weights together; a longer gradient is scaled down. Absent: no clipping.
    pub clip_norm: Option<f64>,
}

impl Default for OptimizerRecipe {
    /// PyTorch's `AdamW`.
    fn default() -> Self {
        Self {
            kind: OptimizerKind::Adamw { betas: DEFAULT_BETAS, epsilon: DEFAULT_EPSILON },
            learning_rate: 1e-3,
            weight_decay: 0.01,
            decay_norms_and_biases: true,
            layer_decay: 1.0,
            clip_norm: None,
        }
    }
}

impl OptimizerRecipe {
    pub(super) fn check(&self, checks: &mut Checks) {
        checks.above_0("optimizer.learning_rate", self.learning_rate);
        checks.at_least_0("optimizer.weight_decay", self.weight_decay);
        checks.above_0_to_1("optimizer.layer_decay", self.layer_decay);
        if let Some(norm) = self.clip_norm {
            checks.above_0("optimizer.clip_norm", norm);
        }
        match self.kind {
            OptimizerKind::Adam { betas, epsilon } | OptimizerKind::Adamw { betas, epsilon } => {
                let decays = betas.iter().all(|beta| (0.0..1.0).contains(beta));
                checks.require(decays, "optimizer.betas", list(&betas), "at least 0 and below 1");
                checks.above_0("optimizer.epsilon", epsilon);
            }
            OptimizerKind::Sgd { momentum, nesterov } => {
                checks.at_least_0_below_1("optimizer.momentum", momentum);
                let holds = !nesterov || momentum > 0.0;
                checks.require(holds, "optimizer.nesterov", nesterov, "false without a momentum");
            }
        }
    }
}

/// The rule of an optimiser.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OptimizerKind {
    /// Adam (Kingma and Ba, ICLR 2015).
    Adam {
        /// Decay of the running means of gradients and of their squares, each in 0..1. One-cycle schedules the first one.
        betas: [f64; 2],
        /// Added to the denominator for numerical stability.
        epsilon: f64,
    },
    /// Adam with decoupled weight decay (Loshchilov and Hutter, ICLR 2019).
    Adamw {
        /// As Adam's.
        betas: [f64; 2],
        /// As Adam's.
        epsilon: f64,
    },
    /// Stochastic gradient descent.
    Sgd {
        /// Share of the velocity that is kept from step to step, in 0..1. One-cycle schedules it.
        momentum: f64,
        /// Whether to use Nesterov's momentum (1983).
        nesterov: bool,
    },
}

impl OptimizerKind {
    /// Adam's first beta or SGD's momentum.
    #[must_use]
    pub fn momentum(self) -> f64 {
        match self {
            OptimizerKind::Adam { betas, .. } | OptimizerKind::Adamw { betas, .. } => betas[0],
            OptimizerKind::Sgd { momentum, .. } => momentum,
        }
    }
}

/// PyTorch's.
const DEFAULT_BETAS: [f64; 2] = [0.9, 0.999];
const DEFAULT_EPSILON: f64 = 1e-8;
/// What practically every recipe with momentum uses.
const DEFAULT_MOMENTUM: f64 = 0.9;

/// `[optimizer]` as it is written in a file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct OptimizerSection {
    kind: OptimizerName,
    learning_rate: f64,
    weight_decay: f64,
    decay_norms_and_biases: bool,
    layer_decay: f64,
    clip_norm: Option<f64>,
    betas: Option<[f64; 2]>,
    epsilon: Option<f64>,
    momentum: Option<f64>,
    nesterov: Option<bool>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OptimizerName {
    Adam,
    Adamw,
    Sgd,
}

impl Default for OptimizerSection {
    fn default() -> Self {
        let mut section = Self::from(OptimizerRecipe::default());
        // A file may choose another kind, whose parameters are not AdamW's.
        (section.betas, section.epsilon) = (None, None);
        section
    }
}

impl TryFrom<OptimizerSection> for OptimizerRecipe {
    type Error = String;

    fn try_from(section: OptimizerSection) -> Result<Self, String> {
        let OptimizerSection { betas, epsilon, momentum, nesterov, .. } = section;
        let adams = [("betas", betas.is_some()), ("epsilon", epsilon.is_some())];
        let sgds = [("momentum", momentum.is_some()), ("nesterov", nesterov.is_some())];
        match section.kind {
            OptimizerName::Adam => refuse_unused(r#"kind = "adam""#, &sgds)?,
            OptimizerName::Adamw => refuse_unused(r#"kind = "adamw""#, &sgds)?,
            OptimizerName::Sgd => refuse_unused(r#"kind = "sgd""#, &adams)?,
        }
        let (betas, epsilon) = (betas.unwrap_or(DEFAULT_BETAS), epsilon.unwrap_or(DEFAULT_EPSILON));
        let kind = match section.kind {
            OptimizerName::Adam => OptimizerKind::Adam { betas, epsilon },
            OptimizerName::Adamw => OptimizerKind::Adamw { betas, epsilon },
            OptimizerName::Sgd => OptimizerKind::Sgd {
                momentum: momentum.unwrap_or(DEFAULT_MOMENTUM),
                nesterov: nesterov.unwrap_or(false),
            },
        };
        let OptimizerSection { learning_rate, weight_decay, decay_norms_and_biases, layer_decay, clip_norm, .. } =
            section;
        Ok(Self { kind, learning_rate, weight_decay, decay_norms_and_biases, layer_decay, clip_norm })
    }
}

impl From<OptimizerRecipe> for OptimizerSection {
    fn from(recipe: OptimizerRecipe) -> Self {
        let (kind, adam, sgd) = match recipe.kind {
            OptimizerKind::Adam { betas, epsilon } => (OptimizerName::Adam, Some((betas, epsilon)), None),
            OptimizerKind::Adamw { betas, epsilon } => (OptimizerName::Adamw, Some((betas, epsilon)), None),
            OptimizerKind::Sgd { momentum, nesterov } => (OptimizerName::Sgd, None, Some((momentum, nesterov))),
        };
        let ((betas, epsilon), (momentum, nesterov)) = (adam.unzip(), sgd.unzip());
        let OptimizerRecipe { learning_rate, weight_decay, decay_norms_and_biases, layer_decay, clip_norm, .. } =
            recipe;
        Self {
            kind,
            learning_rate,
            weight_decay,
            decay_norms_and_biases,
            layer_decay,
            clip_norm,
            betas,
            epsilon,
            momentum,
            nesterov,
        }
    }
}
