//! Gradients of the operations, for `Autodiff<Flex>`.
//!
//! Each operation keeps for its backward pass only what the kernel needs. It computes a gradient only if the parent tracks gradients:
//! the stem, for example, computes none for the images. Norms and squeeze and excitation are cheap compared with convolutions. With
//! gradient checkpointing their outputs are not kept but recomputed.

mod norm;
mod squeeze_excite;

use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::Arc;

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex, TensorMetadata};
use burn_flex::FlexTensor;
use visage_kernels::optimizer::{AdamStep, SgdStep};
use visage_kernels::{Activation, GateFunction, Window};

use super::flex::{self, ConvolutionKind, Dense, Depthwise, contiguous};
use super::{NetworkOps, Precision, Residual, buffers};

/// A tensor that may track gradients.
type Tracked = FloatTensor<Autodiff<Flex>>;

fn register(grads: &mut Gradients, node: Option<NodeId>, gradient: impl FnOnce() -> FlexTensor) {
    if let Some(node) = node {
        grads.register::<Flex>(node, gradient());
    }
}

/// Records an operation whose state needs no checkpoint.
fn finish<O, S, C, const N: usize>(prepared: OpsKind<O, Flex, S, C, N>, state: S, output: FlexTensor) -> Tracked
where
    O: Backward<Flex, N, State = S>,
    S: Clone + Send + Debug + 'static,
{
    match prepared {
        OpsKind::Tracked(prepared) => prepared.finish(state, output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    }
}

fn into_contiguous(input: Tracked) -> FlexTensor {
    contiguous(input.into_primitive())
}

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
        [input, gradient].into_iter().for_each(buffers::recycle);
    }
}

fn convolution<K: ConvolutionKind, C: CheckpointStrategy>(input: Tracked, weight: Tracked, window: Window) -> Tracked {
    let operation = Convolution::<K>(PhantomData);
    let prepared = operation.prepare::<C>([input.node(), weight.node()]).compute_bound().stateful();
    let weight = into_contiguous(weight);
    match prepared {
        OpsKind::Tracked(mut prepared) => {
            let input_node = prepared.checkpoint(&input);
            let output = K::forward(into_contiguous(input), weight.clone(), window);
            prepared.finish((input_node, weight, window), output)
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
        norm::batch_norm_train::<C>(input, gamma, beta, residual.into_option(), epsilon, activation)
    }

    fn scale_shift(
        input: Tracked,
        scale: Tracked,
        shift: Tracked,
        residual: Residual<Self>,
        activation: Activation,
    ) -> Tracked {
        norm::scale_shift::<C>(input, scale, shift, residual.into_option(), activation)
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
                buffers::recycle(gradient);
            }
        }

        let shape = input.shape().dims();
        let prepared = MaxPool2d.prepare::<C>([input.node()]).compute_bound().stateful();
        let (output, winners) = flex::max_pool_forward(input.into_primitive(), window);
        finish(prepared, (shape, window, Arc::new(winners)), output)
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
        finish(prepared, shape, output)
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
                [input, gradient].into_iter().for_each(buffers::recycle);
            }
        }

        let prepared = ChannelGate.prepare::<C>([input.node(), gate.node()]).compute_bound().stateful();
        let (input, gate) = (into_contiguous(input), into_contiguous(gate));
        let output = Flex::channel_gate(input.clone(), gate.clone());
        finish(prepared, (input, gate), output)
    }

    fn squeeze_excite(
        input: Tracked,
        reduce: Tracked,
        reduce_bias: Tracked,
        expand: Tracked,
        expand_bias: Tracked,
        activation: Activation,
        gate: GateFunction,
    ) -> Tracked {
        squeeze_excite::squeeze_excite::<C>([input, reduce, reduce_bias, expand, expand_bias], (activation, gate))
    }

    // An optimiser's step is not part of the graph. Its results are new leaves.
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

    fn sgd_step(parameter: Tracked, gradient: Tracked, velocity: Tracked, step: SgdStep) -> (Tracked, Tracked) {
        let (parameter, velocity) =
            Flex::sgd_step(parameter.into_primitive(), gradient.into_primitive(), velocity.into_primitive(), step);
        (Tracked::new(parameter), Tracked::new(velocity))
    }

    fn sum_of_squares(input: Tracked) -> Tracked {
        Tracked::new(Flex::sum_of_squares(input.into_primitive()))
    }

    /// The gradient is rounded as the values are, as if the backward pass computed in the type.
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
        finish(prepared, precision, output)
    }
}
