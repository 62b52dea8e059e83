//! The sections of a recipe, one struct each. The keys of a recipe file are the fields of these structs.

use std::path::PathBuf;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use visage_data::{
    Affine, Augmentation, Blur, BrightnessContrast, Crop, Erasing, Mixing, Noise, Preparation, Resize, Size,
    Statistics, Weighting,
};
use visage_judge::ThresholdRule;
use visage_model::{Architecture, NetworkConfig, Precision};

use crate::early_stopping::{EarlyStopping, Monitor};
use crate::loss::{Loss, LossError, LossKind};
use crate::plateau::Plateau;
use crate::sampler::Sampling;
use crate::schedule::{Anneal, Decay, OneCycle, Rates, Schedule, Warmup};

/// `[model]`: which network, and what it starts from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelRecipe {
    /// The network.
    pub architecture: Architecture,
    /// Pretrained weights: a file (`.safetensors` or `.pth`), relative to the working directory, or, in a visage built
    /// with the feature `hub`, `hub:OWNER/NAME[@REVISION]`. Absent: random weights.
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
///
/// They are made in this order: crop, flip, shift_scale_rotate, brightness_contrast, blur, noise, erasing, then mixup or
/// cutmix. Each means what it means in albumentations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AugmentationRecipe {
    /// Probability of a random resized crop.
    pub crop: f32,
    /// Smallest and largest area of the crop, as parts of the image's.
    pub crop_scale: [f32; 2],
    /// Smallest and largest width of the crop for a height of 1.
    pub crop_ratio: [f32; 2],
    /// Probability of a horizontal flip.
    pub flip: f32,
    /// Probability of shifting, scaling and rotating.
    pub shift_scale_rotate: f32,
    /// The farthest shift, as a part of the width and the height.
    pub shift: f32,
    /// The most an image grows or shrinks: 0.1 is from 0.9 to 1.1 times.
    pub scale: f32,
    /// The most it turns, in degrees.
    pub rotate: f32,
    /// Probability of other brightness and contrast.
    pub brightness_contrast: f32,
    /// The most brightness that is added or taken, as a part of white.
    pub brightness: f32,
    /// The most contrast that is added or taken.
    pub contrast: f32,
    /// Probability of blur.
    pub blur: f32,
    /// Smallest and largest side of the square that blur averages over, in pixels; odd.
    pub blur_size: [usize; 2],
    /// Probability of Gaussian noise.
    pub noise: f32,
    /// Range the variance of the noise is drawn from, evenly, on the 0-255 scale.
    pub noise_variance: [f32; 2],
    /// Probability of a black rectangle.
    pub erasing: f32,
    /// Smallest and largest area of the rectangle, as parts of the image's.
    pub erasing_scale: [f32; 2],
    /// Smallest and largest width of the rectangle for a height of 1.
    pub erasing_ratio: [f32; 2],
    /// Probability that a batch is mixed by mixup.
    pub mixup: f32,
    /// Parameter of the beta distribution of mixup's weights.
    pub mixup_alpha: f32,
    /// Probability that a batch is mixed by CutMix; with `mixup` at most 1.
    pub cutmix: f32,
    /// Parameter of the beta distribution of CutMix's areas.
    pub cutmix_alpha: f32,
}

impl Default for AugmentationRecipe {
    /// Nothing is done; what could be has albumentations' strengths, a crop milder than ImageNet's, and timm's mixing.
    fn default() -> Self {
        Self {
            crop: 0.0,
            crop_scale: [0.7, 1.0],
            crop_ratio: [0.75, 4.0 / 3.0],
            flip: 0.0,
            shift_scale_rotate: 0.0,
            shift: 0.0625,
            scale: 0.1,
            rotate: 45.0,
            brightness_contrast: 0.0,
            brightness: 0.2,
            contrast: 0.2,
            blur: 0.0,
            blur_size: [3, 7],
            noise: 0.0,
            noise_variance: [10.0, 50.0],
            erasing: 0.0,
            erasing_scale: [0.02, 0.33],
            erasing_ratio: [0.3, 3.3],
            mixup: 0.0,
            mixup_alpha: 0.2,
            cutmix: 0.0,
            cutmix_alpha: 1.0,
        }
    }
}

