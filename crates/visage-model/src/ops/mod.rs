//! The heavy operations of the networks, bound into Burn.
//!
//! The functions of this module are what the layers call; they take and return ordinary Burn tensors. On the CPU each is
//! a method of [`NetworkOps`], a Burn backend extension: a kernel of [`visage_kernels`], with a hand-written gradient for
//! `Autodiff<Flex>`. On all other devices it is composed of Burn's own operations (`composed.rs`).
//!
//! Every feature map is `[batch, height, width, channels]` and contiguous. Kernels pass it on without a copy, and a 1x1
//! convolution is one matrix product.

mod autodiff;
pub(crate) mod buffers;
pub(crate) mod composed;
mod flex;
mod precision;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, ExtensionType, backend_extension};
use burn::tensor::{Device, FloatDType, Tensor};
pub use precision::Precision;
pub use visage_kernels::optimizer::{AdamStep, SgdStep, WeightDecay};
pub use visage_kernels::{Activation, GateFunction, Padding, Window};

/// An optional shortcut that is added before the activation.
#[derive(Clone, Debug, ExtensionType)]
pub enum Residual<B: Backend> {
    /// No shortcut.
    None,
    /// This shortcut.
    Add(FloatTensor<B>),
}

impl<B: Backend> Residual<B> {
    fn of(tensor: Option<FloatTensor<B>>) -> Self {
        tensor.map_or(Residual::None, Residual::Add)
    }

    fn into_option(self) -> Option<FloatTensor<B>> {
        match self {
            Residual::None => None,
            Residual::Add(tensor) => Some(tensor),
        }
    }
}

