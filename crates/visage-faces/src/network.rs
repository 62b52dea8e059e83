//! Running a network of TensorFlow Lite on visage's kernels, in f32.

use visage_kernels::{
    Activation, ConvShape, DepthwiseShape, Epilogue, conv2d_packed, depthwise_conv2d, max_pool2d, pack_conv2d,
};

use crate::tflite::{Constant, Graph, Kind, Operation, Sliding};

/// A network, compiled from its graph: constants are packed, and sums and activations are part of the convolutions before them.
#[derive(Debug)]
pub(crate) struct Network {
    steps: Vec<Step>,
    /// The shape of each tensor: height, width and channels.
    shapes: Vec<[usize; 3]>,
    /// For each tensor, the index of the last step that reads it.
    last_use: Vec<usize>,
    input: usize,
    outputs: Vec<usize>,
}

/// An operation with its constants.
#[derive(Debug)]
struct Step {
    work: Work,
    /// The tensors read, beside constants.
    inputs: Vec<usize>,
    output: usize,
}

#[derive(Debug)]
enum Work {
    Convolution {
        shape: ConvShape,
        filters: Vec<f32>,
        bias: Vec<f32>,
        relu: bool,
    },
    Depthwise {
        shape: DepthwiseShape,
        filters: Vec<f32>,
        bias: Vec<f32>,
        relu: bool,
    },
    MaxPool(DepthwiseShape),
    Add {
        relu: bool,
    },
    Relu,
    Prelu(Vec<f32>),
    /// Zeros before each axis: rows, columns, channels.
    Pad([usize; 3]),
    Copy,
    Concatenate,
}

impl Network {
    /// Compiles the network in a file. `None` where the file is damaged or another network.
    pub(crate) fn read(file: &[u8]) -> Option<Self> {
        Self::compile(&Graph::read(file)?)
    }

    /// Compiles a graph. `None` where it is damaged or another network.
    pub(crate) fn compile(graph: &Graph) -> Option<Self> {
        let shapes = graph.tensors.iter().map(|tensor| map_shape(&tensor.shape)).collect::<Option<Vec<_>>>()?;
        let mut steps = Compiler { graph, shapes: &shapes, constants: constants(graph) }.steps()?;
        fuse(&mut steps, graph);
        let mut last_use = vec![0; shapes.len()];
        for (number, step) in steps.iter().enumerate() {
            step.inputs.iter().for_each(|&tensor| last_use[tensor] = number);
        }
        graph.outputs.iter().for_each(|&tensor| last_use[tensor] = steps.len());
        Some(Network { steps, shapes, last_use, input: graph.input, outputs: graph.outputs.clone() })
    }

    /// The height, width and channels of the input.
    pub(crate) fn input_shape(&self) -> [usize; 3] {
        self.shapes[self.input]
    }

    /// The outputs for one image, in the file's order.
    pub(crate) fn run(&self, input: Vec<f32>) -> Vec<Vec<f32>> {
        let mut tensors: Vec<Vec<f32>> = vec![Vec::new(); self.shapes.len()];
        tensors[self.input] = input;
        for (number, step) in self.steps.iter().enumerate() {
            let mut output = vec![0.0; self.shapes[step.output].iter().product()];
            let inputs: Vec<&[f32]> = step.inputs.iter().map(|&tensor| tensors[tensor].as_slice()).collect();
            let shapes = [step.inputs[0], step.output].map(|tensor| self.shapes[tensor]);
            step.work.run(&inputs, shapes, &mut output);
            tensors[step.output] = output;
            for &tensor in &step.inputs {
                if self.last_use[tensor] <= number {
                    tensors[tensor] = Vec::new();
                }
            }
        }
        self.outputs.iter().map(|&tensor| std::mem::take(&mut tensors[tensor])).collect()
    }
}

/// Height, width and channels of a tensor's shape; constants of fewer axes have 1 before.
fn map_shape(shape: &[usize]) -> Option<[usize; 3]> {
    match *shape {
        [1, height, width, channels] => Some([height, width, channels]),
        [_, height, width, channels] => Some([height, width, channels]),
        [rows, columns, channels] => Some([rows, columns, channels]),
        [rows, columns] => Some([1, rows, columns]),
        [length] => Some([1, 1, length]),
        _ => None,
    }
}

/// The values of constants, also of those that come through a conversion from f16.
pub(crate) fn constants(graph: &Graph) -> Vec<Option<&Constant>> {
    let mut constants: Vec<Option<&Constant>> = graph.tensors.iter().map(|tensor| tensor.constant.as_ref()).collect();
    for Operation { kind, inputs, output } in &graph.operations {
        if *kind == Kind::Dequantize {
            constants[*output] = inputs.first().and_then(|&input| constants[input]);
        }
    }
    constants
}

struct Compiler<'a> {
    graph: &'a Graph,
    shapes: &'a [[usize; 3]],
    constants: Vec<Option<&'a Constant>>,
}

