//! BlazeFace's network, for images of any size.
//!
//! The network is convolutional: a convolution over 5x5 pixels, blocks of a depthwise and a pointwise convolution, and two heads, one
//! on the map of every 16th and one on that of every 32nd pixel. It runs row by row on visage's planar kernels.

use visage_kernels::{PlanarConv, PlanarRows, PlanarSeparable};

use crate::network::constants;
use crate::tflite::{Constant, Graph, Kind, Operation};

/// Pixels of the input for one of the coarsest map. Both sides of an input are multiples.
pub(crate) const GRAIN: usize = 32;
/// Rows of the input that are kept: those under the windows of two rows of the first map, and those that arrive meanwhile.
const INPUT_ROWS: usize = 12;
/// Rows of the input for two of the first map.
const STEP: usize = 4;
/// Columns of the input that the first convolution moves by, of which each is a channel.
const PHASES: usize = 2;

/// The network.
#[derive(Debug)]
pub(crate) struct BlazeFace {
    first: PlanarConv,
    first_channels: usize,
    blocks: Vec<Block>,
    heads: Vec<Head>,
}

#[derive(Debug)]
struct Block {
    layer: PlanarSeparable,
    channels: usize,
    stride: usize,
}

/// Scores and boxes from the map of a block.
#[derive(Debug)]
struct Head {
    layer: PlanarConv,
    block: usize,
    channels: usize,
}

/// The maps for inputs of one size.
#[derive(Debug)]
pub(crate) struct Maps {
    size: [usize; 2],
    input: PlanarRows,
    first: PlanarRows,
    blocks: Vec<PlanarRows>,
    heads: Vec<PlanarRows>,
}

impl BlazeFace {
    /// The network of a graph. `None` if it is another one.
    pub(crate) fn of(graph: &Graph) -> Option<Self> {
        Reader { graph, constants: constants(graph) }.network()
    }

    /// Maps for inputs of `size`, height and width.
    pub(crate) fn maps(&self, size: [usize; 2]) -> Maps {
        let mut at = size.map(|side| side / 2);
        let [height, width] = size;
        let input = PlanarRows::new(3 * PHASES, [height, width / PHASES], INPUT_ROWS);
        let kept = |block: usize| self.blocks.get(block).map_or(2, |block| block.layer.kept_rows());
        let first = PlanarRows::new(self.first_channels, at, kept(0));
        let mut blocks = Vec::new();
        for (number, block) in self.blocks.iter().enumerate() {
            at = at.map(|side| side / block.stride);
            blocks.push(PlanarRows::new(block.channels, at, kept(number + 1)));
        }
        let head = |head: &Head| {
            let size = [blocks[head.block].height(), blocks[head.block].width()];
            PlanarRows::new(head.channels, size, size[0])
        };
        let heads = self.heads.iter().map(head).collect();
        Maps { size, input, first, blocks, heads }
    }

    /// Computes the heads' maps. `fill` writes every second column of the input, given the row, the colour and the first column.
    ///
    /// A place of a head's map has the scores of its anchors, then each anchor's box.
    pub(crate) fn run<'a>(&self, maps: &'a mut Maps, mut fill: impl FnMut([usize; 3], &mut [f32])) -> &'a [PlanarRows] {
        let Maps { size, input, first, blocks, heads } = maps;
        let all = [&mut *input, &mut *first].into_iter().chain(&mut *blocks).chain(&mut *heads);
        all.for_each(PlanarRows::restart);
        while heads.iter().any(|head| head.end() < head.height()) {
            for row in input.end()..size[0].min(input.end() + STEP) {
                input.append(|channel, first, columns| {
                    let place = [row, channel / PHASES, PHASES * first + channel % PHASES];
                    fill(place, columns);
                });
            }
            self.first.advance(input, first);
            let mut before = &*first;
            for (block, rows) in self.blocks.iter().zip(&mut *blocks) {
                block.layer.advance(before, rows);
                before = rows;
            }
            for (head, rows) in self.heads.iter().zip(&mut *heads) {
                head.layer.advance(&blocks[head.block], rows);
            }
        }
        heads
    }
}

impl Maps {
    /// The size of the inputs, height and width.
    pub(crate) fn size(&self) -> [usize; 2] {
        self.size
    }
}

/// Recognises the network in a graph, from the input on.
struct Reader<'a> {
    graph: &'a Graph,
    constants: Vec<Option<&'a Constant>>,
}

impl<'a> Reader<'a> {
    fn network(&self) -> Option<BlazeFace> {
        let [_, height, width, 3] = self.graph.tensors[self.graph.input].shape[..] else { return None };
        let first = self.reader(self.graph.input, |kind| matches!(kind, Kind::Convolution(_)))?;
        let Kind::Convolution(sliding) = first.kind else { return None };
        let [channels, rows, columns, 3] = self.graph.tensors[*first.inputs.get(1)?].shape[..] else { return None };
        let [weight, bias] = self.weights(first)?;
        let window = sliding.window([rows, columns], height, width);
        if window.stride != [2, PHASES] || sliding.relu || weight.len() != bias.len() * rows * columns * 3 {
            return None;
        }
        let convolution = PlanarConv::new(window, 3, weight, bias, true);
        let mut tensor = self.after_relu(first.output)?;
        let (mut blocks, mut outputs, mut grain) = (Vec::new(), Vec::new(), 2);
        while let Some(depthwise) = self.reader(tensor, |kind| matches!(kind, Kind::Depthwise(_))) {
            let block = self.block(tensor, depthwise)?;
            tensor = block.1;
            grain *= block.0.stride;
            outputs.push(tensor);
            blocks.push(block.0);
        }
        let heads = self.heads(&outputs)?;
        (grain == GRAIN).then_some(BlazeFace { first: convolution, first_channels: channels, blocks, heads })
    }

