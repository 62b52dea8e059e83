//! Squeeze and excitation.

use burn::module::Module;
use burn::tensor::{Device, Tensor, activation};

use super::{Linear, Pass};
use crate::ops::{self, Activation, Precision};
use crate::plan::{Node, Planner};

/// Squeeze and excitation (Hu et al., 2018): every channel is multiplied by a weight computed from the means of all channels.
#[derive(Module, Debug)]
pub(crate) struct SqueezeExcite {
    reduce: Linear,
    expand: Linear,
}

impl SqueezeExcite {
    pub(crate) fn new(channels: usize, squeezed: usize, device: &Device) -> Self {
        Self { reduce: Linear::new(channels, squeezed, device), expand: Linear::new(squeezed, channels, device) }
    }

    /// `[batch, height, width, channels]` to the same shape.
    pub(crate) fn forward(&self, input: Tensor<4>, pass: Pass<'_>) -> Tensor<4> {
        let Self { reduce, expand } = self;
        if pass.precision() == Precision::F32 {
            let (reduce, reduce_bias) = (reduce.weight.val(), reduce.bias.val());
            return ops::squeeze_excite(input, reduce, reduce_bias, expand.weight.val().transpose(), expand.bias.val());
        }
        // In a 16-bit type the intermediate results are rounded too.
        let pooled = pass.round(ops::global_average_pool(input.clone()));
        let squeezed = reduce.forward(pooled, None, Activation::Silu, pass);
        let gate = expand.forward(squeezed, None, Activation::Identity, pass);
        let gate = pass.round(activation::sigmoid(gate));
        pass.round(ops::channel_gate(input, gate))
    }

    /// Adds [`forward`](Self::forward) to a plan.
    pub(crate) fn plan(&self, planner: &mut Planner, name: &str, input: Node) -> Node {
        let pooled = planner.global_average_pool(&format!("{name}.pool"), input);
        let reduce = format!("{name}.reduce");
        let squeezed = self.reduce.plan_as_conv(planner, &reduce, pooled);
        let squeezed = planner.activation(&reduce, squeezed, Activation::Silu);
        let gate = self.expand.plan_as_conv(planner, &format!("{name}.expand"), squeezed);
        planner.gate(name, input, gate)
    }
}
