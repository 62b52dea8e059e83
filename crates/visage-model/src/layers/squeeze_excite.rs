//! Squeeze and excitation.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::{Linear, Pass};
use crate::ops::{self, Activation, GateFunction, Precision, composed};
use crate::plan::{Node, Planner};

/// What a [`SqueezeExcite`] is made from, besides the number of channels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExcitationConfig {
    /// Units of the first layer.
    pub(crate) hidden: usize,
    /// Follows the first layer.
    pub(crate) activation: Activation,
    /// Follows the second layer.
    pub(crate) gate: GateFunction,
}

/// Squeeze and excitation (Hu et al., 2018): every channel is multiplied by a weight computed from the means of all channels.
#[derive(Module, Debug)]
pub(crate) struct SqueezeExcite {
    reduce: Linear,
    expand: Linear,
    #[module(skip)]
    config: ExcitationConfig,
}

impl SqueezeExcite {
    pub(crate) fn new(channels: usize, config: ExcitationConfig, device: &Device) -> Self {
        let hidden = config.hidden;
        Self { reduce: Linear::new(channels, hidden, device), expand: Linear::new(hidden, channels, device), config }
    }

    /// `[batch, height, width, channels]` to the same shape.
    pub(crate) fn forward(&self, input: Tensor<4>, pass: Pass<'_>) -> Tensor<4> {
        let Self { reduce, expand, config: ExcitationConfig { activation, gate, .. } } = self;
        if pass.precision() == Precision::F32 {
            let (reduce, reduce_bias) = (reduce.weight.val(), reduce.bias.val());
            let (expand, expand_bias) = (expand.weight.val().transpose(), expand.bias.val());
            return ops::squeeze_excite(input, reduce, reduce_bias, expand, expand_bias, *activation, *gate);
        }
        // In a 16-bit type the intermediate results are rounded too.
        let pooled = pass.round(ops::global_average_pool(input.clone()));
        let squeezed = reduce.forward(pooled, None, *activation, pass);
        let factors = expand.forward(squeezed, None, Activation::Identity, pass);
        let factors = pass.round(composed::gate(factors, *gate));
        pass.round(ops::channel_gate(input, factors))
    }

    /// Adds [`forward`](Self::forward) to a plan.
    pub(crate) fn plan(&self, planner: &mut Planner, name: &str, input: Node) -> Node {
        let pooled = planner.global_average_pool(&format!("{name}.pool"), input);
        let reduce = format!("{name}.reduce");
        let squeezed = self.reduce.plan_as_conv(planner, &reduce, pooled);
        let squeezed = planner.activation(&reduce, squeezed, self.config.activation);
        let factors = self.expand.plan_as_conv(planner, &format!("{name}.expand"), squeezed);
        planner.gate(name, input, factors, self.config.gate)
    }
}
