//! A network as data: what it computes on images of one size, step by step, with norms folded into filters.
//!
//! It is what an exporter writes down. Every layer plans itself beside its forward pass, so that the two can be read
//! together.

use visage_kernels::{Activation, Window};

use crate::network::Network;

/// The steps of a network.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Height and width of the images.
    pub size: [usize; 2],
    /// In the order they can be done.
    pub steps: Vec<Step>,
    /// The logits.
    pub logits: Value,
}

/// What the images are, or what a step gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// Normalised images, `[batch, 3, height, width]`.
    Images,
    /// The result of the step at this index.
    Of(usize),
}

/// One step.
#[derive(Clone, Debug)]
pub struct Step {
    /// The layer, by its path in the module tree, such as `blocks.3.project`.
    pub name: String,
    /// What it works on.
    pub input: Value,
    /// What it does.
    pub operation: Operation,
}

/// What a step does. Shapes are in PyTorch's order: maps are `[batch, channels, height, width]`.
#[derive(Clone, Debug)]
pub enum Operation {
    /// `activation(conv(input) + bias + residual)`
    Conv {
        /// Row-major, of `filter_shape`.
        filters: Vec<f32>,
        /// `[out_channels, in_channels / groups, kernel_height, kernel_width]`
        filter_shape: [usize; 4],
        /// `[out_channels]`
        bias: Vec<f32>,
        /// 1, or as many as there are channels.
        groups: usize,
        /// Kernel, stride and padding.
        window: Window,
        /// A shortcut that joins before the activation.
        residual: Option<Value>,
        /// Applied last.
        activation: Activation,
    },
    /// The largest value of each window; padding never wins.
    MaxPool {
        /// Kernel, stride and padding.
        window: Window,
    },
    /// The mean over height and width, `[batch, channels, 1, 1]`.
    GlobalAveragePool,
    /// Every channel of the input times the sigmoid of `gate`.
    Gate {
        /// `[batch, channels, 1, 1]`
        gate: Value,
    },
    /// `[batch, channels, 1, 1]` to `[batch, channels]`.
    Flatten,
    /// `activation(input * weight^T + bias)`
    Linear {
        /// `[outputs, inputs]`, row-major.
        weight: Vec<f32>,
        /// `[outputs]`
        bias: Vec<f32>,
        /// Applied last.
        activation: Activation,
    },
}

impl Plan {
    /// What `network` computes on images of `size`, height and width, each at least 32.
    #[must_use]
    pub fn of(network: &Network, size: [usize; 2]) -> Self {
        let mut planner = Planner { steps: Vec::new() };
        let images = Planned { value: Value::Images, size };
        let logits = match network {
            Network::ResNet18(network) => network.plan(&mut planner, images),
            Network::EfficientNet(network) => network.plan(&mut planner, images),
        };
        Self { size, steps: planner.steps, logits }
    }
}

/// A value and the height and width of its map.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planned {
    pub(crate) value: Value,
    pub(crate) size: [usize; 2],
}

/// Collects the steps.
#[derive(Debug)]
pub(crate) struct Planner {
    steps: Vec<Step>,
}

impl Planner {
    /// Adds a step whose result is a map of `size`.
    pub(crate) fn step(&mut self, name: &str, input: Planned, operation: Operation, size: [usize; 2]) -> Planned {
        self.steps.push(Step { name: name.to_owned(), input: input.value, operation });
        Planned { value: Value::Of(self.steps.len() - 1), size }
    }

    /// Adds the step from the last map to features: `[batch, channels, height, width]` to `[batch, channels]`.
    pub(crate) fn pooled_features(&mut self, input: Planned) -> Planned {
        let pooled = self.step("pool", input, Operation::GlobalAveragePool, [1, 1]);
        self.step("features", pooled, Operation::Flatten, [1, 1])
    }
}

/// Height and width of what a window makes of a map of `size`.
pub(crate) fn windowed([height, width]: [usize; 2], window: Window) -> [usize; 2] {
    [window.out_height(height), window.out_width(width)]
}
