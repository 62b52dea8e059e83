use proptest::prelude::*;

use super::*;
use crate::activation::{Activation, GateFunction};
use crate::reference::{Layers, activate, assert_close, assert_same_on_any_threads, cases, gate, values};

/// The layers and images, in f64 so that finite differences are accurate enough.
struct Case {
    sizes: [usize; 4],
    reduce: Vec<f64>,
    reduce_bias: Vec<f64>,
    expand: Vec<f64>,
    expand_bias: Vec<f64>,
    images: Vec<f64>,
    activation: Activation,
    gate: GateFunction,
}

impl Case {
    /// The sums before the activation and before the gate of image `n`.
    fn sums(&self, n: usize) -> [Vec<f64>; 2] {
        let [_, pixels, channels, hidden] = self.sizes;
        let image = &self.images[n * pixels * channels..][..pixels * channels];
        let mean: Vec<f64> =
            (0..channels).map(|c| (0..pixels).map(|p| image[p * channels + c]).sum::<f64>() / pixels as f64).collect();
        let row = |h: usize| (0..channels).map(|c| mean[c] * self.reduce[h * channels + c]).sum::<f64>();
        let first: Vec<f64> = (0..hidden).map(|h| self.reduce_bias[h] + row(h)).collect();
        let squeezed: Vec<f64> = first.iter().map(|&z| activate(self.activation, z)[0]).collect();
        let column = |c: usize| (0..hidden).map(|h| squeezed[h] * self.expand[h * channels + c]).sum::<f64>();
        let second = (0..channels).map(|c| self.expand_bias[c] + column(c)).collect();
        [first, second]
    }

    /// Whether a function has a kink so near that differences are not derivatives.
    fn is_near_a_kink(&self) -> bool {
        let [batch, ..] = self.sizes;
        self.gate == GateFunction::HardSigmoid
            && (0..batch).any(|n| {
                let [first, second] = self.sums(n);
                first.iter().any(|z| z.abs() < 1e-2) || second.iter().any(|z| (z.abs() - 3.0).abs() < 1e-2)
            })
    }

    /// The sum of `output * weights`, from the definition.
    fn loss(&self, weights: &[f32]) -> f64 {
        let [batch, pixels, channels, _] = self.sizes;
        let mut loss = 0.0;
        for n in 0..batch {
            let [_, second] = self.sums(n);
            for (c, &z) in second.iter().enumerate() {
                for p in 0..pixels {
                    let at = (n * pixels + p) * channels + c;
                    loss += self.images[at] * gate(self.gate, z) * f64::from(weights[at]);
                }
            }
        }
        loss
    }

    /// Central differences with respect to every value of `part`.
    fn gradient(&mut self, weights: &[f32], part: impl Fn(&mut Self) -> &mut Vec<f64>) -> Vec<f64> {
        const STEP: f64 = 1e-4;
        (0..part(self).len())
            .map(|index| {
                let before = part(self)[index];
                let mut at = |value| {
                    part(self)[index] = value;
                    self.loss(weights)
                };
                let slope = (at(before + STEP) - at(before - STEP)) / (2.0 * STEP);
                part(self)[index] = before;
                slope
            })
            .collect()
    }
}

proptest! {
    #![proptest_config(cases(40))]
    #[test]
    fn all_levels_agree_with_finite_differences(
        batch in 1usize..3, pixels in 1usize..70, channels in 1usize..20, hidden in 1usize..5,
        hard in any::<bool>(),
    ) {
        let images = values(1, batch * pixels * channels);
        let layers = Layers::new(channels, hidden, hard);
        let output_gradient = values(6, images.len());
        let wide = |values: &[f32]| values.iter().map(|value| f64::from(*value)).collect::<Vec<f64>>();
        let mut case = Case {
            sizes: [batch, pixels, channels, hidden],
            reduce: wide(&layers.reduce),
            reduce_bias: wide(&layers.reduce_bias),
            expand: wide(&layers.expand),
            expand_bias: wide(&layers.expand_bias),
            images: wide(&images),
            activation: layers.activation,
            gate: layers.gate,
        };
        prop_assume!(!case.is_near_a_kink());
        let expected = [
            case.gradient(&output_gradient, |case| &mut case.images),
            case.gradient(&output_gradient, |case| &mut case.reduce),
            case.gradient(&output_gradient, |case| &mut case.reduce_bias),
            case.gradient(&output_gradient, |case| &mut case.expand),
            case.gradient(&output_gradient, |case| &mut case.expand_bias),
        ];
        simd::for_each_level(|_| {
            let mut actual = expected.each_ref().map(|values| vec![f32::NAN; values.len()]);
            let [dx, reduce, reduce_bias, expand, expand_bias] = &mut actual;
            let gradients = ExcitationGradients { reduce, reduce_bias, expand, expand_bias };
            squeeze_excite_backward(batch, pixels, layers.excitation(), &images, &output_gradient, dx, gradients);
            for ((name, actual), expected) in
                ["images", "reduce", "reduce bias", "expand", "expand bias"].iter().zip(&actual).zip(&expected)
            {
                assert_close(name, actual, expected, 2e-5);
            }
        });
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let (batch, pixels, channels, hidden) = (3, 300, 150, 7);
    let layers = Layers::new(channels, hidden, false);
    let (images, gradient) = (values(1, batch * pixels * channels), values(6, batch * pixels * channels));
    assert_same_on_any_threads(|| {
        let mut dx = vec![0.0; images.len()];
        let mut sums = [hidden * channels, hidden, hidden * channels, channels].map(|len| vec![0.0; len]);
        let [reduce, reduce_bias, expand, expand_bias] = &mut sums;
        let gradients = ExcitationGradients { reduce, reduce_bias, expand, expand_bias };
        squeeze_excite_backward(batch, pixels, layers.excitation(), &images, &gradient, &mut dx, gradients);
        [dx, sums.concat()].concat()
    });
}
