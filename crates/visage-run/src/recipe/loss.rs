//! `[loss]`.

use serde::{Deserialize, Serialize};
use visage_data::Weighting;

use super::check::{Checks, refuse_unused};

/// `[loss]`: the loss that training minimises, and the weight of each label.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "LossSection", into = "LossSection")]
pub struct LossRecipe {
    /// The loss and its parameters.
    pub kind: LossKind,
    /// How labels are weighted.
    pub weighting: Weighting,
    /// The exponent that weights are raised to, in 0..=1: 1 leaves them as they are; 0.5, a square root, limits very large
    /// weights and the false positives that they cause.
    pub weighting_power: f64,
    /// Label smoothing (Szegedy et al., 2016), in 0..1: the share of each label that is split evenly between both answers.
    /// For training only; the validation loss uses the labels unchanged.
    pub label_smoothing: f64,
}

/// The shape of a loss, before weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LossKind {
    /// Binary cross-entropy: `-ln p_t`, where `p_t` is the predicted probability of the true answer.
    Bce,
    /// Focal loss (Lin et al., ICCV 2017): `alpha_t (1 - p_t)^gamma (-ln p_t)`, where `alpha_t` is `alpha` for a present
    /// attribute and `1 - alpha` for an absent one.
    Focal {
        /// Weight of present attributes, in 0..1. Below 0.5, positives count *less* than negatives.
        alpha: f64,
        /// How strongly correct answers are down-weighted, at least 0; 0 leaves them as they are.
        gamma: f64,
    },
    /// Asymmetric loss (Ridnik et al., ICCV 2021): a focal loss with an exponent for each answer, in which easy negatives
    /// are discarded by shifting their probability down by `clip`. The gradient passes through the focusing factor.
    Asymmetric {
        /// Focusing exponent of present attributes, at least 0.
        gamma_positive: f64,
        /// Focusing exponent of absent attributes, at least 0.
        gamma_negative: f64,
        /// Probability below which an absent attribute has no loss, in 0..1.
        clip: f64,
    },
}

impl Default for LossRecipe {
    /// Unweighted binary cross-entropy.
    fn default() -> Self {
        Self { kind: LossKind::Bce, weighting: Weighting::None, weighting_power: 1.0, label_smoothing: 0.0 }
    }
}

impl LossRecipe {
    pub(super) fn check(&self, checks: &mut Checks) {
        match self.kind {
            LossKind::Bce => {}
            LossKind::Focal { alpha, gamma } => {
                checks.between_0_and_1("loss.alpha", alpha);
                checks.at_least_0("loss.gamma", gamma);
            }
            LossKind::Asymmetric { gamma_positive, gamma_negative, clip } => {
                checks.at_least_0("loss.gamma_positive", gamma_positive);
                checks.at_least_0("loss.gamma_negative", gamma_negative);
                checks.at_least_0_below_1("loss.clip", clip);
            }
        }
        if let Weighting::EffectiveNumber { beta } = self.weighting {
            checks.between_0_and_1("loss.weighting_beta", beta);
        }
        if self.weighting != Weighting::None {
            checks.above_0_to_1("loss.weighting_power", self.weighting_power);
        }
        checks.at_least_0_below_1("loss.label_smoothing", self.label_smoothing);
    }
}

/// `[loss]` as it is written in a file.
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

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
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

impl LossSection {
    /// Refuses every key that the chosen loss and weighting do not use.
    fn refuse_unused(&self) -> Result<(), String> {
        let focal = [("alpha", self.alpha.is_some()), ("gamma", self.gamma.is_some())];
        let asymmetric = [
            ("gamma_positive", self.gamma_positive.is_some()),
            ("gamma_negative", self.gamma_negative.is_some()),
            ("clip", self.clip.is_some()),
        ];
        match self.kind {
            LossName::Bce => {
                refuse_unused(r#"kind = "bce""#, &focal)?;
                refuse_unused(r#"kind = "bce""#, &asymmetric)?;
            }
            LossName::Focal => refuse_unused(r#"kind = "focal""#, &asymmetric)?,
            LossName::Asymmetric => refuse_unused(r#"kind = "asymmetric""#, &focal)?,
        }
        let beta = ("weighting_beta", self.weighting_beta.is_some());
        match self.weighting {
            WeightingName::None => {
                refuse_unused(r#"weighting = "none""#, &[beta, ("weighting_power", self.weighting_power.is_some())])
            }
            WeightingName::PosWeight => refuse_unused(r#"weighting = "pos_weight""#, &[beta]),
            WeightingName::InverseFrequency => refuse_unused(r#"weighting = "inverse_frequency""#, &[beta]),
            WeightingName::EffectiveNumber => Ok(()),
        }
    }
}

impl TryFrom<LossSection> for LossRecipe {
    type Error = String;

    fn try_from(section: LossSection) -> Result<Self, String> {
        section.refuse_unused()?;
        let kind = match section.kind {
            LossName::Bce => LossKind::Bce,
            LossName::Focal => {
                LossKind::Focal { alpha: section.alpha.unwrap_or(0.5), gamma: section.gamma.unwrap_or(2.0) }
            }
            LossName::Asymmetric => LossKind::Asymmetric {
                gamma_positive: section.gamma_positive.unwrap_or(1.0),
                gamma_negative: section.gamma_negative.unwrap_or(4.0),
                clip: section.clip.unwrap_or(0.05),
            },
        };
        let weighting = match section.weighting {
            WeightingName::None => Weighting::None,
            WeightingName::PosWeight => Weighting::PosWeight,
            WeightingName::InverseFrequency => Weighting::InverseFrequency,
            WeightingName::EffectiveNumber => {
                Weighting::EffectiveNumber { beta: section.weighting_beta.unwrap_or(DEFAULT_EFFECTIVE_NUMBER_BETA) }
            }
        };
        let weighting_power = section.weighting_power.unwrap_or(1.0);
        Ok(Self { kind, weighting, weighting_power, label_smoothing: section.label_smoothing })
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
                (section.alpha, section.gamma) = (Some(alpha), Some(gamma));
            }
            LossKind::Asymmetric { gamma_positive, gamma_negative, clip } => {
                section.kind = LossName::Asymmetric;
                (section.gamma_positive, section.gamma_negative) = (Some(gamma_positive), Some(gamma_negative));
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
