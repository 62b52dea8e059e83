//! The sections of a recipe, one struct each. The keys of a recipe file are the fields of these structs.

use std::path::PathBuf;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use visage_data::{Augmentation, Noise, Preparation, Resize, Size, Statistics, Weighting};
use visage_judge::ThresholdRule;
use visage_model::{Architecture, NetworkConfig};

use crate::early_stopping::{EarlyStopping, Monitor};
use crate::loss::{Loss, LossError, LossKind};
use crate::schedule::{Anneal, OneCycle, Rates, Schedule};

/// `[model]`: which network, and what it starts from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelRecipe {
    /// The network.
    pub architecture: Architecture,
    /// File of pretrained weights (`.safetensors` or `.pth`), relative to the working directory. Absent: random weights.
    pub weights: Option<PathBuf>,
    /// Dropout rate of the head, in 0..1. Absent: the network's own. ResNet-18 has none.
    pub dropout: Option<f64>,
    /// Stochastic depth rate of the last block, in 0..1. Absent: the network's own. ResNet-18 has none.
    pub stochastic_depth: Option<f64>,
}

impl ModelRecipe {
    /// The network with one output for each of `attributes` questions.
    #[must_use]
    pub fn network(&self, attributes: usize) -> NetworkConfig {
        let Self { architecture, dropout, stochastic_depth, .. } = *self;
        NetworkConfig { architecture, outputs: attributes, dropout, stochastic_depth }
    }
}

/// `[input]`: how an image becomes the network's input, in training, evaluation and prediction alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputRecipe {
    /// Height x width the network sees, in pixels: `"218x178"`, or `"128"` for a square.
    pub size: Size,
    /// Resizes the shorter side to this many pixels, keeping the aspect, then cuts `size` from the centre. Absent:
    /// resizes to `size` whatever the aspect.
    pub shorter_side: Option<usize>,
    /// Subtracted from each channel (red, green, blue), after scaling to 0..=1.
    #[serde(default = "half")]
    pub mean: [f32; 3],
    /// Each channel is divided by this, after the mean.
    #[serde(default = "half")]
    pub std: [f32; 3],
}

fn half() -> [f32; 3] {
    [0.5; 3]
}

impl InputRecipe {
    /// The preparation that training uses and the model file carries.
    #[must_use]
    pub fn preparation(&self) -> Preparation {
        let (resize, crop) = match self.shorter_side {
            Some(side) => (Resize::ShorterSide(side), Some(self.size)),
            None => (Resize::Exact(self.size), None),
        };
        Preparation { resize, crop, mean: self.mean, std: self.std, ..Preparation::exact(self.size) }
    }
}

/// `[augmentation]`: random changes to training images. Absent: none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AugmentationRecipe {
    /// Probability of a horizontal flip.
    pub flip: f32,
    /// Probability of Gaussian noise.
    pub noise: f32,
    /// Range the variance of the noise is drawn from, evenly, on the 0-255 scale.
    pub noise_variance: [f32; 2],
}

impl Default for AugmentationRecipe {
    fn default() -> Self {
        Self { flip: 0.0, noise: 0.0, noise_variance: [10.0, 50.0] }
    }
}

impl AugmentationRecipe {
    /// The augmentation of the training images.
    #[must_use]
    pub fn augmentation(&self) -> Augmentation {
        let noise = (self.noise > 0.0).then_some(Noise { probability: self.noise, variance: self.noise_variance });
        Augmentation { flip: self.flip, noise }
    }
}

/// `[loss]`: what training makes small, and what each label counts for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "LossSection", into = "LossSection")]
pub struct LossRecipe {
    /// The loss and its parameters.
    pub kind: LossKind,
    /// How labels are weighted.
    pub weighting: Weighting,
    /// The exponent weights are raised to: 1 takes them as they are, 0.5 is a square root, which holds back both very
    /// large weights and the false positives they bring.
    pub weighting_power: f64,
}