impl AugmentationRecipe {
    /// The augmentation of the training images.
    #[must_use]
    pub fn augmentation(&self) -> Augmentation {
        let done = |probability: f32| (probability > 0.0).then_some(probability);
        Augmentation {
            crop: done(self.crop).map(|probability| Crop {
                probability,
                scale: self.crop_scale,
                ratio: self.crop_ratio,
            }),
            flip: self.flip,
            affine: done(self.shift_scale_rotate).map(|probability| Affine {
                probability,
                shift: self.shift,
                scale: self.scale,
                rotate: self.rotate,
            }),
            brightness_contrast: done(self.brightness_contrast).map(|probability| BrightnessContrast {
                probability,
                brightness: self.brightness,
                contrast: self.contrast,
            }),
            blur: done(self.blur).map(|probability| Blur { probability, size: self.blur_size }),
            noise: done(self.noise).map(|probability| Noise { probability, variance: self.noise_variance }),
            erasing: done(self.erasing).map(|probability| Erasing {
                probability,
                scale: self.erasing_scale,
                ratio: self.erasing_ratio,
            }),
        }
    }

    /// The mixing of the images of a batch, if there is any.
    #[must_use]
    pub fn mixing(&self) -> Option<Mixing> {
        let Self { mixup, mixup_alpha, cutmix, cutmix_alpha, .. } = *self;
        (mixup + cutmix > 0.0).then_some(Mixing { mixup, mixup_alpha, cutmix, cutmix_alpha })
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
    /// The part of a label that is given to both answers alike, in 0..1, so that no answer is ever sure (Szegedy et al.,
    /// 2016): in training only. The validation loss is of the labels as they are.
    pub label_smoothing: f64,
}

impl Default for LossRecipe {
    fn default() -> Self {
        Self { kind: LossKind::Bce, weighting: Weighting::None, weighting_power: 1.0, label_smoothing: 0.0 }
    }
}

impl LossRecipe {
    /// The loss for a dataset whose training split has these statistics, on `device`, its labels not smoothed.
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
    #[serde(default)]
    label_smoothing: f64,
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
        let label_smoothing = section.label_smoothing;
        Ok(Self { kind, weighting, weighting_power: weighting_power.unwrap_or(1.0), label_smoothing })
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
            label_smoothing: recipe.label_smoothing,
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
#[serde(try_from = "OptimizerSection", into = "OptimizerSection")]
pub struct OptimizerRecipe {
    /// The rule and its parameters.
    pub kind: OptimizerKind,
    /// The full learning rate, of which the schedule gives each step a part.
    pub learning_rate: f64,
    /// Weight decay: added to the gradient by `adam` and `sgd`, applied to the weights themselves by `adamw`.
    pub weight_decay: f64,
    /// Whether the weight decay takes scales, shifts and biases too.
    pub decay_norms_and_biases: bool,
    /// What the learning rate is multiplied by from each layer to the one below, nearer to the image, in 0..=1; the
    /// classifier has the full rate. 1 gives every layer the same.
    pub layer_decay: f64,
    /// The longest the gradient of all weights together may be; a longer one is shortened. Absent: as long as it is.
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

/// The rule of an optimiser.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OptimizerKind {
    /// Adam (Kingma and Ba, ICLR 2015).
    Adam {
        /// Decay of the running mean of gradients and of their squares, each in 0..1. One-cycle moves the first one.
        betas: [f64; 2],
        /// Added to the denominator, so that it is never 0.
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
        /// How much of the velocity is kept from step to step, in 0..1. One-cycle moves it.
        momentum: f64,
        /// Whether steps look ahead by one momentum (Nesterov, 1983).
        nesterov: bool,
    },
}

impl OptimizerKind {
    /// Adam's first beta, SGD's momentum.
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

/// `[optimizer]` as it is written.
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
        // The kind may be another's, and its parameters its own.
        (section.betas, section.epsilon) = (None, None);
        section
    }
}

impl TryFrom<OptimizerSection> for OptimizerRecipe {
    type Error = String;

