//! Gradients of the operations, for `Autodiff<Flex>`.
//!
//! Each operation saves for its backward step what the kernel needs and no more, and computes only the gradients
//! somebody asked for: the images carry none, so the stem never computes its input's. Norms with their activation and gates are
//! cheap next to convolutions: where memory is short (`GradientCheckpointing`) their outputs are not kept but made once more.

use std::marker::PhantomData;
use std::sync::Arc;

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::retro_forward::RetroForward;
use burn::backend::autodiff::checkpoint::state::BackwardStates;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex, TensorMetadata};
use burn_flex::FlexTensor;
use visage_kernels::optimizer::{AdamStep, SgdStep};
use visage_kernels::{Activation, BatchStatistics, Window};

use super::flex::{self, ConvolutionKind, Dense, Depthwise, NormGradients, contiguous, tensor};
use super::{NetworkOps, Precision, Residual, buffers};

type Tracked = FloatTensor<Autodiff<Flex>>;

fn register(grads: &mut Gradients, node: Option<NodeId>, gradient: impl FnOnce() -> FlexTensor) {
    if let Some(node) = node {
        grads.register::<Flex>(node, gradient());
    }
}

fn into_contiguous(input: Tracked) -> FlexTensor {
    contiguous(input.into_primitive())
}

/// A convolution of either kind and its gradient.
#[derive(Debug)]
struct Convolution<K>(PhantomData<K>);

impl<K: ConvolutionKind> Backward<Flex, 2> for Convolution<K> {
    type State = (NodeId, FlexTensor, Window);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let gradient = contiguous(grads.consume::<Flex>(&ops.node));
        let (input, weight, window) = ops.state;
        let input = contiguous(checkpointer.retrieve_node_output(input));
        let [input_node, weight_node] = ops.parents.map(|node| node.map(|node| node.id));
        register(grads, weight_node, || K::weight_gradient(&input, &weight, window, &gradient));
        register(grads, input_node, || K::input_gradient(&input, &weight, window, &gradient));
        [input, gradient].into_iter().for_each(buffers::give);
    }
}

fn convolution<K: ConvolutionKind, C: CheckpointStrategy>(input: Tracked, weight: Tracked, window: Window) -> Tracked {
    let operation = Convolution::<K>(PhantomData);
    let prepared = operation.prepare::<C>([input.node(), weight.node()]).compute_bound().stateful();
    let weight = into_contiguous(weight);
    match prepared {
        OpsKind::Tracked(mut prepared) => {
            let kept = prepared.checkpoint(&input);
            let output = K::forward(into_contiguous(input), weight.clone(), window);
            prepared.finish((kept, weight, window), output)
        }
        OpsKind::UnTracked(prepared) => prepared.finish(K::forward(input.into_primitive(), weight, window)),
    }
}

impl<C: CheckpointStrategy> NetworkOps for Autodiff<Flex, C> {
    fn conv2d(input: Tracked, weight: Tracked, window: Window) -> Tracked {
        convolution::<Dense, C>(input, weight, window)
    }

    fn depthwise_conv2d(input: Tracked, weight: Tracked, window: Window) -> Tracked {
        convolution::<Depthwise, C>(input, weight, window)
    }

    fn batch_norm_train(
        input: Tracked,
        gamma: Tracked,
        beta: Tracked,
        residual: Residual<Self>,
        epsilon: f64,
        activation: Activation,
    ) -> (Tracked, Tracked, Tracked) {
        #[derive(Debug, Clone)]
        struct State {
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
            type State = State;

            fn backward(self, ops: Ops<State, N>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
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
                register_norm(grads, ops.parents.map(|node| node.map(|node| node.id)), gradients);
                [state.input, gradient].into_iter().chain(residual).for_each(buffers::give);
            }
        }

        /// The output once more, bit by bit.
        #[derive(Debug)]
        struct Again<const N: usize> {
            parents: [NodeId; N],
            statistics: Arc<BatchStatistics>,
            activation: Activation,
        }

        impl<const N: usize> RetroForward for Again<N> {
            fn forward(&self, states: &mut BackwardStates, output: NodeId) {
                let parents = self.parents.each_ref().map(|node| contiguous(states.get_state(node)));
                let (input, gamma, beta) = (&parents[0], &parents[1], &parents[2]);
                let again =
                    flex::batch_norm_again(input, gamma, beta, &self.statistics, parents.get(3), self.activation);
                states.save(output, again);
            }
        }

        fn finish<C: CheckpointStrategy, const N: usize>(
            parents: [Tracked; N],
            mut state: State,
            output: FlexTensor,
        ) -> Tracked {
            let (statistics, activation) = (state.statistics.clone(), state.activation);
            let again = Again { parents: parents.each_ref().map(Tracked::id), statistics, activation };
            let prepared = BatchNormTrain.prepare::<C>(parents.each_ref().map(Tracked::node));
            match prepared.memory_bound().retro_forward(again).parents(&parents).stateful() {
                OpsKind::Tracked(mut prepared) => {
                    state.residual = parents.get(3).map(|residual| prepared.checkpoint(residual));
                    prepared.finish(state, output)
                }
                OpsKind::UnTracked(prepared) => prepared.finish(output),
            }
        }

        let residual = residual.into_option();
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
        let state = State {
            input: x,
            gamma: gamma_values,
            beta: beta_values,
            residual: None,
            statistics: Arc::new(statistics),
            activation,
        };
        let output = match residual {
            None => finish::<C, 3>([input, gamma, beta], state, output),
            Some(residual) => finish::<C, 4>([input, gamma, beta, residual], state, output),
        };
        (output, mean, variance)
    }

