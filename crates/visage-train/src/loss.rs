//! Multi-label losses with unknown labels.
//!
//! Every loss takes logits, targets and a mask of shape `[batch, attributes]` and averages over the *known* labels:
//! an unknown label adds nothing to the sum and nothing to the count. Weights change the sum only, as in PyTorch's
//! `binary_cross_entropy_with_logits`.
//!
//! Values and gradients stay accurate to single precision for logits from -100 to 100, zero included. Everything is
//! built from `softplus`, whose derivative keeps its relative accuracy in both tails; the usual route through
//! `log(sigmoid(x))` or `1 - sigmoid(x)` loses it from about |x| = 8. Nothing is read back from the device.

use burn::tensor::{Device, Tensor, TensorData};
use thiserror::Error;
use visage_data::{AttributeWeights, Statistics, WeightError, Weighting};
use visage_run::{LossKind, LossRecipe};

/// Lower bound of the true answer's probability in the asymmetric loss: the `eps` of the reference implementation
/// (<https://github.com/Alibaba-MIIL/ASL>).
const ASYMMETRIC_PROBABILITY_FLOOR: f64 = 1e-8;

/// Why weights cannot be used.
#[derive(Clone, Debug, Error, PartialEq)]
#[expect(missing_docs, reason = "the messages explain the variants and their fields")]
pub enum LossError {
    #[error(
        "the loss has weights for {positive} present and {negative} absent attributes; it needs one of each for every attribute"
    )]
    Length { positive: usize, negative: usize },
    #[error("the loss weight of attribute {attribute} is {weight}; every weight must be finite and above 0")]
    Degenerate { attribute: usize, weight: f32 },
    #[error(transparent)]
    Weights(#[from] WeightError),
}

/// A loss on a device.
#[derive(Clone, Debug)]
pub struct Loss {
    kind: LossKind,
    /// Weights of present and of absent labels, `[1, attributes]` each, without gradients.
    weights: Option<[Tensor<2>; 2]>,
    smoothing: f64,
    /// Whether targets are probabilities.
    is_soft: bool,
}

impl Loss {
    /// A loss without weights.
    pub fn new(kind: LossKind) -> Self {
        Self { kind, weights: None, smoothing: 0.0, is_soft: false }
    }

    /// The recipe's loss for a training split with these statistics, without label smoothing.
    ///
    /// # Errors
    ///
    /// When the statistics give no usable weights.
    pub fn of_recipe(recipe: &LossRecipe, training: &Statistics, device: &Device) -> Result<Self, LossError> {
        match recipe.weighting {
            Weighting::None => Ok(Self::new(recipe.kind)),
            weighting => {
                Self::weighted(recipe.kind, &training.weights(&weighting)?, recipe.weighting_power as f32, device)
            }
        }
    }

    /// A loss with a weight for each attribute and answer, raised to `power`.
    ///
    /// # Errors
    ///
    /// When the numbers of weights differ, or a weight is not finite or not above 0.
    pub fn weighted(
        kind: LossKind,
        weights: &AttributeWeights,
        power: f32,
        device: &Device,
    ) -> Result<Self, LossError> {
        let raise = |side: &[f32]| side.iter().map(|weight| weight.powf(power)).collect::<Vec<_>>();
        let (positive, negative) = (raise(&weights.positive), raise(&weights.negative));
        if positive.len() != negative.len() {
            return Err(LossError::Length { positive: positive.len(), negative: negative.len() });
        }
        for side in [&positive, &negative] {
            if let Some(attribute) = side.iter().position(|weight| !(weight.is_finite() && *weight > 0.0)) {
                return Err(LossError::Degenerate { attribute, weight: side[attribute] });
            }
        }
        let row = |side: Vec<f32>| {
            let shape = [1, side.len()];
            Tensor::<2>::from_data(TensorData::new(side, shape), device).without_autodiff()
        };
        Ok(Self { kind, weights: Some([row(positive), row(negative)]), smoothing: 0.0, is_soft: false })
    }

    /// The loss with label smoothing, in 0..1: the other answer's loss gets a share of `smoothing / 2`. For cross-entropy this
    /// equals PyTorch's with targets of `smoothing / 2` and `1 - smoothing / 2`.
    #[must_use]
    pub fn smoothed(self, smoothing: f64) -> Self {
        Self { smoothing, ..self }
    }

    /// The loss for these targets. A label whose target is a probability counts as present and as absent in its proportions; for
    /// cross-entropy that is PyTorch's loss with soft targets.
    pub(crate) fn for_targets(&self, targets: &[f32]) -> Self {
        Self { is_soft: targets.iter().any(|target| *target > 0.0 && *target < 1.0), ..self.clone() }
    }

    /// The mean over the known labels, shape `[1]`; 0 when no label is known.
    ///
    /// `logits`, `targets` (0 absent, 1 present) and `mask` (1 known, 0 unknown) have shape `[batch, attributes]`. The
    /// target of an unknown label must be finite and is otherwise ignored.
    pub fn mean(&self, logits: Tensor<2>, targets: Tensor<2>, mask: Tensor<2>) -> Tensor<1> {
        let known = mask.clone().sum().clamp_min(1.0);
        (self.elements(logits, targets) * mask).sum() / known
    }

