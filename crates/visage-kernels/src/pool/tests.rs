use proptest::prelude::*;

use super::*;
use crate::reference::{assert_close, assert_same_on_any_threads, cases, depthwise_shapes, pairs, values};
use crate::shape::{Padding, Window};

proptest! {
    #![proptest_config(cases(150))]
    #[test]
    fn max_pool_agrees_with_the_definition(shape in depthwise_shapes()) {
        let c = shape.channels;
        // PyTorch allows at most half a kernel of padding.
        let [height, width] = shape.window.kernel.map(|kernel| kernel / 2);
        let Padding { top, left, bottom, right } = shape.window.padding;
        let padding = Padding {
            top: top.min(height), left: left.min(width), bottom: bottom.min(height), right: right.min(width),
        };
        let window = Window { padding, ..shape.window };
        let shape = DepthwiseShape { window, ..shape };
        // Few distinct values, so that there are ties.
        let input: Vec<f32> = values(1, shape.input_len()).iter().map(|x| (x * 4.0).round()).collect();
        let gradient = values(2, shape.output_len());
        let image = shape.in_height * shape.in_width;
        let mut output = vec![f32::NEG_INFINITY; shape.output_len()];
        let mut argmax = vec![0u32; output.len()];
        for [to, _, from] in pairs(shape.batch, shape.in_height, shape.in_width, window) {
            for channel in 0..c {
                let candidate = input[from * c + channel];
                if candidate > output[to * c + channel] {
                    output[to * c + channel] = candidate;
                    argmax[to * c + channel] = (from % image) as u32;
                }
            }
        }
        let mut input_gradient = vec![0.0f64; input.len()];
        let out_image = shape.out_height() * shape.out_width() * c;
        for (index, best) in argmax.iter().enumerate() {
            let at = (index / out_image * image + *best as usize) * c + index % c;
            input_gradient[at] += f64::from(gradient[index]);
        }
        let (mut actual, mut actual_argmax) = (vec![f32::NAN; output.len()], vec![u32::MAX; output.len()]);
        max_pool2d(shape, &input, &mut actual, &mut actual_argmax);
        prop_assert_eq!(&actual, &output);
        prop_assert_eq!(&actual_argmax, &argmax);
        let mut actual = vec![f32::NAN; input.len()];
        max_pool2d_backward(shape, &gradient, &argmax, &mut actual);
        assert_close("input gradient", &actual, &input_gradient, 1e-6);
    }

    #[test]
    fn global_average_agrees_with_the_definition(batch in 1usize..4, pixels in 1usize..200, channels in 1usize..50) {
        let shape = MapShape { batch, pixels, channels };
        let input = values(1, shape.len());
        let mut expected = vec![0.0f64; batch * channels];
        for (index, x) in input.iter().enumerate() {
            expected[index / (pixels * channels) * channels + index % channels] += f64::from(*x) / pixels as f64;
        }
        let mut output = vec![f32::NAN; batch * channels];
        global_average_pool(shape, &input, &mut output);
        assert_close("mean", &output, &expected, 1e-6);
        let gradient = values(2, batch * channels);
        let mut input_gradient = vec![f32::NAN; input.len()];
        global_average_pool_backward(shape, &gradient, &mut input_gradient);
        let expected: Vec<f64> = (0..input.len())
            .map(|i| f64::from(gradient[i / (pixels * channels) * channels + i % channels]) / pixels as f64)
            .collect();
        assert_close("input gradient", &input_gradient, &expected, 1e-6);
    }
}

#[test]
fn the_first_of_equal_values_is_the_maximum_and_nan_is_greater_than_all() {
    let shape = DepthwiseShape { batch: 1, in_height: 2, in_width: 3, channels: 1, window: Window::square(2, 1, 0) };
    let (mut output, mut argmax) = ([0.0; 2], [9; 2]);
    max_pool2d(shape, &[1.0, 1.0, 0.0, 1.0, 1.0, f32::NAN], &mut output, &mut argmax);
    assert_eq!((output[0], argmax), (1.0, [0, 5]));
    assert!(output[1].is_nan());
}

#[test]
fn threads_do_not_change_a_bit() {
    let shape = DepthwiseShape { batch: 5, in_height: 33, in_width: 31, channels: 20, window: Window::square(3, 2, 1) };
    let input = values(1, shape.input_len());
    assert_same_on_any_threads(|| {
        let (mut output, mut argmax) = (vec![0.0; shape.output_len()], vec![0; shape.output_len()]);
        max_pool2d(shape, &input, &mut output, &mut argmax);
        let mut gradient = vec![0.0; input.len()];
        max_pool2d_backward(shape, &output, &argmax, &mut gradient);
        let mut mean = vec![0.0; 5 * 20];
        global_average_pool(MapShape { batch: 5, pixels: 33 * 31, channels: 20 }, &input, &mut mean);
        [output, gradient, mean].concat()
    });
}
