use serde_json::Value;
use visage_data::{AttributeStatistics, Split};
use visage_run::Recipe;

use super::*;

const GOLDEN: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/losses.json"));

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
fn value_and_gradient(loss: &Loss, logits: &[f32], targets: &[f32], mask: &[f32], columns: usize) -> (f32, Vec<f32>) {
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
    let file: Value = serde_json::from_str(GOLDEN).unwrap();
    let (logits, weights, cases) = (floats(&file["logits"]), floats(&file["pos_weight"]), &file["cases"]);
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
    let golden = crate::golden::training("smoothing");
    let cases = golden.as_array().unwrap();
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
fn each_label_of_a_mixed_batch_is_weighted_by_its_images_share() {
    let (present, absent, unknown) = (1.0, 0.0, f32::NAN);
    let logits = rows(&[0.5, -1.0, 2.0, 0.0], 2);
    let labels = |labels: &[f32]| crate::stepper::label_tensors(labels, 2, &Device::flex());
    let (own, mask, _) = labels(&[present, absent, absent, unknown]);
    let (partners, partner_mask, _) = labels(&[absent, unknown, present, absent]);
    let found: f32 = Loss::new(LossKind::Bce).mixed(logits, (own, mask), (partners, partner_mask), 0.75).into_scalar();
    let softplus = |x: f32| x.exp().ln_1p();
    // Row 0: own present, absent; partner absent, unknown. Row 1: own absent, unknown; partner present, absent.
    let sum = 0.75 * (softplus(-0.5) + softplus(-1.0) + softplus(2.0))
        + 0.25 * (softplus(0.5) + softplus(-2.0) + softplus(0.0));
    let expected = sum / (0.75 * 3.0 + 0.25 * 3.0);
    assert!((found - expected).abs() < 1e-6, "{found} {expected}");
}

#[test]
fn a_probability_counts_as_present_and_as_absent_in_its_proportions() {
    let (logits, targets) = ([0.5, -1.5, 2.0, 1.0], [0.25, 0.9, 1.0, f32::NAN]);
    let (tensor, mask, known) = crate::stepper::label_tensors(&targets, 2, &Device::flex());
    assert_eq!(known, 3);
    let softplus = |x: f32| x.exp().ln_1p();
    let cross_entropy = |x: f32, t: f32| t * softplus(-x) + (1.0 - t) * softplus(x);
    let expected = (0..3).map(|i| cross_entropy(logits[i], targets[i])).sum::<f32>() / 3.0;
    let loss = Loss::new(LossKind::Bce).for_targets(&targets);
    let found: f32 = loss.mean(rows(&logits, 2), tensor, mask).into_scalar();
    assert!((found - expected).abs() < 1e-6, "{found} {expected}");
}

#[test]
fn works_without_automatic_differentiation() {
    let weights = AttributeWeights { positive: vec![2.0, 2.0], negative: vec![1.0, 1.0] };
    let loss = Loss::weighted(LossKind::Bce, &weights, 1.0, &device());
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
    Statistics { split: Split::Train, samples: present + absent, attributes: vec![attribute], majority_accuracy: None }
}

#[test]
fn weights_favour_the_rarer_answer_and_are_tempered() {
    let device = Device::flex();
    let mut recipe = Recipe::load("baseline").unwrap();
    recipe.set_all(["weighting=pos_weight", "weighting_power=0.5"]).unwrap();
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
