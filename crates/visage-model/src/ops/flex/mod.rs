//! The operations on Flex, Burn's CPU backend: each borrows its tensors as slices and calls a kernel.

mod convolution;
mod gradients;

use burn::backend::{Flex, TensorMetadata};
use burn_flex::FlexTensor;
use visage_kernels as kernels;
use visage_kernels::optimizer::{AdamStep, SgdStep};
use visage_kernels::{
    Activation, BatchStatistics, DepthwiseShape, Excitation, GateFunction, MapShape, NormOperands, Window,
};

pub(super) use self::convolution::{ConvolutionKind, Dense, Depthwise};
pub(super) use self::gradients::{
    NormGradients, batch_norm_gradients, channel_gate_gradients, global_average_pool_gradient, max_pool_gradient,
    scale_shift_gradients, squeeze_excite_gradients,
};
use super::buffers::{self, Buffer};
use super::{NetworkOps, Precision, Residual};

/// The tensor with its `f32` values in one contiguous slice.
///
/// The kernels return contiguous tensors. Only the views that Burn's own operations return are copied.
pub(super) fn contiguous(tensor: FlexTensor) -> FlexTensor {
    if tensor.as_slice::<f32>().is_some() { tensor } else { tensor.to_contiguous() }
}

pub(super) fn slice(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice::<f32>().expect("a contiguous f32 tensor: see `contiguous`")
}

/// The values of a tensor that is changed in place. They are copied if the tensor has other handles.
fn slice_mut(tensor: &mut FlexTensor) -> &mut [f32] {
    let (start, end) = tensor.layout().contiguous_offsets().expect("a contiguous tensor: see `contiguous`");
    &mut tensor.storage_mut::<f32>()[start..end]
}

pub(super) fn tensor<const D: usize>(values: impl Into<Buffer>, shape: [usize; D]) -> FlexTensor {
    values.into().into_tensor(shape)
}

/// A tensor with the shape of another. `fill` writes its values.
fn like(tensor: &FlexTensor, fill: impl FnOnce(&mut [f32])) -> FlexTensor {
    let mut values = buffers::take(tensor.shape().num_elements());
    fill(&mut values);
    values.into_tensor(tensor.shape())
}

fn dims<const D: usize>(tensor: &FlexTensor) -> [usize; D] {
    tensor.shape().dims()
}

fn depthwise_shape([batch, in_height, in_width, channels]: [usize; 4], window: Window) -> DepthwiseShape {
    DepthwiseShape { batch, in_height, in_width, channels, window }
}

fn map_shape([batch, height, width, channels]: [usize; 4]) -> MapShape {
    MapShape { batch, pixels: height * width, channels }
}

fn norm_operands<'a>(
    input: &'a FlexTensor,
    scale: &'a FlexTensor,
    shift: &'a FlexTensor,
    residual: Option<&'a FlexTensor>,
    activation: Activation,
) -> NormOperands<'a> {
    let residual = residual.map(slice);
    NormOperands { input: slice(input), scale: slice(scale), shift: slice(shift), residual, activation }
}

impl NetworkOps for Flex {
    fn conv2d(input: FlexTensor, weight: FlexTensor, window: Window) -> FlexTensor {
        Dense::forward(input, weight, window)
    }

    fn depthwise_conv2d(input: FlexTensor, weight: FlexTensor, window: Window) -> FlexTensor {
        Depthwise::forward(input, weight, window)
    }

    fn batch_norm_train(
        input: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        residual: Residual<Self>,
        epsilon: f64,
        activation: Activation,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let (input, gamma, beta) = (contiguous(input), contiguous(gamma), contiguous(beta));
        let (output, statistics) = batch_norm_forward(
            &input,
            &gamma,
            &beta,
            residual.into_option().map(contiguous).as_ref(),
            epsilon,
            activation,
        );
        let channels = statistics.mean.len();
        (output, tensor(statistics.mean, [channels]), tensor(statistics.variance, [channels]))
    }

    fn scale_shift(
        input: FlexTensor,
        scale: FlexTensor,
        shift: FlexTensor,
        residual: Residual<Self>,
        activation: Activation,
    ) -> FlexTensor {
        let input = contiguous(input);
        let (scale, shift) = (contiguous(scale), contiguous(shift));
        let residual = residual.into_option().map(contiguous);
        let out: [usize; 4] = dims(&input);
        let mut output = buffers::take(out.iter().product());
        kernels::scale_shift(norm_operands(&input, &scale, &shift, residual.as_ref(), activation), &mut output);
        buffers::recycle(input);
        residual.into_iter().for_each(buffers::recycle);
        tensor(output, out)
    }

    fn max_pool2d(input: FlexTensor, window: Window) -> FlexTensor {
        max_pool_forward(input, window).0
    }

    fn global_average_pool(input: FlexTensor) -> FlexTensor {
        let input = contiguous(input);
        let shape = map_shape(dims(&input));
        let mut output = buffers::take(shape.batch * shape.channels);
        kernels::global_average_pool(shape, slice(&input), &mut output);
        buffers::recycle(input);
        tensor(output, [shape.batch, shape.channels])
    }

