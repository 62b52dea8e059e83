use proptest::prelude::*;

use super::*;
use crate::reference::{assert_close, assert_same_on_any_threads, cases, values};

proptest! {
    #![proptest_config(cases(100))]
    #[test]
    fn gate_agrees_with_the_definition(batch in 1usize..4, pixels in 1usize..200, channels in 1usize..50) {
        let shape = MapShape { batch, pixels, channels };
        let len = batch * pixels * channels;
        let (input, gate, gradient) = (values(1, len), values(2, batch * channels), values(3, len));
        let gate_of = |i: usize| i / (pixels * channels) * channels + i % channels;
        let product = |a: &[f32], b: &[f32]| -> Vec<f64> {
            (0..len).map(|i| f64::from(a[i]) * f64::from(b[gate_of(i)])).collect()
        };
        let mut gate_gradient = vec![0.0f64; gate.len()];
        for i in 0..len {
            gate_gradient[gate_of(i)] += f64::from(gradient[i]) * f64::from(input[i]);
        }
        let (mut y, mut dx, mut dg) = (vec![f32::NAN; len], vec![f32::NAN; len], vec![f32::NAN; gate.len()]);
        channel_gate(shape, &input, &gate, &mut y);
        channel_gate_backward(shape, &input, &gate, &gradient, &mut dx, &mut dg);
        assert_close("output", &y, &product(&input, &gate), 1e-6);
        assert_close("input gradient", &dx, &product(&gradient, &gate), 1e-6);
        assert_close("gate gradient", &dg, &gate_gradient, 1e-6);
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let (batch, pixels, channels) = (3, 1000, 24);
    let shape = MapShape { batch, pixels, channels };
    let (input, gate) = (values(1, batch * pixels * channels), values(2, batch * channels));
    assert_same_on_any_threads(|| {
        let (mut dx, mut dg) = (vec![0.0; input.len()], vec![0.0; gate.len()]);
        channel_gate_backward(shape, &input, &gate, &input, &mut dx, &mut dg);
        [dx, dg].concat()
    });
}
