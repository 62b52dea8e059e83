//! Reference implementations in f64 for the tests, and generators of their inputs.

use proptest::prelude::*;

use crate::activation::{Activation, GateFunction};
use crate::epilogue::Epilogue;
use crate::shape::{ConvShape, DepthwiseShape, Padding, Window};
use crate::squeeze_excite::Excitation;

pub(crate) const ACTIVATIONS: [Activation; 5] =
    [Activation::Identity, Activation::Relu, Activation::Relu6, Activation::Silu, Activation::HardSwish];

/// The configuration of a property test: as many cases as the environment variable `PROPTEST_CASES` says, or else `default`.
pub(crate) fn cases(default: u32) -> ProptestConfig {
    let config = ProptestConfig::default();
    // The default configuration has read the variable.
    if std::env::var_os("PROPTEST_CASES").is_some() { config } else { ProptestConfig { cases: default, ..config } }
}

/// Pseudorandom values in [-1, 1) (SplitMix64).
pub(crate) fn values(seed: u64, len: usize) -> Vec<f32> {
    (1..=len as u64)
        .map(|k| {
            let mut z = seed.wrapping_mul(0xD134_2543_DE82_EF95).wrapping_add(k.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((z ^ (z >> 31)) >> 40) as f32 / 8_388_608.0 - 1.0
        })
        .collect()
}

/// Asserts that every error is at most `tolerance` times the largest expected magnitude (at least 1).
#[track_caller]
pub(crate) fn assert_close(name: &str, actual: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(actual.len(), expected.len(), "{name}");
    let scale = expected.iter().fold(1.0f64, |scale, value| scale.max(value.abs()));
    for (index, (actual, expected)) in actual.iter().zip(expected).enumerate() {
        let error = (f64::from(*actual) - expected).abs();
        assert!(error <= tolerance * scale, "{name}[{index}]: {actual} instead of {expected}");
    }
}

/// Asserts that `body` returns the same bits on pools of one, two and three threads and inside [`alone`](crate::alone).
#[track_caller]
pub(crate) fn assert_same_on_any_threads(body: impl Fn() -> Vec<f32> + Send + Sync) {
    let bits = |values: Vec<f32>| -> Vec<u32> { values.iter().map(|value| value.to_bits()).collect() };
    let alone = bits(crate::alone(&body));
    for threads in 1..=3 {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        assert!(bits(pool.install(&body)) == alone, "{threads} threads change the result");
    }
}

prop_compose! {
    /// Windows with kernels of 1 to 7, strides of 1 to 3 and unequal padding.
    pub(crate) fn windows()(
        kernel in prop::sample::select(vec![[1, 1], [3, 3], [5, 5], [7, 7], [2, 3], [1, 4], [5, 1]]),
        stride in [1usize..4, 1usize..4],
        [top, left, bottom, right] in [0usize..4, 0usize..4, 0usize..4, 0usize..4],
    ) -> Window {
        Window { kernel, stride, padding: Padding { top, left, bottom, right } }
    }
}

prop_compose! {
    pub(crate) fn conv_shapes()(
        window in windows(),
        batch in 1usize..4,
        extra in [0usize..14, 0usize..14],
        in_channels in prop::sample::select(vec![1usize, 2, 3, 5, 8, 9, 16, 17, 24, 40]),
        out_channels in prop::sample::select(vec![1usize, 3, 4, 7, 8, 13, 16, 24, 33, 50, 64]),
    ) -> ConvShape {
        let [in_height, in_width] = [window.kernel[0] + extra[0], window.kernel[1] + extra[1]];
        ConvShape { batch, in_height, in_width, in_channels, out_channels, window }
    }
}

prop_compose! {
    pub(crate) fn depthwise_shapes()(
        window in windows(),
        batch in 1usize..4,
        extra in [0usize..14, 0usize..14],
        channels in prop::sample::select(vec![1usize, 3, 8, 15, 16, 24, 40, 100, 144]),
    ) -> DepthwiseShape {
        let [in_height, in_width] = [window.kernel[0] + extra[0], window.kernel[1] + extra[1]];
        DepthwiseShape { batch, in_height, in_width, channels, window }
    }
}

/// All `[output pixel, tap, input pixel]` of a window's operation.
pub(crate) fn pairs(batch: usize, in_height: usize, in_width: usize, window: Window) -> Vec<[usize; 3]> {
    let (out_height, out_width) = (window.out_height(in_height), window.out_width(in_width));
    let mut pairs = Vec::new();
    for image in 0..batch {
        for y in 0..out_height {
            for x in 0..out_width {
                for tap in 0..window.taps() {
                    let row = (y * window.stride[0] + tap / window.kernel[1]).wrapping_sub(window.padding.top);
                    let column = (x * window.stride[1] + tap % window.kernel[1]).wrapping_sub(window.padding.left);
                    if row < in_height && column < in_width {
                        let output = (image * out_height + y) * out_width + x;
                        pairs.push([output, tap, (image * in_height + row) * in_width + column]);
                    }
                }
            }
        }
    }
    pairs
}

/// The sums and gradients of a convolution, from their definition.
pub(crate) struct Convolution {
    pub(crate) output: Vec<f64>,
    pub(crate) input_gradient: Vec<f64>,
    pub(crate) weight_gradient: Vec<f64>,
}

pub(crate) fn convolution(shape: ConvShape, input: &[f32], weight: &[f32], gradient: &[f32]) -> Convolution {
    let (ic, oc, taps) = (shape.in_channels, shape.out_channels, shape.window.taps());
    let mut output = vec![0.0; shape.output_len()];
    let mut input_gradient = vec![0.0; shape.input_len()];
    let mut weight_gradient = vec![0.0; shape.weight_len()];
    for [to, tap, from] in pairs(shape.batch, shape.in_height, shape.in_width, shape.window) {
        for o in 0..oc {
            for i in 0..ic {
                let w = (o * taps + tap) * ic + i;
                output[to * oc + o] += f64::from(input[from * ic + i]) * f64::from(weight[w]);
                input_gradient[from * ic + i] += f64::from(gradient[to * oc + o]) * f64::from(weight[w]);
                weight_gradient[w] += f64::from(gradient[to * oc + o]) * f64::from(input[from * ic + i]);
            }
        }
    }
    Convolution { output, input_gradient, weight_gradient }
}

/// The sums of a depthwise convolution, from their definition.
pub(crate) fn depthwise_sums(shape: DepthwiseShape, input: &[f64], weight: &[f32]) -> Vec<f64> {
    let channels = shape.channels;
    let mut sums = vec![0.0; shape.output_len()];
    for [to, tap, from] in pairs(shape.batch, shape.in_height, shape.in_width, shape.window) {
        for c in 0..channels {
            sums[to * channels + c] += input[from * channels + c] * f64::from(weight[tap * channels + c]);
        }
    }
    sums
}

/// Asserts that the outputs are the sums after the epilogue, with errors of at most `tolerance` times the largest sum.
#[track_caller]
pub(crate) fn assert_finished(actual: &[f32], sums: &[f64], epilogue: &Epilogue, tolerance: f64) {
    let largest = |values: &[f64]| values.iter().fold(1.0f64, |largest, value| largest.max(value.abs()));
    let expected = finished(sums, epilogue);
    assert_close("output", actual, &expected, tolerance * largest(sums) / largest(&expected));
}

/// The sums after an epilogue.
pub(crate) fn finished(sums: &[f64], epilogue: &Epilogue) -> Vec<f64> {
    let bias = |index: usize| epilogue.bias.map_or(0.0, |bias| f64::from(bias[index % bias.len()]));
    let residual = |index: usize| epilogue.residual.map_or(0.0, |residual| f64::from(residual[index]));
    let values = sums.iter().enumerate().map(|(index, sum)| {
        let [value, _] = activate(epilogue.activation, sum + bias(index) + residual(index));
        value
    });
    values.collect()
}

/// An activation at `z`: its value and its slope.
pub(crate) fn activate(activation: Activation, z: f64) -> [f64; 2] {
    let sigmoid = 1.0 / (1.0 + (-z).exp());
    match activation {
        Activation::Identity => [z, 1.0],
        Activation::Relu => [z.max(0.0), f64::from(z > 0.0)],
        Activation::Relu6 => [z.clamp(0.0, 6.0), f64::from(z > 0.0 && z < 6.0)],
        Activation::Silu => [z * sigmoid, sigmoid * (1.0 + z * (1.0 - sigmoid))],
        Activation::HardSwish if z <= -3.0 => [0.0, 0.0],
        Activation::HardSwish if z >= 3.0 => [z, 1.0],
        Activation::HardSwish => [z * (z + 3.0) / 6.0, (2.0 * z + 3.0) / 6.0],
    }
}

/// A gate's factor at `z`.
pub(crate) fn gate(function: GateFunction, z: f64) -> f64 {
    match function {
        GateFunction::Sigmoid => 1.0 / (1.0 + (-z).exp()),
        GateFunction::HardSigmoid => ((z + 3.0) / 6.0).clamp(0.0, 1.0),
    }
}

/// The layers of a squeeze and excitation.
pub(crate) struct Layers {
    pub(crate) reduce: Vec<f32>,
    pub(crate) reduce_bias: Vec<f32>,
    pub(crate) expand: Vec<f32>,
    pub(crate) expand_bias: Vec<f32>,
    pub(crate) activation: Activation,
    pub(crate) gate: GateFunction,
}

impl Layers {
    /// Random layers with the functions of MobileNetV3 if they are `hard`, otherwise those of EfficientNets.
    pub(crate) fn new(channels: usize, hidden: usize, hard: bool) -> Self {
        let [reduce, expand] = [2, 3].map(|seed| values(seed, hidden * channels));
        let (activation, gate) = match hard {
            true => (Activation::Relu, GateFunction::HardSigmoid),
            false => (Activation::Silu, GateFunction::Sigmoid),
        };
        Self { reduce, expand, reduce_bias: values(4, hidden), expand_bias: values(5, channels), activation, gate }
    }

    pub(crate) fn excitation(&self) -> Excitation<'_> {
        let &Self { ref reduce, ref reduce_bias, ref expand, ref expand_bias, activation, gate } = self;
        Excitation { reduce, reduce_bias, expand, expand_bias, activation, gate }
    }
}
