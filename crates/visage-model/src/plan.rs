//! A network as data: the operations it computes on images of one size, with batch norms folded into the filters.
//!
//! [`Network::plan`](crate::Network::plan) makes it: every layer adds its operations beside its forward pass, so that the
//! two can be read together. An [`Engine`](crate::Engine) compiles it for a device and a precision, and an exporter
//! writes it down. The plan says what is computed, never how: fusion, memory and threads are the engine's.

use visage_kernels::{Activation, Window};

/// The operations of a network.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Height, width and channels of the images.
    pub images: Shape,
    /// In an order in which they can be computed. The last gives the logits, of shape `[1, 1, outputs]`.
    pub steps: Vec<Step>,
}

/// Height, width and channels of what an operation gives for one image.
pub type Shape = [usize; 3];

/// An input of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// The normalised images.
    Images,
    /// The result of the step at this index.
    Of(usize),
}

/// One operation and its place in the network.
#[derive(Clone, Debug)]
pub struct Step {
    /// The layer by its path in the module tree, such as `blocks.3.project`; with a suffix for what follows a
    /// convolution, such as `.add`. Unique.
    pub name: String,
    /// The first input.
    pub input: Value,
    /// What is computed.
    pub operation: Operation,
    /// The shape of the result.
    pub shape: Shape,
}

/// What a step computes, in shapes without the batch.
#[derive(Clone, Debug)]
pub enum Operation {
    /// A dense convolution with bias; filters are `[out_channels, kernel_height, kernel_width, in_channels]`.
    Conv(Filters),
    /// A depthwise convolution with bias; filters are `[kernel_height, kernel_width, channels]`.
    DepthwiseConv(Filters),
    /// `input * weight^T + bias` of a [`Flatten`](Operation::Flatten)ed input; filters are `[outputs, inputs]`.
    Linear(Filters),
    /// The sum of the input and another value of the same shape.
    Add(Value),
    /// A function of every value; never the identity.
    Activation(Activation),
    /// The largest value of each window; padding never wins.
    MaxPool(Window),
    /// The mean over height and width: `[1, 1, channels]`.
    GlobalAveragePool,
    /// Every channel of the input times the sigmoid of this value, of shape `[1, 1, channels]`.
    Gate(Value),
    /// A map of one position as a vector. Moves no value.
    Flatten,
}

/// The weights of a convolution or a linear layer.
#[derive(Clone, Debug)]
pub struct Filters {
    /// Row-major, in the order that the operation states.
    pub weights: Vec<f32>,
    /// `[out_channels]`
    pub bias: Vec<f32>,
    /// Kernel, stride and padding.
    pub window: Window,
}

impl Operation {
    /// The second input of operations that have one.
    #[must_use]
    pub fn other_input(&self) -> Option<Value> {
        match self {
            Operation::Add(value) | Operation::Gate(value) => Some(*value),
            _ => None,
        }
    }
}

/// A value while a plan is built.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    value: Value,
    pub(crate) shape: Shape,
}

/// Collects the steps of a plan.
#[derive(Debug)]
pub(crate) struct Planner {
    images: Shape,
    steps: Vec<Step>,
}

impl Planner {
    /// Begins a plan for RGB images of `size`, height and width.
    pub(crate) fn new([height, width]: [usize; 2]) -> (Self, Node) {
        let images = [height, width, 3];
        (Self { images, steps: Vec::new() }, Node { value: Value::Images, shape: images })
    }

    /// The plan, whose last step gave the logits.
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

    /// `input + other`.
    pub(crate) fn add(&mut self, name: &str, input: Node, other: Node) -> Node {
        self.step(format!("{name}.add"), input, Operation::Add(other.value), input.shape)
    }

    /// The input itself where the activation is the identity.
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

    /// `input * sigmoid(gate)`, channel by channel.
    pub(crate) fn gate(&mut self, name: &str, input: Node, gate: Node) -> Node {
        self.step(name.to_owned(), input, Operation::Gate(gate.value), input.shape)
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
