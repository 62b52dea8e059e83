use proptest::prelude::*;

use super::*;
use crate::reference::{ACTIVATIONS, assert_finished, cases, depthwise_sums, values};
use crate::shape::{Padding, Window};

proptest! {
    #![proptest_config(cases(150))]
    #[test]
    fn all_levels_agree_with_the_definition(
        kernel in prop::sample::select(vec![3usize, 5]),
        stride in 1usize..3,
        padding in [0usize..3, 0usize..3, 0usize..3, 0usize..3],
        extra in [0usize..14, 0usize..22],
        batch in 1usize..3,
        channels in prop::sample::select(vec![1usize, 8, 15, 16, 24, 40, 100]),
    ) {
        let [top, left, bottom, right] = padding;
        let window =
            Window { kernel: [kernel; 2], stride: [stride; 2], padding: Padding { top, left, bottom, right } };
        let [in_height, in_width] = extra.map(|extra| kernel + extra);
        let shape = DepthwiseShape { batch, in_height, in_width, channels, window };
        let (input, weight) = (values(1, shape.input_len()), values(2, window.taps() * channels));
        let bias = values(3, channels);
        let wide: Vec<f64> = input.iter().copied().map(f64::from).collect();
        let sums = depthwise_sums(shape, &wide, &weight);
        for activation in ACTIVATIONS {
            for bias in [None, Some(&bias[..])] {
                let epilogue = Epilogue { bias, residual: None, activation };
                prop_assert!(applies(shape, &epilogue));
                for level in simd::available() {
                    let mut actual = vec![f32::NAN; sums.len()];
                    forward(level, shape, &input, &weight, &epilogue, &mut actual);
                    assert_finished(&actual, &sums, &epilogue, 5e-6);
                }
            }
        }
    }
}
