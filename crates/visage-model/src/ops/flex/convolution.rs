//! Dense and depthwise convolutions and their gradients.

use burn_flex::FlexTensor;
use visage_kernels as kernels;
use visage_kernels::{ConvShape, DepthwiseShape, Epilogue, Window};

use super::{contiguous, depthwise_shape, dims, like, slice, tensor};
use crate::ops::buffers;

/// A forward kernel. Arguments: shape, input, weight, epilogue, result.
type Forward<S> = fn(S, &[f32], &[f32], Epilogue<'_>, &mut [f32]);

/// A gradient kernel. Arguments: shape, two operands, result.
type Gradient<S> = fn(S, &[f32], &[f32], &mut [f32]);

/// The kernels of a kind of convolution, dense or depthwise. The operands of gradients are contiguous.
pub(in crate::ops) trait ConvolutionKind: std::fmt::Debug + Send + Sync + 'static {
    type Shape: Copy;

    const FORWARD: Forward<Self::Shape>;
    /// The operands are weight and output gradient.
    const INPUT_GRADIENT: Gradient<Self::Shape>;
    /// The operands are input and output gradient.
    const WEIGHT_GRADIENT: Gradient<Self::Shape>;

    /// The shape for the kernels, and the dimensions of the output.
    fn shapes(input: &FlexTensor, weight: &FlexTensor, window: Window) -> (Self::Shape, [usize; 4]);

    fn forward(input: FlexTensor, weight: FlexTensor, window: Window) -> FlexTensor {
        let (input, weight) = (contiguous(input), contiguous(weight));
        let (shape, out) = Self::shapes(&input, &weight, window);
        let mut output = buffers::take(out.iter().product());
        (Self::FORWARD)(shape, slice(&input), slice(&weight), Epilogue::default(), &mut output);
        buffers::recycle(input);
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

#[derive(Debug)]
pub(in crate::ops) struct Dense;

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

#[derive(Debug)]
pub(in crate::ops) struct Depthwise;

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
