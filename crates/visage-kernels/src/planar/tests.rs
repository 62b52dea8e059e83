use proptest::prelude::*;

use super::*;
use crate::activation::Activation;
use crate::epilogue::Epilogue;
use crate::reference::{assert_close, cases, convolution, depthwise_sums, finished, values};
use crate::shape::{ConvShape, DepthwiseShape, Padding};
use crate::simd;

/// The rows of an NHWC map with `phases` channels for each.
fn appended(map: &[f32], [height, width, channels]: [usize; 3], phases: usize) -> PlanarRows {
    let mut rows = PlanarRows::new(channels * phases, [height, width / phases], height);
    for y in 0..height {
        rows.append(|channel, first, columns| {
            for (x, value) in (first..).zip(columns) {
                *value = map[(y * width + x * phases + channel % phases) * channels + channel / phases];
            }
        });
    }
    rows
}

/// A map as NHWC.
fn interleaved(rows: &PlanarRows) -> Vec<f32> {
    let mut map = Vec::new();
    for y in 0..rows.height {
        for x in 0..rows.width {
            map.extend((0..rows.channels).map(|channel| rows.value(y, channel, x)));
        }
    }
    map
}

/// The definition of a block, in f64.
fn separable(shape: DepthwiseShape, operands: [&[f32]; 5], has_shortcut: bool) -> Vec<f64> {
    let [input, weight, bias, point, point_bias] = operands;
    let (channels, out_channels) = (shape.channels, point_bias.len());
    let wide: Vec<f64> = input.iter().map(|value| f64::from(*value)).collect();
    let epilogue = Epilogue { bias: Some(bias), residual: None, activation: Activation::Identity };
    let sums = finished(&depthwise_sums(shape, &wide, weight), &epilogue);
    let (out_width, step) = (shape.out_width(), shape.window.stride[0]);
    let shortcut = |pixel: usize, channel: usize| {
        let (y, x) = (pixel / out_width * step, pixel % out_width * step);
        let under = (0..step).flat_map(|r| (0..step).map(move |s| (y + r) * shape.in_width + x + s));
        under.map(|pixel| wide[pixel * channels + channel]).fold(f64::NEG_INFINITY, f64::max)
    };
    let mut output = Vec::new();
    for (pixel, sums) in sums.chunks(channels).enumerate() {
        for (channel, bias) in point_bias.iter().enumerate() {
            let weights = &point[channel * channels..][..channels];
            let sum: f64 = sums.iter().zip(weights).map(|(sum, weight)| sum * f64::from(*weight)).sum();
            let shortcut = if has_shortcut && channel < channels { shortcut(pixel, channel) } else { 0.0 };
            output.push((sum + f64::from(*bias) + shortcut).max(0.0));
        }
    }
    assert_eq!(output.len(), shape.out_height() * out_width * out_channels);
    output
}