impl Default for LossRecipe {
    fn default() -> Self {
        Self { kind: LossKind::Bce, weighting: Weighting::None, weighting_power: 1.0 }
    }
}

impl LossRecipe {
    /// The loss for a dataset whose training split has these statistics, on `device`.
    ///
    /// # Errors
    ///
    /// When the statistics give no usable weights.
    pub fn loss(&self, training: &Statistics, device: &Device) -> Result<Loss, LossError> {
        match self.weighting {
            Weighting::None => Ok(Loss::new(self.kind)),
            weighting => Loss::weighted(self.kind, &training.weights(&weighting)?, self.weighting_power as f32, device),
        }
    }
}

/// `[loss]` as it is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LossSection {
    kind: LossName,
    alpha: Option<f64>,
    gamma: Option<f64>,
    gamma_positive: Option<f64>,
    gamma_negative: Option<f64>,
    clip: Option<f64>,
    #[serde(default)]
    weighting: WeightingName,
    weighting_beta: Option<f64>,
    weighting_power: Option<f64>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum LossName {
    Bce,
    Focal,
    Asymmetric,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WeightingName {
    #[default]
    None,
    PosWeight,
    InverseFrequency,
    EffectiveNumber,
}

/// The effective number's usual beta (Cui et al., CVPR 2019).
const DEFAULT_EFFECTIVE_NUMBER_BETA: f64 = 0.9999;

impl TryFrom<LossSection> for LossRecipe {
    type Error = String;

    fn try_from(section: LossSection) -> Result<Self, String> {
        let LossSection { alpha, gamma, gamma_positive, gamma_negative, clip, weighting_beta, weighting_power, .. } =
            section;
        let (choice, surplus): (_, &[_]) = match section.kind {
            LossName::Bce => (
                r#"kind = "bce""#,
                &[
                    ("alpha", alpha),
                    ("gamma", gamma),
                    ("gamma_positive", gamma_positive),
                    ("gamma_negative", gamma_negative),
                    ("clip", clip),
                ],
            ),
            LossName::Focal => (
                r#"kind = "focal""#,
                &[("gamma_positive", gamma_positive), ("gamma_negative", gamma_negative), ("clip", clip)],
            ),
            LossName::Asymmetric => (r#"kind = "asymmetric""#, &[("alpha", alpha), ("gamma", gamma)]),
        };
        refuse_surplus(choice, surplus)?;
        match section.weighting {
            WeightingName::None => refuse_surplus(
                r#"weighting = "none""#,
                &[("weighting_beta", weighting_beta), ("weighting_power", weighting_power)],
            )?,
            WeightingName::PosWeight => {
                refuse_surplus(r#"weighting = "pos_weight""#, &[("weighting_beta", weighting_beta)])?;
            }
            WeightingName::InverseFrequency => {
                refuse_surplus(r#"weighting = "inverse_frequency""#, &[("weighting_beta", weighting_beta)])?;
            }
            WeightingName::EffectiveNumber => {}
        }

        let kind = match section.kind {
            LossName::Bce => LossKind::Bce,
            LossName::Focal => LossKind::Focal { alpha: alpha.unwrap_or(0.5), gamma: gamma.unwrap_or(2.0) },
            LossName::Asymmetric => LossKind::Asymmetric {
                gamma_positive: gamma_positive.unwrap_or(1.0),
                gamma_negative: gamma_negative.unwrap_or(4.0),
                clip: clip.unwrap_or(0.05),
            },
        };
        let weighting = match section.weighting {
            WeightingName::None => Weighting::None,
            WeightingName::PosWeight => Weighting::PosWeight,
            WeightingName::InverseFrequency => Weighting::InverseFrequency,
            WeightingName::EffectiveNumber => {
                Weighting::EffectiveNumber { beta: weighting_beta.unwrap_or(DEFAULT_EFFECTIVE_NUMBER_BETA) }
            }
        };
        Ok(Self { kind, weighting, weighting_power: weighting_power.unwrap_or(1.0) })
    }
}

impl From<LossRecipe> for LossSection {
    fn from(recipe: LossRecipe) -> Self {
        let mut section = LossSection {
            kind: LossName::Bce,
            alpha: None,
            gamma: None,
            gamma_positive: None,
            gamma_negative: None,
            clip: None,
            weighting: WeightingName::None,
            weighting_beta: None,
            weighting_power: (recipe.weighting != Weighting::None).then_some(recipe.weighting_power),
        };
        match recipe.kind {
            LossKind::Bce => {}
            LossKind::Focal { alpha, gamma } => {
                section.kind = LossName::Focal;
                section.alpha = Some(alpha);
                section.gamma = Some(gamma);
            }
            LossKind::Asymmetric { gamma_positive, gamma_negative, clip } => {
                section.kind = LossName::Asymmetric;
                section.gamma_positive = Some(gamma_positive);
                section.gamma_negative = Some(gamma_negative);
                section.clip = Some(clip);
            }
        }
        section.weighting = match recipe.weighting {
            Weighting::None => WeightingName::None,
            Weighting::PosWeight => WeightingName::PosWeight,
            Weighting::InverseFrequency => WeightingName::InverseFrequency,
            Weighting::EffectiveNumber { beta } => {
                section.weighting_beta = Some(beta);
                WeightingName::EffectiveNumber
            }
        };
        section
    }
}

/// `[optimizer]`: the rule that turns gradients into steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerRecipe {
    /// The rule.
    pub kind: OptimizerKind,
    /// The learning rate of a constant schedule; the highest of a one-cycle schedule.
    pub learning_rate: f64,
    /// Weight decay: added to the gradient by `adam`, applied to the weights themselves by `adamw`.
    pub weight_decay: f64,
    /// Decay of the running mean of gradients and of their squares. One-cycle moves the first one.
    pub betas: [f64; 2],
    /// Added to the denominator, so that it is never 0.
    pub epsilon: f64,
}

impl Default for OptimizerRecipe {
    /// PyTorch's `AdamW`.
    fn default() -> Self {
        Self { kind: OptimizerKind::Adamw, learning_rate: 1e-3, weight_decay: 0.01, betas: [0.9, 0.999], epsilon: 1e-8 }
    }
}

/// The rule of an optimiser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptimizerKind {
    /// Adam (Kingma and Ba, ICLR 2015).
    Adam,
    /// Adam with decoupled weight decay (Loshchilov and Hutter, ICLR 2019).
    Adamw,
}

/// `[schedule]`: how the learning rate moves over the run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ScheduleSection", into = "ScheduleSection")]
pub enum ScheduleRecipe {
    /// Every step at the optimiser's learning rate.
    Constant,
    /// One climb to the optimiser's learning rate, and one descent.
    OneCycle(OneCycle),
}

impl Default for ScheduleRecipe {
    fn default() -> Self {
        Self::OneCycle(OneCycle::default())
    }
}

impl ScheduleRecipe {
    /// The schedule of a run of `total_steps` optimiser steps.
    #[must_use]
    pub fn resolve(&self, optimizer: &OptimizerRecipe, total_steps: u64) -> Schedule {
        let peak = Rates { learning_rate: optimizer.learning_rate, beta1: optimizer.betas[0] };
        match *self {
            ScheduleRecipe::Constant => Schedule::Constant(peak),
            ScheduleRecipe::OneCycle(shape) => Schedule::OneCycle { peak, shape, total_steps },
        }
    }
}

/// `[schedule]` as it is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScheduleSection {
    kind: ScheduleName,
    pct_start: Option<f64>,
    div_factor: Option<f64>,
    final_div_factor: Option<f64>,
    anneal: Option<Anneal>,
    three_phase: Option<bool>,
    cycle_momentum: Option<bool>,
    base_momentum: Option<f64>,
    max_momentum: Option<f64>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ScheduleName {
    Constant,
    OneCycle,
}

impl TryFrom<ScheduleSection> for ScheduleRecipe {
    type Error = String;

    fn try_from(section: ScheduleSection) -> Result<Self, String> {
        match section.kind {
            ScheduleName::Constant => {
                refuse_surplus(
                    r#"kind = "constant""#,
                    &[
                        ("pct_start", section.pct_start.map(drop)),
                        ("div_factor", section.div_factor.map(drop)),
                        ("final_div_factor", section.final_div_factor.map(drop)),
                        ("anneal", section.anneal.map(drop)),
                        ("three_phase", section.three_phase.map(drop)),
                        ("cycle_momentum", section.cycle_momentum.map(drop)),
                        ("base_momentum", section.base_momentum.map(drop)),
                        ("max_momentum", section.max_momentum.map(drop)),
                    ],
                )?;
                Ok(Self::Constant)
            }
            ScheduleName::OneCycle => {
                let default = OneCycle::default();
                Ok(Self::OneCycle(OneCycle {
                    pct_start: section.pct_start.unwrap_or(default.pct_start),
                    div_factor: section.div_factor.unwrap_or(default.div_factor),
                    final_div_factor: section.final_div_factor.unwrap_or(default.final_div_factor),
                    anneal: section.anneal.unwrap_or(default.anneal),
                    three_phase: section.three_phase.unwrap_or(default.three_phase),
                    cycle_momentum: section.cycle_momentum.unwrap_or(default.cycle_momentum),
                    base_momentum: section.base_momentum.unwrap_or(default.base_momentum),
                    max_momentum: section.max_momentum.unwrap_or(default.max_momentum),
                }))
            }
        }
    }
}

impl From<ScheduleRecipe> for ScheduleSection {
    fn from(recipe: ScheduleRecipe) -> Self {
        let (kind, shape) = match recipe {
            ScheduleRecipe::Constant => (ScheduleName::Constant, None),
            ScheduleRecipe::OneCycle(shape) => (ScheduleName::OneCycle, Some(shape)),
        };
        Self {
            kind,
            pct_start: shape.map(|shape| shape.pct_start),
            div_factor: shape.map(|shape| shape.div_factor),
            final_div_factor: shape.map(|shape| shape.final_div_factor),
            anneal: shape.map(|shape| shape.anneal),
            three_phase: shape.map(|shape| shape.three_phase),
            cycle_momentum: shape.map(|shape| shape.cycle_momentum),
            base_momentum: shape.map(|shape| shape.base_momentum),
            max_momentum: shape.map(|shape| shape.max_momentum),
        }
    }
}

/// `[training]`: how long, how much at a time, and when to stop.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainingRecipe {
    /// Passes over the training split.
    pub epochs: u32,
    /// Images in a step.
    pub batch_size: usize,
    /// Decides every random draw of the run: first weights, order, augmentation, dropout.
    pub seed: u64,
    /// What decides which epoch is best, and whose weights are kept as the model.
    pub monitor: Monitor,
    /// Stops after this many epochs in a row without an improvement of the monitor. Absent: trains every epoch.
    pub patience: Option<u32>,
    /// An improvement of the monitor smaller than this counts as none.
    pub min_delta: f64,
    /// Saves a checkpoint this often within an epoch, besides the one after it. Absent: only after each epoch.
    pub checkpoint_minutes: Option<f64>,
}

impl Default for TrainingRecipe {
    fn default() -> Self {
        Self {
            epochs: 10,
            batch_size: 64,
            seed: 0,
            monitor: Monitor::ValidationLoss,
            patience: None,
            min_delta: 0.0,
            checkpoint_minutes: None,
        }
    }
}

impl TrainingRecipe {
    /// When to stop early.
    #[must_use]
    pub fn early_stopping(&self) -> EarlyStopping {
        EarlyStopping { monitor: self.monitor, patience: self.patience, min_delta: self.min_delta }
    }
}

/// `[evaluation]`: how probabilities become answers. Absent: a threshold of 0.5.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "EvaluationSection", into = "EvaluationSection")]
pub struct EvaluationRecipe {
    /// Where the thresholds stored in the model come from.
    pub thresholds: Thresholds,
}

impl Default for EvaluationRecipe {
    fn default() -> Self {
        Self { thresholds: Thresholds::Fixed(DEFAULT_THRESHOLD) }
    }
}

/// Where thresholds come from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Thresholds {
    /// One probability for every attribute, in 0..1.
    Fixed(f64),
    /// For each attribute, the one that meets the rule on the validation split: best F1, or a wanted precision or recall.
    Chosen(ThresholdRule),
}

