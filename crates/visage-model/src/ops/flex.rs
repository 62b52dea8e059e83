//! The operations on Burn's CPU backend: each borrows its tensors as slices and calls a kernel.

use burn::backend::{Flex, TensorMetadata};
use burn_flex::FlexTensor;
use visage_kernels as kernels;
use visage_kernels::{
    Activation, BatchStatistics, ConvShape, DepthwiseShape, Epilogue, Excitation, ExcitationGradients, MapShape,
    NormOperands, Window, optimizer::AdamStep, optimizer::SgdStep,
};

use super::buffers::{self, Buffer};
use super::{NetworkOps, Precision, Residual};

/// A tensor whose elements lie in one contiguous run of `f32`.
///
/// A no-op for what the kernels hand to one another; Burn's own operations may hand over a view.
pub(super) fn contiguous(tensor: FlexTensor) -> FlexTensor {
    if tensor.as_slice::<f32>().is_some() { tensor } else { tensor.to_contiguous() }
}

pub(super) fn slice(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice::<f32>().expect("a contiguous f32 tensor: see `contiguous`")
}

/// The same of a tensor that is to be changed in place: a copy if somebody else holds it too.
fn slice_mut(tensor: &mut FlexTensor) -> &mut [f32] {
    let (start, end) = tensor.layout().contiguous_offsets().expect("a contiguous tensor: see `contiguous`");
    &mut tensor.storage_mut::<f32>()[start..end]
}

pub(super) fn tensor<const D: usize>(values: impl Into<Buffer>, shape: [usize; D]) -> FlexTensor {
    values.into().into_tensor(shape)
}