    fn scale_shift(
        input: Tracked,
        scale: Tracked,
        shift: Tracked,
        residual: Residual<Self>,
        activation: Activation,
    ) -> Tracked {
        #[derive(Debug, Clone)]
        struct State {
            input: FlexTensor,
            scale: FlexTensor,
            shift: FlexTensor,
            residual: Option<FlexTensor>,
            activation: Activation,
        }

        #[derive(Debug)]
        struct ScaleShift;

        impl<const N: usize> Backward<Flex, N> for ScaleShift {
            type State = State;

            fn backward(self, ops: Ops<State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
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
                register_norm(grads, ops.parents.map(|node| node.map(|node| node.id)), gradients);
                [state.input, gradient].into_iter().chain(state.residual).for_each(buffers::give);
            }
        }

        let residual = residual.into_option();
        let nodes = (input.node(), scale.node(), shift.node(), residual.as_ref().map(Tracked::node));
        let (input, scale, shift) = (into_contiguous(input), into_contiguous(scale), into_contiguous(shift));
        let residual = residual.map(into_contiguous);
        let output =
            Flex::scale_shift(input.clone(), scale.clone(), shift.clone(), Residual::of(residual.clone()), activation);
        let state = State { input, scale, shift, residual, activation };
        match nodes {
            (input, scale, shift, None) => {
                match ScaleShift.prepare::<C>([input, scale, shift]).compute_bound().stateful() {
                    OpsKind::Tracked(prepared) => prepared.finish(state, output),
                    OpsKind::UnTracked(prepared) => prepared.finish(output),
                }
            }
            (input, scale, shift, Some(residual)) => {
                match ScaleShift.prepare::<C>([input, scale, shift, residual]).compute_bound().stateful() {
                    OpsKind::Tracked(prepared) => prepared.finish(state, output),
                    OpsKind::UnTracked(prepared) => prepared.finish(output),
                }
            }
        }
    }

    fn max_pool2d(input: Tracked, window: Window) -> Tracked {
        #[derive(Debug)]
        struct MaxPool2d;

        impl Backward<Flex, 1> for MaxPool2d {
            type State = ([usize; 4], Window, Arc<Vec<u32>>);

            fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
                let gradient = contiguous(grads.consume::<Flex>(&ops.node));
                let (input, window, winners) = ops.state;
                let [node] = ops.parents.map(|node| node.map(|node| node.id));
                register(grads, node, || flex::max_pool_gradient(input, window, &winners, &gradient));
                buffers::give(gradient);
            }
        }

