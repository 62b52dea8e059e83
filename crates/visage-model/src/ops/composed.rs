//! The operations composed of Burn's own, for all devices except the CPU. Burn has kernels and gradients of its operations for each
//! of its backends.
//!
//! A convolution computes in the type of its filters, f32 or a 16-bit type. All other operations convert their inputs to f32, so that
//! statistics, sums and activations lose no precision. Burn fuses the casts with the neighbouring operations.

use burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use burn::tensor::{Tensor, activation, module};
use visage_kernels::optimizer::{AdamStep, SgdStep, WeightDecay};
use visage_kernels::{Activation, GateFunction, Padding, Window};

use super::{AdamState, BatchNormOutput, Precision, float32};

/// A view in Burn's order of dimensions. Burn's GPU kernels read channels-last memory, so nothing is copied.
fn channels_first(map: Tensor<4>) -> Tensor<4> {
    map.permute([0, 3, 1, 2])
}

fn channels_last(map: Tensor<4>) -> Tensor<4> {
    map.permute([0, 2, 3, 1])
}

fn sides(Padding { top, left, bottom, right }: Padding) -> [(usize, usize); 2] {
    [(top, bottom), (left, right)]
}

fn convolution(input: Tensor<4>, weight: Tensor<4>, window: Window, groups: usize) -> Tensor<4> {
    let options = ConvOptions::new_with_padding(window.stride, sides(window.padding), [1, 1], groups);
    channels_last(module::conv2d(channels_first(input), weight, None, options))
}

pub(crate) fn conv2d(input: Tensor<4>, weight: Tensor<4>, window: Window) -> Tensor<4> {
    convolution(input, channels_first(weight), window, 1)
}

pub(crate) fn depthwise_conv2d(input: Tensor<4>, weight: Tensor<3>, window: Window) -> Tensor<4> {
    let channels = weight.dims()[2];
    convolution(input, weight.permute([2, 0, 1]).unsqueeze_dim(1), window, channels)
}

pub(crate) fn batch_norm_train(
    input: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    residual: Option<Tensor<4>>,
    epsilon: f64,
    activation: Activation,
) -> BatchNormOutput {
    let dims = input.dims();
    let [batch, height, width, channels] = dims;
    // As a matrix, so that the statistics are sums of columns and need no transposition.
    let rows = float32(input).reshape([batch * height * width, channels]);
    let normed = module::batch_norm_train(rows, gamma, beta, epsilon);
    let output = add_and_activate(normed.output.reshape(dims), residual, activation);
    BatchNormOutput { output, mean: normed.mean, variance: normed.variance }
}

pub(crate) fn scale_shift(
    input: Tensor<4>,
    scale: Tensor<1>,
    shift: Tensor<1>,
    residual: Option<Tensor<4>>,
    activation: Activation,
) -> Tensor<4> {
    add_and_activate(float32(input) * scale.unsqueeze() + shift.unsqueeze(), residual, activation)
}

/// The residual sum and the activation after a norm or a convolution.
pub(crate) fn add_and_activate(normed: Tensor<4>, residual: Option<Tensor<4>>, activation: Activation) -> Tensor<4> {
    let sum = match residual {
        Some(residual) => normed + float32(residual),
        None => normed,
    };
    activated(sum, activation)
}

pub(crate) fn activated<const D: usize>(input: Tensor<D>, activation: Activation) -> Tensor<D> {
    match activation {
        Activation::Identity => input,
        Activation::Relu => activation::relu(input),
        Activation::Relu6 => input.clamp(0.0, 6.0),
        Activation::Silu => activation::silu(input),
        Activation::HardSwish => input.clone() * gate(input, GateFunction::HardSigmoid),
    }
}

/// The factors of channels from the values of a gate.
pub(crate) fn gate<const D: usize>(values: Tensor<D>, function: GateFunction) -> Tensor<D> {
    match function {
        GateFunction::Sigmoid => activation::sigmoid(values),
        GateFunction::HardSigmoid => (values + 3.0).clamp(0.0, 6.0) / 6.0,
    }
}

