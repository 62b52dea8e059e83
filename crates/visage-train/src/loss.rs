//! Losses over many yes/no questions at once.
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

/// How far below 1 the asymmetric loss lets a probability fall before its logarithm is held: the `eps` of the reference
/// implementation (<https://github.com/Alibaba-MIIL/ASL>), which clamps the probability of the true answer to it.
const ASYMMETRIC_PROBABILITY_FLOOR: f64 = 1e-8;

/// Weights a loss cannot use.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum LossError {
    /// One side has more attributes than the other.
    #[error(
        "the loss has weights for {positive} present and {negative} absent attributes; it needs one of each for every attribute"
    )]
    Length {
        /// Number of weights of present labels.
        positive: usize,
        /// Number of weights of absent labels.
        negative: usize,
    },
    /// A weight is zero, negative, infinite or not a number.
    #[error("the loss weight of attribute {attribute} is {weight}; every weight must be finite and above 0")]
    Degenerate {
        /// Position of the attribute, from 0.
        attribute: usize,
        /// The offending weight.
        weight: f32,
    },
    /// The labels give no usable weights.
    #[error(transparent)]
    Weights(#[from] WeightError),
}

/// A loss ready to be evaluated on one device.
#[derive(Clone, Debug)]
pub struct Loss {
    kind: LossKind,
    /// Rows `[1, attributes]`, constants to automatic differentiation.
    weights: Option<[Tensor<2>; 2]>,
    /// The part of a label that is given to both answers alike.
    smoothing: f64,
}

impl Loss {
    /// A loss in which every label counts alike.
    #[must_use]
    pub fn new(kind: LossKind) -> Self {
        Self { kind, weights: None, smoothing: 0.0 }
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

    /// A loss in which labels count by attribute and answer, each weight raised to `power`: 1 takes the weights as they
    /// are, 0.5 their square roots.
    ///
    /// # Errors
    ///
    /// When the two sides differ in length, or a weight is not finite or not above 0.
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
        Ok(Self { kind, weights: Some([row(positive), row(negative)]), smoothing: 0.0 })
    }

    /// The loss with labels smoothed by `smoothing`, in 0..1: a label is then its own answer's loss, and `smoothing / 2`
    /// of that is the other answer's. For cross-entropy this is PyTorch's on targets of `smoothing / 2` and
    /// `1 - smoothing / 2`.
    #[must_use]
    pub fn smoothed(self, smoothing: f64) -> Self {
        Self { smoothing, ..self }
    }

    /// The kind of the loss.
    #[must_use]
    pub fn kind(&self) -> LossKind {
        self.kind
    }

    /// The mean over the known labels, shape `[1]`; 0 when no label is known.
    ///
    /// `logits`, `targets` (0 absent, 1 present) and `mask` (1 known, 0 unknown) have shape `[batch, attributes]`. The
    /// target of an unknown label must be finite and is otherwise ignored.
    #[must_use]
    pub fn mean(&self, logits: Tensor<2>, targets: Tensor<2>, mask: Tensor<2>) -> Tensor<1> {
        let known = mask.clone().sum().clamp_min(1.0);
        (self.elements(logits, targets) * mask).sum() / known
    }

    /// The loss of every label by itself, shape `[batch, attributes]`; labels are taken as known.
    ///
    /// To average over several batches, add up what the mask keeps and divide once: batches hold different numbers of
    /// known labels.
    #[must_use]
    pub fn elements(&self, logits: Tensor<2>, targets: Tensor<2>) -> Tensor<2> {
        if self.smoothing == 0.0 {
            return self.sharp(logits, targets);
        }
        let other = self.sharp(logits.clone(), -targets.clone() + 1.0);
        self.sharp(logits, targets) * (1.0 - self.smoothing / 2.0) + other * (self.smoothing / 2.0)
    }

