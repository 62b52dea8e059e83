//! Static quantisation to int8 in the QDQ format: QuantizeLinear and DequantizeLinear nodes around every operation, which runtimes
//! fuse into integer kernels.
//!
//! Weights are symmetric int8 with a scale for each output. Activations are uint8 with a scale and a zero point for each tensor. Biases
//! are int32, with the product of both scales (Jacob et al., "Quantization and Training of Neural Networks for Efficient
//! Integer-Arithmetic-Only Inference", 2018). The input of a ReLU is not quantised, because runtimes fuse the ReLU with the operation
//! before it. Logits and later values stay in f32.

use std::collections::{HashMap, HashSet};

use super::builder::{Builder, int};
use super::graph::{LOGITS, MEAN, PREPARATION};
use super::ranges::Ranges;
use super::schema::{DataType, GraphProto, ModelProto, NodeProto, TensorProto};
use super::tensor::Array;
use crate::error::GraphError;

/// The largest quantised weight.
const WEIGHT_STEPS: f32 = 127.0;
/// The largest quantised activation.
const STEPS: f32 = 255.0;
/// The largest quantised bias: less than the largest int32, so that sums do not overflow.
const BIAS_STEPS: f32 = (1 << 30) as f32;

#[derive(Clone, Copy, Debug)]
struct Affine {
    scale: f32,
    zero_point: u8,
}

impl Affine {
    fn of([low, high]: [f32; 2]) -> Self {
        let (low, high) = (low.min(0.0), high.max(0.0));
        // The scale is positive even if the tensor is constant 0.
        let scale = ((high - low) / STEPS).max(f32::MIN_POSITIVE * STEPS);
        Self { scale, zero_point: (-low / scale).round_ties_even().clamp(0.0, STEPS) as u8 }
    }
}

/// Quantises the network in a graph that visage wrote in f32. `ranges` are those of its tensors.
pub(super) fn quantised(model: &ModelProto, ranges: &Ranges) -> Result<ModelProto, GraphError> {
    let graph = model.graph.as_ref().ok_or_else(|| GraphError::NotOnnx("it has no graph".to_owned()))?;
    let graph = Quantiser::new(graph, ranges)?.graph()?;
    Ok(ModelProto { graph: Some(graph), ..model.clone() })
}

struct Quantiser<'a> {
    graph: &'a GraphProto,
    constants: HashMap<&'a str, &'a TensorProto>,
    /// The nodes of the networks: after the normalisation, up to their logits.
    network: Vec<&'a NodeProto>,
    affine: HashMap<&'a str, Affine>,
    builder: Builder,
    /// Constants of which the network uses the quantised form.
    replaced: HashSet<&'a str>,
}

impl<'a> Quantiser<'a> {
    fn new(graph: &'a GraphProto, ranges: &Ranges) -> Result<Self, GraphError> {
        let constants: HashMap<&str, &TensorProto> = graph.initializer.iter().map(|c| (c.name(), c)).collect();
        let end = graph.node.iter().position(|node| node.output.iter().any(|output| output == LOGITS));
        let end = end.ok_or_else(|| GraphError::NotOnnx("it has no logits".to_owned()))?;
        let is_network = |node: &&NodeProto| ![PREPARATION, MEAN].iter().any(|prefix| node.name().starts_with(prefix));
        let network = graph.node[..=end].iter().filter(is_network).collect();
        let mut quantiser = Self {
            graph,
            constants,
            network,
            affine: HashMap::new(),
            builder: Builder::default(),
            replaced: HashSet::new(),
        };
        quantiser.affine = quantiser.affine(ranges)?;
        Ok(quantiser)
    }