    fn try_from(section: OptimizerSection) -> Result<Self, String> {
        let OptimizerSection { betas, epsilon, momentum, nesterov, .. } = section;
        let adam = (betas.unwrap_or(DEFAULT_BETAS), epsilon.unwrap_or(DEFAULT_EPSILON));
        let of_sgd = [("momentum", momentum.map(drop)), ("nesterov", nesterov.map(drop))];
        let kind = match section.kind {
            OptimizerName::Adam => {
                refuse_surplus(r#"kind = "adam""#, &of_sgd)?;
                OptimizerKind::Adam { betas: adam.0, epsilon: adam.1 }
            }
            OptimizerName::Adamw => {
                refuse_surplus(r#"kind = "adamw""#, &of_sgd)?;
                OptimizerKind::Adamw { betas: adam.0, epsilon: adam.1 }
            }
            OptimizerName::Sgd => {
                refuse_surplus(r#"kind = "sgd""#, &[("betas", betas.map(drop)), ("epsilon", epsilon.map(drop))])?;
                OptimizerKind::Sgd {
                    momentum: momentum.unwrap_or(DEFAULT_MOMENTUM),
                    nesterov: nesterov.unwrap_or(false),
                }
            }
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
        Self {
            kind,
            learning_rate: recipe.learning_rate,
            weight_decay: recipe.weight_decay,
            decay_norms_and_biases: recipe.decay_norms_and_biases,
            layer_decay: recipe.layer_decay,
            clip_norm: recipe.clip_norm,
            betas: adam.map(|(betas, _)| betas),
            epsilon: adam.map(|(_, epsilon)| epsilon),
            momentum: sgd.map(|(momentum, _)| momentum),
            nesterov: sgd.map(|(_, nesterov)| nesterov),
        }
    }
}

/// `[schedule]`: how the learning rate moves over the run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ScheduleSection", into = "ScheduleSection")]
pub enum ScheduleRecipe {
    /// One climb to the optimiser's learning rate, and one descent.
    OneCycle(OneCycle),
    /// From the optimiser's learning rate, reached by a warm-up if there is one.
    Decay {
        /// Epochs, or parts of one, in which the rate climbs in a straight line; 0 for none.
        warmup_epochs: f64,
        /// The first rate of the warm-up as a part of the full one, in 0..1.
        warmup_start: f64,
        /// How the rate falls.
        decay: DecayRecipe,
    },
}

/// How the learning rate falls.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DecayRecipe {
    /// Not at all.
    Constant,
    /// Down half a cosine, from the end of the warm-up to the end of the run.
    Cosine {
        /// The last rate as a part of the full one, in 0..1.
        final_factor: f64,
    },
    /// By a factor every so many epochs.
    Step {
        /// How many.
        step_epochs: u32,
        /// What the rate is multiplied by, in 0..1.
        factor: f64,
    },
    /// When the monitor no longer gets better.
    Plateau(Plateau),
}

impl Default for ScheduleRecipe {
    fn default() -> Self {
        Self::OneCycle(OneCycle::default())
    }
}

impl ScheduleRecipe {
    /// The optimiser's learning rate at every step.
    pub const CONSTANT: Self =
        Self::Decay { warmup_epochs: 0.0, warmup_start: DEFAULT_WARMUP_START, decay: DecayRecipe::Constant };

    /// The schedule of a run of `total_steps` optimiser steps, `steps_per_epoch` an epoch.
    #[must_use]
    pub fn resolve(&self, optimizer: &OptimizerRecipe, total_steps: u64, steps_per_epoch: u64) -> Schedule {
        let peak = Rates { learning_rate: optimizer.learning_rate, momentum: optimizer.kind.momentum() };
        match *self {
            ScheduleRecipe::OneCycle(shape) => Schedule::OneCycle { peak, shape, total_steps },
            ScheduleRecipe::Decay { warmup_epochs, warmup_start, decay } => {
                let steps = (warmup_epochs * steps_per_epoch as f64).round() as u64;
                let decay = match decay {
                    DecayRecipe::Constant | DecayRecipe::Plateau(_) => Decay::None,
                    DecayRecipe::Cosine { final_factor } => Decay::Cosine { end: final_factor },
                    DecayRecipe::Step { step_epochs, factor } => {
                        Decay::Steps { every: u64::from(step_epochs) * steps_per_epoch, factor }
                    }
                };
                Schedule::Decay { peak, warmup: Warmup { steps, start: warmup_start }, decay, total_steps }
            }
        }
    }

    /// What lowers the rate beyond the schedule, if it waits for a plateau.
    #[must_use]
    pub fn plateau(&self) -> Option<Plateau> {
        match self {
            ScheduleRecipe::Decay { decay: DecayRecipe::Plateau(plateau), .. } => Some(*plateau),
            _ => None,
        }
    }
}

const DEFAULT_WARMUP_START: f64 = 0.01;
const DEFAULT_STEP_EPOCHS: u32 = 3;
/// PyTorch's, of steps and of plateaus.
const DEFAULT_FACTOR: f64 = 0.1;
/// Runs of this kind last ten epochs or so, so PyTorch's patience of 10 would never run out.
const DEFAULT_PLATEAU_PATIENCE: u32 = 1;

/// `[schedule]` as it is written.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScheduleSection {
    kind: ScheduleName,
    warmup_epochs: Option<f64>,
    warmup_start: Option<f64>,
    final_factor: Option<f64>,
    step_epochs: Option<u32>,
    factor: Option<f64>,
    plateau_patience: Option<u32>,
    plateau_threshold: Option<f64>,
    plateau_cooldown: Option<u32>,
    min_factor: Option<f64>,
    pct_start: Option<f64>,
    div_factor: Option<f64>,
    final_div_factor: Option<f64>,
    anneal: Option<Anneal>,
    three_phase: Option<bool>,
    cycle_momentum: Option<bool>,
    base_momentum: Option<f64>,
    max_momentum: Option<f64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ScheduleName {
    Constant,
    #[default]
    OneCycle,
    Cosine,
    Step,
    Plateau,
}

impl ScheduleName {
    fn as_written(self) -> &'static str {
        match self {
            ScheduleName::Constant => r#"kind = "constant""#,
            ScheduleName::OneCycle => r#"kind = "one_cycle""#,
            ScheduleName::Cosine => r#"kind = "cosine""#,
            ScheduleName::Step => r#"kind = "step""#,
            ScheduleName::Plateau => r#"kind = "plateau""#,
        }
    }
}

impl ScheduleSection {
    /// Refuses every key that the kind has no use for.
    fn refuse_surplus(&self) -> Result<(), String> {
        use ScheduleName::{Constant, Cosine, OneCycle, Plateau, Step};
        /// Whose the keys are, and the keys.
        type Keys<'a> = (&'a [ScheduleName], &'a [(&'a str, Option<()>)]);
        let keys: [Keys<'_>; 5] = [
            (
                &[Constant, Cosine, Step, Plateau],
                &[("warmup_epochs", self.warmup_epochs.map(drop)), ("warmup_start", self.warmup_start.map(drop))],
            ),
            (&[Cosine], &[("final_factor", self.final_factor.map(drop))]),
            (&[Step], &[("step_epochs", self.step_epochs.map(drop))]),
            (&[Step, Plateau], &[("factor", self.factor.map(drop))]),
            (
                &[Plateau],
                &[
                    ("plateau_patience", self.plateau_patience.map(drop)),
                    ("plateau_threshold", self.plateau_threshold.map(drop)),
                    ("plateau_cooldown", self.plateau_cooldown.map(drop)),
                    ("min_factor", self.min_factor.map(drop)),
                ],
            ),
        ];
        for (kinds, keys) in keys {
            if !kinds.contains(&self.kind) {
                refuse_surplus(self.kind.as_written(), keys)?;
            }
        }
        if self.kind != OneCycle {
            refuse_surplus(
                self.kind.as_written(),
                &[
                    ("pct_start", self.pct_start.map(drop)),
                    ("div_factor", self.div_factor.map(drop)),
                    ("final_div_factor", self.final_div_factor.map(drop)),
                    ("anneal", self.anneal.map(drop)),
                    ("three_phase", self.three_phase.map(drop)),
                    ("cycle_momentum", self.cycle_momentum.map(drop)),
                    ("base_momentum", self.base_momentum.map(drop)),
                    ("max_momentum", self.max_momentum.map(drop)),
                ],
            )?;
        }
        Ok(())
    }
}

