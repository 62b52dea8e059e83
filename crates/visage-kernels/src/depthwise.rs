//! Depthwise convolution: one filter per channel.

use rayon::prelude::*;

use crate::shape::{DepthwiseShape, expect_len};

/// Depthwise convolution of NHWC images; `weight` is `[kernel_height, kernel_width, channels]`.
///
/// # Panics
/// If lengths do not match.
pub fn depthwise_conv2d(
    shape: DepthwiseShape,
    input: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    output: &mut [f32],
) {
    check(shape, input.len(), weight.len(), output.len());
    let c = shape.channels;
    let [height, width] = shape.window.kernel;
    output.par_chunks_mut(c).enumerate().for_each(|(pixel, y)| {
        match bias {
            Some(bias) => y.copy_from_slice(bias),
            None => y.fill(0.0),
        }
        for tap in 0..height * width {
            if let Some(source) = source(shape, pixel, tap) {
                for ((y, x), w) in y.iter_mut().zip(&input[source * c..]).zip(&weight[tap * c..]) {
                    *y += x * w;
                }
            }
        }
    });
}

/// Gradient of [`depthwise_conv2d`] for its input. `input_gradient` is overwritten.
///
/// # Panics
/// If lengths do not match.
pub fn depthwise_conv2d_input_gradient(
    shape: DepthwiseShape,
    weight: &[f32],
    output_gradient: &[f32],
    input_gradient: &mut [f32],
) {
    check(shape, input_gradient.len(), weight.len(), output_gradient.len());
    let c = shape.channels;
    let [height, width] = shape.window.kernel;
    let pixels = shape.out_height() * shape.out_width();
    let image_len = shape.in_height * shape.in_width * c;
    input_gradient.par_chunks_mut(image_len).enumerate().for_each(|(image, dx)| {
        dx.fill(0.0);
        for pixel in 0..pixels {
            for tap in 0..height * width {
                if let Some(source) = source(shape, pixel, tap) {
                    let dy = &output_gradient[(image * pixels + pixel) * c..];
                    for ((dx, dy), w) in dx[source * c..][..c].iter_mut().zip(dy).zip(&weight[tap * c..]) {
                        *dx += dy * w;
                    }
                }
            }
        }
    });
}

/// Gradient of [`depthwise_conv2d`] for its weight. `weight_gradient` is overwritten.
///
/// # Panics
/// If lengths do not match.
pub fn depthwise_conv2d_weight_gradient(
    shape: DepthwiseShape,
    input: &[f32],
    output_gradient: &[f32],
    weight_gradient: &mut [f32],
) {
    check(shape, input.len(), weight_gradient.len(), output_gradient.len());
    let c = shape.channels;
    let pixels = shape.batch * shape.out_height() * shape.out_width();
    weight_gradient.par_chunks_mut(c).enumerate().for_each(|(tap, dw)| {
        dw.fill(0.0);
        for pixel in 0..pixels {
            if let Some(source) = source(shape, pixel, tap) {
                for ((dw, x), dy) in dw.iter_mut().zip(&input[source * c..]).zip(&output_gradient[pixel * c..]) {
                    *dw += x * dy;
                }
            }
        }
    });
}

fn source(shape: DepthwiseShape, pixel: usize, tap: usize) -> Option<usize> {
    let (height, width) = (shape.out_height(), shape.out_width());
    let (image, y, x) = (pixel / (height * width), pixel / width % height, pixel % width);
    let window = shape.window;
    let (ky, kx) = (tap / window.kernel[1], tap % window.kernel[1]);
    let row = (y * window.stride[0] + ky).checked_sub(window.padding.top)?;
    let column = (x * window.stride[1] + kx).checked_sub(window.padding.left)?;
    let image_row = image * shape.in_height + row;
    (row < shape.in_height && column < shape.in_width).then_some(image_row * shape.in_width + column)
}

#[track_caller]
fn check(shape: DepthwiseShape, input: usize, weight: usize, output: usize) {
    expect_len("input", input, shape.input_len());
    expect_len("weight", weight, shape.window.taps() * shape.channels);
    expect_len("output", output, shape.output_len());
}