impl Compiler<'_> {
    fn steps(&self) -> Option<Vec<Step>> {
        let operations = self.graph.operations.iter().filter(|operation| operation.kind != Kind::Dequantize);
        operations.map(|operation| self.step(operation)).collect()
    }

    fn floats(&self, operation: &Operation, input: usize) -> Option<&[f32]> {
        match self.constants[*operation.inputs.get(input)?]? {
            Constant::Floats(values) => Some(values),
            Constant::Integers(_) => None,
        }
    }

    fn step(&self, operation: &Operation) -> Option<Step> {
        let &first = operation.inputs.first()?;
        let [in_height, in_width, in_channels] = self.shapes[first];
        let [_, _, out_channels] = self.shapes[operation.output];
        let depthwise = |sliding: Sliding, kernel: [usize; 2]| {
            let window = sliding.window(kernel, in_height, in_width);
            DepthwiseShape { batch: 1, in_height, in_width, channels: in_channels, window }
        };
        let kernel = || {
            let [height, width, _] = self.shapes[*operation.inputs.get(1)?];
            Some([height, width])
        };
        let bias = || self.floats(operation, 2).map(<[f32]>::to_vec).filter(|bias| bias.len() == out_channels);
        let work = match operation.kind {
            Kind::Convolution(sliding) => {
                let window = sliding.window(kernel()?, in_height, in_width);
                let shape = ConvShape { batch: 1, in_height, in_width, in_channels, out_channels, window };
                let filters = self.floats(operation, 1).filter(|filters| filters.len() == shape.weight_len())?;
                Work::Convolution { shape, filters: pack_conv2d(shape, filters), bias: bias()?, relu: sliding.relu }
            }
            Kind::Depthwise(sliding) => {
                let [height, width] = kernel()?;
                let filters = self.floats(operation, 1)?.to_vec();
                let shape = depthwise(sliding, [height, width]);
                (filters.len() == height * width * in_channels).then_some(())?;
                Work::Depthwise { shape, filters, bias: bias()?, relu: sliding.relu }
            }
            Kind::MaxPool(sliding) => Work::MaxPool(depthwise(sliding, sliding.kernel)),
            Kind::Add { relu } => Work::Add { relu },
            Kind::Relu => Work::Relu,
            Kind::Prelu => {
                Work::Prelu(self.floats(operation, 1).filter(|slopes| slopes.len() == in_channels)?.to_vec())
            }
            Kind::Pad => {
                let Some(Constant::Integers(zeros)) = self.constants[*operation.inputs.get(1)?] else { return None };
                let [_, _, top, _, left, _, before, _] = zeros[..] else { return None };
                let side = |zeros: i32| usize::try_from(zeros).ok();
                Work::Pad([side(top)?, side(left)?, side(before)?])
            }
            Kind::Reshape => Work::Copy,
            Kind::Concatenate => Work::Concatenate,
            Kind::Dequantize => return None,
        };
        let inputs = operation.inputs.iter().copied().filter(|&input| self.constants[input].is_none()).collect();
        Some(Step { work, inputs, output: operation.output })
    }
}

/// Makes sums and activations part of the convolutions before them, whose results nothing else reads.
fn fuse(steps: &mut Vec<Step>, graph: &Graph) {
    let mut number = 0;
    while number < steps.len() {
        let output = steps[number].output;
        let mut readers = (number + 1..steps.len()).filter(|&reader| steps[reader].inputs.contains(&output));
        let (Some(reader), None) = (readers.next(), readers.next()) else {
            number += 1;
            continue;
        };
        let is_ready = |tensor: usize| !steps[number..reader].iter().any(|step| step.output == tensor);
        let residual = match (&steps[reader].work, &steps[reader].inputs[..]) {
            (Work::Add { relu }, &[a, b]) if a != b => {
                let other = if a == output { b } else { a };
                is_ready(other).then_some((Some(other), *relu))
            }
            (Work::Relu, _) => Some((None, true)),
            _ => None,
        };
        let is_linear = match &steps[number].work {
            Work::Convolution { relu, .. } | Work::Depthwise { relu, .. } => !relu,
            _ => false,
        };
        // The kernels add one other map before the activation.
        let joins = residual.filter(|(other, _)| is_linear && (other.is_none() || steps[number].inputs.len() == 1));
        let Some((other, ends_in_relu)) = joins.filter(|_| !graph.outputs.contains(&output)) else {
            number += 1;
            continue;
        };
        let joined = steps.remove(reader);
        let step = &mut steps[number];
        step.inputs.extend(other);
        step.output = joined.output;
        if let Work::Convolution { relu, .. } | Work::Depthwise { relu, .. } = &mut step.work {
            *relu = ends_in_relu;
        }
        // The same step may take the next one too.
    }
}