impl TryFrom<ScheduleSection> for ScheduleRecipe {
    type Error = String;

    fn try_from(section: ScheduleSection) -> Result<Self, String> {
        section.refuse_surplus()?;
        let decay = match section.kind {
            ScheduleName::OneCycle => {
                let default = OneCycle::default();
                return Ok(Self::OneCycle(OneCycle {
                    pct_start: section.pct_start.unwrap_or(default.pct_start),
                    div_factor: section.div_factor.unwrap_or(default.div_factor),
                    final_div_factor: section.final_div_factor.unwrap_or(default.final_div_factor),
                    anneal: section.anneal.unwrap_or(default.anneal),
                    three_phase: section.three_phase.unwrap_or(default.three_phase),
                    cycle_momentum: section.cycle_momentum.unwrap_or(default.cycle_momentum),
                    base_momentum: section.base_momentum.unwrap_or(default.base_momentum),
                    max_momentum: section.max_momentum.unwrap_or(default.max_momentum),
                }));
            }
            ScheduleName::Constant => DecayRecipe::Constant,
            ScheduleName::Cosine => DecayRecipe::Cosine { final_factor: section.final_factor.unwrap_or(0.0) },
            ScheduleName::Step => DecayRecipe::Step {
                step_epochs: section.step_epochs.unwrap_or(DEFAULT_STEP_EPOCHS),
                factor: section.factor.unwrap_or(DEFAULT_FACTOR),
            },
            ScheduleName::Plateau => {
                let default = Plateau { patience: DEFAULT_PLATEAU_PATIENCE, ..Plateau::default() };
                DecayRecipe::Plateau(Plateau {
                    factor: section.factor.unwrap_or(default.factor),
                    patience: section.plateau_patience.unwrap_or(default.patience),
                    threshold: section.plateau_threshold.unwrap_or(default.threshold),
                    cooldown: section.plateau_cooldown.unwrap_or(default.cooldown),
                    min_factor: section.min_factor.unwrap_or(default.min_factor),
                })
            }
        };
        Ok(Self::Decay {
            warmup_epochs: section.warmup_epochs.unwrap_or(0.0),
            warmup_start: section.warmup_start.unwrap_or(DEFAULT_WARMUP_START),
            decay,
        })
    }
}

