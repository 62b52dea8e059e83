//! A model as an ONNX graph.

use visage_data::{Preparation, Size};
use visage_kernels::{Activation, GateFunction, Padding, Window};
use visage_model::plan::{Filters, Operation, Step, Value};
use visage_model::{Card, Model, Plan, TestTime, pytorch_order};

use super::builder::{Builder, Length, batched, float, int, ints, text};
use super::calibration;
use super::schema::{AttributeProto, DataType, GraphProto, ModelProto, OperatorSetIdProto, StringStringEntryProto};

/// The version of the operator set: the oldest in which all operators of the graphs have their current definition.
const OPERATOR_SET: i64 = 17;

/// The same for a graph that resizes: the oldest whose resize averages over the pixels of a larger image.
const RESIZING_OPERATOR_SET: i64 = 18;

/// The version of the file format for these operator sets.
const IR_VERSION: i64 = 8;

const IMAGES: &str = "images";
/// The name of the output of logits, `[batch, attributes]`.
pub(super) const LOGITS: &str = "logits";
/// The name of the output of calibrated probabilities, `[batch, attributes]`.
pub(super) const PROBABILITIES: &str = "probabilities";

/// The name prefix of the nodes that scale and normalise pixels.
pub(super) const PREPARATION: &str = "preparation.";

/// The name prefix of the nodes that average the logits of several networks and views.
pub(super) const MEAN: &str = "mean.";

/// The input of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PixelInput {
    /// `float32 [batch, 3, height, width]`: the caller scales the pixels to [0, 1] and normalises them, as the card's preparation says.
    Normalised,
    /// `uint8 [batch, height, width, 3]`: RGB pixels of the card's size. The graph scales and normalises them.
    Raw,
    /// The same of any size: the graph also resizes them. Only for preparations that resize to exactly the network's size.
    AnySize,
}

/// `model` as an ONNX graph in f32, with the outputs [`PROBABILITIES`] and [`LOGITS`]. Batch norms are folded.
///
/// The metadata holds the card as JSON under `visage`, and its parts under `attributes`, `thresholds`, `preparation` (JSON),
/// `threshold_rule` and `uses_to_avoid` (text).
pub(super) fn model_proto(model: &Model, input: PixelInput) -> ModelProto {
    let card = &model.card;
    let size = card.preparation.output_size();
    let mut builder = Builder::default();

    let (height, width) = (Length::Fixed(size.height), Length::Fixed(size.width));
    let Preparation { mean, std, .. } = card.preparation;
    let (images, kind, shape, doc) = match input {
        PixelInput::Normalised => (
            IMAGES.to_owned(),
            DataType::Float,
            [Length::Fixed(3), height, width],
            "RGB scaled to 0 to 1, minus the mean and divided by the standard deviation of `preparation`",
        ),
        PixelInput::Raw => (
            normalise(&mut builder, mean, std, None),
            DataType::Uint8,
            [height, width, Length::Fixed(3)],
            "RGB bytes, resized and cropped as `preparation` says",
        ),
        PixelInput::AnySize => (
            normalise(&mut builder, mean, std, Some(size)),
            DataType::Uint8,
            [Length::Variable("height"), Length::Variable("width"), Length::Fixed(3)],
            "RGB bytes of an image of any size",
        ),
    };
    let images = match card.test_time {
        TestTime::None => images,
        TestTime::Flip => with_mirror_images(&mut builder, &images, size.width),
    };
    let is_mean = !model.ensemble.is_empty() || !card.test_time.is_none();
    let mut networks = Vec::new();
    for (network, place) in model.networks().zip(0..) {
        let mut plan = network.plan([size.height, size.width]);
        if place > 0 {
            plan.steps.iter_mut().for_each(|step| step.name.insert_str(0, &format!("ensemble.{place}.")));
        }
        networks.push(add_network(&mut builder, &plan, &images, (!is_mean).then_some(LOGITS)));
    }
    if is_mean {
        add_mean(&mut builder, &networks, card.test_time.views(), card.attributes.len());
    }
    calibration::add(&mut builder, card.calibration.as_ref(), LOGITS, PROBABILITIES);

    let attributes = card.attributes.len();
    let count = [Length::Fixed(attributes)];
    let operator_set = if input == PixelInput::AnySize { RESIZING_OPERATOR_SET } else { OPERATOR_SET };
    ModelProto {
        ir_version: Some(IR_VERSION),
        producer_name: Some("visage".to_owned()),
        producer_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        model_version: Some(1),
        doc_string: Some(format!("{} with {attributes} attributes. {}", card.architectures(), card.uses_to_avoid)),
        graph: Some(GraphProto {
            node: builder.nodes,
            name: Some(card.architectures()),
            initializer: builder.constants,
            input: vec![batched(IMAGES, kind, &shape, doc.to_owned())],
            output: vec![
                batched(PROBABILITIES, DataType::Float, &count, "of the `attributes`, in their order".to_owned()),
                batched(LOGITS, DataType::Float, &count, "before calibration".to_owned()),
            ],
        }),
        opset_import: vec![OperatorSetIdProto { domain: Some(String::new()), version: Some(operator_set) }],
        metadata_props: metadata(card),
    }
}

