use proptest::prelude::*;

use super::*;
use crate::reference::{
    ACTIVATIONS, assert_finished, assert_same_on_any_threads, cases, depthwise_sums, finished, values,
};

/// The definition: the depthwise sums, in f64.
fn sums(shape: DepthwiseShape, depth: usize, activation: Activation, operands: [&[f32]; 4]) -> Vec<f64> {
    let [input, filter, filter_bias, weight] = operands;
    let channels = shape.channels;
    let products: Vec<f64> = (0..shape.input_len())
        .map(|index| {
            let (pixel, c) = (index / channels, index % channels);
            (0..depth).map(|i| f64::from(input[pixel * depth + i]) * f64::from(filter[c * depth + i])).sum()
        })
        .collect();
    let epilogue = Epilogue { bias: Some(filter_bias), residual: None, activation };
    depthwise_sums(shape, &finished(&products, &epilogue), weight)
}

proptest! {
    #![proptest_config(cases(150))]
    #[test]
    fn all_levels_agree_with_the_definition(
        kernel in prop::sample::select(vec![3usize, 5]),
        stride in 1usize..3,
        padding in [0usize..3, 0usize..3, 0usize..3, 0usize..3],
        extra in [0usize..30, 0usize..22],
        batch in 1usize..4,
        depth in prop::sample::select(vec![1usize, 5, 16, 24]),
        channels in prop::sample::select(vec![1usize, 8, 15, 16, 24, 40, 100, 144]),
        activations in [0usize..4, 0usize..4],
    ) {
        let [top, left, bottom, right] = padding;
        let window =
            Window { kernel: [kernel; 2], stride: [stride; 2], padding: Padding { top, left, bottom, right } };
        let [in_height, in_width] = extra.map(|extra| kernel + extra);
        let shape = DepthwiseShape { batch, in_height, in_width, channels, window };
        let [inner, outer] = activations.map(|index| ACTIVATIONS[index]);
        let input = values(1, batch * in_height * in_width * depth);
        let (filter, filter_bias) = (values(2, channels * depth), values(3, channels));
        let (weight, bias) = (values(4, window.taps() * channels), values(5, channels));
        let sums = sums(shape, depth, inner, [&input, &filter, &filter_bias, &weight]);
        for bias in [None, Some(&bias[..])] {
            let epilogue = Epilogue { bias, residual: None, activation: outer };
            simd::for_each_level(|level| {
                let expansion = Expansion { in_channels: depth, filters: &[], bias: &filter_bias, activation: inner };
                let dense = expansion.shape(shape);
                let filters = conv::pack_conv2d(dense, &filter);
                let mut actual = vec![f32::NAN; sums.len()];
                let expansion = &Expansion { filters: &filters, ..expansion };
                let operands = Operands { shape, input: &input, expansion, weight: &weight, epilogue: &epilogue };
                fused(level, &operands, &mut actual);
                assert_finished(&actual, &sums, &epilogue, 1e-5);
            });
        }
    }
}

/// Both branches of [`expanded_depthwise_conv2d`].
#[test]
fn small_and_large_maps_agree_with_the_definition() {
    for size in [8, 42] {
        let (depth, channels) = (12, 48);
        let window = Window::square(3, 2, 1);
        let shape = DepthwiseShape { batch: 2, in_height: size, in_width: size, channels, window };
        assert_eq!(size * size * channels >= LARGE, size == 42);
        let input = values(1, 2 * size * size * depth);
        let (filter, filter_bias) = (values(2, channels * depth), values(3, channels));
        let (weight, bias) = (values(4, window.taps() * channels), values(5, channels));
        let sums = sums(shape, depth, Activation::Relu6, [&input, &filter, &filter_bias, &weight]);
        let epilogue = Epilogue { bias: Some(&bias), residual: None, activation: Activation::Silu };
        let expansion =
            Expansion { in_channels: depth, filters: &[], bias: &filter_bias, activation: Activation::Relu6 };
        let filters = conv::pack_conv2d(expansion.shape(shape), &filter);
        let run = || {
            let mut output = vec![f32::NAN; sums.len()];
            let expansion = Expansion { filters: &filters, ..expansion };
            expanded_depthwise_conv2d(shape, &input, expansion, &weight, epilogue, &mut output);
            output
        };
        assert_finished(&run(), &sums, &epilogue, 1e-5);
        assert_finished(&parallel::alone(run), &sums, &epilogue, 1e-5);
        assert_same_on_any_threads(run);
    }
}