impl From<ScheduleRecipe> for ScheduleSection {
    fn from(recipe: ScheduleRecipe) -> Self {
        let mut section = Self::default();
        match recipe {
            ScheduleRecipe::OneCycle(shape) => {
                section.kind = ScheduleName::OneCycle;
                section.pct_start = Some(shape.pct_start);
                section.div_factor = Some(shape.div_factor);
                section.final_div_factor = Some(shape.final_div_factor);
                section.anneal = Some(shape.anneal);
                section.three_phase = Some(shape.three_phase);
                section.cycle_momentum = Some(shape.cycle_momentum);
                section.base_momentum = Some(shape.base_momentum);
                section.max_momentum = Some(shape.max_momentum);
            }
            ScheduleRecipe::Decay { warmup_epochs, warmup_start, decay } => {
                section.warmup_epochs = Some(warmup_epochs);
                section.warmup_start = Some(warmup_start);
                section.kind = match decay {
                    DecayRecipe::Constant => ScheduleName::Constant,
                    DecayRecipe::Cosine { final_factor } => {
                        section.final_factor = Some(final_factor);
                        ScheduleName::Cosine
                    }
                    DecayRecipe::Step { step_epochs, factor } => {
                        section.step_epochs = Some(step_epochs);
                        section.factor = Some(factor);
                        ScheduleName::Step
                    }
                    DecayRecipe::Plateau(Plateau { factor, patience, threshold, cooldown, min_factor }) => {
                        section.factor = Some(factor);
                        section.plateau_patience = Some(patience);
                        section.plateau_threshold = Some(threshold);
                        section.plateau_cooldown = Some(cooldown);
                        section.min_factor = Some(min_factor);
                        ScheduleName::Plateau
                    }
                };
            }
        }
        section
    }
}