const DEFAULT_THRESHOLD: f64 = 0.5;
/// The precision or recall wanted where a recipe names none.
const DEFAULT_LEVEL: f64 = 0.8;

/// `[evaluation]` as it is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EvaluationSection {
    thresholds: ThresholdsName,
    threshold: Option<f64>,
    precision: Option<f64>,
    recall: Option<f64>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ThresholdsName {
    Fixed,
    BestF1,
    Precision,
    Recall,
}

impl TryFrom<EvaluationSection> for EvaluationRecipe {
    type Error = String;

    fn try_from(section: EvaluationSection) -> Result<Self, String> {
        let EvaluationSection { thresholds, threshold, precision, recall } = section;
        let keys = [("threshold", threshold), ("precision", precision), ("recall", recall)];
        let refuse_all_but = |own: &str, choice: &str| {
            refuse_surplus(choice, &keys.into_iter().filter(|(key, _)| *key != own).collect::<Vec<_>>())
        };
        let thresholds = match thresholds {
            ThresholdsName::Fixed => {
                refuse_all_but("threshold", r#"thresholds = "fixed""#)?;
                Thresholds::Fixed(threshold.unwrap_or(DEFAULT_THRESHOLD))
            }
            ThresholdsName::BestF1 => {
                refuse_all_but("", r#"thresholds = "best_f1""#)?;
                Thresholds::Chosen(ThresholdRule::BestF1)
            }
            ThresholdsName::Precision => {
                refuse_all_but("precision", r#"thresholds = "precision""#)?;
                Thresholds::Chosen(ThresholdRule::Precision(precision.unwrap_or(DEFAULT_LEVEL)))
            }
            ThresholdsName::Recall => {
                refuse_all_but("recall", r#"thresholds = "recall""#)?;
                Thresholds::Chosen(ThresholdRule::Recall(recall.unwrap_or(DEFAULT_LEVEL)))
            }
        };
        Ok(Self { thresholds })
    }
}

impl From<EvaluationRecipe> for EvaluationSection {
    fn from(recipe: EvaluationRecipe) -> Self {
        let section = |thresholds| Self { thresholds, threshold: None, precision: None, recall: None };
        match recipe.thresholds {
            Thresholds::Fixed(threshold) => Self { threshold: Some(threshold), ..section(ThresholdsName::Fixed) },
            Thresholds::Chosen(ThresholdRule::Precision(level)) => {
                Self { precision: Some(level), ..section(ThresholdsName::Precision) }
            }
            Thresholds::Chosen(ThresholdRule::Recall(level)) => {
                Self { recall: Some(level), ..section(ThresholdsName::Recall) }
            }
            // `Chosen(Fixed)` chooses one half for every attribute.
            Thresholds::Chosen(ThresholdRule::Fixed) => {
                Self { threshold: Some(DEFAULT_THRESHOLD), ..section(ThresholdsName::Fixed) }
            }
            Thresholds::Chosen(ThresholdRule::BestF1) => section(ThresholdsName::BestF1),
        }
    }
}

/// An error naming the first key that is given although `choice` has no use for it.
fn refuse_surplus<T: Copy>(choice: &str, keys: &[(&str, Option<T>)]) -> Result<(), String> {
    match keys.iter().find(|(_, value)| value.is_some()) {
        Some((key, _)) => Err(format!("`{key}` means nothing with {choice}: remove it, or change the choice")),
        None => Ok(()),
    }
}