proptest! {
    #![proptest_config(cases(100))]
    #[test]
    fn separable_blocks_agree_with_the_definition(
        step in 1usize..3,
        (height, width) in (1usize..12, prop_oneof![1usize..80, 240usize..600]),
        channels in [prop::sample::select(vec![1usize, 3, 8, 24]), prop::sample::select(vec![1usize, 7, 24, 30])],
        has_shortcut in any::<bool>(),
    ) {
        let size = [height, width];
        let [in_height, in_width] = size.map(|side| side * step);
        let window = PlanarSeparable::windows()[step - 1];
        let shape = DepthwiseShape { batch: 1, in_height, in_width, channels: channels[0], window };
        let (input, weight) = (values(1, shape.input_len()), values(2, 9 * channels[0]));
        let (bias, point) = (values(3, channels[0]), values(4, channels[0] * channels[1]));
        let point_bias = values(5, channels[1]);
        let expected = separable(shape, [&input, &weight, &bias, &point, &point_bias], has_shortcut);
        simd::for_each_level(|_| {
            let layer = PlanarSeparable::new(window, [&weight, &bias], [&point, &point_bias], has_shortcut);
            let rows = appended(&input, [in_height, in_width, channels[0]], 1);
            let mut output = PlanarRows::new(channels[1], size, size[0]);
            while layer.advance(&rows, &mut output) > 0 {}
            assert_close("output", &interleaved(&output), &expected, 1e-5);
        });
    }

    #[test]
    fn dense_convolutions_agree_with_the_definition(
        kernel in prop::sample::select(vec![[1usize, 1], [3, 3], [5, 5], [2, 4]]),
        stride in [1usize..4, 1usize..4],
        padding in [0usize..3, 0usize..3, 0usize..3, 0usize..3],
        extra in (0usize..9, prop_oneof![0usize..60, 240usize..600]),
        in_channels in 1usize..4,
        out_channels in prop::sample::select(vec![1usize, 5, 24, 34]),
        relu in any::<bool>(),
    ) {
        let [top, left, bottom, right] = padding;
        let window = Window { kernel, stride, padding: Padding { top, left, bottom, right } };
        let in_height = kernel[0] + extra.0;
        let in_width = (kernel[1] + extra.1).next_multiple_of(stride[1]);
        let shape = ConvShape { batch: 1, in_height, in_width, in_channels, out_channels, window };
        // Padding beyond the window can make the output wider than the input, by a strip where that ends with one: that is refused.
        let strips = [in_width / stride[1], shape.out_width()].map(|width| width.div_ceil(STRIP));
        prop_assume!(strips[1] <= strips[0]);
        let (input, weight) = (values(1, shape.input_len()), values(2, shape.weight_len()));
        let bias = values(3, out_channels);
        let sums = convolution(shape, &input, &weight, &vec![0.0; shape.output_len()]).output;
        let activation = if relu { Activation::Relu } else { Activation::Identity };
        let expected = finished(&sums, &Epilogue { bias: Some(&bias), residual: None, activation });
        simd::for_each_level(|_| {
            let layer = PlanarConv::new(window, in_channels, &weight, &bias, relu);
            let rows = appended(&input, [in_height, in_width, in_channels], stride[1]);
            let mut output = PlanarRows::new(out_channels, [shape.out_height(), shape.out_width()], in_height + 9);
            while layer.advance(&rows, &mut output) > 0 {}
            assert_close("output", &interleaved(&output), &expected, 1e-5);
        });
    }
}

/// Layers that follow each other with ring buffers of few rows give what they give with all rows.
#[test]
fn few_rows_are_enough() {
    let sizes = [[24, 40], [24, 40], [12, 20]];
    let layer = |step: usize, seed: u64| {
        let (weight, bias) = (values(seed, 9 * 8), values(seed + 1, 8));
        let (point, point_bias) = (values(seed + 2, 64), values(seed + 3, 8));
        PlanarSeparable::new(PlanarSeparable::windows()[step - 1], [&weight, &bias], [&point, &point_bias], true)
    };
    let layers = [layer(1, 10), layer(2, 20)];
    let map = values(1, 24 * 40 * 8);
    let run = |capacities: [usize; 2]| {
        let whole = appended(&map, [24, 40, 8], 1);
        let mut input = PlanarRows::new(8, sizes[0], capacities[0]);
        let mut middle = PlanarRows::new(8, sizes[1], capacities[1]);
        let mut output = PlanarRows::new(8, sizes[2], 24);
        // Twice, as rows are used again for the next map.
        for _ in 0..2 {
            [&mut input, &mut middle, &mut output].into_iter().for_each(PlanarRows::restart);
            while output.end() < output.height() {
                for _ in 0..2.min(24 - input.end()) {
                    let row = input.end();
                    input.append(|channel, first, columns| {
                        (first..).zip(columns).for_each(|(x, value)| *value = whole.value(row, channel, x));
                    });
                }
                layers[0].advance(&input, &mut middle);
                layers[1].advance(&middle, &mut output);
            }
        }
        interleaved(&output)
    };
    assert_eq!(run([layers[0].kept_rows(), layers[1].kept_rows()]), run([24, 24]));
}

#[test]
#[should_panic(expected = "an output of 257 columns needs more strips than its input of 256")]
fn an_output_of_more_strips_than_the_input_is_refused() {
    let padding = Padding { top: 0, left: 0, bottom: 0, right: 1 };
    let layer = PlanarConv::new(Window { kernel: [1, 1], stride: [1, 1], padding }, 1, &[1.0], &[0.0], false);
    let rows = appended(&[0.0; 256], [1, 256, 1], 1);
    layer.advance(&rows, &mut PlanarRows::new(1, [1, 257], 1));
}

#[test]
#[should_panic(expected = "row 0 of 3 is not kept")]
fn a_row_that_was_overwritten_is_noticed() {
    let mut rows = PlanarRows::new(1, [3, 5], 2);
    (0..3).for_each(|_| rows.append(|_, _, columns| columns.fill(1.0)));
    let _ = rows.value(0, 0, 0);
}
