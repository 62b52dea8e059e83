//! Gradients of the operations other than convolutions. All operands are contiguous.

use burn_flex::FlexTensor;
use visage_kernels as kernels;
use visage_kernels::{Activation, BatchStatistics, ExcitationGradients, Window};

use super::{ExcitationFunctions, depthwise_shape, dims, excitation, map_shape, norm_operands, slice, tensor};
use crate::ops::buffers;

pub(in crate::ops) fn max_pool_gradient(
    input: [usize; 4],
    window: Window,
    winners: &[u32],
    output_gradient: &FlexTensor,
) -> FlexTensor {
    let mut gradient = buffers::take(input.iter().product());
    kernels::max_pool2d_backward(depthwise_shape(input, window), slice(output_gradient), winners, &mut gradient);
    tensor(gradient, input)
}

pub(in crate::ops) fn global_average_pool_gradient(input: [usize; 4], output_gradient: &FlexTensor) -> FlexTensor {
    let mut gradient = buffers::take(input.iter().product());
    kernels::global_average_pool_backward(map_shape(input), slice(output_gradient), &mut gradient);
    tensor(gradient, input)
}

pub(in crate::ops) fn channel_gate_gradients(
    input: &FlexTensor,
    gate: &FlexTensor,
    output_gradient: &FlexTensor,
) -> (FlexTensor, FlexTensor) {
    let shape = map_shape(dims(input));
    let mut input_gradient = buffers::take(shape.batch * shape.pixels * shape.channels);
    let mut gate_gradient = buffers::take(shape.batch * shape.channels);
    kernels::channel_gate_backward(
        shape,
        slice(input),
        slice(gate),
        slice(output_gradient),
        &mut input_gradient,
        &mut gate_gradient,
    );
    (tensor(input_gradient, dims::<4>(input)), tensor(gate_gradient, [shape.batch, shape.channels]))
}

/// Gradients of the input and the layers, in the order of the parents.
pub(in crate::ops) fn squeeze_excite_gradients(
    input: &FlexTensor,
    layers: &[FlexTensor; 4],
    functions: ExcitationFunctions,
    output_gradient: &FlexTensor,
) -> [FlexTensor; 5] {
    let shape: [usize; 4] = dims(input);
    let [batch, height, width, channels] = shape;
    let [hidden] = dims(&layers[1]);
    let mut input_gradient = buffers::take(shape.iter().product());
    let [mut reduce, mut expand] = [(); 2].map(|()| buffers::take(hidden * channels));
    let (mut reduce_bias, mut expand_bias) = (vec![0.0; hidden], vec![0.0; channels]);
    let gradients = ExcitationGradients {
        reduce: &mut reduce,
        reduce_bias: &mut reduce_bias,
        expand: &mut expand,
        expand_bias: &mut expand_bias,
    };
    kernels::squeeze_excite_backward(
        batch,
        height * width,
        excitation(layers, functions),
        slice(input),
        slice(output_gradient),
        &mut input_gradient,
        gradients,
    );
    [
        tensor(input_gradient, shape),
        tensor(reduce, [hidden, channels]),
        tensor(reduce_bias, [hidden]),
        tensor(expand, [hidden, channels]),
        tensor(expand_bias, [channels]),
    ]
}

/// Gradients of a norm's input, scale (gamma), shift (beta) and residual.
pub(in crate::ops) struct NormGradients {
    pub input: FlexTensor,
    pub scale: FlexTensor,
    pub shift: FlexTensor,
    pub residual: Option<FlexTensor>,
}

pub(in crate::ops) fn batch_norm_gradients(
    input: &FlexTensor,
    gamma: &FlexTensor,
    beta: &FlexTensor,
    residual: Option<&FlexTensor>,
    statistics: &BatchStatistics,
    activation: Activation,
    output_gradient: &FlexTensor,
) -> NormGradients {
    let operands = norm_operands(input, gamma, beta, residual, activation);
    norm_gradients(input, residual, |gradients| {
        kernels::batch_norm_train_backward(operands, statistics, slice(output_gradient), gradients);
    })
}

pub(in crate::ops) fn scale_shift_gradients(
    input: &FlexTensor,
    scale: &FlexTensor,
    shift: &FlexTensor,
    residual: Option<&FlexTensor>,
    activation: Activation,
    output_gradient: &FlexTensor,
) -> NormGradients {
    let operands = norm_operands(input, scale, shift, residual, activation);
    norm_gradients(input, residual, |gradients| {
        kernels::scale_shift_backward(operands, slice(output_gradient), gradients);
    })
}

fn norm_gradients(
    input: &FlexTensor,
    residual: Option<&FlexTensor>,
    kernel: impl FnOnce(kernels::NormGradients),
) -> NormGradients {
    let shape: [usize; 4] = dims(input);
    let (count, channels) = (shape.iter().product(), shape[3]);
    let mut input_gradient = buffers::take(count);
    let (mut scale_gradient, mut shift_gradient) = (vec![0.0; channels], vec![0.0; channels]);
    let mut residual_gradient = residual.map(|_| buffers::take(count));
    kernel(kernels::NormGradients {
        input: &mut input_gradient,
        scale: &mut scale_gradient,
        shift: &mut shift_gradient,
        residual: residual_gradient.as_deref_mut(),
    });
    NormGradients {
        input: tensor(input_gradient, shape),
        scale: tensor(scale_gradient, [channels]),
        shift: tensor(shift_gradient, [channels]),
        residual: residual_gradient.map(|gradient| tensor(gradient, shape)),
    }
}
