//! Gradients of squeeze and excitation.

use burn::backend::Flex;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::retro_forward::RetroForward;
use burn::backend::autodiff::checkpoint::state::BackwardStates;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn_flex::FlexTensor;

use super::{Tracked, into_contiguous, register};
use crate::ops::flex::{self, ExcitationFunctions, contiguous};
use crate::ops::{NetworkOps, buffers};

#[derive(Debug)]
struct SqueezeExcite;

impl Backward<Flex, 5> for SqueezeExcite {
    /// The input, the layers in the order of the parents, and their functions.
    type State = (NodeId, [FlexTensor; 4], ExcitationFunctions);

    fn backward(self, ops: Ops<Self::State, 5>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let gradient = contiguous(grads.consume::<Flex>(&ops.node));
        let (input, layers, functions) = ops.state;
        let input = contiguous(checkpointer.retrieve_node_output(input));
        let gradients = flex::squeeze_excite_gradients(&input, &layers, functions, &gradient);
        for (node, gradient) in ops.parents.into_iter().zip(gradients) {
            register(grads, node.map(|node| node.id), || gradient);
        }
        [input, gradient].into_iter().for_each(buffers::recycle);
    }
}

/// Computes the output again, with the same bits.
#[derive(Debug)]
struct Recompute([NodeId; 5], ExcitationFunctions);

impl RetroForward for Recompute {
    fn forward(&self, states: &mut BackwardStates, output: NodeId) {
        let [input, layers @ ..] = self.0.each_ref().map(|node| contiguous(states.get_state(node)));
        states.save(output, flex::squeeze_excite_into_new(&input, &layers, self.1));
    }
}

/// `parents` are the input, and weight and bias of the two layers.
pub(super) fn squeeze_excite<C: CheckpointStrategy>(parents: [Tracked; 5], functions: ExcitationFunctions) -> Tracked {
    let recompute = Recompute(parents.each_ref().map(Tracked::id), functions);
    let prepared = SqueezeExcite.prepare::<C>(parents.each_ref().map(Tracked::node));
    match prepared.memory_bound().retro_forward(recompute).parents(&parents).stateful() {
        OpsKind::Tracked(mut prepared) => {
            let input_node = prepared.checkpoint(&parents[0]);
            let [input, layers @ ..] = parents.map(into_contiguous);
            let output = flex::squeeze_excite_into_new(&input, &layers, functions);
            prepared.finish((input_node, layers, functions), output)
        }
        OpsKind::UnTracked(prepared) => {
            let [input, reduce, reduce_bias, expand, expand_bias] = parents.map(into_contiguous);
            let (activation, gate) = functions;
            let output = Flex::squeeze_excite(input, reduce, reduce_bias, expand, expand_bias, activation, gate);
            prepared.finish(output)
        }
    }
}