    /// The scale and the zero point of every activation that is quantised: the inputs of all nodes of the network, except the input of
    /// a ReLU.
    fn affine(&self, ranges: &Ranges) -> Result<HashMap<&'a str, Affine>, GraphError> {
        let maker: HashMap<&str, &NodeProto> = self
            .network
            .iter()
            .flat_map(|&node| node.output.iter().map(move |output| (output.as_str(), node)))
            .collect();
        let mut affine: HashMap<&str, Affine> = HashMap::new();
        for node in &self.network {
            for name in node.input.iter().map(String::as_str) {
                let made = maker.get(name);
                let is_fused = matches!(node.op_type(), "Relu" | "Clip") && made.is_some();
                if self.constants.contains_key(name) || is_fused || affine.contains_key(name) {
                    continue;
                }
                // Operations that only move values keep the scale, so that runtimes compute nothing.
                let moved = made.filter(|made| matches!(made.op_type(), "MaxPool" | "Flatten"));
                let of = match (moved.and_then(|moved| affine.get(moved.input[0].as_str())), made) {
                    (Some(&affine), _) => affine,
                    (None, Some(made)) if matches!(made.op_type(), "Sigmoid" | "HardSigmoid") => Affine::of([0.0, 1.0]),
                    _ => {
                        let missing = || GraphError::Missing { user: "calibration".to_owned(), name: name.to_owned() };
                        Affine::of(ranges.of(name).ok_or_else(missing)?)
                    }
                };
                affine.insert(name, of);
            }
        }
        Ok(affine)
    }

    fn graph(mut self) -> Result<GraphProto, GraphError> {
        for input in &self.graph.input {
            self.quantise_activation(input.name());
        }
        let network: HashSet<&str> = self.network.iter().map(|node| node.name()).collect();
        for node in &self.graph.node {
            let mut node = node.clone();
            if network.contains(node.name()) {
                self.quantise_inputs(&mut node)?;
            }
            let outputs = node.output.clone();
            self.builder.nodes.push(node);
            outputs.iter().for_each(|output| self.quantise_activation(output));
        }
        let Self { graph, mut builder, replaced, .. } = self;
        let kept = graph.initializer.iter().filter(|constant| !replaced.contains(constant.name()));
        builder.constants.extend(kept.cloned());
        Ok(GraphProto { node: builder.nodes, initializer: builder.constants, ..graph.clone() })
    }

    /// Adds the nodes that quantise and dequantise an activation, if it is to be quantised.
    fn quantise_activation(&mut self, name: &str) {
        let Some(&Affine { scale, zero_point }) = self.affine.get(name) else { return };
        let scale = self.builder.floats(format!("{name}.scale"), &[], &[scale]);
        let zero = self.builder.constant(format!("{name}.zero_point"), DataType::Uint8, &[], vec![zero_point]);
        let quantised = self.builder.node("QuantizeLinear", &[name, &scale, &zero], format!("{name}.quantised"));
        self.builder.node("DequantizeLinear", &[&quantised, &scale, &zero], dequantised(name));
    }

    /// Replaces the inputs of a node by their quantised forms.
    fn quantise_inputs(&mut self, node: &mut NodeProto) -> Result<(), GraphError> {
        if matches!(node.op_type(), "Conv" | "Gemm") {
            let [input, weight, bias] = &node.input[..] else {
                let reason = "it does not have an input, a weight and a bias".to_owned();
                return Err(GraphError::Node { node: node.name().to_owned(), reason });
            };
            let scale = self.affine.get(input.as_str()).map_or(1.0, |affine| affine.scale);
            self.quantise_weights(weight, bias, scale)?;
        }
        for name in &mut node.input {
            if self.affine.contains_key(name.as_str()) {
                *name = dequantised(name);
            }
        }
        Ok(())
    }

    /// Adds a weight in int8 and its bias in int32, for inputs with the scale `input_scale`.
    fn quantise_weights(&mut self, weight: &str, bias: &str, input_scale: f32) -> Result<(), GraphError> {
        let [(weight_name, weight), (bias_name, bias)] = [self.constant(weight)?, self.constant(bias)?];
        let missing = |name: &str| GraphError::Constant { name: name.to_owned(), reason: "it is not float".to_owned() };
        let weights = weight.as_floats().ok_or_else(|| missing(weight_name))?;
        let biases = bias.as_floats().ok_or_else(|| missing(bias_name))?;
        let outputs = biases.len();
        let each = weights.len() / outputs.max(1);
        let (mut scales, mut steps) = (Vec::with_capacity(outputs), Vec::with_capacity(weights.len()));
        for (row, &bias) in weights.chunks(each.max(1)).zip(biases) {
            let largest = row.iter().fold(0.0_f32, |largest, weight| largest.max(weight.abs()));
            // If the filter is much smaller than the bias, a larger scale keeps the bias within int32.
            let scale = (largest / WEIGHT_STEPS).max(bias.abs() / (input_scale * BIAS_STEPS)).max(f32::MIN_POSITIVE);
            let step = |weight: &f32| (weight / scale).round_ties_even().clamp(-WEIGHT_STEPS, WEIGHT_STEPS) as i8;
            steps.extend(row.iter().map(step).map(|step| step as u8));
            scales.push(scale);
        }
        let bias_scales: Vec<f32> = scales.iter().map(|scale| scale * input_scale).collect();
        let bias_step = |(bias, scale): (&f32, &f32)| (bias / scale).round_ties_even() as i32;
        let bias_steps: Vec<u8> = biases.iter().zip(&bias_scales).map(bias_step).flat_map(i32::to_le_bytes).collect();
        self.dequantise(weight_name, DataType::Int8, &weight.shape, steps, &scales);
        self.dequantise(bias_name, DataType::Int32, &bias.shape, bias_steps, &bias_scales);
        Ok(())
    }

    fn constant(&mut self, name: &str) -> Result<(&'a str, Array), GraphError> {
        let missing = || GraphError::Missing { user: "a convolution".to_owned(), name: name.to_owned() };
        let (&name, constant) = self.constants.get_key_value(name).ok_or_else(missing)?;
        self.replaced.insert(name);
        Ok((name, Array::of(constant)?))
    }

    /// Adds a quantised constant, and the node that dequantises it to the float constant `name`.
    fn dequantise(&mut self, name: &str, kind: DataType, shape: &[usize], steps: Vec<u8>, scales: &[f32]) {
        let count = scales.len();
        let width = if kind == DataType::Int32 { 4 } else { 1 };
        let quantised = self.builder.constant(format!("{name}.quantised"), kind, shape, steps);
        let scale = self.builder.floats(format!("{name}.scale"), &[count], scales);
        let zero = self.builder.constant(format!("{name}.zero_point"), kind, &[count], vec![0; count * width]);
        self.builder.node_with("DequantizeLinear", &[&quantised, &scale, &zero], name, vec![int("axis", 0)]);
    }
}