impl Work {
    /// Computes `output` from `inputs`; `shapes` are those of the first input and of the output.
    fn run(&self, inputs: &[&[f32]], shapes: [[usize; 3]; 2], output: &mut [f32]) {
        let activation = |relu: bool| if relu { Activation::Relu } else { Activation::Identity };
        match self {
            Work::Convolution { shape, filters, bias, relu } => {
                let residual = inputs.get(1).copied();
                let epilogue = Epilogue { bias: Some(bias), residual, activation: activation(*relu) };
                conv2d_packed(*shape, inputs[0], filters, epilogue, output);
            }
            Work::Depthwise { shape, filters, bias, relu } => {
                let residual = inputs.get(1).copied();
                let epilogue = Epilogue { bias: Some(bias), residual, activation: activation(*relu) };
                depthwise_conv2d(*shape, inputs[0], filters, epilogue, output);
            }
            Work::MaxPool(shape) => max_pool2d(*shape, inputs[0], output, &mut vec![0; output.len()]),
            Work::Add { relu } => {
                for ((sum, a), b) in output.iter_mut().zip(inputs[0]).zip(inputs[1]) {
                    *sum = if *relu { (a + b).max(0.0) } else { a + b };
                }
            }
            Work::Relu => output.iter_mut().zip(inputs[0]).for_each(|(out, value)| *out = value.max(0.0)),
            Work::Prelu(slopes) => {
                for (out, pixel) in output.chunks_exact_mut(slopes.len()).zip(inputs[0].chunks_exact(slopes.len())) {
                    for ((out, value), slope) in out.iter_mut().zip(pixel).zip(slopes) {
                        *out = value.max(0.0) + slope * value.min(0.0);
                    }
                }
            }
            Work::Pad([top, left, before]) => {
                let [[height, width, channels], [_, out_width, out_channels]] = shapes;
                for y in 0..height {
                    for x in 0..width {
                        let from = (y * width + x) * channels;
                        let to = ((y + top) * out_width + x + left) * out_channels + before;
                        output[to..to + channels].copy_from_slice(&inputs[0][from..from + channels]);
                    }
                }
            }
            Work::Copy => output.copy_from_slice(inputs[0]),
            Work::Concatenate => {
                let mut rest = output;
                for input in inputs {
                    let (part, after) = rest.split_at_mut(input.len());
                    part.copy_from_slice(input);
                    rest = after;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::Path;

    use serde::Deserialize;

    use super::*;
    use crate::store::{DETECTOR, MESH};

    /// Every `step`-th value of an output.
    #[derive(Deserialize)]
    struct Sample {
        length: usize,
        step: usize,
        values: Vec<f32>,
    }

    fn formula(length: usize) -> Vec<f32> {
        (0..length as u64).map(|index| (index * 7919 % 251) as f32 / 125.0 - 1.0).collect()
    }

    /// Compares a network with TensorFlow Lite's results (`tests/golden/make.py`).
    fn check(name: &str, file: &[u8], tolerance: f32) {
        let golden: BTreeMap<String, Vec<Sample>> =
            serde_json::from_str(include_str!("../tests/golden/networks.json")).unwrap();
        let network = Network::read(file).unwrap();
        let outputs = network.run(formula(network.input_shape().iter().product()));
        assert_eq!(outputs.len(), golden[name].len());
        for (output, Sample { length, step, values }) in outputs.iter().zip(&golden[name]) {
            assert_eq!(output.len(), *length, "{name}");
            for (found, expected) in output.iter().step_by(*step).zip(values) {
                let scale = expected.abs().max(1.0);
                assert!((found - expected).abs() <= tolerance * scale, "{name}: {found} {expected}");
            }
        }
    }

    #[test]
    fn every_operation_is_tensorflow_lites() {
        check("small", include_bytes!("../tests/golden/small.tflite"), 1e-5);
    }

    #[test]
    #[ignore = "needs the networks, which are not in the repository: VISAGE_FACES names their folder"]
    fn the_real_networks_are_tensorflow_lites() {
        let folder = std::env::var_os("VISAGE_FACES").expect("VISAGE_FACES names the folder of the networks");
        for (name, file) in [("face_detection_back", DETECTOR), ("face_landmark", MESH)] {
            check(name, &fs::read(Path::new(&folder).join(file.name)).unwrap(), 1e-3);
        }
    }

    #[test]
    fn a_damaged_file_is_none() {
        let file = include_bytes!("../tests/golden/small.tflite");
        assert!(Network::read(b"").is_none());
        for length in (0..file.len()).step_by(11) {
            // Without its end a file may still be whole, where nothing refers to it. It never panics.
            drop(Network::read(&file[..length]));
        }
        for at in (0..file.len()).step_by(7) {
            let mut damaged = file.to_vec();
            damaged[at] ^= 0x81;
            drop(Network::read(&damaged));
        }
    }
}