        let shape = input.shape().dims();
        let prepared = MaxPool2d.prepare::<C>([input.node()]).compute_bound().stateful();
        let (output, winners) = flex::max_pool_forward(input.into_primitive(), window);
        match prepared {
            OpsKind::Tracked(prepared) => prepared.finish((shape, window, Arc::new(winners)), output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }

    fn global_average_pool(input: Tracked) -> Tracked {
        #[derive(Debug)]
        struct GlobalAveragePool;

        impl Backward<Flex, 1> for GlobalAveragePool {
            type State = [usize; 4];

            fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
                let gradient = contiguous(grads.consume::<Flex>(&ops.node));
                let [node] = ops.parents.map(|node| node.map(|node| node.id));
                register(grads, node, || flex::global_average_pool_gradient(ops.state, &gradient));
            }
        }

        let shape = input.shape().dims();
        let prepared = GlobalAveragePool.prepare::<C>([input.node()]).compute_bound().stateful();
        let output = Flex::global_average_pool(input.into_primitive());
        match prepared {
            OpsKind::Tracked(prepared) => prepared.finish(shape, output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }

    fn channel_gate(input: Tracked, gate: Tracked) -> Tracked {
        #[derive(Debug)]
        struct ChannelGate;

        impl Backward<Flex, 2> for ChannelGate {
            type State = (FlexTensor, FlexTensor);

            fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
                let gradient = contiguous(grads.consume::<Flex>(&ops.node));
                let (input, gate) = ops.state;
                let [input_node, gate_node] = ops.parents.map(|node| node.map(|node| node.id));
                let (input_gradient, gate_gradient) = flex::channel_gate_gradients(&input, &gate, &gradient);
                register(grads, input_node, || input_gradient);
                register(grads, gate_node, || gate_gradient);
                [input, gradient].into_iter().for_each(buffers::give);
            }
        }

        let prepared = ChannelGate.prepare::<C>([input.node(), gate.node()]).compute_bound().stateful();
        let (input, gate) = (into_contiguous(input), into_contiguous(gate));
        let output = Flex::channel_gate(input.clone(), gate.clone());
        match prepared {
            OpsKind::Tracked(prepared) => prepared.finish((input, gate), output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }

    fn squeeze_excite(
        input: Tracked,
        reduce: Tracked,
        reduce_bias: Tracked,
        expand: Tracked,
        expand_bias: Tracked,
    ) -> Tracked {
        #[derive(Debug)]
        struct SqueezeExcite;

        impl Backward<Flex, 5> for SqueezeExcite {
            /// The images, and the layers in the order of the parents.
            type State = (NodeId, [FlexTensor; 4]);

            fn backward(self, ops: Ops<Self::State, 5>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
                let gradient = contiguous(grads.consume::<Flex>(&ops.node));
                let (input, layers) = ops.state;
                let input = contiguous(checkpointer.retrieve_node_output(input));
                let gradients = flex::squeeze_excite_gradients(&input, &layers, &gradient);
                for (node, gradient) in ops.parents.into_iter().zip(gradients) {
                    register(grads, node.map(|node| node.id), || gradient);
                }
                [input, gradient].into_iter().for_each(buffers::give);
            }
        }

        /// The output once more, bit by bit.
        #[derive(Debug)]
        struct Again([NodeId; 5]);

        impl RetroForward for Again {
            fn forward(&self, states: &mut BackwardStates, output: NodeId) {
                let [input, layers @ ..] = self.0.each_ref().map(|node| contiguous(states.get_state(node)));
                states.save(output, flex::squeeze_excite_apart(&input, &layers));
            }
        }

        let parents = [input, reduce, reduce_bias, expand, expand_bias];
        let again = Again(parents.each_ref().map(Tracked::id));
        let prepared = SqueezeExcite.prepare::<C>(parents.each_ref().map(Tracked::node));
        match prepared.memory_bound().retro_forward(again).parents(&parents).stateful() {
            OpsKind::Tracked(mut prepared) => {
                let kept = prepared.checkpoint(&parents[0]);
                let [input, layers @ ..] = parents.map(into_contiguous);
                let output = flex::squeeze_excite_apart(&input, &layers);
                prepared.finish((kept, layers), output)
            }
            OpsKind::UnTracked(prepared) => {
                let [input, reduce, reduce_bias, expand, expand_bias] = parents.map(into_contiguous);
                prepared.finish(Flex::squeeze_excite(input, reduce, reduce_bias, expand, expand_bias))
            }
        }
    }

    // The step of an optimiser is no part of any graph: the results are fresh leaves.
    fn adam_step(
        parameter: Tracked,
        gradient: Tracked,
        first_moment: Tracked,
        second_moment: Tracked,
        step: AdamStep,
    ) -> (Tracked, Tracked, Tracked) {
        let (parameter, first_moment, second_moment) = Flex::adam_step(
            parameter.into_primitive(),
            gradient.into_primitive(),
            first_moment.into_primitive(),
            second_moment.into_primitive(),
            step,
        );
        (Tracked::new(parameter), Tracked::new(first_moment), Tracked::new(second_moment))
    }

    /// As [`NetworkOps::adam_step`].
    fn sgd_step(parameter: Tracked, gradient: Tracked, velocity: Tracked, step: SgdStep) -> (Tracked, Tracked) {
        let (parameter, velocity) =
            Flex::sgd_step(parameter.into_primitive(), gradient.into_primitive(), velocity.into_primitive(), step);
        (Tracked::new(parameter), Tracked::new(velocity))
    }

    fn sum_of_squares(input: Tracked) -> Tracked {
        Tracked::new(Flex::sum_of_squares(input.into_primitive()))
    }

    /// The gradient passes straight through, rounded as the value was: that is what computing in the type does to it.
    fn round(input: Tracked, precision: Precision) -> Tracked {
        #[derive(Debug)]
        struct Round;

        impl Backward<Flex, 1> for Round {
            type State = Precision;

            fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
                let gradient = grads.consume::<Flex>(&ops.node);
                let [node] = ops.parents.map(|node| node.map(|node| node.id));
                register(grads, node, || Flex::round(gradient, ops.state));
            }
        }

        let prepared = Round.prepare::<C>([input.node()]).compute_bound().stateful();
        let output = Flex::round(input.into_primitive(), precision);
        match prepared {
            OpsKind::Tracked(prepared) => prepared.finish(precision, output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }
}

/// Parents are input, scale, shift and, where there is one, the residual.
fn register_norm<const N: usize>(grads: &mut Gradients, parents: [Option<NodeId>; N], gradients: NormGradients) {
    let NormGradients { input, scale, shift, residual } = gradients;
    let gradients = [Some(input), Some(scale), Some(shift), residual];
    for (node, gradient) in parents.into_iter().zip(gradients) {
        if let (Some(node), Some(gradient)) = (node, gradient) {
            grads.register::<Flex>(node, gradient);
        }
    }
}