fn dequantised(name: &str) -> String {
    format!("{name}.dequantised")
}

#[cfg(test)]
mod tests {
    use super::super::builder::{Length, batched, ints};
    use super::super::execute::Session;
    use super::super::graph::PROBABILITIES;
    use super::*;

    const FILTERS: [f32; 3] = [0.5, -2.0, 1e-30];
    const BIASES: [f32; 3] = [0.25, 0.0, 5.0];

    /// A 1x1 convolution of one channel to three, ReLU, and a product to one logit.
    fn model() -> ModelProto {
        let mut builder = Builder::default();
        let weight = builder.floats("conv.weight", &[3, 1, 1, 1], &FILTERS);
        let bias = builder.floats("conv.bias", &[3], &BIASES);
        let window = vec![ints("kernel_shape", [1, 1]), ints("strides", [1, 1]), ints("pads", [0, 0, 0, 0])];
        builder.node_with("Conv", &["images", &weight, &bias], "conv", window);
        builder.node("Relu", &["conv"], "active");
        builder.node("GlobalAveragePool", &["active"], "pool");
        builder.node_with("Flatten", &["pool"], "features", vec![int("axis", 1)]);
        let weight = builder.floats("fc.weight", &[1, 3], &[1.0, 0.5, -0.1]);
        let bias = builder.floats("fc.bias", &[1], &[0.125]);
        builder.node_with("Gemm", &["features", &weight, &bias], LOGITS, vec![int("transB", 1)]);
        builder.node("Sigmoid", &[LOGITS], PROBABILITIES);
        let output = |name| batched(name, DataType::Float, &[Length::Fixed(1)], String::new());
        let graph = GraphProto {
            node: builder.nodes,
            initializer: builder.constants,
            input: vec![batched("images", DataType::Float, &[1, 2, 2].map(Length::Fixed), String::new())],
            output: vec![output(PROBABILITIES), output(LOGITS)],
            ..GraphProto::default()
        };
        ModelProto { graph: Some(graph), ..ModelProto::default() }
    }