    /// The loss of labels as they are.
    fn sharp(&self, logits: Tensor<2>, targets: Tensor<2>) -> Tensor<2> {
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
                let present = sigmoid(-logits.clone(), gamma_positive) * held(softplus(-logits.clone()));
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
/// This is `max(x, 0) + ln(1 + e^-|x|)`, with the sign of `x` a constant rather than a `max` and an `abs`: their
/// derivatives at 0 would be 0, and the derivative here would be 0 instead of a half.
fn softplus(x: Tensor<2>) -> Tensor<2> {
    let positive = x.clone().greater_equal_elem(0.0).float().without_autodiff();
    let minus_magnitude = x.clone() * (positive.clone() * -2.0 + 1.0);
    x * positive + minus_magnitude.exp().log1p()
}

/// `sigmoid(x)^power`. Through the logarithm, because a power's own derivative is infinite at 0 for powers below 1.
fn sigmoid(x: Tensor<2>, power: f64) -> Tensor<2> {
    (softplus(-x) * -power).exp()
}

/// A surprise (`-ln p`) held at that of the reference's smallest probability.
fn held(surprise: Tensor<2>) -> Tensor<2> {
    surprise.clamp_max(-ASYMMETRIC_PROBABILITY_FLOOR.ln())
}

/// The asymmetric loss of an absent attribute: `q^gamma (-ln(1 - q))` with `q = max(sigmoid(x) - clip, 0)`.
fn asymmetric_absent(logits: Tensor<2>, gamma: f64, clip: f64) -> Tensor<2> {
    if clip == 0.0 {
        return sigmoid(logits.clone(), gamma) * held(softplus(logits));
    }
    let shifted = sigmoid(logits.clone(), 1.0) - clip;
    let discarded = shifted.clone().lower_equal_elem(0.0);
    // Where the label is discarded, any value inside (0, 1) will do: it keeps the powers and logarithms of the branch
    // that is thrown away finite, since an infinite derivative times 0 is not a number.
    let shifted = shifted.mask_fill(discarded.clone(), 0.5);
    let surprise = held(-(sigmoid(-logits, 1.0) + clip).log());
    (shifted.powf_scalar(gamma) * surprise).mask_fill(discarded, 0.0)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use visage_data::{AttributeStatistics, Split};
    use visage_run::Recipe;

    use super::*;

    const GOLDEN: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/losses.json"));

    struct Golden {
        logits: Vec<f32>,
        weights: Vec<f32>,
        cases: Value,
    }

    fn golden() -> Golden {
        let file: Value = serde_json::from_str(GOLDEN).unwrap();
        Golden { logits: floats(&file["logits"]), weights: floats(&file["pos_weight"]), cases: file["cases"].clone() }
    }

    fn floats(list: &Value) -> Vec<f32> {
        list.as_array().unwrap().iter().map(|value| value.as_f64().unwrap() as f32).collect()
    }

    fn device() -> Device {
        Device::flex().autodiff()
    }

    fn rows(values: &[f32], columns: usize) -> Tensor<2> {
        Tensor::from_data(TensorData::new(values.to_vec(), [values.len() / columns, columns]), &Device::flex())
    }

    /// The mean loss and its gradient by logit.
    fn value_and_gradient(
        loss: &Loss,
        logits: &[f32],
        targets: &[f32],
        mask: &[f32],
        columns: usize,
    ) -> (f32, Vec<f32>) {
        let x = rows(logits, columns).autodiff().require_grad();
        let value = loss.mean(x.clone(), rows(targets, columns), rows(mask, columns));
        let gradients = value.backward();
        let gradient = x.grad(&gradients).unwrap().into_data().try_to_vec::<f32>().unwrap();
        (value.into_scalar(), gradient)
    }

    /// Equal to a relative 1e-5, or both below the smallest normal number of single precision.
    fn close(value: f32, expected: f64) -> bool {
        close_but_for(value, expected, f64::from(f32::MIN_POSITIVE))
    }

    fn close_but_for(value: f32, expected: f64, absolute: f64) -> bool {
        (f64::from(value) - expected).abs() <= 1e-5 * expected.abs() + absolute
    }

    #[test]
    fn values_and_gradients_equal_pytorchs_from_minus_100_to_100() {
        let Golden { logits, weights, cases } = golden();
        let columns = logits.len();
        let ones = vec![1.0; columns];
        let positive_only = AttributeWeights { positive: weights.clone(), negative: ones };
        let both = AttributeWeights { positive: weights.clone(), negative: weights };
        let focal = |alpha, gamma| LossKind::Focal { alpha, gamma };
        let table = [
            ("bce", Loss::new(LossKind::Bce)),
            ("bce_pos_weight", Loss::weighted(LossKind::Bce, &positive_only, 1.0, &device()).unwrap()),
            ("focal alpha 0.25 gamma 2", Loss::new(focal(0.25, 2.0))),
            ("focal alpha 0.75 gamma 2", Loss::new(focal(0.75, 2.0))),
            ("focal alpha 0.25 gamma 0", Loss::new(focal(0.25, 0.0))),
            ("focal alpha 0.25 gamma 2 weights", Loss::weighted(focal(0.25, 2.0), &both, 1.0, &device()).unwrap()),
            (
                "asl gamma_neg 4 gamma_pos 1 clip 0.05",
                Loss::new(LossKind::Asymmetric { gamma_positive: 1.0, gamma_negative: 4.0, clip: 0.05 }),
            ),
        ];
        assert_eq!(table.len(), cases.as_object().unwrap().len(), "every golden case is tested");

        let x = [logits.clone(), logits].concat();
        let targets = [vec![0.0; columns], vec![1.0; columns]].concat();
        let mask = vec![1.0; 2 * columns];
        for (name, loss) in table {
            let (value, gradient) = value_and_gradient(&loss, &x, &targets, &mask, columns);
            let expected = cases[name]["loss"].as_f64().unwrap();
            assert!(close(value, expected), "{name}: loss {value}, expected {expected}");
            let expected = cases[name]["grad"].as_array().unwrap();
            assert_eq!(gradient.len(), expected.len(), "{name}");
            // But for focal loss with gamma 2, PyTorch goes through `1 - sigmoid(x)`, which rounds to a multiple of 1e-16.
            let absolute = if name.contains("gamma 2") { f64::from(f32::MIN_POSITIVE) } else { f64::EPSILON };
            for ((logit, got), expected) in x.iter().zip(gradient).zip(expected) {
                let expected = expected.as_f64().unwrap();
                let equal = close_but_for(got, expected, absolute);
                assert!(equal, "{name} at {logit}: gradient {got}, expected {expected}");
            }
        }
    }

    #[test]
    fn smoothed_labels_equal_pytorchs() {
        const GOLDEN: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/training.json"));
        let file: Value = serde_json::from_str(GOLDEN).unwrap();
        let cases = file["smoothing"].as_array().unwrap();
        assert_eq!(cases.len(), 3);
        for case in cases {
            let [logits, targets, positive] = ["logits", "targets", "pos_weight"].map(|key| floats(&case[key]));
            let weights = AttributeWeights { negative: vec![1.0; positive.len()], positive };
            let loss = Loss::weighted(LossKind::Bce, &weights, 1.0, &device()).unwrap();
            let loss = loss.smoothed(case["smoothing"].as_f64().unwrap());
            let (value, gradient) = value_and_gradient(&loss, &logits, &targets, &[1.0; 8], 4);
            assert!(close(value, case["loss"].as_f64().unwrap()), "{case}: {value}");
            for (found, expected) in gradient.iter().zip(case["gradient"].as_array().unwrap()) {
                assert!(close_but_for(*found, expected.as_f64().unwrap(), 1e-8), "{case}: {found}, {expected}");
            }
        }
    }

    #[test]
    fn gradients_are_accurate_far_into_the_tails() {
        let logits = [-87.0, -60.0, -30.0, -16.0, -8.0, 8.0, 16.0, 30.0, 60.0, 87.0];
        let x = [logits, logits].concat();
        let targets = [[0.0; 10], [1.0; 10]].concat();
        let (_, gradient) = value_and_gradient(&Loss::new(LossKind::Bce), &x, &targets, &[1.0; 20], 10);
        for ((logit, target), got) in x.iter().zip(&targets).zip(gradient) {
            // The derivative by the logit of the wrong answer is that answer's probability, as is clear in this form.
            let sign = if *target == 1.0 { -1.0 } else { 1.0 };
            let probability = 1.0 / (1.0 + (-sign * f64::from(*logit)).exp());
            assert!(close(got, sign * probability / 20.0), "target {target} at {logit}: {got}");
        }
    }

    #[test]
    fn gradients_are_finite_everywhere_for_every_exponent() {
        let logits = [-1e4, -200.0, -100.0, -88.0, -2.94444, -1e-30, 0.0, 1e-30, 17.0, 88.0, 100.0, 200.0, 1e4];
        let x = [logits, logits].concat();
        let targets = [[0.0; 13], [1.0; 13]].concat();
        for gamma in [0.0, 0.3, 1.0, 2.0, 4.0] {
            let kinds = [
                LossKind::Focal { alpha: 0.5, gamma },
                LossKind::Asymmetric { gamma_positive: gamma, gamma_negative: gamma, clip: 0.0 },
                LossKind::Asymmetric { gamma_positive: gamma, gamma_negative: gamma, clip: 0.05 },
            ];
            for kind in kinds {
                let (value, gradient) = value_and_gradient(&Loss::new(kind), &x, &targets, &[1.0; 26], 13);
                assert!(value.is_finite(), "{kind:?}: {value}");
                assert!(gradient.iter().all(|g| g.is_finite()), "{kind:?}: {gradient:?}");
            }
        }
    }

    #[test]
    fn unfocused_losses_are_cross_entropy() {
        let x = [-7.5, -0.3, 0.0, 2.0, 5.0, -1.0];
        let targets = [0.0, 1.0, 1.0, 0.0, 1.0, 0.0];
        let evaluate = |kind| value_and_gradient(&Loss::new(kind), &x, &targets, &[1.0; 6], 3);
        let (value, gradient) = evaluate(LossKind::Bce);
        let asymmetric = LossKind::Asymmetric { gamma_positive: 0.0, gamma_negative: 0.0, clip: 0.0 };
        for (kind, scale) in [(LossKind::Focal { alpha: 0.5, gamma: 0.0 }, 2.0), (asymmetric, 1.0)] {
            let (other_value, other_gradient) = evaluate(kind);
            assert!(close(other_value * scale, value.into()), "{kind:?}");
            assert!(gradient.iter().zip(other_gradient).all(|(a, b)| close(b * scale, (*a).into())), "{kind:?}");
        }
    }

    #[test]
    fn unknown_labels_count_for_nothing() {
        let loss = Loss::new(LossKind::Focal { alpha: 0.25, gamma: 2.0 });
        let (value, gradient) =
            value_and_gradient(&loss, &[0.5, 100.0, -1.0, 3.0], &[1.0, 0.0, 0.0, 1.0], &[1.0, 0.0, 1.0, 0.0], 2);
        let (known_value, known_gradient) = value_and_gradient(&loss, &[0.5, -1.0], &[1.0, 0.0], &[1.0, 1.0], 2);
        assert_eq!(value, known_value);
        assert_eq!(gradient, [known_gradient[0], 0.0, known_gradient[1], 0.0]);

        let (value, gradient) = value_and_gradient(&loss, &[0.5, -1.0], &[1.0, 0.0], &[0.0, 0.0], 2);
        assert_eq!((value, gradient), (0.0, vec![0.0, 0.0]), "no label known");
    }

    #[test]
    fn works_without_automatic_differentiation() {
        let loss = Loss::weighted(
            LossKind::Bce,
            &AttributeWeights { positive: vec![2.0, 2.0], negative: vec![1.0, 1.0] },
            1.0,
            &device(),
        );
        let zeros = rows(&[0.0, 0.0], 2);
        let value: f32 = loss.unwrap().mean(zeros, rows(&[1.0, 0.0], 2), rows(&[1.0, 1.0], 2)).into_scalar();
        assert!(close(value, 1.5 * std::f64::consts::LN_2));
    }

    #[test]
    fn degenerate_weights_are_refused() {
        let weigh = |positive: &[f32], negative: &[f32]| {
            let weights = AttributeWeights { positive: positive.to_vec(), negative: negative.to_vec() };
            Loss::weighted(LossKind::Bce, &weights, 1.0, &Device::flex()).map(|_| ()).unwrap_err()
        };
        assert_eq!(weigh(&[1.0, 2.0], &[1.0]), LossError::Length { positive: 2, negative: 1 });
        for weight in [0.0, -1.0, f32::INFINITY] {
            assert_eq!(weigh(&[1.0, weight], &[1.0, 1.0]), LossError::Degenerate { attribute: 1, weight });
            assert_eq!(weigh(&[1.0, 1.0], &[weight, 1.0]), LossError::Degenerate { attribute: 0, weight });
        }
        assert!(matches!(weigh(&[f32::NAN], &[1.0]), LossError::Degenerate { attribute: 0, .. }));
    }

    /// Counts of the training split of one attribute.
    fn counted(present: u64, absent: u64) -> Statistics {
        let name = "Bald".to_owned();
        let attribute = AttributeStatistics { name, present, absent, unknown: 0, prevalence: None };
        Statistics {
            split: Split::Train,
            samples: present + absent,
            attributes: vec![attribute],
            majority_accuracy: None,
        }
    }

    #[test]
    fn weights_favour_the_rarer_answer_and_are_tempered() {
        let device = Device::flex();
        let mut recipe = Recipe::load("enhanced").unwrap();
        recipe.set("loss.kind=bce").unwrap();
        let loss = Loss::of_recipe(&recipe.loss, &counted(10, 90), &device).unwrap();
        let cost = |target: f32| {
            let [logit, target] = [0.0, target].map(|value| Tensor::<2>::from_floats([[value]], &device));
            loss.elements(logit, target).into_scalar::<f32>()
        };
        // The square root of 90 / 10.
        assert!((cost(1.0) / cost(0.0) - 3.0).abs() < 1e-5);
        let error = Loss::of_recipe(&recipe.loss, &counted(0, 90), &device).unwrap_err().to_string();
        assert!(error.contains("Bald (0 present, 90 absent)"), "{error}");
    }
}
