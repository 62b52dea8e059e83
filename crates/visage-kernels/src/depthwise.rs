//! Depthwise convolution of NHWC images, one filter per channel, and its gradients.
//!
//! ```text
//! output[n, y, x, c] = epilogue(sum over r, s:
//!                      input[n, y * stride + r - top, x * stride + s - left, c] * weight[r, s, c])
//! ```
//!
//! Vectors run along the channels. The forward pass of 3x3 and 5x5 windows is in `small_window.rs`, that of other windows and
//! all input gradients in `any_window.rs`, the weight gradient in `weight_gradient.rs`.

mod any_window;
pub(crate) mod small_window;
mod weight_gradient;

use crate::epilogue::Epilogue;
use crate::geometry::{self, Grid};
use crate::shape::{DepthwiseShape, expect_len};
use crate::simd;

/// Depthwise convolution of `[batch, in_height, in_width, channels]` to `[batch, out_height, out_width, channels]`.
///
/// `weight` is `[kernel_height, kernel_width, channels]`.
///
/// # Panics
/// If lengths do not match the shape.
pub fn depthwise_conv2d(shape: DepthwiseShape, input: &[f32], weight: &[f32], epilogue: Epilogue, output: &mut [f32]) {
    check(shape, input.len(), weight.len(), output.len());
    epilogue.check(shape.channels, output.len());
    if small_window::applies(shape, &epilogue) {
        small_window::forward(simd::level(), shape, input, weight, &epilogue, output);
        return;
    }
    let DepthwiseShape { batch, in_height, in_width, channels, window } = shape;
    let grid = Grid::of_output(batch, [in_height, in_width], window);
    let taps = &geometry::output_taps(window);
    let operands = any_window::Operands { grid, taps, channels, source: input, weight, epilogue: &epilogue };
    any_window::convolve(simd::level(), &operands, output);
}

/// Gradient of [`depthwise_conv2d`] with respect to its input. `input_gradient` is overwritten.
///
/// # Panics
/// If lengths do not match the shape.
pub fn depthwise_conv2d_input_gradient(
    shape: DepthwiseShape,
    weight: &[f32],
    output_gradient: &[f32],
    input_gradient: &mut [f32],
) {
    check(shape, input_gradient.len(), weight.len(), output_gradient.len());
    let DepthwiseShape { batch, in_height, in_width, channels, window } = shape;
    for (grid, taps) in geometry::input_classes(batch, [in_height, in_width], window) {
        let epilogue = &Epilogue::default();
        let operands = any_window::Operands { grid, taps: &taps, channels, source: output_gradient, weight, epilogue };
        any_window::convolve(simd::level(), &operands, input_gradient);
    }
}

/// Gradient of [`depthwise_conv2d`] with respect to its weight. `weight_gradient` is overwritten.
///
/// # Panics
/// If lengths do not match the shape.
pub fn depthwise_conv2d_weight_gradient(
    shape: DepthwiseShape,
    input: &[f32],
    output_gradient: &[f32],
    weight_gradient: &mut [f32],
) {
    check(shape, input.len(), weight_gradient.len(), output_gradient.len());
    weight_gradient::compute(simd::level(), shape, input, output_gradient, weight_gradient);
}

#[track_caller]
fn check(shape: DepthwiseShape, input: usize, weight: usize, output: usize) {
    expect_len("input", input, shape.input_len());
    expect_len("weight", weight, shape.window.taps() * shape.channels);
    expect_len("output", output, shape.output_len());
}

#[cfg(test)]
mod tests;
