use proptest::prelude::*;

use super::*;
use crate::activation::Activation;
use crate::reference::{
    assert_close, assert_finished, assert_same_on_any_threads, cases, depthwise_shapes, pairs, values,
};
use crate::shape::Window;

proptest! {
    #![proptest_config(cases(200))]
    #[test]
    fn all_levels_agree_with_the_definition(shape in depthwise_shapes()) {
        let c = shape.channels;
        let weight_len = shape.window.taps() * c;
        let (input, weight) = (values(1, shape.input_len()), values(2, weight_len));
        let (bias, gradient) = (values(3, c), values(4, shape.output_len()));

        let mut output = vec![0.0; shape.output_len()];
        let mut input_gradient = vec![0.0; input.len()];
        let mut weight_gradient = vec![0.0; weight_len];
        for [to, tap, from] in pairs(shape.batch, shape.in_height, shape.in_width, shape.window) {
            for channel in 0..c {
                let [x, w, dy] = [input[from * c + channel], weight[tap * c + channel], gradient[to * c + channel]]
                    .map(f64::from);
                output[to * c + channel] += x * w;
                input_gradient[from * c + channel] += dy * w;
                weight_gradient[tap * c + channel] += dy * x;
            }
        }

        simd::for_each_level(|_| {
            for epilogue in [
                Epilogue::default(),
                Epilogue { bias: Some(&bias), residual: Some(&gradient), activation: Activation::Silu },
                Epilogue { bias: Some(&bias), residual: None, activation: Activation::Relu6 },
            ] {
                let mut actual = vec![f32::NAN; output.len()];
                depthwise_conv2d(shape, &input, &weight, epilogue, &mut actual);
                assert_finished(&actual, &output, &epilogue, 5e-6);
            }
            let mut actual = vec![f32::NAN; input.len()];
            depthwise_conv2d_input_gradient(shape, &weight, &gradient, &mut actual);
            assert_close("input gradient", &actual, &input_gradient, 5e-6);
            let mut actual = vec![f32::NAN; weight_len];
            depthwise_conv2d_weight_gradient(shape, &input, &gradient, &mut actual);
            assert_close("weight gradient", &actual, &weight_gradient, 5e-6);
        });
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    for window in [Window::square(3, 1, 1), Window::square(5, 2, 2)] {
        let shape = DepthwiseShape { batch: 5, in_height: 31, in_width: 33, channels: 40, window };
        let (input, weight) = (values(1, shape.input_len()), values(2, window.taps() * 40));
        let gradient = values(3, shape.output_len());
        assert_same_on_any_threads(|| {
            let mut output = vec![0.0; shape.output_len()];
            depthwise_conv2d(shape, &input, &weight, Epilogue::default(), &mut output);
            let mut input_gradient = vec![0.0; shape.input_len()];
            depthwise_conv2d_input_gradient(shape, &weight, &gradient, &mut input_gradient);
            let mut weight_gradient = vec![0.0; weight.len()];
            depthwise_conv2d_weight_gradient(shape, &input, &gradient, &mut weight_gradient);
            [output, input_gradient, weight_gradient].concat()
        });
    }
}