    /// The mean loss of mixed images: that of their `own` targets and mask, weighted by `share`, and that of their `partners`',
    /// weighted by the rest. This is how mixup's authors compute it; unlike mixed targets, it holds for every loss and for
    /// unknown labels.
    pub(crate) fn mixed(
        &self,
        logits: Tensor<2>,
        own: (Tensor<2>, Tensor<2>),
        partners: (Tensor<2>, Tensor<2>),
        share: f32,
    ) -> Tensor<1> {
        self.mean(
            Tensor::cat(vec![logits.clone(), logits], 0),
            Tensor::cat(vec![own.0, partners.0], 0),
            Tensor::cat(vec![own.1 * share, partners.1 * (1.0 - share)], 0),
        )
    }

    /// The loss of every label, shape `[batch, attributes]`, whether known or not.
    fn elements(&self, logits: Tensor<2>, targets: Tensor<2>) -> Tensor<2> {
        if self.is_soft {
            let hard = Self { is_soft: false, ..self.clone() };
            let (present, absent) = (targets.ones_like(), targets.zeros_like());
            return hard.elements(logits.clone(), present) * targets.clone()
                + hard.elements(logits, absent) * (-targets + 1.0);
        }
        if self.smoothing == 0.0 {
            return self.unsmoothed(logits, targets);
        }
        let other = self.unsmoothed(logits.clone(), -targets.clone() + 1.0);
        self.unsmoothed(logits, targets) * (1.0 - self.smoothing / 2.0) + other * (self.smoothing / 2.0)
    }

    fn unsmoothed(&self, logits: Tensor<2>, targets: Tensor<2>) -> Tensor<2> {
        let [one, zero] = [targets.clone(), -targets + 1.0];
        let loss = match self.kind {
            LossKind::Bce => softplus(wrongness(logits, &zero, &one)),
            LossKind::Focal { alpha, gamma } => {
                let wrong = wrongness(logits, &zero, &one);
                let focus = sigmoid(wrong.clone(), gamma);
                let alpha = one.clone() * alpha + zero.clone() * (1.0 - alpha);
                softplus(wrong) * focus * alpha
            }
            LossKind::Asymmetric { gamma_positive, gamma_negative, clip } => {
                let present = sigmoid(-logits.clone(), gamma_positive) * limited(softplus(-logits.clone()));
                one.clone() * present + zero.clone() * asymmetric_absent(logits, gamma_negative, clip)
            }
        };
        match &self.weights {
            Some([positive, negative]) => loss * (one * positive.clone() + zero * negative.clone()),
            None => loss,
        }
    }
}

/// The logit of the wrong answer: `-x` where the attribute is present, `x` where it is absent.
fn wrongness(logits: Tensor<2>, zero: &Tensor<2>, one: &Tensor<2>) -> Tensor<2> {
    logits * (zero.clone() - one.clone())
}

/// `ln(1 + e^x)`, whose derivative is `sigmoid(x)`, both to full relative accuracy.
///
/// This is `max(x, 0) + ln(1 + e^-|x|)`, computed with the sign of `x` as a constant instead of `max` and `abs`: with their
/// derivatives, the derivative at 0 would be 0 instead of a half.
fn softplus(x: Tensor<2>) -> Tensor<2> {
    let positive = x.clone().greater_equal_elem(0.0).float().without_autodiff();
    let minus_magnitude = x.clone() * (positive.clone() * -2.0 + 1.0);
    x * positive + minus_magnitude.exp().log1p()
}

/// `sigmoid(x)^power`, through the logarithm: the derivative of a power below 1 is infinite at 0.
fn sigmoid(x: Tensor<2>, power: f64) -> Tensor<2> {
    (softplus(-x) * -power).exp()
}

/// A surprise (`-ln p`) limited to that of the reference's smallest probability.
fn limited(surprise: Tensor<2>) -> Tensor<2> {
    surprise.clamp_max(-ASYMMETRIC_PROBABILITY_FLOOR.ln())
}

/// The asymmetric loss of an absent attribute: `q^gamma (-ln(1 - q))` with `q = max(sigmoid(x) - clip, 0)`.
fn asymmetric_absent(logits: Tensor<2>, gamma: f64, clip: f64) -> Tensor<2> {
    if clip == 0.0 {
        return sigmoid(logits.clone(), gamma) * limited(softplus(logits));
    }
    let shifted = sigmoid(logits.clone(), 1.0) - clip;
    let discarded = shifted.clone().lower_equal_elem(0.0);
    // A discarded label gets any value inside (0, 1), to keep the derivative of the unused branch finite: an infinite
    // derivative times 0 is NaN.
    let shifted = shifted.mask_fill(discarded.clone(), 0.5);
    let surprise = limited(-(sigmoid(-logits, 1.0) + clip).log());
    (shifted.powf_scalar(gamma) * surprise).mask_fill(discarded, 0.0)
}

#[cfg(test)]
mod tests;