/// `[training]`: how long, how much at a time, and when to stop.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainingRecipe {
    /// Passes over the training split.
    pub epochs: u32,
    /// Images that go through the network together.
    pub batch_size: usize,
    /// Batches whose gradients make one step, weighted by their known labels; the last step of an epoch takes those
    /// that are left. Norms see each batch by itself.
    pub accumulate: usize,
    /// How an epoch's images are chosen.
    pub sampling: Sampling,
    /// The type that activations and their gradients are held in; weights and the optimiser stay f32. On the CPU, which
    /// computes in f32 and rounds, a type of 16 bits saves nothing: it shows what another device would compute.
    pub precision: Precision,
    /// Epochs at the beginning in which the backbone stays as it was loaded, its norms at their running statistics, and
    /// only the classifier learns.
    pub freeze_backbone_epochs: u32,
    /// Whether the norms of the backbone stay as they were loaded, in every epoch.
    pub freeze_norms: bool,
    /// Decay of a running average of the weights, in 0..1, such as 0.999: it is what is validated and saved as the
    /// model. Absent: the weights themselves are.
    pub ema_decay: Option<f64>,
    /// Decides every random draw of the run: first weights, order, augmentation, dropout.
    pub seed: u64,
    /// What decides which epoch is best, and whose weights are kept as the model.
    pub monitor: Monitor,
    /// Stops after this many epochs in a row without an improvement of the monitor. Absent: trains every epoch.
    pub patience: Option<u32>,
    /// An improvement of the monitor smaller than this counts as none.
    pub min_delta: f64,
    /// Whether outputs of norms and gates are made once more on the way back, to the same bits, instead of being kept from the
    /// way there: less memory, more time.
    pub checkpoint_activations: bool,
    /// Saves a checkpoint this often within an epoch, besides the one after it. Absent: only after each epoch.
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
    /// `device` as training sees it: it tracks gradients.
    #[must_use]
    pub fn tracking(&self, device: &Device) -> Device {
        let tracking = device.clone().autodiff();
        if self.checkpoint_activations { tracking.gradient_checkpointing() } else { tracking }
    }

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
    wanted_precision: Option<f64>,
    wanted_recall: Option<f64>,
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
        let EvaluationSection { thresholds, threshold, wanted_precision, wanted_recall } = section;
        let keys = [("threshold", threshold), ("wanted_precision", wanted_precision), ("wanted_recall", wanted_recall)];
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
                refuse_all_but("wanted_precision", r#"thresholds = "precision""#)?;
                Thresholds::Chosen(ThresholdRule::Precision(wanted_precision.unwrap_or(DEFAULT_LEVEL)))
            }
            ThresholdsName::Recall => {
                refuse_all_but("wanted_recall", r#"thresholds = "recall""#)?;
                Thresholds::Chosen(ThresholdRule::Recall(wanted_recall.unwrap_or(DEFAULT_LEVEL)))
            }
        };
        Ok(Self { thresholds })
    }
}

impl From<EvaluationRecipe> for EvaluationSection {
    fn from(recipe: EvaluationRecipe) -> Self {
        let section = |thresholds| Self { thresholds, threshold: None, wanted_precision: None, wanted_recall: None };
        match recipe.thresholds {
            Thresholds::Fixed(threshold) => Self { threshold: Some(threshold), ..section(ThresholdsName::Fixed) },
            Thresholds::Chosen(ThresholdRule::Precision(level)) => {
                Self { wanted_precision: Some(level), ..section(ThresholdsName::Precision) }
            }
            Thresholds::Chosen(ThresholdRule::Recall(level)) => {
                Self { wanted_recall: Some(level), ..section(ThresholdsName::Recall) }
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