/// A tensor of the shape of another, whose values `fill` writes.
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
        buffers::give(input);
        residual.into_iter().for_each(buffers::give);
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
        buffers::give(input);
        tensor(output, [shape.batch, shape.channels])
    }

    fn channel_gate(input: FlexTensor, gate: FlexTensor) -> FlexTensor {
        let (input, gate) = (contiguous(input), contiguous(gate));
        let out: [usize; 4] = dims(&input);
        let mut output = buffers::take(out.iter().product());
        kernels::channel_gate(map_shape(out), slice(&input), slice(&gate), &mut output);
        buffers::give(input);
        tensor(output, out)
    }

    fn squeeze_excite(
        input: FlexTensor,
        reduce: FlexTensor,
        reduce_bias: FlexTensor,
        expand: FlexTensor,
        expand_bias: FlexTensor,
    ) -> FlexTensor {
        let mut gated = contiguous(input);
        let layers = [reduce, reduce_bias, expand, expand_bias].map(contiguous);
        let [batch, height, width, _] = dims(&gated);
        kernels::squeeze_excite(batch, height * width, excitation(&layers), slice_mut(&mut gated));
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
        buffers::give(gradient);
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
        buffers::give(gradient);
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

/// The output of [`batch_norm_forward`] once more.
pub(super) fn batch_norm_again(
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

/// Output, and for each of its values the position in the image it came from.
pub(super) fn max_pool_forward(input: FlexTensor, window: Window) -> (FlexTensor, Vec<u32>) {
    let input = contiguous(input);
    let shape = depthwise_shape(dims(&input), window);
    let out = [shape.batch, shape.out_height(), shape.out_width(), shape.channels];
    let count = out.iter().product();
    let (mut output, mut winners) = (buffers::take(count), vec![0u32; count]);
    kernels::max_pool2d(shape, slice(&input), &mut output, &mut winners);
    buffers::give(input);
    (tensor(output, out), winners)
}

/// A kernel of an input, a weight and an epilogue, and the output it writes.
type Forward<S> = fn(S, &[f32], &[f32], Epilogue<'_>, &mut [f32]);
/// A kernel of two operands, and the gradient it writes.
type Gradient<S> = fn(S, &[f32], &[f32], &mut [f32]);

/// The kernels of dense or of depthwise convolutions. Operands of gradients are contiguous.
pub(super) trait ConvolutionKind: std::fmt::Debug + Send + Sync + 'static {
    /// The sizes of a convolution, as its kernels take them.
    type Shape: Copy;

    const FORWARD: Forward<Self::Shape>;
    /// Of weight and output gradient.
    const INPUT_GRADIENT: Gradient<Self::Shape>;
    /// Of input and output gradient.
    const WEIGHT_GRADIENT: Gradient<Self::Shape>;

    /// The sizes, and the shape of the output.
    fn shapes(input: &FlexTensor, weight: &FlexTensor, window: Window) -> (Self::Shape, [usize; 4]);

    fn forward(input: FlexTensor, weight: FlexTensor, window: Window) -> FlexTensor {
        let (input, weight) = (contiguous(input), contiguous(weight));
        let (shape, out) = Self::shapes(&input, &weight, window);
        let mut output = buffers::take(out.iter().product());
        (Self::FORWARD)(shape, slice(&input), slice(&weight), Epilogue::default(), &mut output);
        buffers::give(input);
        tensor(output, out)
    }

    fn input_gradient(input: &FlexTensor, weight: &FlexTensor, window: Window, output: &FlexTensor) -> FlexTensor {
        let (shape, _) = Self::shapes(input, weight, window);
        like(input, |gradient| (Self::INPUT_GRADIENT)(shape, slice(weight), slice(output), gradient))
    }

    fn weight_gradient(input: &FlexTensor, weight: &FlexTensor, window: Window, output: &FlexTensor) -> FlexTensor {
        let (shape, _) = Self::shapes(input, weight, window);
        like(weight, |gradient| (Self::WEIGHT_GRADIENT)(shape, slice(input), slice(output), gradient))
    }
}

/// Weights are `[out_channels, kernel_height, kernel_width, in_channels]`.
#[derive(Debug)]
pub(super) struct Dense;

impl ConvolutionKind for Dense {
    type Shape = ConvShape;

    const FORWARD: Forward<ConvShape> = kernels::conv2d;
    const INPUT_GRADIENT: Gradient<ConvShape> = kernels::conv2d_input_gradient;
    const WEIGHT_GRADIENT: Gradient<ConvShape> = kernels::conv2d_weight_gradient;

    fn shapes(input: &FlexTensor, weight: &FlexTensor, window: Window) -> (ConvShape, [usize; 4]) {
        let ([batch, in_height, in_width, in_channels], [out_channels, ..]) = (dims(input), dims::<4>(weight));
        let shape = ConvShape { batch, in_height, in_width, in_channels, out_channels, window };
        (shape, [batch, shape.out_height(), shape.out_width(), out_channels])
    }
}

/// Weights are `[kernel_height, kernel_width, channels]`.
#[derive(Debug)]
pub(super) struct Depthwise;

impl ConvolutionKind for Depthwise {
    type Shape = DepthwiseShape;

    const FORWARD: Forward<DepthwiseShape> = kernels::depthwise_conv2d;
    const INPUT_GRADIENT: Gradient<DepthwiseShape> = kernels::depthwise_conv2d_input_gradient;
    const WEIGHT_GRADIENT: Gradient<DepthwiseShape> = kernels::depthwise_conv2d_weight_gradient;

    fn shapes(input: &FlexTensor, _: &FlexTensor, window: Window) -> (DepthwiseShape, [usize; 4]) {
        let shape = depthwise_shape(dims(input), window);
        (shape, [shape.batch, shape.out_height(), shape.out_width(), shape.channels])
    }
}

pub(super) fn max_pool_gradient(
    input: [usize; 4],
    window: Window,
    winners: &[u32],
    output_gradient: &FlexTensor,
) -> FlexTensor {
    let mut gradient = buffers::take(input.iter().product());
    kernels::max_pool2d_backward(depthwise_shape(input, window), slice(output_gradient), winners, &mut gradient);
    tensor(gradient, input)
}

pub(super) fn global_average_pool_gradient(input: [usize; 4], output_gradient: &FlexTensor) -> FlexTensor {
    let mut gradient = buffers::take(input.iter().product());
    kernels::global_average_pool_backward(map_shape(input), slice(output_gradient), &mut gradient);
    tensor(gradient, input)
}

/// Gradients of the input and of the gate.
pub(super) fn channel_gate_gradients(
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

/// Of the weights and biases of the two layers, all contiguous.
fn excitation([reduce, reduce_bias, expand, expand_bias]: &[FlexTensor; 4]) -> Excitation<'_> {
    Excitation {
        reduce: slice(reduce),
        reduce_bias: slice(reduce_bias),
        expand: slice(expand),
        expand_bias: slice(expand_bias),
    }
}

/// Squeeze and excitation that leaves its input as it is.
pub(super) fn squeeze_excite_apart(input: &FlexTensor, layers: &[FlexTensor; 4]) -> FlexTensor {
    let shape: [usize; 4] = dims(input);
    let [batch, height, width, _] = shape;
    let mut output = buffers::take(shape.iter().product());
    kernels::squeeze_excite_into(batch, height * width, excitation(layers), slice(input), &mut output);
    tensor(output, shape)
}

/// Gradients of the input and of the layers.
pub(super) fn squeeze_excite_gradients(
    input: &FlexTensor,
    layers: &[FlexTensor; 4],
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
        excitation(layers),
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
pub(super) struct NormGradients {
    pub input: FlexTensor,
    pub scale: FlexTensor,
    pub shift: FlexTensor,
    pub residual: Option<FlexTensor>,
}

pub(super) fn batch_norm_gradients(
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

pub(super) fn scale_shift_gradients(
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
