//! The inference plan: a network as a list of primitive operations on images of one size, with batch norms folded into filters.
//!
//! [`Network::plan`](crate::Network::plan) builds it. Every layer adds its operations beside its forward pass, so that the two
//! can be read together. An [`Engine`](crate::Engine) compiles the plan for a device and a precision, and the ONNX exporter
//! writes it to a file. The plan says what is computed. Fusion, memory and threads are decided by the engine.

use visage_kernels::{Activation, GateFunction, Window};

/// The operations of a network.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Height, width and channels of the images.
    pub images: Shape,
    /// In topological order. The result of the last step are the logits, of shape `[1, 1, outputs]`.
    pub steps: Vec<Step>,
}

/// Height, width and channels of the map of one image.
pub type Shape = [usize; 3];

/// An input of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// The normalised images.
    Images,
    /// The result of the step at this index.
    Of(usize),
}

/// One operation and its inputs.
#[derive(Clone, Debug)]
pub struct Step {
    /// The layer's path in the module tree, such as `blocks.3.project`, with a suffix for the operations after a convolution, such
    /// as `.add`. Unique.
    pub name: String,
    /// The first input.
    pub input: Value,
    /// The operation.
    pub operation: Operation,
    /// The shape of the result.
    pub shape: Shape,
}

/// What a step computes. Shapes are those of one image.
#[derive(Clone, Debug)]
pub enum Operation {
    /// A dense convolution with bias. Filters are `[out_channels, kernel_height, kernel_width, in_channels]`.
    Conv(Filters),
    /// A depthwise convolution with bias. Filters are `[kernel_height, kernel_width, channels]`.
    DepthwiseConv(Filters),
    /// `input * weight^T + bias` of a [`Flatten`](Operation::Flatten)ed input. Filters are `[outputs, inputs]`.
    Linear(Filters),
    /// The sum of the input and another value of the same shape.
    Add(Value),
    /// An element-wise activation function other than the identity.
    Activation(Activation),
    /// The maximum of each window. Padding is never the maximum.
    MaxPool(Window),
    /// The mean over height and width: `[1, 1, channels]`.
    GlobalAveragePool,
    /// Multiplies every channel of the input by a function of this value, of shape `[1, 1, channels]`.
    Gate(Value, GateFunction),
    /// Reshapes a map of one position to a vector.
    Flatten,
}

/// The weights of a convolution or a linear layer.
#[derive(Clone, Debug)]
pub struct Filters {
    /// Row-major, with the dimensions that [`Operation`] documents.
    pub weights: Vec<f32>,
    /// `[out_channels]`
    pub bias: Vec<f32>,
    /// Kernel, stride and padding.
    pub window: Window,
}

impl Operation {
    /// The second input, if the operation has one.
    pub fn other_input(&self) -> Option<Value> {
        match self {
            Operation::Add(value) | Operation::Gate(value, _) => Some(*value),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    value: Value,
    pub(crate) shape: Shape,
}

#[derive(Debug)]
pub(crate) struct Planner {
    images: Shape,
    steps: Vec<Step>,
}

impl Planner {
    /// An empty plan for RGB images of this height and width, and the images as its first value.
    pub(crate) fn new([height, width]: [usize; 2]) -> (Self, Node) {
        let images = [height, width, 3];
        (Self { images, steps: Vec::new() }, Node { value: Value::Images, shape: images })
    }

    pub(crate) fn finish(self) -> Plan {
        Plan { images: self.images, steps: self.steps }
    }

    fn step(&mut self, name: String, input: Node, operation: Operation, shape: Shape) -> Node {
        self.steps.push(Step { name, input: input.value, operation, shape });
        Node { value: Value::Of(self.steps.len() - 1), shape }
    }

    pub(crate) fn conv(&mut self, name: &str, input: Node, filters: Filters) -> Node {
        let shape = windowed(input.shape, filters.window, filters.bias.len());
        self.step(name.to_owned(), input, Operation::Conv(filters), shape)
    }

    pub(crate) fn depthwise_conv(&mut self, name: &str, input: Node, filters: Filters) -> Node {
        let shape = windowed(input.shape, filters.window, filters.bias.len());
        self.step(name.to_owned(), input, Operation::DepthwiseConv(filters), shape)
    }

    pub(crate) fn linear(&mut self, name: &str, input: Node, filters: Filters) -> Node {
        let shape = [1, 1, filters.bias.len()];
        self.step(name.to_owned(), input, Operation::Linear(filters), shape)
    }

    pub(crate) fn add(&mut self, name: &str, input: Node, other: Node) -> Node {
        self.step(format!("{name}.add"), input, Operation::Add(other.value), input.shape)
    }

    /// Returns the input if the activation is the identity.
    pub(crate) fn activation(&mut self, name: &str, input: Node, activation: Activation) -> Node {
        if activation == Activation::Identity {
            return input;
        }
        self.step(format!("{name}.activation"), input, Operation::Activation(activation), input.shape)
    }

    pub(crate) fn max_pool(&mut self, name: &str, input: Node, window: Window) -> Node {
        let shape = windowed(input.shape, window, input.shape[2]);
        self.step(name.to_owned(), input, Operation::MaxPool(window), shape)
    }

    pub(crate) fn global_average_pool(&mut self, name: &str, input: Node) -> Node {
        self.step(name.to_owned(), input, Operation::GlobalAveragePool, [1, 1, input.shape[2]])
    }

    /// `input * function(gate)`, channel by channel.
    pub(crate) fn gate(&mut self, name: &str, input: Node, gate: Node, function: GateFunction) -> Node {
        self.step(name.to_owned(), input, Operation::Gate(gate.value, function), input.shape)
    }

    /// The mean of the last feature map over its positions, as a vector.
    pub(crate) fn pooled_features(&mut self, input: Node) -> Node {
        let pooled = self.global_average_pool("pool", input);
        self.step("features".to_owned(), pooled, Operation::Flatten, pooled.shape)
    }
}

fn windowed([height, width, _]: Shape, window: Window, channels: usize) -> Shape {
    [window.out_height(height), window.out_width(width), channels]
}