fn metadata(card: &Card) -> Vec<StringStringEntryProto> {
    let text = |key: &str, value: String| StringStringEntryProto { key: Some(key.to_owned()), value: Some(value) };
    let json = |key: &str, value: serde_json::Result<String>| text(key, value.unwrap_or_default());
    vec![
        text("visage", card.to_json()),
        json("attributes", serde_json::to_string(&card.attributes)),
        json("thresholds", serde_json::to_string(&card.thresholds)),
        text("threshold_rule", card.threshold_rule.clone()),
        json("preparation", serde_json::to_string(&card.preparation)),
        text("uses_to_avoid", card.uses_to_avoid.clone()),
    ]
}

/// Adds the normalisation of bytes `[batch, height, width, 3]` to `[batch, 3, height, width]`, with the operations of
/// [`Preparation::normalise`] in the same order, after a resize to `size` if there is one.
fn normalise(builder: &mut Builder, mean: [f32; 3], std: [f32; 3], size: Option<Size>) -> String {
    let full = builder.floats("preparation.full", &[], &[255.0]);
    let mean = builder.floats("preparation.mean", &[1, 3, 1, 1], &mean);
    let std = builder.floats("preparation.std", &[1, 3, 1, 1], &std);
    let numbers = builder.node_with("Cast", &[IMAGES], "preparation.numbers", vec![int("to", DataType::Float as i64)]);
    // Before the axes are moved: ONNX Runtime 1.32 would move them before the resize, and then refuse an int8 graph.
    let pixels = size.map_or(numbers.clone(), |size| resize(builder, &numbers, size));
    let planes = builder.node_with("Transpose", &[&pixels], "preparation.planes", vec![ints("perm", [0, 3, 1, 2])]);
    let scaled = builder.node("Div", &[&planes, &full], "preparation.scaled");
    let centred = builder.node("Sub", &[&scaled, &mean], "preparation.centred");
    builder.node("Div", &[&centred, &std], "preparation.normalised")
}

/// Adds a resize of `[batch, height, width, 3]` as [`Filter::BilinearAntialiased`](visage_data::Filter) does it, but for the rounding
/// between its two passes: the result differs by at most 1.
pub(super) fn resize(builder: &mut Builder, pixels: &str, size: Size) -> String {
    let sizes = builder.integers("preparation.size", &[2], &[size.height as i64, size.width as i64]);
    let attributes = vec![
        text("mode", "linear"),
        int("antialias", 1),
        // At the border, only pixels of the image count.
        int("exclude_outside", 1),
        ints("axes", [1, 2]),
    ];
    let resized = builder.node_with("Resize", &[pixels, "", "", &sizes], "preparation.resized", attributes);
    builder.node("Round", &[&resized], "preparation.pixels")
}

/// Adds the mirror images of `[batch, 3, height, width]` behind the images: `[2 * batch, 3, height, width]`.
fn with_mirror_images(builder: &mut Builder, images: &str, width: usize) -> String {
    let columns: Vec<i64> = (0..width as i64).rev().collect();
    let columns = builder.integers("preparation.columns", &[width], &columns);
    let mirrored = builder.node_with("Gather", &[images, &columns], "preparation.mirrored", vec![int("axis", 3)]);
    builder.node_with("Concat", &[images, &mirrored], "preparation.views", vec![int("axis", 0)])
}

/// Adds the nodes of a plan, and returns the name of its logits: `output`, or that of the last step.
fn add_network(builder: &mut Builder, plan: &Plan, images: &str, output: Option<&str>) -> String {
    let mut values: Vec<(String, usize)> = Vec::with_capacity(plan.steps.len());
    for (index, step) in plan.steps.iter().enumerate() {
        let output = output.filter(|_| index + 1 == plan.steps.len()).unwrap_or(&step.name);
        let value = |value: Value| match value {
            Value::Images => (images.to_owned(), plan.images[2]),
            Value::Of(step) => values[step].clone(),
        };
        let (input, channels) = value(step.input);
        let other = step.operation.other_input().map(|other| value(other).0);
        let name = add_step(builder, step, Input { name: &input, channels }, other.as_deref(), output);
        values.push((name, step.shape[2]));
    }
    values.pop().map_or_else(|| images.to_owned(), |(logits, _)| logits)
}

