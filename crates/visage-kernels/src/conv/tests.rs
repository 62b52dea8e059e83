use proptest::prelude::*;

use super::*;
use crate::activation::Activation;
use crate::reference::{
    assert_close, assert_finished, assert_same_on_any_threads, cases, conv_shapes, convolution, values,
};
use crate::shape::Window;

fn check_against_reference(shape: ConvShape) {
    let input = values(1, shape.input_len());
    let weight = values(2, shape.weight_len());
    let (bias, gradient) = (values(3, shape.out_channels), values(4, shape.output_len()));
    let residual = values(5, shape.output_len());
    let expected = convolution(shape, &input, &weight, &gradient);
    let epilogues = [
        Epilogue::default(),
        Epilogue { bias: Some(&bias), residual: None, activation: Activation::Silu },
        Epilogue { bias: Some(&bias), residual: Some(&residual), activation: Activation::Relu },
        Epilogue { bias: None, residual: Some(&residual), activation: Activation::Relu6 },
    ];
    let tolerance = if winograd::applies(shape.window) { 2e-5 } else { 5e-6 };
    simd::for_each_level(|_| {
        let packed = pack_conv2d(shape, &weight);
        for epilogue in epilogues {
            // NaN reveals values that are not written.
            let mut output = vec![f32::NAN; shape.output_len()];
            conv2d(shape, &input, &weight, epilogue, &mut output);
            assert_finished(&output, &expected.output, &epilogue, tolerance);
            output.fill(f32::NAN);
            conv2d_packed(shape, &input, &packed, epilogue, &mut output);
            assert_finished(&output, &expected.output, &epilogue, tolerance);
        }
        let mut input_gradient = vec![f32::NAN; shape.input_len()];
        conv2d_input_gradient(shape, &weight, &gradient, &mut input_gradient);
        assert_close("input gradient", &input_gradient, &expected.input_gradient, tolerance);
        let mut weight_gradient = vec![f32::NAN; shape.weight_len()];
        conv2d_weight_gradient(shape, &input, &gradient, &mut weight_gradient);
        assert_close("weight gradient", &weight_gradient, &expected.weight_gradient, tolerance);
    });
}

proptest! {
    #![proptest_config(cases(150))]
    #[test]
    fn all_levels_agree_with_the_definition(shape in conv_shapes()) {
        check_against_reference(shape);
    }
}

fn layer(batch: usize, size: usize, in_channels: usize, out_channels: usize, window: Window) -> ConvShape {
    ConvShape { batch, in_height: size, in_width: size, in_channels, out_channels, window }
}

#[test]
fn layers_of_real_networks_agree_with_the_definition() {
    check_against_reference(layer(2, 40, 3, 64, Window::square(7, 2, 3)));
    check_against_reference(layer(4, 20, 32, 33, Window::square(3, 1, 1)));
    check_against_reference(layer(3, 4, 256, 136, Window::square(3, 1, 1)));
    check_against_reference(layer(2, 9, 64, 128, Window::square(1, 2, 0)));
    check_against_reference(layer(8, 16, 40, 240, Window::square(1, 1, 0)));
    check_against_reference(layer(1, 1, 700, 1280, Window::square(1, 1, 0)));
}

#[test]
fn threads_do_not_change_a_bit() {
    for shape in [
        layer(5, 33, 3, 24, Window::square(3, 2, 1)),
        layer(5, 17, 24, 40, Window::square(3, 1, 1)),
        layer(9, 16, 16, 96, Window::square(1, 1, 0)),
        layer(9, 17, 40, 48, Window::square(3, 1, 1)),
    ] {
        let (input, weight) = (values(1, shape.input_len()), values(2, shape.weight_len()));
        let gradient = values(3, shape.output_len());
        assert_same_on_any_threads(|| {
            let mut output = vec![0.0; shape.output_len()];
            conv2d(shape, &input, &weight, Epilogue::default(), &mut output);
            let mut input_gradient = vec![0.0; shape.input_len()];
            conv2d_input_gradient(shape, &weight, &gradient, &mut input_gradient);
            let mut weight_gradient = vec![0.0; shape.weight_len()];
            conv2d_weight_gradient(shape, &input, &gradient, &mut weight_gradient);
            [output, input_gradient, weight_gradient].concat()
        });
    }
}

#[test]
fn an_empty_batch_is_no_work() {
    let shape = layer(0, 5, 3, 4, Window::square(3, 1, 1));
    let weight = values(1, shape.weight_len());
    conv2d(shape, &[], &weight, Epilogue::default(), &mut []);
    conv2d_input_gradient(shape, &weight, &[], &mut []);
    let mut gradient = vec![1.0; shape.weight_len()];
    conv2d_weight_gradient(shape, &[], &[], &mut gradient);
    assert!(gradient.iter().all(|value| *value == 0.0));
}

#[test]
#[should_panic(expected = "weight holds 3 values, the shape needs 108")]
fn a_wrong_length_is_named() {
    let shape = layer(1, 5, 3, 4, Window::square(3, 1, 1));
    conv2d(shape, &[0.0; 75], &[0.0; 3], Epilogue::default(), &mut [0.0; 100]);
}
