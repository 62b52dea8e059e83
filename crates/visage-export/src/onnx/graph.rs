//! A model as an ONNX graph.

use visage_kernels::{Activation, Padding, Window};
use visage_model::plan::{Operation, Step, Value};
use visage_model::{Model, Plan};

use super::builder::{Builder, batched, int, ints};
use super::calibration;
use super::schema::{AttributeProto, DataType, GraphProto, ModelProto, OperatorSetIdProto, StringStringEntryProto};

/// The operator set graphs are written in: the oldest in which all their operators are what they are today.
const OPERATOR_SET: i64 = 17;

/// The version of the file format that goes with it.
const IR_VERSION: i64 = 8;

/// Name of the input.
const IMAGES: &str = "images";
/// Name of the output of logits, `[batch, attributes]`.
pub const LOGITS: &str = "logits";
/// Name of the output of calibrated probabilities, `[batch, attributes]`.
pub const PROBABILITIES: &str = "probabilities";

/// What the names of everything that scales and normalises begin with.
pub(super) const PREPARATION: &str = "preparation.";

/// What images the graph takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PixelInput {
    /// `float32 [batch, 3, height, width]`: scaled to 0 to 1 and normalised by the caller, as the card's preparation says.
    Normalised,
    /// `uint8 [batch, height, width, 3]`: RGB of the card's size; the graph scales and normalises.
    Raw,
}

/// `model` as an ONNX graph, its norms folded, with the outputs [`PROBABILITIES`] and [`LOGITS`].
///
/// The metadata holds the card as JSON under `visage`, and its parts under `attributes`, `thresholds`, `preparation` (JSON),
/// `threshold_rule` and `uses_to_avoid` (text).
#[must_use]
pub fn model_proto(model: &Model, input: PixelInput) -> ModelProto {
    let card = &model.card;
    let size = card.preparation.output_size();
    let plan = Plan::of(&model.network, [size.height, size.width]);
    let mut builder = Builder::default();

    let (images, kind, shape, doc) = match input {
        PixelInput::Normalised => (
            IMAGES.to_owned(),
            DataType::Float,
            [3, size.height, size.width],
            "RGB scaled to 0 to 1, then less the mean and divided by the standard deviation of `preparation`",
        ),
        PixelInput::Raw => (
            normalise(&mut builder, card.preparation.mean, card.preparation.std),
            DataType::Uint8,
            [size.height, size.width, 3],
            "RGB bytes, resized and cropped as `preparation` says",
        ),
    };
    let mut names: Vec<String> = Vec::with_capacity(plan.steps.len());
    for (index, step) in plan.steps.iter().enumerate() {
        let output = if Value::Of(index) == plan.logits { LOGITS.to_owned() } else { step.name.clone() };
        let name = |value: Value| match value {
            Value::Images => images.clone(),
            Value::Of(step) => names[step].clone(),
        };
        let (input, other) = (name(step.input), second_input(&step.operation).map(name));
        names.push(add(&mut builder, step, &input, other.as_deref(), output));
    }
    calibration::add(&mut builder, card.calibration.as_ref(), LOGITS, PROBABILITIES);

    let count = card.attributes.len();
    let text = |key: &str, value: String| StringStringEntryProto { key: Some(key.to_owned()), value: Some(value) };
    let json = |key: &str, value: serde_json::Result<String>| text(key, value.unwrap_or_default());
    ModelProto {
        ir_version: Some(IR_VERSION),
        producer_name: Some("visage".to_owned()),
        producer_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        domain: None,
        model_version: Some(1),
        doc_string: Some(format!(
            "{} that answers {count} questions. {}",
            card.network.architecture, card.uses_to_avoid
        )),
        graph: Some(GraphProto {
            node: builder.nodes,
            name: Some(card.network.architecture.name().to_owned()),
            initializer: builder.constants,
            doc_string: None,
            input: vec![batched(IMAGES, kind, &shape, doc.to_owned())],
            output: vec![
                batched(PROBABILITIES, DataType::Float, &[count], "of the `attributes`, in their order".to_owned()),
                batched(LOGITS, DataType::Float, &[count], "before calibration".to_owned()),
            ],
        }),
        opset_import: vec![OperatorSetIdProto { domain: Some(String::new()), version: Some(OPERATOR_SET) }],
        metadata_props: vec![
            json("visage", serde_json::to_string(card)),
            json("attributes", serde_json::to_string(&card.attributes)),
            json("thresholds", serde_json::to_string(&card.thresholds)),
            text("threshold_rule", card.threshold_rule.clone()),
            json("preparation", serde_json::to_string(&card.preparation)),
            text("uses_to_avoid", card.uses_to_avoid.clone()),
        ],
    }
}