    fn images() -> Array {
        Array::floats([2, 1, 2, 2], vec![-1.0, 0.5, 1.0, 0.25, 2.0, -2.0, 1.5, 0.75])
    }

    fn quantised_model() -> ModelProto {
        let float = model();
        let ranges = Ranges::observe(&Session::new(&float).unwrap(), &[images()]).unwrap();
        quantised(&float, &ranges).unwrap()
    }

    #[test]
    fn everything_is_quantised_except_what_runtimes_fuse() {
        let graph = quantised_model().graph.unwrap();
        let maker = |name: &str| graph.node.iter().find(|node| node.output[0] == name).map(NodeProto::op_type);
        let inputs = |output: &str| &graph.node.iter().find(|node| node.output[0] == output).unwrap().input;
        for output in ["conv", LOGITS] {
            assert!(inputs(output).iter().all(|name| maker(name) == Some("DequantizeLinear")), "{output}");
        }
        assert_eq!(maker(&inputs("active")[0]), Some("Conv"), "the input of a ReLU is not quantised");
        assert_eq!(inputs(PROBABILITIES), &[LOGITS.to_owned()], "logits stay in f32");
        let constant = |name: &str| graph.initializer.iter().find(|constant| constant.name() == name).unwrap();
        let kinds =
            ["conv.weight.quantised", "conv.bias.quantised", "active.zero_point"].map(|name| constant(name).data_type);
        assert_eq!(kinds, [DataType::Int8, DataType::Int32, DataType::Uint8].map(|kind| Some(kind.into())));
        assert!(
            graph.initializer.iter().all(|constant| constant.name() != "conv.weight"),
            "the float weight is removed"
        );
        // An operation that only changes the shape keeps the scale.
        assert_eq!(constant("features.scale").raw_data, constant("pool.scale").raw_data);
    }

    #[test]
    fn quantisation_errors_are_small() {
        let mut observed = HashMap::new();
        let model = quantised_model();
        let outputs = Session::new(&model).unwrap().run_observed(images(), |name, array| {
            observed.insert(name.to_owned(), array.clone());
        });
        let float = Session::new(&super::tests::model()).unwrap().run(images()).unwrap();
        for (int8, float) in outputs.unwrap().iter().zip(&float) {
            for (int8, float) in int8.as_floats().unwrap().iter().zip(float.as_floats().unwrap()) {
                assert!((int8 - float).abs() < 0.02, "{int8} {float}");
            }
        }
        // The scale of a nearly zero filter is increased, so that its bias fits into int32.
        let conv = observed["conv"].as_floats().unwrap();
        assert!(conv[8..12].iter().all(|value| (value - BIASES[2]).abs() < 1e-6), "{conv:?}");
        let step = 2.0 * 2.0 / STEPS;
        for (place, &value) in images().as_floats().unwrap()[..4].iter().enumerate() {
            let expected = FILTERS[1] * value;
            assert!((conv[4 + place] - expected).abs() <= FILTERS[1].abs() * step, "{} {expected}", conv[4 + place]);
        }
    }

    #[test]
    fn zero_is_represented_exactly() {
        for range in [[-1.0, 3.0], [0.5, 2.0], [-3.0, -1.0], [0.0, 0.0]] {
            let Affine { scale, zero_point } = Affine::of(range);
            let zero = f32::from(zero_point) * scale;
            assert!(
                scale > 0.0 && zero + range[0].min(0.0) <= scale && zero >= -range[0].min(0.0) - scale,
                "{range:?}"
            );
        }
    }
}
