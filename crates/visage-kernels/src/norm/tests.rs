use proptest::prelude::*;

use super::*;
use crate::reference::{ACTIVATIONS, activate, assert_close, assert_same_on_any_threads, cases, values};

/// The operands of a case. An empty residual stands for none.
struct Case {
    channels: usize,
    input: Vec<f32>,
    gamma: Vec<f32>,
    beta: Vec<f32>,
    residual: Vec<f32>,
    gradient: Vec<f32>,
}

impl Case {
    fn new(rows: usize, channels: usize, with_residual: bool) -> Self {
        let len = rows * channels;
        // Channels with different means, and a scale large enough for z to reach 6.
        let input = values(1, len).iter().enumerate().map(|(i, x)| x + (i % channels % 7) as f32).collect();
        let gamma = values(2, channels).iter().map(|g| 2.0 * g).collect();
        let residual = if with_residual { values(4, len) } else { Vec::new() };
        Self { channels, input, gamma, beta: values(3, channels), residual, gradient: values(5, len) }
    }

    fn operands<'a>(&'a self, scale: &'a [f32], activation: Activation) -> NormOperands<'a> {
        let residual = (!self.residual.is_empty()).then_some(&self.residual[..]);
        NormOperands { input: &self.input, scale, shift: &self.beta, residual, activation }
    }

    /// `[mean, biased variance]` of each channel.
    fn moments(&self) -> Vec<[f64; 2]> {
        let rows = (self.input.len() / self.channels) as f64;
        (0..self.channels)
            .map(|c| {
                let column = || self.input.iter().skip(c).step_by(self.channels).map(|x| f64::from(*x));
                let mean = column().sum::<f64>() / rows;
                [mean, column().map(|x| (x - mean).powi(2)).sum::<f64>() / rows]
            })
            .collect()
    }

    /// `z = x * a + b + residual`, given `[a, b]` for each channel.
    fn z(&self, affine: &[[f64; 2]]) -> Vec<f64> {
        let at = |i: usize| {
            let [a, b] = affine[i % self.channels];
            f64::from(self.input[i]) * a + b + self.residual.get(i).map_or(0.0, |r| f64::from(*r))
        };
        (0..self.input.len()).map(at).collect()
    }

    /// The output and the gradient at z.
    fn at_z(&self, activation: Activation, z: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let at = |(z, gradient): (&f64, &f32)| {
            let [value, slope] = activate(activation, *z);
            (value, slope * f64::from(*gradient))
        };
        z.iter().zip(&self.gradient).map(at).unzip()
    }

    /// The sum of a term of each value, by channel.
    fn sums(&self, term: impl Fn(usize) -> f64) -> Vec<f64> {
        let sum = |c: usize| (c..self.input.len()).step_by(self.channels).map(&term).sum();
        (0..self.channels).map(sum).collect()
    }
}

/// Whether some z is so near a kink of the activation that rounding to f32 may change its derivative.
fn near_a_kink(activation: Activation, z: &[f64]) -> bool {
    let kinks: &[f64] = match activation {
        Activation::Identity | Activation::Silu => &[],
        Activation::Relu => &[0.0],
        Activation::Relu6 => &[0.0, 6.0],
        Activation::HardSwish => &[-3.0, 3.0],
    };
    z.iter().any(|z| kinks.iter().any(|kink| (z - kink).abs() < 1e-5))
}

