//! Dense convolution, plainly.

use rayon::prelude::*;

use crate::shape::{ConvShape, expect_len};

/// Convolution of NHWC images; `weight` is `[out_channels, kernel_height, kernel_width, in_channels]`.
///
/// # Panics
/// If lengths do not match.
pub fn conv2d(shape: ConvShape, input: &[f32], weight: &[f32], bias: Option<&[f32]>, output: &mut [f32]) {
    check(shape, input.len(), weight.len(), output.len());
    let taps = taps(shape);
    let (ic, oc) = (shape.in_channels, shape.out_channels);
    output.par_chunks_mut(oc).enumerate().for_each(|(pixel, y)| {
        for (o, y) in y.iter_mut().enumerate() {
            *y = bias.map_or(0.0, |bias| bias[o]);
            for &(tap, ky, kx) in &taps {
                if let Some(source) = source(shape, pixel, ky, kx) {
                    let x = &input[source * ic..][..ic];
                    let w = &weight[(o * taps.len() + tap) * ic..][..ic];
                    *y += x.iter().zip(w).map(|(x, w)| x * w).sum::<f32>();
                }
            }
        }
    });
}

/// Gradient of [`conv2d`] for its input. `input_gradient` is overwritten.
///
/// # Panics
/// If lengths do not match.
pub fn conv2d_input_gradient(shape: ConvShape, weight: &[f32], output_gradient: &[f32], input_gradient: &mut [f32]) {
    check(shape, input_gradient.len(), weight.len(), output_gradient.len());
    let taps = taps(shape);
    let (ic, oc) = (shape.in_channels, shape.out_channels);
    let pixels = shape.out_height() * shape.out_width();
    let image_len = shape.in_height * shape.in_width * ic;
    input_gradient.par_chunks_mut(image_len).enumerate().for_each(|(image, dx)| {
        dx.fill(0.0);
        for pixel in 0..pixels {
            for &(tap, ky, kx) in &taps {
                if let Some(source) = source(shape, pixel, ky, kx) {
                    let dx = &mut dx[source * ic..][..ic];
                    for (o, dy) in output_gradient[(image * pixels + pixel) * oc..][..oc].iter().enumerate() {
                        for (dx, w) in dx.iter_mut().zip(&weight[(o * taps.len() + tap) * ic..]) {
                            *dx += dy * w;
                        }
                    }
                }
            }
        }
    });
}

/// Gradient of [`conv2d`] for its weight. `weight_gradient` is overwritten.
///
/// # Panics
/// If lengths do not match.
pub fn conv2d_weight_gradient(shape: ConvShape, input: &[f32], output_gradient: &[f32], weight_gradient: &mut [f32]) {
    check(shape, input.len(), weight_gradient.len(), output_gradient.len());
    let taps = taps(shape);
    let (ic, oc) = (shape.in_channels, shape.out_channels);
    let pixels = shape.batch * shape.out_height() * shape.out_width();
    weight_gradient.par_chunks_mut(taps.len() * ic).enumerate().for_each(|(o, dw)| {
        dw.fill(0.0);
        for pixel in 0..pixels {
            let dy = output_gradient[pixel * oc + o];
            for &(tap, ky, kx) in &taps {
                if let Some(source) = source(shape, pixel, ky, kx) {
                    for (dw, x) in dw[tap * ic..][..ic].iter_mut().zip(&input[source * ic..]) {
                        *dw += dy * x;
                    }
                }
            }
        }
    });
}

fn taps(shape: ConvShape) -> Vec<(usize, usize, usize)> {
    let [height, width] = shape.window.kernel;
    (0..height * width).map(|tap| (tap, tap / width, tap % width)).collect()
}

fn source(shape: ConvShape, pixel: usize, ky: usize, kx: usize) -> Option<usize> {
    let (height, width) = (shape.out_height(), shape.out_width());
    let (image, y, x) = (pixel / (height * width), pixel / width % height, pixel % width);
    let row = (y * shape.window.stride[0] + ky).checked_sub(shape.window.padding.top)?;
    let column = (x * shape.window.stride[1] + kx).checked_sub(shape.window.padding.left)?;
    (row < shape.in_height && column < shape.in_width)
        .then_some((image * shape.in_height + row) * shape.in_width + column)
}

#[track_caller]
fn check(shape: ConvShape, input: usize, weight: usize, output: usize) {
    expect_len("input", input, shape.input_len());
    expect_len("weight", weight, shape.weight_len());
    expect_len("output", output, shape.output_len());
}