    fn channel_gate(input: FlexTensor, gate: FlexTensor) -> FlexTensor {
        let (input, gate) = (contiguous(input), contiguous(gate));
        let out: [usize; 4] = dims(&input);
        let mut output = buffers::take(out.iter().product());
        kernels::channel_gate(map_shape(out), slice(&input), slice(&gate), &mut output);
        buffers::recycle(input);
        tensor(output, out)
    }

    fn squeeze_excite(
        input: FlexTensor,
        reduce: FlexTensor,
        reduce_bias: FlexTensor,
        expand: FlexTensor,
        expand_bias: FlexTensor,
        activation: Activation,
        gate: GateFunction,
    ) -> FlexTensor {
        let mut gated = contiguous(input);
        let layers = [reduce, reduce_bias, expand, expand_bias].map(contiguous);
        let [batch, height, width, _] = dims(&gated);
        kernels::squeeze_excite(batch, height * width, excitation(&layers, (activation, gate)), slice_mut(&mut gated));
        gated
    }

    fn adam_step(
        parameter: FlexTensor,
        gradient: FlexTensor,
        first_moment: FlexTensor,
        second_moment: FlexTensor,
        step: AdamStep,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let gradient = contiguous(gradient);
        let mut parameter = contiguous(parameter);
        let mut first_moment = contiguous(first_moment);
        let mut second_moment = contiguous(second_moment);
        kernels::optimizer::adam_step(
            step,
            slice_mut(&mut parameter),
            slice(&gradient),
            slice_mut(&mut first_moment),
            slice_mut(&mut second_moment),
        );
        buffers::recycle(gradient);
        (parameter, first_moment, second_moment)
    }

    fn sgd_step(
        parameter: FlexTensor,
        gradient: FlexTensor,
        velocity: FlexTensor,
        step: SgdStep,
    ) -> (FlexTensor, FlexTensor) {
        let gradient = contiguous(gradient);
        let mut parameter = contiguous(parameter);
        let mut velocity = contiguous(velocity);
        kernels::optimizer::sgd_step(step, slice_mut(&mut parameter), slice(&gradient), slice_mut(&mut velocity));
        buffers::recycle(gradient);
        (parameter, velocity)
    }

    fn sum_of_squares(input: FlexTensor) -> FlexTensor {
        let input = contiguous(input);
        tensor(vec![kernels::optimizer::sum_of_squares(slice(&input)) as f32], [1])
    }

    fn round(input: FlexTensor, precision: Precision) -> FlexTensor {
        let mut rounded = contiguous(input);
        precision.round(slice_mut(&mut rounded));
        rounded
    }
}

pub(super) fn batch_norm_forward(
    input: &FlexTensor,
    gamma: &FlexTensor,
    beta: &FlexTensor,
    residual: Option<&FlexTensor>,
    epsilon: f64,
    activation: Activation,
) -> (FlexTensor, BatchStatistics) {
    let out: [usize; 4] = dims(input);
    let mut output = buffers::take(out.iter().product());
    let operands = norm_operands(input, gamma, beta, residual, activation);
    let statistics = kernels::batch_norm_train(operands, epsilon, &mut output);
    (tensor(output, out), statistics)
}

/// The output of [`batch_norm_forward`], computed again from its statistics.
pub(super) fn batch_norm_recompute(
    input: &FlexTensor,
    gamma: &FlexTensor,
    beta: &FlexTensor,
    statistics: &BatchStatistics,
    residual: Option<&FlexTensor>,
    activation: Activation,
) -> FlexTensor {
    let out: [usize; 4] = dims(input);
    let mut output = buffers::take(out.iter().product());
    kernels::batch_norm_apply(norm_operands(input, gamma, beta, residual, activation), statistics, &mut output);
    tensor(output, out)
}

/// The output, and for each of its values the input position of the maximum.
pub(super) fn max_pool_forward(input: FlexTensor, window: Window) -> (FlexTensor, Vec<u32>) {
    let input = contiguous(input);
    let shape = depthwise_shape(dims(&input), window);
    let out = [shape.batch, shape.out_height(), shape.out_width(), shape.channels];
    let count = out.iter().product();
    let (mut output, mut winners) = (buffers::take(count), vec![0u32; count]);
    kernels::max_pool2d(shape, slice(&input), &mut output, &mut winners);
    buffers::recycle(input);
    (tensor(output, out), winners)
}

/// The functions after the first and after the second layer of squeeze and excitation.
pub(super) type ExcitationFunctions = (Activation, GateFunction);

/// The layers of squeeze and excitation: weight and bias of the first and of the second, all contiguous.
fn excitation(
    [reduce, reduce_bias, expand, expand_bias]: &[FlexTensor; 4],
    (activation, gate): ExcitationFunctions,
) -> Excitation<'_> {
    Excitation {
        reduce: slice(reduce),
        reduce_bias: slice(reduce_bias),
        expand: slice(expand),
        expand_bias: slice(expand_bias),
        activation,
        gate,
    }
}

/// Squeeze and excitation into a new tensor.
pub(super) fn squeeze_excite_into_new(
    input: &FlexTensor,
    layers: &[FlexTensor; 4],
    functions: ExcitationFunctions,
) -> FlexTensor {
    let shape: [usize; 4] = dims(input);
    let [batch, height, width, _] = shape;
    let mut output = buffers::take(shape.iter().product());
    kernels::squeeze_excite_into(batch, height * width, excitation(layers, functions), slice(input), &mut output);
    tensor(output, shape)
}
