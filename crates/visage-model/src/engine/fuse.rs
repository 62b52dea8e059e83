//! Operator fusion: pattern matching for the operations of a plan that one kernel computes together.
//!
//! | in the plan | fused |
//! | --- | --- |
//! | convolution or linear layer, `Add`, `Activation` | [`Operation::Conv`] |
//! | depthwise convolution, `Activation` | [`Operation::DepthwiseConv`] |
//! | 1x1 convolution, `Activation`, then the above | [`Operation::ExpandedDepthwiseConv`] |
//! | mean, 1x1 convolution, `Activation`, 1x1 convolution, `Gate` of the mean's input | [`Operation::SqueezeExcite`] |
//!
//! A result is fused only into its single reader. A fused step takes the place of its last operation, so that its inputs have been
//! computed.

use visage_kernels::{Activation, GateFunction, Window};

use crate::ops::POINT;
use crate::plan::{self, Filters, Plan, Shape, Value};

#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) input: Value,
    pub(super) operation: Operation,
    pub(super) shape: Shape,
}

/// What a fused step computes. Filters have the layout of the plan.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    /// `activation(convolution + residual)`
    Conv {
        filters: Filters,
        residual: Option<Value>,
        activation: Activation,
    },
    /// `activation(depthwise convolution)`
    DepthwiseConv {
        filters: Filters,
        activation: Activation,
    },
    /// A 1x1 convolution and its activation, then a depthwise convolution and its activation.
    ExpandedDepthwiseConv {
        expand: (Filters, Activation),
        depthwise: (Filters, Activation),
    },
    /// `input * function(expand(activation(reduce(mean of input))))` (Hu et al., 2018)
    SqueezeExcite {
        reduce: (Filters, Activation),
        expand: (Filters, GateFunction),
    },
    /// `activation(input + residual)` that follows no convolution.
    Elementwise {
        residual: Option<Value>,
        activation: Activation,
    },
    /// `input * function(gate)` that is not part of squeeze and excitation.
    Gate {
        gate: Value,
        function: GateFunction,
    },
    MaxPool(Window),
    GlobalAveragePool,
}

impl Operation {
    pub(super) fn other_input(&self) -> Option<Value> {
        match self {
            Operation::Conv { residual, .. } | Operation::Elementwise { residual, .. } => *residual,
            Operation::Gate { gate, .. } => Some(*gate),
            _ => None,
        }
    }

    pub(super) fn other_input_mut(&mut self) -> Option<&mut Value> {
        match self {
            Operation::Conv { residual, .. } | Operation::Elementwise { residual, .. } => residual.as_mut(),
            Operation::Gate { gate, .. } => Some(gate),
            _ => None,
        }
    }
}

/// The fused steps of `plan`, in topological order. The last computes the logits.
pub(super) fn fuse(plan: Plan) -> Vec<Step> {
    let mut readers = vec![0; plan.steps.len()];
    for step in &plan.steps {
        for value in [Some(step.input), step.operation.other_input()].into_iter().flatten() {
            if let Value::Of(index) = value {
                readers[index] += 1;
            }
        }
    }
    let mut fusion = Fusion { readers, made_by: Vec::new(), steps: Vec::new() };
    for step in plan.steps {
        fusion.add(step);
    }
    fusion.finish()
}

struct Fusion {
    /// The number of steps of the plan that read each step's result.
    readers: Vec<usize>,
    /// For each step of the plan so far, the fused value that contains its result.
    made_by: Vec<Value>,
    /// `None` where a later step includes it.
    steps: Vec<Option<Step>>,
}

impl Fusion {
    fn add(&mut self, plan::Step { input, operation, shape, .. }: plan::Step) {
        let from = self.fused(input);
        let fused = match operation {
            plan::Operation::Conv(filters) | plan::Operation::Linear(filters) => {
                let operation = Operation::Conv { filters, residual: None, activation: Activation::Identity };
                self.push(from, operation, shape)
            }
            plan::Operation::DepthwiseConv(filters) => self.depthwise(input, filters, shape),
            plan::Operation::Add(other) => self.sum(input, other, shape),
            plan::Operation::Activation(activation) => self.activation(input, activation, shape),
            plan::Operation::Gate(gate, function) => self.gate(input, (gate, function), shape),
            plan::Operation::MaxPool(window) => self.push(from, Operation::MaxPool(window), shape),
            plan::Operation::GlobalAveragePool => self.push(from, Operation::GlobalAveragePool, shape),
            plan::Operation::Flatten => from,
        };
        self.made_by.push(fused);
    }

    /// The fused value that contains a value of the plan.
    fn fused(&self, value: Value) -> Value {
        match value {
            Value::Images => Value::Images,
            Value::Of(index) => self.made_by[index],
        }
    }

    /// The fused step that computes a value of the plan, if only one step reads the value.
    fn sole(&self, value: Value) -> Option<(usize, &Step)> {
        let Value::Of(index) = value else { return None };
        let Value::Of(fused) = self.made_by[index] else { return None };
        let step = self.steps[fused].as_ref()?;
        (self.readers[index] == 1).then_some((fused, step))
    }

