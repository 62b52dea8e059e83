//! The executor of GPUs: Burn's operations on weights in the device's memory.

use burn::tensor::{Device, Tensor, TensorData};
use visage_data::Preparation;
use visage_kernels::{Activation, GateFunction, Window};

use super::fuse::{Operation, Step};
use super::{Executor, Pending, Prepared, State, memory, normalise};
use crate::input::image_tensor;
use crate::ops::{Precision, composed, float32};
use crate::plan::{Filters, Shape, Value};

#[derive(Debug)]
pub(super) struct DeviceExecutor {
    preparation: Preparation,
    steps: Vec<DeviceStep>,
    device: Device,
}

#[derive(Debug)]
struct DeviceStep {
    input: Value,
    operation: DeviceOperation,
    /// Steps whose results no later step reads.
    freed: Vec<usize>,
}

#[allow(clippy::large_enum_variant, reason = "a network has some dozens")]
#[derive(Debug)]
enum DeviceOperation {
    Conv {
        filters: Tensor<4>,
        epilogue: Epilogue,
        residual: Option<Value>,
    },
    DepthwiseConv {
        filters: Tensor<3>,
        epilogue: Epilogue,
    },
    ExpandedDepthwiseConv {
        expand: (Tensor<4>, Epilogue),
        depthwise: (Tensor<3>, Epilogue),
    },
    SqueezeExcite {
        reduce: Tensor<2>,
        reduce_bias: Tensor<1>,
        expand: Tensor<2>,
        expand_bias: Tensor<1>,
        activation: Activation,
        gate: GateFunction,
    },
    Elementwise {
        residual: Option<Value>,
        activation: Activation,
    },
    Gate {
        gate: Value,
        function: GateFunction,
    },
    MaxPool(Window),
    GlobalAveragePool,
}

/// The window of a convolution, and its bias and activation.
#[derive(Debug)]
struct Epilogue {
    window: Window,
    /// In f32, `[out_channels]`.
    bias: Tensor<1>,
    activation: Activation,
}

impl DeviceExecutor {
    pub(super) fn new(
        images: Shape,
        steps: Vec<Step>,
        preparation: Preparation,
        device: &Device,
        precision: Precision,
    ) -> Self {
        let shapes: Vec<Shape> = steps.iter().map(|step| step.shape).collect();
        let channels = |value: Value| match value {
            Value::Images => images[2],
            Value::Of(index) => shapes[index][2],
        };
        let upload = Upload { device, precision };
        let freed = memory::freed_after(&steps);
        let steps = steps.into_iter().zip(freed).map(|(Step { input, operation, .. }, freed)| DeviceStep {
            input,
            operation: upload.operation(operation, channels(input)),
            freed,
        });
        Self { preparation, steps: steps.collect(), device: device.clone() }
    }

    /// The normalised images. The device normalises a single part of bytes itself.
    fn images(&self, parts: &[Prepared<'_>]) -> Tensor<4> {
        let size = self.preparation.output_size();
        let len = parts.iter().map(Prepared::len).sum();
        if let [Prepared::Pixels(pixels)] = parts {
            return image_tensor(&self.preparation, pixels, &self.device);
        }
        let images = len / (size.pixels() * 3);
        let mut values = vec![0.0; len];
        normalise(&self.preparation, parts, 0, &mut values);
        Tensor::from_data(TensorData::new(values, [images, size.height, size.width, 3]), &self.device)
    }
}

impl Executor for DeviceExecutor {
    fn start(&self, parts: &[Prepared<'_>]) -> Pending {
        let images = self.images(parts);
        let mut results: Vec<Option<Tensor<4>>> = vec![None; self.steps.len()];
        for (index, DeviceStep { input, operation, freed }) in self.steps.iter().enumerate() {
            let value = |value: Value| match value {
                Value::Images => images.clone(),
                Value::Of(index) => results[index].clone().expect("computed before it is read, freed after"),
            };
            let result = operation.run(value(*input), value);
            results[index] = Some(result);
            freed.iter().for_each(|&value| results[value] = None);
        }
        let logits = results.pop().flatten().unwrap_or(images);
        Pending(State::OnDevice(Box::new(float32(logits).flatten(1, 3))))
    }
}

struct Upload<'a> {
    device: &'a Device,
    precision: Precision,
}

impl Upload<'_> {
    fn tensor<const D: usize>(&self, values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
        Tensor::from_data(TensorData::new(values, shape), self.device)
    }

    fn conv(&self, filters: Filters, activation: Activation, channels: usize) -> (Tensor<4>, Epilogue) {
        let [height, width] = filters.window.kernel;
        let shape = [filters.bias.len(), height, width, channels];
        let weights = self.tensor(filters.weights, shape).cast(self.precision.dtype());
        (weights, self.epilogue(filters.bias, filters.window, activation))
    }