/// Adds what makes normalised `[batch, 3, height, width]` of bytes `[batch, height, width, 3]`, by the operations of
/// [`visage_data::Preparation::normalise`] in their order.
fn normalise(builder: &mut Builder, mean: [f32; 3], std: [f32; 3]) -> String {
    let full = builder.floats("preparation.full", &[], &[255.0]);
    let mean = builder.floats("preparation.mean", &[1, 3, 1, 1], &mean);
    let std = builder.floats("preparation.std", &[1, 3, 1, 1], &std);
    let numbers = builder.node("Cast", &[IMAGES], "preparation.numbers", vec![int("to", DataType::Float as i64)]);
    let planes = builder.node("Transpose", &[&numbers], "preparation.planes", vec![ints("perm", [0, 3, 1, 2])]);
    let scaled = builder.node("Div", &[&planes, &full], "preparation.scaled", Vec::new());
    let centred = builder.node("Sub", &[&scaled, &mean], "preparation.centred", Vec::new());
    builder.node("Div", &[&centred, &std], "preparation.normalised", Vec::new())
}

fn second_input(operation: &Operation) -> Option<Value> {
    match operation {
        Operation::Conv { residual, .. } => *residual,
        Operation::Gate { gate } => Some(*gate),
        _ => None,
    }
}

/// Adds the nodes of a step, the last of which makes `output`. `other` is its second input.
fn add(builder: &mut Builder, step: &Step, input: &str, other: Option<&str>, output: String) -> String {
    let name = &step.name;
    match &step.operation {
        Operation::Conv { filters, filter_shape, bias, groups, window, activation, .. } => {
            let weight = builder.floats(format!("{name}.weight"), filter_shape, filters);
            let bias = builder.floats(format!("{name}.bias"), &[bias.len()], bias);
            let mut attributes = window_attributes(*window);
            attributes.push(int("group", *groups as i64));
            let inputs = [input, &weight, &bias];
            let Some(residual) = other else {
                return activated(builder, *activation, output, |builder, output| {
                    builder.node("Conv", &inputs, output, attributes)
                });
            };
            let conv = builder.node("Conv", &inputs, format!("{name}.conv"), attributes);
            activated(builder, *activation, output, |builder, output| {
                builder.node("Add", &[&conv, residual], output, Vec::new())
            })
        }
        Operation::MaxPool { window } => builder.node("MaxPool", &[input], output, window_attributes(*window)),
        Operation::GlobalAveragePool => builder.node("GlobalAveragePool", &[input], output, Vec::new()),
        Operation::Gate { .. } => {
            let gate = builder.node("Sigmoid", &[other.unwrap_or_default()], format!("{name}.gate"), Vec::new());
            builder.node("Mul", &[input, &gate], output, Vec::new())
        }
        Operation::Flatten => builder.node("Flatten", &[input], output, vec![int("axis", 1)]),
        Operation::Linear { weight, bias, activation } => {
            let shape = [bias.len(), weight.len() / bias.len().max(1)];
            let weight = builder.floats(format!("{name}.weight"), &shape, weight);
            let bias = builder.floats(format!("{name}.bias"), &[bias.len()], bias);
            activated(builder, *activation, output, |builder, output| {
                builder.node("Gemm", &[input, &weight, &bias], output, vec![int("transB", 1)])
            })
        }
    }
}

/// Adds what `node` adds and the activation after it; the last of them makes `output`.
fn activated(
    builder: &mut Builder,
    activation: Activation,
    output: String,
    node: impl FnOnce(&mut Builder, String) -> String,
) -> String {
    if activation == Activation::Identity {
        return node(builder, output);
    }
    let linear = node(builder, format!("{output}.linear"));
    match activation {
        Activation::Identity => linear,
        Activation::Relu => builder.node("Relu", &[&linear], output, Vec::new()),
        Activation::Relu6 => {
            let (zero, six) = (builder.floats("zero", &[], &[0.0]), builder.floats("six", &[], &[6.0]));
            builder.node("Clip", &[&linear, &zero, &six], output, Vec::new())
        }
        Activation::Silu => {
            let gate = builder.node("Sigmoid", &[&linear], format!("{output}.sigmoid"), Vec::new());
            builder.node("Mul", &[&linear, &gate], output, Vec::new())
        }
    }
}

fn window_attributes(window: Window) -> Vec<AttributeProto> {
    let Padding { top, left, bottom, right } = window.padding;
    vec![ints("kernel_shape", window.kernel), ints("strides", window.stride), ints("pads", [top, left, bottom, right])]
}