pub(crate) fn max_pool2d(input: Tensor<4>, window: Window) -> Tensor<4> {
    let options =
        MaxPoolOptions::new(window.kernel).with_stride(window.stride).with_padding_pairs(sides(window.padding));
    channels_last(module::max_pool2d(channels_first(input), options))
}

pub(crate) fn global_average_pool(input: Tensor<4>) -> Tensor<2> {
    let [batch, height, width, channels] = input.dims();
    float32(input).reshape([batch, height * width, channels]).mean_dim(1).reshape([batch, channels])
}

pub(crate) fn channel_gate(input: Tensor<4>, gate: Tensor<2>) -> Tensor<4> {
    let [batch, channels] = gate.dims();
    float32(input) * float32(gate).reshape([batch, 1, 1, channels])
}

pub(crate) fn squeeze_excite(
    input: Tensor<4>,
    reduce: Tensor<2>,
    reduce_bias: Tensor<1>,
    expand: Tensor<2>,
    expand_bias: Tensor<1>,
    activation: Activation,
    function: GateFunction,
) -> Tensor<4> {
    let pooled = global_average_pool(input.clone());
    let squeezed = activated(pooled.matmul(reduce.transpose()) + reduce_bias.unsqueeze(), activation);
    channel_gate(input, gate(squeezed.matmul(expand) + expand_bias.unsqueeze(), function))
}

/// The arithmetic of [`visage_kernels::optimizer::adam_step`].
pub(crate) fn adam_step<const D: usize>(state: AdamState<D>, gradient: Tensor<D>, step: AdamStep) -> AdamState<D> {
    let AdamStep { learning_rate, beta1, beta2, epsilon, weight_decay, step } = step;
    let (parameter, gradient) = match weight_decay {
        WeightDecay::Decoupled(decay) => (state.parameter * (1.0 - learning_rate * decay), gradient),
        WeightDecay::L2(decay) => (state.parameter.clone(), gradient + state.parameter * decay),
    };
    let first_moment = state.first_moment * beta1 + gradient.clone() * (1.0 - beta1);
    let second_moment = state.second_moment * beta2 + gradient.clone() * gradient * (1.0 - beta2);
    let power = step as f64;
    let size = learning_rate / (1.0 - beta1.powf(power));
    let denominator = second_moment.clone().sqrt() / (1.0 - beta2.powf(power)).sqrt() + epsilon;
    AdamState { parameter: parameter - first_moment.clone() * size / denominator, first_moment, second_moment }
}

/// The arithmetic of [`visage_kernels::optimizer::sgd_step`].
pub(crate) fn sgd_step<const D: usize>(
    parameter: Tensor<D>,
    velocity: Tensor<D>,
    gradient: Tensor<D>,
    step: SgdStep,
) -> (Tensor<D>, Tensor<D>) {
    let SgdStep { learning_rate, momentum, nesterov, weight_decay } = step;
    let gradient = gradient + parameter.clone() * weight_decay;
    let velocity = velocity * momentum + gradient.clone();
    let direction = if nesterov { gradient + velocity.clone() * momentum } else { velocity.clone() };
    (parameter - direction * learning_rate, velocity)
}

pub(crate) fn sum_of_squares<const D: usize>(input: Tensor<D>) -> Tensor<1> {
    (input.clone() * input).sum()
}

