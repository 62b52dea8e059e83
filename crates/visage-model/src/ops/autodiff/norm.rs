//! Gradients of batch normalisation with the batch's statistics and with fixed ones.

use std::sync::Arc;

use burn::backend::Flex;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::retro_forward::RetroForward;
use burn::backend::autodiff::checkpoint::state::BackwardStates;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn_flex::FlexTensor;
use visage_kernels::{Activation, BatchStatistics};

use super::{Tracked, finish, into_contiguous};
use crate::ops::flex::{self, NormGradients, contiguous, tensor};
use crate::ops::{NetworkOps, Residual, buffers};

#[derive(Debug, Clone)]
struct BatchNormState {
    input: FlexTensor,
    gamma: FlexTensor,
    beta: FlexTensor,
    residual: Option<NodeId>,
    statistics: Arc<BatchStatistics>,
    activation: Activation,
}

#[derive(Debug)]
struct BatchNormTrain;

impl<const N: usize> Backward<Flex, N> for BatchNormTrain {
    type State = BatchNormState;

    fn backward(self, ops: Ops<BatchNormState, N>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let gradient = contiguous(grads.consume::<Flex>(&ops.node));
        let state = ops.state;
        let residual = state.residual.map(|node| contiguous(checkpointer.retrieve_node_output(node)));
        let gradients = flex::batch_norm_gradients(
            &state.input,
            &state.gamma,
            &state.beta,
            residual.as_ref(),
            &state.statistics,
            state.activation,
            &gradient,
        );
        register(grads, ops.parents.map(|node| node.map(|node| node.id)), gradients);
        [state.input, gradient].into_iter().chain(residual).for_each(buffers::recycle);
    }
}

/// Computes the output again, with the same bits.
#[derive(Debug)]
struct Recompute<const N: usize> {
    parents: [NodeId; N],
    statistics: Arc<BatchStatistics>,
    activation: Activation,
}

impl<const N: usize> RetroForward for Recompute<N> {
    fn forward(&self, states: &mut BackwardStates, output: NodeId) {
        let parents = self.parents.each_ref().map(|node| contiguous(states.get_state(node)));
        let (input, gamma, beta) = (&parents[0], &parents[1], &parents[2]);
        let recomputed =
            flex::batch_norm_recompute(input, gamma, beta, &self.statistics, parents.get(3), self.activation);
        states.save(output, recomputed);
    }
}

/// `parents` are input, gamma, beta and, if there is one, the residual.
fn finish_batch_norm<C: CheckpointStrategy, const N: usize>(
    parents: [Tracked; N],
    mut state: BatchNormState,
    output: FlexTensor,
) -> Tracked {
    let (statistics, activation) = (state.statistics.clone(), state.activation);
    let recompute = Recompute { parents: parents.each_ref().map(Tracked::id), statistics, activation };
    let prepared = BatchNormTrain.prepare::<C>(parents.each_ref().map(Tracked::node));
    match prepared.memory_bound().retro_forward(recompute).parents(&parents).stateful() {
        OpsKind::Tracked(mut prepared) => {
            state.residual = parents.get(3).map(|residual| prepared.checkpoint(residual));
            prepared.finish(state, output)
        }
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    }
}

pub(super) fn batch_norm_train<C: CheckpointStrategy>(
    input: Tracked,
    gamma: Tracked,
    beta: Tracked,
    residual: Option<Tracked>,
    epsilon: f64,
    activation: Activation,
) -> (Tracked, Tracked, Tracked) {
    let values = |tensor: &Tracked| contiguous(tensor.primitive().clone());
    let [x, gamma_values, beta_values] = [&input, &gamma, &beta].map(values);
    let (output, statistics) = flex::batch_norm_forward(
        &x,
        &gamma_values,
        &beta_values,
        residual.as_ref().map(values).as_ref(),
        epsilon,
        activation,
    );
    let channels = statistics.mean.len();
    let mean = Tracked::new(tensor(statistics.mean.clone(), [channels]));
    let variance = Tracked::new(tensor(statistics.variance.clone(), [channels]));
    let state = BatchNormState {
        input: x,
        gamma: gamma_values,
        beta: beta_values,
        residual: None,
        statistics: Arc::new(statistics),
        activation,
    };
    let output = match residual {
        None => finish_batch_norm::<C, 3>([input, gamma, beta], state, output),
        Some(residual) => finish_batch_norm::<C, 4>([input, gamma, beta, residual], state, output),
    };
    (output, mean, variance)
}

#[derive(Debug, Clone)]
struct ScaleShiftState {
    input: FlexTensor,
    scale: FlexTensor,
    shift: FlexTensor,
    residual: Option<FlexTensor>,
    activation: Activation,
}

#[derive(Debug)]
struct ScaleShift;

impl<const N: usize> Backward<Flex, N> for ScaleShift {
    type State = ScaleShiftState;

    fn backward(self, ops: Ops<ScaleShiftState, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = contiguous(grads.consume::<Flex>(&ops.node));
        let state = ops.state;
        let gradients = flex::scale_shift_gradients(
            &state.input,
            &state.scale,
            &state.shift,
            state.residual.as_ref(),
            state.activation,
            &gradient,
        );
        register(grads, ops.parents.map(|node| node.map(|node| node.id)), gradients);
        [state.input, gradient].into_iter().chain(state.residual).for_each(buffers::recycle);
    }
}

pub(super) fn scale_shift<C: CheckpointStrategy>(
    input: Tracked,
    scale: Tracked,
    shift: Tracked,
    residual: Option<Tracked>,
    activation: Activation,
) -> Tracked {
    let nodes = (input.node(), scale.node(), shift.node(), residual.as_ref().map(Tracked::node));
    let (input, scale, shift) = (into_contiguous(input), into_contiguous(scale), into_contiguous(shift));
    let residual = residual.map(into_contiguous);
    let output =
        Flex::scale_shift(input.clone(), scale.clone(), shift.clone(), Residual::of(residual.clone()), activation);
    let state = ScaleShiftState { input, scale, shift, residual, activation };
    match nodes {
        (input, scale, shift, None) => {
            finish(ScaleShift.prepare::<C>([input, scale, shift]).compute_bound().stateful(), state, output)
        }
        (input, scale, shift, Some(residual)) => {
            finish(ScaleShift.prepare::<C>([input, scale, shift, residual]).compute_bound().stateful(), state, output)
        }
    }
}

/// `parents` are input, scale, shift and, if there is one, the residual.
fn register<const N: usize>(grads: &mut Gradients, parents: [Option<NodeId>; N], gradients: NormGradients) {
    let NormGradients { input, scale, shift, residual } = gradients;
    for (node, gradient) in parents.into_iter().zip([Some(input), Some(scale), Some(shift), residual]) {
        if let (Some(node), Some(gradient)) = (node, gradient) {
            grads.register::<Flex>(node, gradient);
        }
    }
}
