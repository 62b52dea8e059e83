//! The executor of the CPU: kernels on packed filters, in planned memory.

use std::mem;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use visage_data::Preparation;
use visage_kernels as kernels;
use visage_kernels::{
    Activation, ConvShape, DepthwiseShape, Epilogue, Excitation, Expansion, GateFunction, MapShape, NormOperands,
};

use super::fuse::{Operation, Step};
use super::memory::{Memory, Place};
use super::schedule::{self, Section, Spread};
use super::{Executor, Pending, Prepared, State, normalise};
use crate::ops::Precision;
use crate::plan::{Filters, Shape, Value};
use crate::threads;

#[derive(Debug)]
pub(super) struct CpuExecutor {
    preparation: Preparation,
    sections: Vec<PackedSection>,
    /// Values of an image.
    image: usize,
}

impl CpuExecutor {
    pub(super) fn new(images: Shape, steps: Vec<Step>, preparation: Preparation, precision: Precision) -> Self {
        let mut input = images;
        let sections = schedule::sections(images, steps).into_iter().map(|section| {
            let output = section.steps.last().map_or(input, |step| step.shape);
            let packed = PackedSection::new(input, section, precision);
            input = output;
            packed
        });
        Self { sections: sections.collect(), preparation, image: images.iter().product() }
    }
}

