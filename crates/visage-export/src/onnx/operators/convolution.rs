//! Convolution, pooling and matrix products.
//!
//! Convolutions are computed by the kernels of the networks, in NHWC, between two transpositions.

use rayon::prelude::*;
use visage_kernels::{ConvShape, DepthwiseShape, Epilogue, Padding, Window, conv2d, depthwise_conv2d};

use super::{Inputs, MAX_VALUES, Reason, count, integer, integers};
use crate::onnx::schema::NodeProto;
use crate::onnx::tensor::Array;

/// The shape `[batch, channels, height, width]` of a batch of maps, which is not empty.
fn map_of(shape: &[usize]) -> Result<[usize; 4], Reason> {
    let map = shape.try_into().ok().filter(|map: &[usize; 4]| !map.contains(&0));
    map.ok_or_else(|| format!("its input is {shape:?}, which is not a batch of maps"))
}

/// `input * weight^T + bias`
pub(super) fn gemm(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Array, Reason> {
    let ((shape, input), (weight_shape, weight), (_, bias)) = (inputs.floats(0)?, inputs.floats(1)?, inputs.floats(2)?);
    let (&[batch, features], &[outputs, expected], 1) = (shape, weight_shape, integer(node, "transB", 0)) else {
        return Err("only products with a transposed weight are supported".to_owned());
    };
    if features != expected || bias.len() != outputs {
        return Err(format!("its input is {shape:?}, its weight {weight_shape:?}, its bias {}", bias.len()));
    }
    let mut values = vec![0.0; count(&[batch, outputs])?];
    if outputs > 0 && features > 0 {
        values.par_chunks_mut(outputs).zip(input.par_chunks(features)).for_each(|(row, input)| {
            for ((value, weight), bias) in row.iter_mut().zip(weight.chunks(features)).zip(bias) {
                // Eight partial sums: one sum of a long row loses precision.
                let mut sums = [0.0_f32; 8];
                for (index, (a, b)) in input.iter().zip(weight).enumerate() {
                    sums[index % 8] += a * b;
                }
                *value = sums.iter().sum::<f32>() + bias;
            }
        });
    }
    Ok(Array::floats([batch, outputs], values))
}

/// Transposes each matrix of `[batch, rows, columns]`.
fn transposed(values: &[f32], batch: usize, rows: usize, columns: usize) -> Vec<f32> {
    let mut out = vec![0.0; values.len()];
    if batch > 0 && !values.is_empty() {
        out.par_chunks_mut(rows * columns).zip(values.par_chunks(rows * columns)).for_each(|(out, values)| {
            for (row, values) in values.chunks(columns).enumerate() {
                for (column, &value) in values.iter().enumerate() {
                    out[column * rows + row] = value;
                }
            }
        });
    }
    out
}

fn window(node: &NodeProto, [height, width]: [usize; 2]) -> Result<Window, Reason> {
    let [top, left, bottom, right] = integers(node, "pads")?;
    let (kernel, stride) = (integers(node, "kernel_shape")?, integers(node, "strides")?);
    // Larger padding would allow windows that contain only padding.
    let pads = [[top, bottom], [left, right]];
    let padded = kernel.iter().zip(pads).all(|(&kernel, pads)| pads.iter().all(|&pad| pad < kernel));
    let fits = |length: usize, axis: usize| {
        kernel[axis] <= MAX_VALUES
            && stride[axis] <= MAX_VALUES
            && length + pads[axis][0] + pads[axis][1] >= kernel[axis]
    };
    if kernel.contains(&0) || stride.contains(&0) || !padded || !fits(height, 0) || !fits(width, 1) {
        return Err(format!("a window of {kernel:?} with strides {stride:?} does not fit {height}x{width}"));
    }
    Ok(Window { kernel, stride, padding: Padding { top, left, bottom, right } })
}

pub(super) fn conv(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Array, Reason> {
    let ((shape, input), (weight_shape, weight), (_, bias)) = (inputs.floats(0)?, inputs.floats(1)?, inputs.floats(2)?);
    let ([batch, channels, in_height, in_width], [outputs, per_group, ..]) = (map_of(shape)?, map_of(weight_shape)?);
    let window = window(node, [in_height, in_width])?;
    let groups = usize::try_from(integer(node, "group", 1)).unwrap_or(0);
    if per_group.checked_mul(groups) != Some(channels) || weight_shape[2..] != window.kernel || bias.len() != outputs {
        return Err(format!("its input is {shape:?}, its weight {weight_shape:?}, its groups {groups}"));
    }
    let out_size = [window.out_height(in_height), window.out_width(in_width)];
    let input = transposed(input, batch, channels, in_height * in_width);
    let mut output = vec![0.0; count(&[batch, outputs, out_size[0], out_size[1]])?];
    let epilogue = Epilogue { bias: Some(bias), ..Epilogue::default() };
    let taps = window.kernel[0] * window.kernel[1];
    if groups == 1 {
        let shape = ConvShape { batch, in_height, in_width, in_channels: channels, out_channels: outputs, window };
        let weight = transposed(weight, outputs, channels, taps);
        conv2d(shape, &input, &weight, epilogue, &mut output);
    } else if per_group == 1 && outputs == channels {
        let shape = DepthwiseShape { batch, in_height, in_width, channels, window };
        let weight = transposed(weight, 1, channels, taps);
        depthwise_conv2d(shape, &input, &weight, epilogue, &mut output);
    } else {
        return Err(format!("convolutions with {groups} groups are not supported"));
    }
    let positions = out_size[0] * out_size[1];
    Ok(Array::floats([batch, outputs, out_size[0], out_size[1]], transposed(&output, batch, positions, outputs)))
}

pub(super) fn max_pool(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Array, Reason> {
    let (shape, input) = inputs.floats(0)?;
    let [batch, channels, height, width] = map_of(shape)?;
    let window = window(node, [height, width])?;
    let out_size = [window.out_height(height), window.out_width(width)];
    let mut output = Vec::with_capacity(count(&[batch, channels, out_size[0], out_size[1]])?);
    // The rows or columns that a window covers, without padding.
    let covered = |at: usize, axis: usize, before: usize, length: usize| {
        let start = at * window.stride[axis];
        start.saturating_sub(before).min(length)..(start + window.kernel[axis]).saturating_sub(before).min(length)
    };
    for map in input.chunks(height * width) {
        for y in 0..out_size[0] {
            let rows = covered(y, 0, window.padding.top, height);
            for x in 0..out_size[1] {
                let columns = covered(x, 1, window.padding.left, width);
                let rows = rows.clone().map(|row| &map[row * width..][columns.clone()]);
                output.push(rows.flatten().copied().fold(f32::NEG_INFINITY, f32::max));
            }
        }
    }
    Ok(Array::floats([batch, channels, out_size[0], out_size[1]], output))
}

pub(super) fn global_average_pool(inputs: &Inputs<'_>) -> Result<Array, Reason> {
    let (shape, input) = inputs.floats(0)?;
    let [batch, channels, height, width] = map_of(shape)?;
    let positions = height * width;
    let mean = |map: &[f32]| (map.iter().map(|&value| f64::from(value)).sum::<f64>() / positions as f64) as f32;
    let means = input.par_chunks(positions).map(mean).collect();
    Ok(Array::floats([batch, channels, 1, 1], means))
}