    /// Removes that step, to be part of a later one, if it `fits`.
    fn take_sole(&mut self, value: Value, fits: impl FnOnce(&Operation) -> bool) -> Option<Step> {
        let (index, _) = self.sole(value).filter(|(_, step)| fits(&step.operation))?;
        self.steps[index].take()
    }

    fn push(&mut self, input: Value, operation: Operation, shape: Shape) -> Value {
        self.steps.push(Some(Step { input, operation, shape }));
        Value::Of(self.steps.len() - 1)
    }

    fn depthwise(&mut self, input: Value, filters: Filters, shape: Shape) -> Value {
        let is_pointwise = |operation: &Operation| matches!(operation, Operation::Conv { filters, residual: None, .. } if filters.window == POINT);
        if let Some(Step { input, operation: Operation::Conv { filters: expand, activation, .. }, .. }) =
            self.take_sole(input, is_pointwise)
        {
            let (expand, depthwise) = ((expand, activation), (filters, Activation::Identity));
            return self.push(input, Operation::ExpandedDepthwiseConv { expand, depthwise }, shape);
        }
        let from = self.fused(input);
        self.push(from, Operation::DepthwiseConv { filters, activation: Activation::Identity }, shape)
    }

    fn sum(&mut self, input: Value, other: Value, shape: Shape) -> Value {
        let takes_sum = |operation: &Operation| {
            matches!(operation, Operation::Conv { residual: None, activation: Activation::Identity, .. })
        };
        for (input, other) in [(input, other), (other, input)] {
            if let Some(Step { input, operation: Operation::Conv { filters, activation, .. }, .. }) =
                self.take_sole(input, takes_sum)
            {
                let residual = Some(self.fused(other));
                return self.push(input, Operation::Conv { filters, residual, activation }, shape);
            }
        }
        let (input, residual) = (self.fused(input), Some(self.fused(other)));
        self.push(input, Operation::Elementwise { residual, activation: Activation::Identity }, shape)
    }

    fn activation(&mut self, input: Value, then: Activation, shape: Shape) -> Value {
        if let Some(index) = self.sole(input).map(|(index, _)| index)
            && let Some(Step { operation, .. }) = &mut self.steps[index]
            && let Operation::Conv { activation, .. }
            | Operation::DepthwiseConv { activation, .. }
            | Operation::ExpandedDepthwiseConv { depthwise: (_, activation), .. }
            | Operation::Elementwise { activation, .. } = operation
            && *activation == Activation::Identity
        {
            *activation = then;
            return Value::Of(index);
        }
        let from = self.fused(input);
        self.push(from, Operation::Elementwise { residual: None, activation: then }, shape)
    }

    fn gate(&mut self, input: Value, (gate, function): (Value, GateFunction), shape: Shape) -> Value {
        let from = self.fused(input);
        let Some([pool, reduce, expand]) = self.excitation(from, gate) else {
            let gate = self.fused(gate);
            return self.push(from, Operation::Gate { gate, function }, shape);
        };
        let [_, reduce, expand] =
            [pool, reduce, expand].map(|index| self.steps[index].take().map(|step| step.operation));
        let (Some(Operation::Conv { filters: reduce, activation, .. }), Some(Operation::Conv { filters: expand, .. })) =
            (reduce, expand)
        else {
            unreachable!("`excitation` found two convolutions")
        };
        let (reduce, expand) = ((reduce, activation), (expand, function));
        self.push(from, Operation::SqueezeExcite { reduce, expand }, shape)
    }

    /// The mean and the two convolutions that compute `gate` from the fused value `of`, if they are a squeeze and excitation.
    fn excitation(&self, of: Value, gate: Value) -> Option<[usize; 3]> {
        let layer = |step: &Step| match &step.operation {
            Operation::Conv { filters, residual: None, activation } if filters.window == POINT => Some(*activation),
            _ => None,
        };
        let (expand, second) = self.sole(gate).filter(|(_, step)| layer(step) == Some(Activation::Identity))?;
        let (reduce, first) = self.sole_fused(second.input).filter(|(_, step)| layer(step).is_some())?;
        let (pool, mean) = self.sole_fused(first.input)?;
        let is_mean_of_input = matches!(mean.operation, Operation::GlobalAveragePool) && mean.input == of;
        is_mean_of_input.then_some([pool, reduce, expand])
    }

    /// The step that computes a fused value, if only one step of the plan reads its last operation.
    fn sole_fused(&self, value: Value) -> Option<(usize, &Step)> {
        let last = self.made_by.iter().rposition(|&made| made == value)?;
        self.sole(Value::Of(last))
    }

    fn finish(self) -> Vec<Step> {
        let mut numbers = vec![usize::MAX; self.steps.len()];
        for (number, index) in (0..self.steps.len()).filter(|&index| self.steps[index].is_some()).enumerate() {
            numbers[index] = number;
        }
        let renumber = |value: &mut Value| {
            if let Value::Of(index) = value {
                *index = numbers[*index];
            }
        };
        let steps = self.steps.into_iter().flatten();
        steps
            .map(|mut step| {
                renumber(&mut step.input);
                step.operation.other_input_mut().into_iter().for_each(renumber);
                step
            })
            .collect()
    }
}