impl Executor for CpuExecutor {
    fn start(&self, parts: &[Prepared<'_>]) -> Pending {
        let batch = parts.iter().map(Prepared::len).sum::<usize>() / self.image;
        let images = |range: Range<usize>, out: &mut Vec<f32>| {
            out.resize(range.len() * self.image, 0.0);
            normalise(&self.preparation, parts, range.start * self.image, out);
        };
        let logits = threads::awake(|| {
            let mut map: Option<Vec<f32>> = None;
            for section in &self.sections {
                let input = match (&map, parts) {
                    (Some(map), _) => Input::Values(map),
                    (None, [Prepared::Normalised(values)]) => Input::Values(values),
                    (None, _) => Input::Computed(&images),
                };
                map = Some(section.run(input, batch));
            }
            map.unwrap_or_default()
        });
        Pending(State::Ready(logits))
    }
}

#[derive(Clone, Copy)]
enum Input<'a> {
    /// The values of all images.
    Values(&'a [f32]),
    /// A function that writes the values of some images.
    Computed(&'a (dyn Fn(Range<usize>, &mut Vec<f32>) + Sync)),
}

#[derive(Debug)]
struct PackedSection {
    steps: Vec<PackedStep>,
    spread: Spread,
    /// Values of an image in the section's input and in its output.
    lens: [usize; 2],
    /// Values of an image in each buffer.
    buffers: Vec<usize>,
    /// Memory of earlier runs, for reuse.
    arenas: Mutex<Vec<Arena>>,
}

#[derive(Debug, Default)]
struct Arena {
    images: Vec<f32>,
    buffers: Vec<Vec<f32>>,
}

impl PackedSection {
    fn new(input: Shape, Section { steps, spread }: Section, precision: Precision) -> Self {
        let memory = Memory::plan(&steps);
        let shapes: Vec<Shape> = steps.iter().map(|step| step.shape).collect();
        let shape_of = |value: Value| match value {
            Value::Images => input,
            Value::Of(index) => shapes[index],
        };
        let operand = |value: Value| Operand { place: memory.place(value), len: shape_of(value).iter().product() };
        let packed = steps.into_iter().enumerate().map(|(index, step)| PackedStep {
            input: operand(step.input),
            other: step.operation.other_input().map(operand),
            result: operand(Value::Of(index)),
            kernel: Kernel::new(step.operation, shape_of(step.input), step.shape, precision),
        });
        Self {
            steps: packed.collect(),
            spread,
            lens: [input, *shapes.last().unwrap_or(&input)].map(|shape| shape.iter().product()),
            buffers: memory.buffers.clone(),
            arenas: Mutex::default(),
        }
    }

    /// The section's output for `batch` images.
    fn run(&self, input: Input<'_>, batch: usize) -> Vec<f32> {
        let [_, len] = self.lens;
        let mut output = vec![0.0; batch * len];
        match self.group(batch) {
            None => self.compute(input, 0..batch, &mut output),
            Some(group) => {
                output.par_chunks_mut(group * len).enumerate().with_max_len(1).for_each(|(index, output)| {
                    let first = index * group;
                    kernels::alone(|| self.compute(input, first..first + output.len() / len, output));
                });
            }
        }
        output
    }

    /// The number of images in a group, which runs on one thread. `None` if the whole batch runs at once: also if groups would leave
    /// threads idle for more than a quarter of the time.
    fn group(&self, batch: usize) -> Option<usize> {
        let Spread::Groups(most) = self.spread else { return None };
        let threads = rayon::current_num_threads();
        let group = most.min(batch.div_ceil(threads)).max(1);
        let groups = batch.div_ceil(group);
        (4 * groups >= 3 * groups.next_multiple_of(threads)).then_some(group)
    }

    fn compute(&self, input: Input<'_>, images: Range<usize>, output: &mut [f32]) {
        let arenas = || self.arenas.lock().unwrap_or_else(PoisonError::into_inner);
        let mut arena = arenas().pop().unwrap_or_default();
        let batch = images.len();
        let input = match input {
            Input::Values(values) => &values[images.start * self.lens[0]..images.end * self.lens[0]],
            Input::Computed(compute) => {
                compute(images, &mut arena.images);
                &arena.images
            }
        };
        arena.buffers.resize_with(self.buffers.len(), Vec::new);
        for (buffer, len) in arena.buffers.iter_mut().zip(&self.buffers) {
            buffer.resize(buffer.len().max(batch * len), 0.0);
        }
        for step in &self.steps {
            step.run(batch, input, &mut arena.buffers, output);
        }
        arenas().push(arena);
    }
}

#[derive(Clone, Copy, Debug)]
struct Operand {
    place: Place,
    /// Values of an image.
    len: usize,
}

#[derive(Debug)]
struct PackedStep {
    kernel: Kernel,
    input: Operand,
    other: Option<Operand>,
    result: Operand,
}

impl PackedStep {
    fn run(&self, batch: usize, input: &[f32], buffers: &mut [Vec<f32>], output: &mut [f32]) {
        let Operand { place, len } = self.result;
        // Taken out of the buffers, so that it can be written while they are read.
        let mut own = match place {
            Place::Buffer(buffer) => mem::take(&mut buffers[buffer]),
            Place::Input | Place::Output => Vec::new(),
        };
        let result = if place == Place::Output { output } else { &mut own[..batch * len] };
        let read = |operand: Operand| match operand.place {
            Place::Input => &input[..batch * operand.len],
            // No step of the section reads its output.
            Place::Output => &[],
            Place::Buffer(buffer) => &buffers[buffer][..batch * operand.len],
        };
        // `None` if the kernel works in place: then the input was taken out as the result.
        let input = (self.input.place != place).then(|| read(self.input));
        self.kernel.run(batch, input, self.other.map(read), result);
        if let Place::Buffer(buffer) = place {
            buffers[buffer] = own;
        }
    }
}

/// A kernel with its weights. Shapes are those of one image.
#[derive(Debug)]
enum Kernel {
    Conv { shape: ConvShape, filters: Vec<f32>, bias: Vec<f32>, activation: Activation },
    DepthwiseConv { shape: DepthwiseShape, filters: Vec<f32>, bias: Vec<f32>, activation: Activation },
    ExpandedDepthwiseConv { expand: Box<Kernel>, depthwise: Box<Kernel> },
    SqueezeExcite { positions: usize, layers: Layers },
    Elementwise { channels: usize, activation: Activation },
    Gate { shape: MapShape, function: GateFunction },
    MaxPool(DepthwiseShape),
    GlobalAveragePool(MapShape),
}

#[derive(Debug)]
struct Layers {
    /// `[hidden, channels]`
    reduce: Vec<f32>,
    reduce_bias: Vec<f32>,
    /// `[hidden, channels]`
    expand: Vec<f32>,
    expand_bias: Vec<f32>,
    activation: Activation,
    gate: GateFunction,
}

impl Kernel {
    /// The kernel of an operation on maps of the shape `input`.
    fn new(operation: Operation, input: Shape, output: Shape, precision: Precision) -> Self {
        let [height, width, channels] = input;
        let map = MapShape { batch: 1, pixels: height * width, channels };
        match operation {
            Operation::Conv { filters, activation, .. } => Self::conv(input, filters, activation, precision),
            Operation::DepthwiseConv { filters, activation } => Self::depthwise(input, filters, activation, precision),
            Operation::ExpandedDepthwiseConv { expand, depthwise } => {
                let expanded = [height, width, output[2]];
                Self::ExpandedDepthwiseConv {
                    expand: Box::new(Self::conv(input, expand.0, expand.1, precision)),
                    depthwise: Box::new(Self::depthwise(expanded, depthwise.0, depthwise.1, precision)),
                }
            }
            Operation::SqueezeExcite { reduce: (reduce, activation), expand: (expand, gate) } => {
                let hidden = reduce.bias.len();
                let transposed =
                    (0..hidden * channels).map(|at| expand.weights[at % channels * hidden + at / channels]);
                let layers = Layers {
                    reduce: reduce.weights,
                    reduce_bias: reduce.bias,
                    expand: transposed.collect(),
                    expand_bias: expand.bias,
                    activation,
                    gate,
                };
                Self::SqueezeExcite { positions: height * width, layers }
            }
            Operation::Elementwise { activation, .. } => Self::Elementwise { channels, activation },
            Operation::Gate { function, .. } => Self::Gate { shape: map, function },
            Operation::MaxPool(window) => {
                Self::MaxPool(DepthwiseShape { batch: 1, in_height: height, in_width: width, channels, window })
            }
            Operation::GlobalAveragePool => Self::GlobalAveragePool(map),
        }
    }

    fn conv(
        input: Shape,
        Filters { weights, bias, window }: Filters,
        activation: Activation,
        precision: Precision,
    ) -> Self {
        let [in_height, in_width, in_channels] = input;
        let shape = ConvShape { batch: 1, in_height, in_width, in_channels, out_channels: bias.len(), window };
        let mut filters = kernels::pack_conv2d(shape, &weights);
        precision.round(&mut filters);
        Self::Conv { shape, filters, bias, activation }
    }

    fn depthwise(input: Shape, filters: Filters, activation: Activation, precision: Precision) -> Self {
        let ([in_height, in_width, channels], Filters { mut weights, bias, window }) = (input, filters);
        precision.round(&mut weights);
        let shape = DepthwiseShape { batch: 1, in_height, in_width, channels, window };
        Self::DepthwiseConv { shape, filters: weights, bias, activation }
    }

    /// Computes `batch` images. Without `input`, the kernel works in place on `result`.
    fn run(&self, batch: usize, input: Option<&[f32]>, other: Option<&[f32]>, result: &mut [f32]) {
        let (Some(input), kernel) = (input, self) else { return self.run_in_place(batch, result) };
        match kernel {
            Self::Conv { shape, filters, bias, activation } => {
                let epilogue = Epilogue { bias: Some(bias), residual: other, activation: *activation };
                kernels::conv2d_packed(ConvShape { batch, ..*shape }, input, filters, epilogue, result);
            }
            Self::DepthwiseConv { shape, filters, bias, activation } => {
                let epilogue = Epilogue { bias: Some(bias), residual: None, activation: *activation };
                kernels::depthwise_conv2d(DepthwiseShape { batch, ..*shape }, input, filters, epilogue, result);
            }
            Self::ExpandedDepthwiseConv { expand, depthwise } => {
                let (
                    Self::Conv { shape: dense, filters, bias, activation },
                    Self::DepthwiseConv { shape, filters: weight, bias: shift, activation: last },
                ) = (&**expand, &**depthwise)
                else {
                    unreachable!("`Kernel::new` makes a dense and a depthwise convolution")
                };
                let (in_channels, activation) = (dense.in_channels, *activation);
                let expansion = Expansion { in_channels, filters, bias, activation };
                let epilogue = Epilogue { bias: Some(shift), residual: None, activation: *last };
                let shape = DepthwiseShape { batch, ..*shape };
                kernels::expanded_depthwise_conv2d(shape, input, expansion, weight, epilogue, result);
            }
            Self::SqueezeExcite { positions, layers } => {
                kernels::squeeze_excite_into(batch, *positions, layers.excitation(), input, result);
            }
            Self::Elementwise { channels, activation } => {
                let (ones, zeros) = (vec![1.0; *channels], vec![0.0; *channels]);
                let operands =
                    NormOperands { input, scale: &ones, shift: &zeros, residual: other, activation: *activation };
                kernels::scale_shift(operands, result);
            }
            Self::Gate { shape, function } => {
                let factor = |&value: &f32| match function {
                    GateFunction::Sigmoid => visage_judge::sigmoid(value),
                    GateFunction::HardSigmoid => (value + 3.0).clamp(0.0, 6.0) / 6.0,
                };
                let gate: Vec<f32> = other.unwrap_or_default().iter().map(factor).collect();
                kernels::channel_gate(MapShape { batch, ..*shape }, input, &gate, result);
            }
            Self::MaxPool(shape) => {
                let mut winners = vec![0; result.len()];
                kernels::max_pool2d(DepthwiseShape { batch, ..*shape }, input, result, &mut winners);
            }
            Self::GlobalAveragePool(shape) => {
                kernels::global_average_pool(MapShape { batch, ..*shape }, input, result);
            }
        }
    }

    fn run_in_place(&self, batch: usize, values: &mut [f32]) {
        let Self::SqueezeExcite { positions, layers } = self else {
            unreachable!("the memory plan lets only squeeze and excitation work in place")
        };
        kernels::squeeze_excite(batch, *positions, layers.excitation(), values);
    }
}

impl Layers {
    fn excitation(&self) -> Excitation<'_> {
        Excitation {
            reduce: &self.reduce,
            reduce_bias: &self.reduce_bias,
            expand: &self.expand,
            expand_bias: &self.expand_bias,
            activation: self.activation,
            gate: self.gate,
        }
    }
}