    /// The block after a tensor, and its output.
    fn block(&self, input: usize, depthwise: &'a Operation) -> Option<(Block, usize)> {
        let Kind::Depthwise(sliding) = depthwise.kind else { return None };
        let [_, height, width, channels] = self.graph.tensors[input].shape[..] else { return None };
        let window = sliding.window([3, 3], height, width);
        let inner = self.weights(depthwise)?;
        let pointwise = self.reader(depthwise.output, |kind| matches!(kind, Kind::Convolution(_)))?;
        let outer = self.weights(pointwise)?;
        let is_linear = !sliding.relu && matches!(pointwise.kind, Kind::Convolution(sliding) if !sliding.relu);
        let lengths = [inner[0].len(), inner[1].len(), outer[0].len()];
        if !is_linear
            || !PlanarSeparable::windows().contains(&window)
            || lengths != [9 * channels, channels, channels * outer[1].len()]
        {
            return None;
        }
        let sum = self.reader(pointwise.output, |kind| matches!(kind, Kind::Add { relu: false }));
        let output = match sum {
            Some(sum) => {
                let other = *sum.inputs.iter().find(|&&other| other != pointwise.output)?;
                self.is_shortcut(input, other, window.stride).then_some(sum.output)?
            }
            None => pointwise.output,
        };
        let layer = PlanarSeparable::new(window, inner, outer, sum.is_some());
        let block = Block { layer, channels: outer[1].len(), stride: window.stride[0] };
        Some((block, self.after_relu(output)?))
    }

    /// Whether a tensor is the shortcut of a block from `input`: the input itself, or its maximum over 2x2 pixels; further channels are 0.
    fn is_shortcut(&self, input: usize, mut tensor: usize, stride: [usize; 2]) -> bool {
        if stride == [1, 1] {
            return tensor == input;
        }
        if let Some(Operation { kind: Kind::Pad, inputs, .. }) = self.producer(tensor) {
            let Some(Constant::Integers(zeros)) = inputs.get(1).and_then(|&zeros| self.constants[zeros]) else {
                return false;
            };
            if !matches!(zeros[..], [0, 0, 0, 0, 0, 0, 0, _]) {
                return false;
            }
            tensor = inputs[0];
        }
        let pool = self.producer(tensor);
        pool.is_some_and(|pool| {
            let is_half = |kind: &Kind| matches!(kind, Kind::MaxPool(s) if s.kernel == [2, 2] && s.stride == [2, 2]);
            is_half(&pool.kind) && pool.inputs.first() == Some(&input)
        })
    }

    /// The heads: the outputs of the graph are all boxes and all scores.
    fn heads(&self, blocks: &[usize]) -> Option<Vec<Head>> {
        let [boxes, scores] = self.graph.outputs[..] else { return None };
        let parts = |tensor: usize| {
            let joined = self.producer(tensor).filter(|operation| operation.kind == Kind::Concatenate)?;
            let convolution = |&view: &usize| self.producer(*self.producer(view)?.inputs.first()?);
            joined.inputs.iter().map(convolution).collect::<Option<Vec<_>>>()
        };
        let head = |(scores, boxes): (&Operation, &Operation)| {
            let input = *scores.inputs.first()?;
            let block = blocks.iter().position(|&output| output == input)?;
            let [score_weight, score_bias] = self.weights(scores)?;
            let [box_weight, box_bias] = self.weights(boxes)?;
            let (weight, bias) = ([score_weight, box_weight].concat(), [score_bias, box_bias].concat());
            let channels = *self.graph.tensors[input].shape.last()?;
            let is_linear = |operation: &Operation| matches!(operation.kind, Kind::Convolution(s) if !s.relu);
            let fits = boxes.inputs.first() == Some(&input)
                && weight.len() == channels * bias.len()
                && is_linear(scores)
                && is_linear(boxes);
            let layer = || PlanarConv::new(visage_kernels::Window::square(1, 1, 0), channels, &weight, &bias, false);
            fits.then(|| Head { layer: layer(), block, channels: bias.len() })
        };
        let (boxes, scores) = (parts(boxes)?, parts(scores)?);
        scores.into_iter().zip(boxes).map(head).collect()
    }

    /// The operation that computes a tensor.
    fn producer(&self, tensor: usize) -> Option<&'a Operation> {
        self.graph.operations.iter().find(|operation| operation.output == tensor)
    }

    /// An operation that reads a tensor.
    fn reader(&self, tensor: usize, is_kind: impl Fn(&Kind) -> bool) -> Option<&'a Operation> {
        self.graph.operations.iter().find(|operation| is_kind(&operation.kind) && operation.inputs.contains(&tensor))
    }

    fn after_relu(&self, tensor: usize) -> Option<usize> {
        self.reader(tensor, |kind| *kind == Kind::Relu).map(|relu| relu.output)
    }

    /// The weight and the bias of an operation.
    fn weights(&self, operation: &Operation) -> Option<[&'a [f32]; 2]> {
        let floats = |input: usize| match self.constants[*operation.inputs.get(input)?]? {
            Constant::Floats(values) => Some(values.as_slice()),
            Constant::Integers(_) => None,
        };
        Some([floats(1)?, floats(2)?])
    }
}

#[cfg(test)]
pub(crate) mod tests;