proptest! {
    #![proptest_config(cases(150))]
    #[test]
    fn batch_norm_agrees_with_the_definition(
        rows in 8usize..300,
        channels in prop::sample::select(vec![1usize, 3, 16, 24, 40, 255, 256, 300]),
        activation in prop::sample::select(ACTIVATIONS.to_vec()),
        with_residual in any::<bool>(),
    ) {
        let case = Case::new(rows, channels, with_residual);
        let (len, epsilon) = (rows * channels, 1e-3);
        let moments = case.moments();
        let affine: Vec<[f64; 2]> = (0..channels).map(|c| {
            let [mean, variance] = moments[c];
            let a = f64::from(case.gamma[c]) / (variance + epsilon).sqrt();
            [a, f64::from(case.beta[c]) - mean * a]
        }).collect();
        let z = case.z(&affine);
        prop_assume!(!near_a_kink(activation, &z));
        let (output, dz) = case.at_z(activation, &z);

        let mut actual = vec![f32::NAN; len];
        let operands = case.operands(&case.gamma, activation);
        let statistics = batch_norm_train(operands, epsilon, &mut actual);
        assert_close("output", &actual, &output, 5e-6);
        assert_close("mean", &statistics.mean, &moments.iter().map(|m| m[0]).collect::<Vec<_>>(), 1e-6);
        assert_close("variance", &statistics.variance, &moments.iter().map(|m| m[1]).collect::<Vec<_>>(), 1e-6);

        let normalised = |i: usize| {
            let [mean, variance] = moments[i % channels];
            (f64::from(case.input[i]) - mean) / (variance + epsilon).sqrt()
        };
        let beta_gradient = case.sums(|i| dz[i]);
        let gamma_gradient = case.sums(|i| dz[i] * normalised(i));
        let input_gradient: Vec<f64> = (0..len).map(|i| {
            let c = i % channels;
            affine[c][0] * (dz[i] - (beta_gradient[c] + normalised(i) * gamma_gradient[c]) / rows as f64)
        }).collect();
        let (mut dx, mut dr) = (vec![f32::NAN; len], vec![f32::NAN; len]);
        let (mut dg, mut db) = (vec![f32::NAN; channels], vec![f32::NAN; channels]);
        for store_residual_gradient in [false, true] {
            let residual = store_residual_gradient.then_some(&mut dr[..]);
            let gradients = NormGradients { input: &mut dx, scale: &mut dg, shift: &mut db, residual };
            batch_norm_train_backward(operands, &statistics, &case.gradient, gradients);
            assert_close("input gradient", &dx, &input_gradient, 1e-5);
            assert_close("gamma gradient", &dg, &gamma_gradient, 1e-5);
            assert_close("beta gradient", &db, &beta_gradient, 1e-5);
        }
        assert_close("residual gradient", &dr, &dz, 1e-5);
    }

    #[test]
    fn scale_shift_agrees_with_the_definition(
        rows in 1usize..300,
        channels in prop::sample::select(vec![1usize, 3, 16, 24, 255, 300]),
        activation in prop::sample::select(ACTIVATIONS.to_vec()),
        with_residual in any::<bool>(),
    ) {
        let case = Case::new(rows, channels, with_residual);
        let len = rows * channels;
        let affine: Vec<[f64; 2]> =
            (0..channels).map(|c| [f64::from(case.gamma[c]) / (c + 1) as f64, f64::from(case.beta[c])]).collect();
        let scale: Vec<f32> = affine.iter().map(|a| a[0] as f32).collect();
        let z = case.z(&affine);
        prop_assume!(!near_a_kink(activation, &z));
        let (output, dz) = case.at_z(activation, &z);
        let mut actual = vec![f32::NAN; len];
        let operands = case.operands(&scale, activation);
        scale_shift(operands, &mut actual);
        assert_close("output", &actual, &output, 5e-6);

        let shift_gradient = case.sums(|i| dz[i]);
        let scale_gradient = case.sums(|i| dz[i] * f64::from(case.input[i]));
        let input_gradient: Vec<f64> = (0..len).map(|i| dz[i] * affine[i % channels][0]).collect();
        let (mut dx, mut dr) = (vec![f32::NAN; len], vec![f32::NAN; len]);
        let (mut ds, mut dt) = (vec![f32::NAN; channels], vec![f32::NAN; channels]);
        for store_residual_gradient in [false, true] {
            let residual = store_residual_gradient.then_some(&mut dr[..]);
            let gradients = NormGradients { input: &mut dx, scale: &mut ds, shift: &mut dt, residual };
            scale_shift_backward(operands, &case.gradient, gradients);
            assert_close("input gradient", &dx, &input_gradient, 5e-6);
            assert_close("scale gradient", &ds, &scale_gradient, 5e-6);
            assert_close("shift gradient", &dt, &shift_gradient, 5e-6);
        }
        assert_close("residual gradient", &dr, &dz, 5e-6);
    }
}

#[test]
fn a_mean_far_from_zero_costs_the_variance_no_precision() {
    let (rows, channels) = (20_000, 24);
    let input: Vec<f32> = values(1, rows * channels).iter().map(|x| 4096.0 + x).collect();
    let case = Case { input, ..Case::new(rows, channels, false) };
    let mut output = vec![0.0; rows * channels];
    let statistics = batch_norm_train(case.operands(&case.gamma, Activation::Identity), 0.0, &mut output);
    let moments = case.moments();
    for (c, (variance, [_, expected])) in statistics.variance.iter().zip(moments).enumerate() {
        let relative = f64::from(*variance) / expected - 1.0;
        assert!(relative.abs() < 1e-6, "channel {c}: {relative}");
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let (rows, channels) = (20_001, 24);
    let case = Case::new(rows, channels, true);
    assert_same_on_any_threads(|| {
        let len = rows * channels;
        let mut output = vec![0.0; len];
        let operands = case.operands(&case.gamma, Activation::Silu);
        let statistics = batch_norm_train(operands, 1e-5, &mut output);
        let (mut dx, mut dg, mut db) = (vec![0.0; len], vec![0.0; channels], vec![0.0; channels]);
        let gradients = NormGradients { input: &mut dx, scale: &mut dg, shift: &mut db, residual: None };
        batch_norm_train_backward(operands, &statistics, &case.gradient, gradients);
        [output, dx, dg, db, statistics.mean, statistics.inverse_std].concat()
    });
}

#[test]
#[should_panic(expected = "residual gradient holds 2 values, the shape needs 4")]
fn a_wrong_length_is_named() {
    let (x, parameter) = ([0.0; 4], [1.0; 2]);
    let (mut dx, mut ds, mut dt) = ([0.0; 4], [0.0; 2], [0.0; 2]);
    let operands =
        NormOperands { input: &x, scale: &parameter, shift: &parameter, residual: None, activation: Activation::Relu };
    let mut dr = [0.0; 2];
    let residual = Some(&mut dr[..]);
    scale_shift_backward(operands, &x, NormGradients { input: &mut dx, scale: &mut ds, shift: &mut dt, residual });
}

#[test]
fn nan_in_the_input_propagates() {
    for activation in ACTIVATIONS {
        let mut output = [0.0; 4];
        let input = &[1.0, f32::NAN, 2.0, 3.0];
        let operands = NormOperands { input, scale: &[1.0; 2], shift: &[0.0; 2], residual: None, activation };
        scale_shift(operands, &mut output);
        assert!(output[1].is_nan() && !output[3].is_nan(), "{activation:?}");
    }
}