    fn depthwise(&self, filters: Filters, activation: Activation) -> (Tensor<3>, Epilogue) {
        let [height, width] = filters.window.kernel;
        let shape = [height, width, filters.bias.len()];
        let weights = self.tensor(filters.weights, shape).cast(self.precision.dtype());
        (weights, self.epilogue(filters.bias, filters.window, activation))
    }

    fn epilogue(&self, bias: Vec<f32>, window: Window, activation: Activation) -> Epilogue {
        let channels = bias.len();
        Epilogue { window, bias: self.tensor(bias, [channels]), activation }
    }

    /// An operation whose input has this number of channels.
    fn operation(&self, operation: Operation, channels: usize) -> DeviceOperation {
        match operation {
            Operation::Conv { filters, residual, activation } => {
                let (filters, epilogue) = self.conv(filters, activation, channels);
                DeviceOperation::Conv { filters, epilogue, residual }
            }
            Operation::DepthwiseConv { filters, activation } => {
                let (filters, epilogue) = self.depthwise(filters, activation);
                DeviceOperation::DepthwiseConv { filters, epilogue }
            }
            Operation::ExpandedDepthwiseConv { expand, depthwise } => DeviceOperation::ExpandedDepthwiseConv {
                expand: self.conv(expand.0, expand.1, channels),
                depthwise: self.depthwise(depthwise.0, depthwise.1),
            },
            Operation::SqueezeExcite { reduce: (reduce, activation), expand: (expand, gate) } => {
                let hidden = reduce.bias.len();
                DeviceOperation::SqueezeExcite {
                    reduce: self.tensor(reduce.weights, [hidden, channels]),
                    reduce_bias: self.tensor(reduce.bias, [hidden]),
                    expand: self.tensor(expand.weights, [channels, hidden]).transpose(),
                    expand_bias: self.tensor(expand.bias, [channels]),
                    activation,
                    gate,
                }
            }
            Operation::Elementwise { residual, activation } => DeviceOperation::Elementwise { residual, activation },
            Operation::Gate { gate, function } => DeviceOperation::Gate { gate, function },
            Operation::MaxPool(window) => DeviceOperation::MaxPool(window),
            Operation::GlobalAveragePool => DeviceOperation::GlobalAveragePool,
        }
    }
}

impl DeviceOperation {
    fn run(&self, input: Tensor<4>, value: impl Fn(Value) -> Tensor<4>) -> Tensor<4> {
        match self {
            Self::Conv { filters, epilogue, residual } => conv(input, filters, epilogue, residual.map(value)),
            Self::DepthwiseConv { filters, epilogue } => depthwise(input, filters, epilogue),
            Self::ExpandedDepthwiseConv { expand, depthwise: (filters, epilogue) } => {
                depthwise(conv(input, &expand.0, &expand.1, None), filters, epilogue)
            }
            Self::SqueezeExcite { reduce, reduce_bias, expand, expand_bias, activation, gate } => {
                composed::squeeze_excite(
                    input,
                    reduce.clone(),
                    reduce_bias.clone(),
                    expand.clone(),
                    expand_bias.clone(),
                    *activation,
                    *gate,
                )
            }
            Self::Elementwise { residual, activation } => {
                composed::add_and_activate(float32(input), residual.map(value), *activation)
            }
            Self::Gate { gate, function } => {
                let gate = composed::gate(float32(value(*gate)), *function);
                composed::channel_gate(input, gate.flatten(1, 3))
            }
            Self::MaxPool(window) => composed::max_pool2d(input, *window),
            Self::GlobalAveragePool => {
                let [batch, _, _, channels] = input.dims();
                composed::global_average_pool(input).reshape([batch, 1, 1, channels])
            }
        }
    }
}

/// `activation(conv(input) + bias + residual)`. The convolution and the result have the filters' type, the sums f32.
fn conv(input: Tensor<4>, filters: &Tensor<4>, epilogue: &Epilogue, residual: Option<Tensor<4>>) -> Tensor<4> {
    let dtype = filters.dtype();
    let output = composed::conv2d(input.cast(dtype), filters.clone(), epilogue.window);
    let biased = float32(output) + epilogue.bias.clone().unsqueeze();
    composed::add_and_activate(biased, residual, epilogue.activation).cast(dtype)
}

fn depthwise(input: Tensor<4>, filters: &Tensor<3>, epilogue: &Epilogue) -> Tensor<4> {
    let dtype = filters.dtype();
    let output = composed::depthwise_conv2d(input.cast(dtype), filters.clone(), epilogue.window);
    composed::add_and_activate(float32(output) + epilogue.bias.clone().unsqueeze(), None, epilogue.activation)
        .cast(dtype)
}