/// Adds the mean of the logits of networks, each `[views * batch, attributes]`, as [`LOGITS`].
fn add_mean(builder: &mut Builder, networks: &[String], views: usize, attributes: usize) {
    let mut sum = String::new();
    for (logits, place) in networks.iter().zip(0..) {
        let of_views = if views == 1 {
            logits.clone()
        } else {
            let shape = builder.integers("mean.shape", &[3], &[views as i64, -1, attributes as i64]);
            let axis = builder.integers("mean.axis", &[1], &[0]);
            let views = builder.node("Reshape", &[logits, &shape], format!("{MEAN}views.{place}"));
            let keep = vec![int("keepdims", 0)];
            builder.node_with("ReduceSum", &[&views, &axis], format!("{MEAN}of_views.{place}"), keep)
        };
        sum = if place == 0 { of_views } else { builder.node("Add", &[&sum, &of_views], format!("{MEAN}sum.{place}")) };
    }
    let terms = builder.floats("mean.terms", &[], &[(networks.len() * views) as f32]);
    builder.node("Div", &[&sum, &terms], LOGITS);
    if let Some(node) = builder.nodes.last_mut() {
        node.name = Some(format!("{MEAN}{LOGITS}"));
    }
}

struct Input<'a> {
    name: &'a str,
    channels: usize,
}

/// Adds the nodes of a step. The last one has the output `output`. `other` is the step's second input.
fn add_step(builder: &mut Builder, step: &Step, input: Input<'_>, other: Option<&str>, output: &str) -> String {
    let Input { name: input, channels } = input;
    let other = other.unwrap_or_default();
    match &step.operation {
        Operation::Conv(filters) => conv(builder, step, (input, channels), filters, 1, output),
        Operation::DepthwiseConv(filters) => conv(builder, step, (input, 1), filters, channels, output),
        Operation::Linear(Filters { weights, bias, .. }) => {
            let weight = builder.floats(format!("{}.weight", step.name), &[bias.len(), channels], weights);
            let bias = builder.floats(format!("{}.bias", step.name), &[bias.len()], bias);
            builder.node_with("Gemm", &[input, &weight, &bias], output, vec![int("transB", 1)])
        }
        Operation::Add(_) => builder.node("Add", &[input, other], output),
        Operation::Activation(activation) => add_activation(builder, *activation, input, output),
        Operation::MaxPool(window) => builder.node_with("MaxPool", &[input], output, window_attributes(*window)),
        Operation::GlobalAveragePool => builder.node("GlobalAveragePool", &[input], output),
        Operation::Gate(_, function) => {
            let name = format!("{}.sigmoid", step.name);
            let gate = match function {
                GateFunction::Sigmoid => builder.node("Sigmoid", &[other], name),
                GateFunction::HardSigmoid => builder.node_with(
                    "HardSigmoid",
                    &[other],
                    name,
                    vec![float("alpha", 1.0 / 6.0), float("beta", 0.5)],
                ),
            };
            builder.node("Mul", &[input, &gate], output)
        }
        Operation::Flatten => builder.node_with("Flatten", &[input], output, vec![int("axis", 1)]),
    }
}

/// Adds a convolution with `groups` groups, whose filters read `channels` channels each.
fn conv(
    builder: &mut Builder,
    step: &Step,
    (input, channels): (&str, usize),
    filters: &Filters,
    groups: usize,
    output: &str,
) -> String {
    let [height, width] = filters.window.kernel;
    let outputs = filters.bias.len();
    let dims = if groups == 1 { vec![outputs, height, width, channels] } else { vec![height, width, outputs] };
    let weights = pytorch_order(&dims, filters.weights.clone());
    let weight = builder.floats(format!("{}.weight", step.name), &[outputs, channels, height, width], &weights);
    let bias = builder.floats(format!("{}.bias", step.name), &[outputs], &filters.bias);
    let mut attributes = window_attributes(filters.window);
    attributes.push(int("group", groups as i64));
    builder.node_with("Conv", &[input, &weight, &bias], output, attributes)
}

fn add_activation(builder: &mut Builder, activation: Activation, input: &str, output: &str) -> String {
    match activation {
        Activation::Identity => builder.node("Identity", &[input], output),
        Activation::Relu => builder.node("Relu", &[input], output),
        Activation::Relu6 => {
            let (zero, six) = (builder.floats("zero", &[], &[0.0]), builder.floats("six", &[], &[6.0]));
            builder.node("Clip", &[input, &zero, &six], output)
        }
        Activation::Silu => {
            let gate = builder.node("Sigmoid", &[input], format!("{output}.sigmoid"));
            builder.node("Mul", &[input, &gate], output)
        }
        Activation::HardSwish => builder.node("HardSwish", &[input], output),
    }
}

fn window_attributes(window: Window) -> Vec<AttributeProto> {
    let Padding { top, left, bottom, right } = window.padding;
    vec![ints("kernel_shape", window.kernel), ints("strides", window.stride), ints("pads", [top, left, bottom, right])]
}