/// Declares the operations. Each becomes a method of [`NetworkOps`] and a function on tensors, which calls the method on devices
/// that have kernels, and `composed`'s function of the same name on others. An operand's name is followed by its rank. An
/// operand after `|` is optional. Operations with another signature are declared under `trait`.
macro_rules! operations {
    (
        $(
            $(#[$documentation:meta])*
            fn $name:ident(
                $first:ident: $first_rank:literal
                $(, $tensor:ident: $rank:literal)*
                $(| $residual:ident: $residual_rank:literal)?
                $(; $($option:ident: $type:ident),+)?
            ) -> $output_rank:literal;
        )+
        trait { $($rest:tt)* }
    ) => {
        /// The operations that a backend provides to the networks. The functions of this module with the same names document the
        /// shapes.
        #[backend_extension(Flex, Autodiff)]
        pub trait NetworkOps: Backend {
            $(
                #[doc = concat!("See [`", stringify!($name), "`].")]
                fn $name(
                    $first: FloatTensor<Self>,
                    $($tensor: FloatTensor<Self>,)*
                    $(#[extension_type] $residual: Residual<Self>,)?
                    $($($option: $type,)+)?
                ) -> FloatTensor<Self>;
            )+
            $($rest)*
        }

        $(
            $(#[$documentation])*
            #[must_use]
            pub fn $name(
                $first: Tensor<$first_rank>,
                $($tensor: Tensor<$rank>,)*
                $($residual: Option<Tensor<$residual_rank>>,)?
                $($($option: $type,)+)?
            ) -> Tensor<$output_rank> {
                if !has_kernels(&$first.device()) {
                    return composed::$name($first $(, $tensor)* $(, $residual)? $($(, $option)+)?);
                }
                Tensor::from_dispatch(<Dispatch as NetworkOps>::$name(
                    $first.into_dispatch(),
                    $($tensor.into_dispatch(),)*
                    $(Residual::of($residual.map(Tensor::into_dispatch)),)?
                    $($($option,)+)?
                ))
            }
        )+
    };
}

operations! {
    /// Dense convolution without bias.
    ///
    /// - `input`: `[batch, height, width, in_channels]`
    /// - `weight`: `[out_channels, kernel_height, kernel_width, in_channels]`
    /// - returns `[batch, out_height, out_width, out_channels]`
    fn conv2d(input: 4, weight: 4; window: Window) -> 4;

    /// Depthwise convolution without bias: one filter for each channel.
    ///
    /// - `input`: `[batch, height, width, channels]`
    /// - `weight`: `[kernel_height, kernel_width, channels]`
    /// - returns `[batch, out_height, out_width, channels]`
    fn depthwise_conv2d(input: 4, weight: 3; window: Window) -> 4;

    /// `activation(x * scale + shift + residual)`, a batch norm at inference.
    ///
    /// - `input`, `residual`: `[batch, height, width, channels]`
    /// - `scale`, `shift`: `[channels]`
    fn scale_shift(input: 4, scale: 1, shift: 1 | residual: 4; activation: Activation) -> 4;

    /// The maximum of each window. Padding is never the maximum.
    ///
    /// `[batch, height, width, channels]` to `[batch, out_height, out_width, channels]`
    fn max_pool2d(input: 4; window: Window) -> 4;

    /// The mean over height and width: `[batch, height, width, channels]` to `[batch, channels]`.
    fn global_average_pool(input: 4) -> 2;

    /// Multiplies every channel of every image by a factor: `[batch, height, width, channels]` by `[batch, channels]`.
    fn channel_gate(input: 4, gate: 2) -> 4;

    /// Squeeze and excitation: every channel is scaled by a function of the means of all channels,
    /// `gate(activation(mean * reduce^T + reduce_bias) * expand + expand_bias)` (Hu et al., 2018).
    ///
    /// - `input` and result: `[batch, height, width, channels]`
    /// - `reduce`, `expand`: `[hidden, channels]`
    /// - `reduce_bias`: `[hidden]`; `expand_bias`: `[channels]`
    fn squeeze_excite(
        input: 4, reduce: 2, reduce_bias: 1, expand: 2, expand_bias: 1; activation: Activation, gate: GateFunction
    ) -> 4;

    trait {
        /// See [`batch_norm_train`].
        fn batch_norm_train(
            input: FloatTensor<Self>,
            gamma: FloatTensor<Self>,
            beta: FloatTensor<Self>,
            #[extension_type] residual: Residual<Self>,
            epsilon: f64,
            activation: Activation,
        ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

        /// See [`round`].
        fn round(input: FloatTensor<Self>, precision: Precision) -> FloatTensor<Self>;

        /// See [`adam_step`].
        fn adam_step(
            parameter: FloatTensor<Self>,
            gradient: FloatTensor<Self>,
            first_moment: FloatTensor<Self>,
            second_moment: FloatTensor<Self>,
            step: AdamStep,
        ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

        /// See [`sgd_step`].
        fn sgd_step(
            parameter: FloatTensor<Self>,
            gradient: FloatTensor<Self>,
            velocity: FloatTensor<Self>,
            step: SgdStep,
        ) -> (FloatTensor<Self>, FloatTensor<Self>);

        /// See [`sum_of_squares`].
        fn sum_of_squares(input: FloatTensor<Self>) -> FloatTensor<Self>;
    }
}

/// The window of a 1x1 convolution.
pub const POINT: Window = Window::square(1, 1, 0);

/// Whether the operations on `device` are visage's kernels, which run on the CPU.
pub fn has_kernels(device: &Device) -> bool {
    *device == Device::flex()
}

/// The same values in f32. On the CPU they already are.
pub(crate) fn float32<const D: usize>(input: Tensor<D>) -> Tensor<D> {
    input.cast(FloatDType::F32)
}

/// The values of a tensor of f32, row-major, copied from its device.
pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("an f32 tensor")
}

/// The result of [`batch_norm_train`].
pub struct BatchNormOutput {
    /// `[batch, height, width, channels]`
    pub output: Tensor<4>,
    /// Mean of the batch, `[channels]`, without a gradient.
    pub mean: Tensor<1>,
    /// Biased variance of the batch, `[channels]`, without a gradient.
    pub variance: Tensor<1>,
}

/// Batch normalisation by the batch's own statistics (Ioffe & Szegedy, 2015), then an optional residual sum,
/// then the activation: `activation((x - mean) / sqrt(variance + epsilon) * gamma + beta + residual)`.
///
/// - `input`, `residual`: `[batch, height, width, channels]`
/// - `gamma`, `beta`: `[channels]`
pub fn batch_norm_train(
    input: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    residual: Option<Tensor<4>>,
    epsilon: f64,
    activation: Activation,
) -> BatchNormOutput {
    if !has_kernels(&input.device()) {
        return composed::batch_norm_train(input, gamma, beta, residual, epsilon, activation);
    }
    let (output, mean, variance) = <Dispatch as NetworkOps>::batch_norm_train(
        input.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        Residual::of(residual.map(Tensor::into_dispatch)),
        epsilon,
        activation,
    );
    BatchNormOutput {
        output: Tensor::from_dispatch(output),
        mean: Tensor::from_dispatch(mean),
        variance: Tensor::from_dispatch(variance),
    }
}

/// A parameter and Adam's two moments of its gradient, all of the same shape.
pub struct AdamState<const D: usize> {
    /// The parameter.
    pub parameter: Tensor<D>,
    /// Running mean of the gradient.
    pub first_moment: Tensor<D>,
    /// Running mean of the squared gradient.
    pub second_moment: Tensor<D>,
}

/// One step of Adam or AdamW. It works in place on tensors without other handles. None of them may track gradients.
#[must_use]
pub fn adam_step<const D: usize>(state: AdamState<D>, gradient: Tensor<D>, step: AdamStep) -> AdamState<D> {
    if !has_kernels(&gradient.device()) {
        return composed::adam_step(state, gradient, step);
    }
    let (parameter, first_moment, second_moment) = <Dispatch as NetworkOps>::adam_step(
        state.parameter.into_dispatch(),
        gradient.into_dispatch(),
        state.first_moment.into_dispatch(),
        state.second_moment.into_dispatch(),
        step,
    );
    AdamState {
        parameter: Tensor::from_dispatch(parameter),
        first_moment: Tensor::from_dispatch(first_moment),
        second_moment: Tensor::from_dispatch(second_moment),
    }
}

/// One step of stochastic gradient descent on a parameter and its velocity. It works in place on tensors without other handles.
/// None of them may track gradients.
#[must_use]
pub fn sgd_step<const D: usize>(
    parameter: Tensor<D>,
    velocity: Tensor<D>,
    gradient: Tensor<D>,
    step: SgdStep,
) -> (Tensor<D>, Tensor<D>) {
    if !has_kernels(&gradient.device()) {
        return composed::sgd_step(parameter, velocity, gradient, step);
    }
    let (parameter, velocity) = <Dispatch as NetworkOps>::sgd_step(
        parameter.into_dispatch(),
        gradient.into_dispatch(),
        velocity.into_dispatch(),
        step,
    );
    (Tensor::from_dispatch(parameter), Tensor::from_dispatch(velocity))
}

/// The sum of the squares of all values, `[1]`, without a gradient.
pub fn sum_of_squares<const D: usize>(input: Tensor<D>) -> Tensor<1> {
    if !has_kernels(&input.device()) {
        return composed::sum_of_squares(input);
    }
    Tensor::from_dispatch(<Dispatch as NetworkOps>::sum_of_squares(input.into_dispatch()))
}

/// Rounds every value to the nearest that `precision` can represent, ties to even, and in the backward pass every value of the
/// gradient. Values that are too large become infinite.
///
/// On the CPU the result is stored as f32. On other devices it has the type `precision`, and so have convolutions and products
/// of it.
#[must_use]
pub fn round<const D: usize>(input: Tensor<D>, precision: Precision) -> Tensor<D> {
    match precision {
        Precision::F32 => input,
        half if !has_kernels(&input.device()) => composed::round(input, half),
        half => Tensor::from_dispatch(<Dispatch as NetworkOps>::round(input.into_dispatch(), half)),
    }
}
