use proptest::prelude::*;

use super::*;
use crate::activation::Activation;
use crate::reference::{assert_close, assert_finished, cases, convolution, values};
use crate::shape::Padding;

prop_compose! {
    fn shapes()(
        [top, left, bottom, right] in [0usize..4, 0usize..4, 0usize..4, 0usize..4],
        batch in 1usize..4,
        [in_height, in_width] in [3usize..15, 3usize..15],
        in_channels in prop::sample::select(vec![1usize, 8, 17, 32, 50]),
        out_channels in prop::sample::select(vec![1usize, 7, 16, 33, 50, 64]),
    ) -> ConvShape {
        let window = Window { kernel: [3, 3], stride: [1, 1], padding: Padding { top, left, bottom, right } };
        ConvShape { batch, in_height, in_width, in_channels, out_channels, window }
    }
}

fn check(shape: ConvShape) {
    let ConvShape { in_channels, out_channels, .. } = shape;
    let channels = [in_channels, out_channels];
    let (input, weight) = (values(1, shape.input_len()), values(2, shape.weight_len()));
    let (bias, gradient) = (values(3, out_channels), values(4, shape.output_len()));
    let residual = values(5, shape.output_len());
    let expected = convolution(shape, &input, &weight, &gradient);
    for level in simd::available() {
        let epilogue = Epilogue { bias: Some(&bias), residual: Some(&residual), activation: Activation::Relu };
        let mut filters = vec![f32::NAN; filters_len(in_channels, out_channels, level)];
        transform_filters(level, Direction::Forward, channels, &weight, &mut filters);
        let mut output = vec![f32::NAN; shape.output_len()];
        forward(level, shape, &input, &filters, &epilogue, &mut output);
        assert_finished(&output, &expected.output, &epilogue, 2e-5);

        let mut filters = vec![f32::NAN; filters_len(out_channels, in_channels, level)];
        transform_filters(level, Direction::Backward, channels, &weight, &mut filters);
        let mut input_gradient = vec![f32::NAN; shape.input_len()];
        backward_input(level, shape, &filters, &gradient, &mut input_gradient);
        assert_close("input gradient", &input_gradient, &expected.input_gradient, 2e-5);

        let mut weight_gradient = vec![f32::NAN; shape.weight_len()];
        backward_weight(level, shape, &input, &gradient, &mut weight_gradient);
        assert_close("weight gradient", &weight_gradient, &expected.weight_gradient, 2e-5);
    }
}

proptest! {
    #![proptest_config(cases(60))]
    #[test]
    fn all_levels_agree_with_the_definition(shape in shapes()) {
        check(shape);
    }
}

#[test]
fn several_blocks_of_tiles_agree_with_the_definition() {
    let shape = ConvShape {
        batch: 2,
        in_height: 33,
        in_width: 30,
        in_channels: 128,
        out_channels: 160,
        window: Window::square(3, 1, 1),
    };
    assert!(Tiles::of_output(shape).count() > (BLOCK / (POINTS * 288)).next_multiple_of(ROWS));
    check(shape);
}