/// A cast, so that the next operation computes in the type. The gradient has the type too.
pub(crate) fn round<const D: usize>(input: Tensor<D>, precision: Precision) -> Tensor<D> {
    input.cast(precision.dtype())
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Gradients, TensorData};
    use rand::RngExt;
    use visage_data::random::stream;

    use super::super::{self as ops, has_kernels};
    use super::*;

    /// The CPU, where both implementations run.
    fn device() -> Device {
        Device::flex().autodiff()
    }

    fn tensor<const D: usize>(name: &str, dims: [usize; D]) -> Tensor<D> {
        let mut random = stream(0, name, 0, 0);
        let values: Vec<f32> = (0..dims.iter().product()).map(|_| random.random_range(-1.0..1.0)).collect();
        Tensor::from_data(TensorData::new(values, dims), &device()).require_grad()
    }

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().try_into_vec().expect("f32")
    }

    fn assert_close(what: &str, kernels: &[f32], composed: &[f32]) {
        assert_eq!(kernels.len(), composed.len(), "{what}");
        let scale = kernels.iter().fold(1e-3f32, |most, value| most.max(value.abs()));
        for (index, (a, b)) in kernels.iter().zip(composed).enumerate() {
            assert!((a - b).abs() <= 2e-5 * scale, "{what}[{index}]: {a} by the kernel, {b} composed, scale {scale}");
        }
    }

    /// The gradients of an operation by its two implementations.
    struct Both {
        what: &'static str,
        tapes: [Gradients; 2],
    }

    impl Both {
        /// Compares the outputs. Their weighted sums are differentiated, so that the gradients are not constant.
        fn of<const D: usize>(what: &'static str, kernels: Tensor<D>, composed: Tensor<D>) -> Self {
            assert_eq!(kernels.dims(), composed.dims(), "{what}");
            assert_close(what, &values(kernels.clone()), &values(composed.clone()));
            let weights = tensor("weights of the outputs", kernels.dims()).detach();
            Self { what, tapes: [kernels, composed].map(|output| (output * weights.clone()).sum().backward()) }
        }

        fn gradient<const D: usize>(self, name: &str, input: &Tensor<D>) -> Self {
            let [kernels, composed] = self.tapes.each_ref().map(|tape| values(input.grad(tape).expect("a gradient")));
            assert_close(&format!("{}, gradient of {name}", self.what), &kernels, &composed);
            self
        }
    }

    const SAME: Padding = Padding { top: 0, left: 0, bottom: 1, right: 1 };

    #[test]
    fn convolutions_equal_the_kernels() {
        assert!(has_kernels(&device()), "otherwise the composed operations would be compared with themselves");
        let windows = [
            Window::square(1, 1, 0),
            Window::square(1, 2, 0),
            Window::square(3, 1, 1),
            Window::square(7, 2, 3),
            Window { kernel: [3, 3], stride: [2, 2], padding: SAME },
        ];
        for window in windows {
            let [height, width] = window.kernel;
            let (input, weight) = (tensor("input", [2, 8, 10, 6]), tensor("weight", [4, height, width, 6]));
            let kernels = ops::conv2d(input.clone(), weight.clone(), window);
            Both::of("convolution", kernels, conv2d(input.clone(), weight.clone(), window))
                .gradient("input", &input)
                .gradient("weight", &weight);

            let weight = tensor("filters", [height, width, 6]);
            let kernels = ops::depthwise_conv2d(input.clone(), weight.clone(), window);
            Both::of("depthwise convolution", kernels, depthwise_conv2d(input.clone(), weight.clone(), window))
                .gradient("input", &input)
                .gradient("weight", &weight);
        }
    }

    #[test]
    fn norms_equal_the_kernels() {
        let (input, residual) = (tensor("input", [3, 4, 5, 7]), tensor("residual", [3, 4, 5, 7]));
        let (gamma, beta) = (tensor("gamma", [7]), tensor("beta", [7]));
        use Activation::{HardSwish, Identity, Relu, Relu6, Silu};
        for activation in [Identity, Relu, Relu6, Silu, HardSwish] {
            for residual in [None, Some(residual.clone())] {
                let kernels = ops::batch_norm_train(
                    input.clone(),
                    gamma.clone(),
                    beta.clone(),
                    residual.clone(),
                    1e-5,
                    activation,
                );
                let composed =
                    batch_norm_train(input.clone(), gamma.clone(), beta.clone(), residual.clone(), 1e-5, activation);
                assert_close("mean", &values(kernels.mean), &values(composed.mean));
                assert_close("variance", &values(kernels.variance), &values(composed.variance));
                let both = Both::of("batch norm", kernels.output, composed.output)
                    .gradient("input", &input)
                    .gradient("gamma", &gamma)
                    .gradient("beta", &beta);
                if let Some(residual) = &residual {
                    both.gradient("residual", residual);
                }

                let kernels =
                    ops::scale_shift(input.clone(), gamma.clone(), beta.clone(), residual.clone(), activation);
                let composed = scale_shift(input.clone(), gamma.clone(), beta.clone(), residual.clone(), activation);
                let both = Both::of("scale and shift", kernels, composed)
                    .gradient("input", &input)
                    .gradient("scale", &gamma)
                    .gradient("shift", &beta);
                if let Some(residual) = &residual {
                    both.gradient("residual", residual);
                }
            }
        }
    }

    #[test]
    fn pools_and_gates_equal_the_kernels() {
        let input = tensor("input", [2, 7, 8, 5]);
        let window = Window::square(3, 2, 1);
        Both::of("largest", ops::max_pool2d(input.clone(), window), max_pool2d(input.clone(), window))
            .gradient("input", &input);
        Both::of("mean", ops::global_average_pool(input.clone()), global_average_pool(input.clone()))
            .gradient("input", &input);
        let gate = tensor("gate", [2, 5]);
        let kernels = ops::channel_gate(input.clone(), gate.clone());
        Both::of("gate", kernels, channel_gate(input.clone(), gate.clone()))
            .gradient("input", &input)
            .gradient("gate", &gate);
        let (reduce, expand) = (tensor("reduce", [3, 5]), tensor("expand", [3, 5]));
        let (reduce_bias, expand_bias) = (tensor("bias of reduce", [3]), tensor("bias of expand", [5]));
        let arguments = || (input.clone(), reduce.clone(), reduce_bias.clone(), expand.clone(), expand_bias.clone());
        for (activation, function) in
            [(Activation::Silu, GateFunction::Sigmoid), (Activation::Relu, GateFunction::HardSigmoid)]
        {
            let (a, b, c, d, e) = arguments();
            let kernels = ops::squeeze_excite(a, b, c, d, e, activation, function);
            let (a, b, c, d, e) = arguments();
            Both::of("squeeze and excitation", kernels, squeeze_excite(a, b, c, d, e, activation, function))
                .gradient("input", &input)
                .gradient("reduce", &reduce)
                .gradient("bias of reduce", &reduce_bias)
                .gradient("expand", &expand)
                .gradient("bias of expand", &expand_bias);
        }
    }

    #[test]
    fn optimizer_steps_equal_the_kernels() {
        let plain = |name: &str| tensor(name, [50]).inner();
        for weight_decay in [WeightDecay::L2(0.0), WeightDecay::L2(0.1), WeightDecay::Decoupled(0.1)] {
            let mut states = [(); 2].map(|()| AdamState {
                parameter: plain("parameter"),
                first_moment: Tensor::zeros([50], &Device::flex()),
                second_moment: Tensor::zeros([50], &Device::flex()),
            });
            for step in 1..=3 {
                let step = AdamStep { learning_rate: 0.1, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay, step };
                let gradient = plain(&format!("gradient {}", step.step));
                let [kernels, composed] = states;
                states = [ops::adam_step(kernels, gradient.clone(), step), adam_step(composed, gradient, step)];
                let [kernels, composed] = states.each_ref().map(|state| values(state.parameter.clone()));
                assert_close("Adam", &kernels, &composed);
            }
        }
        for nesterov in [false, true] {
            let step = SgdStep { learning_rate: 0.1, momentum: 0.9, nesterov, weight_decay: 0.01 };
            let arguments = || (plain("parameter"), plain("velocity"), plain("gradient"));
            let (a, b, c) = arguments();
            let (parameter, velocity) = ops::sgd_step(a, b, c, step);
            let (a, b, c) = arguments();
            let composed = sgd_step(a, b, c, step);
            assert_close("parameter", &values(parameter), &values(composed.0));
            assert_close("velocity", &values(velocity), &values(composed.1));
        }
        let gradient = plain("gradient");
        let kernels = values(ops::sum_of_squares(gradient.clone()));
        assert_close("sum of squares", &kernels, &values(sum_of_squares(gradient)));
    }
}
