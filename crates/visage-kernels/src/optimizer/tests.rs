use super::*;
use crate::reference::{assert_close, assert_same_on_any_threads, values};

/// PyTorch's single-tensor Adam and AdamW in f64.
fn reference(step: AdamStep, p: &mut [f64], gradient: &[f32], m: &mut [f64], v: &mut [f64]) {
    let t = step.step as i32;
    for i in 0..p.len() {
        let mut g = f64::from(gradient[i]);
        match step.weight_decay {
            WeightDecay::Decoupled(decay) => p[i] *= 1.0 - step.learning_rate * decay,
            WeightDecay::L2(decay) => g += decay * p[i],
        }
        m[i] = step.beta1 * m[i] + (1.0 - step.beta1) * g;
        v[i] = step.beta2 * v[i] + (1.0 - step.beta2) * g * g;
        let denominator = v[i].sqrt() / (1.0 - step.beta2.powi(t)).sqrt() + step.epsilon;
        p[i] -= step.learning_rate / (1.0 - step.beta1.powi(t)) * m[i] / denominator;
    }
}

#[test]
fn squares_are_summed() {
    let values = values(1, 2 * BLOCK + 77);
    let expected: f64 = values.iter().map(|value| f64::from(*value) * f64::from(*value)).sum();
    assert!((sum_of_squares(&values) / expected - 1.0).abs() < 1e-6);
    assert_eq!(sum_of_squares(&[]), 0.0);
}

#[test]
fn steps_follow_pytorch() {
    let len = 3 * BLOCK + 5;
    for weight_decay in [WeightDecay::Decoupled(0.1), WeightDecay::L2(0.1), WeightDecay::L2(0.0)] {
        let mut parameter = values(1, len);
        let (mut first, mut second) = (vec![0.0; len], vec![0.0; len]);
        let mut expected: Vec<f64> = parameter.iter().map(|p| f64::from(*p)).collect();
        let (mut expected_first, mut expected_second) = (vec![0.0; len], vec![0.0; len]);
        for number in 1..=6 {
            // Rate and first decay change from step to step, as one cycle has it; 0.4 takes the lerp's other end.
            let beta1 = [0.95, 0.9, 0.85, 0.4, 0.85, 0.95][number as usize - 1];
            let step = AdamStep {
                learning_rate: 1e-2 * number as f64,
                beta1,
                beta2: 0.999,
                epsilon: 1e-8,
                weight_decay,
                step: number,
            };
            let gradient = values(10 + number, len);
            adam_step(step, &mut parameter, &gradient, &mut first, &mut second);
            reference(step, &mut expected, &gradient, &mut expected_first, &mut expected_second);
        }
        assert_close("parameter", &parameter, &expected, 1e-6);
        assert_close("first moment", &first, &expected_first, 1e-6);
        assert_close("second moment", &second, &expected_second, 1e-6);
    }
}

/// PyTorch's single-tensor SGD in f64; `None` is the velocity before the first step.
fn sgd_reference(step: SgdStep, p: &mut [f64], gradient: &[f32], velocity: &mut Option<Vec<f64>>) {
    let mut g: Vec<f64> = gradient.iter().zip(&*p).map(|(g, p)| f64::from(*g) + step.weight_decay * p).collect();
    let moved = match velocity.take() {
        None => g.clone(),
        Some(before) => before.iter().zip(&g).map(|(v, g)| step.momentum * v + g).collect(),
    };
    if step.nesterov {
        g.iter_mut().zip(&moved).for_each(|(g, v)| *g += step.momentum * v);
    } else {
        g.clone_from(&moved);
    }
    *velocity = Some(moved);
    p.iter_mut().zip(g).for_each(|(p, g)| *p -= step.learning_rate * g);
}

#[test]
fn sgd_follows_pytorch() {
    let len = 2 * BLOCK + 3;
    for (nesterov, weight_decay) in [(false, 0.0), (false, 0.1), (true, 0.1)] {
        let mut parameter = values(1, len);
        let mut velocity = vec![0.0; len];
        let mut expected: Vec<f64> = parameter.iter().map(|p| f64::from(*p)).collect();
        let mut expected_velocity = None;
        for number in 1..=5 {
            let momentum = [0.95, 0.9, 0.0, 0.85, 0.9][number as usize - 1];
            let step = SgdStep { learning_rate: 1e-2 * number as f64, momentum, nesterov, weight_decay };
            let gradient = values(10 + number, len);
            sgd_step(step, &mut parameter, &gradient, &mut velocity);
            sgd_reference(step, &mut expected, &gradient, &mut expected_velocity);
        }
        assert_close("parameter", &parameter, &expected, 1e-6);
        assert_close("velocity", &velocity, &expected_velocity.unwrap(), 1e-6);
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let step = AdamStep {
        learning_rate: 1e-3,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        weight_decay: WeightDecay::Decoupled(0.01),
        step: 1,
    };
    let gradient = values(1, 100_000);
    assert_same_on_any_threads(|| {
        let (mut p, mut m, mut v) = (values(2, 100_000), vec![0.0; 100_000], vec![0.0; 100_000]);
        adam_step(step, &mut p, &gradient, &mut m, &mut v);
        [p, m, v].concat()
    });
    let step = SgdStep { learning_rate: 1e-3, momentum: 0.9, nesterov: true, weight_decay: 0.01 };
    assert_same_on_any_threads(|| {
        let (mut p, mut v) = (values(2, 100_000), vec![0.0; 100_000]);
        sgd_step(step, &mut p, &gradient, &mut v);
        [p, v].concat()
    });
}

#[test]
#[should_panic(expected = "second moment holds 1 values, the shape needs 2")]
fn a_wrong_length_is_named() {
    let step = AdamStep {
        learning_rate: 1e-3,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        weight_decay: WeightDecay::L2(0.0),
        step: 1,
    };
    adam_step(step, &mut [0.0; 2], &[0.0; 2], &mut [0.0; 2], &mut [0.0; 1]);
}
