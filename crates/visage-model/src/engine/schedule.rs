//! How the images of a batch are spread over threads.
//!
//! If every operation runs over the whole batch, the feature maps of sixteen images pass through main memory at each step. If each
//! thread takes a few images through many operations, their maps stay in its cache, and threads synchronise once for each batch
//! instead of once for each operation. But then the filters are read once for every few images. Therefore:
//!
//! - Networks that are dominated by dense convolutions with large filters (ResNet) run the whole batch through each operation.
//! - Networks with small filters and large maps (EfficientNet) run one image at a time up to the last halving of the resolution,
//!   and eight at a time from there on, because there the filters are larger than the maps.

use visage_kernels::Window;

use super::fuse::{Operation, Step};
use crate::plan::{Shape, Value};

/// Multiplications per value of the feature maps from which the filters dominate: ResNet-18 has about 700, ResNet-50 about 370,
/// EfficientNet-B0 and Lite0 about 60.
const DENSE: usize = 256;

/// Images in a group in the last layers.
const LATE_IMAGES: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spread {
    /// The whole batch at once. Threads share every operation.
    WholeBatch,
    /// In groups of at most this many images, each group on one thread.
    Groups(usize),
}

/// Consecutive steps through which images are spread in the same way.
#[derive(Debug)]
pub(super) struct Section {
    /// [`Value::Images`] is the result of the previous section.
    pub(super) steps: Vec<Step>,
    pub(super) spread: Spread,
}

pub(super) fn sections(images: Shape, mut steps: Vec<Step>) -> Vec<Section> {
    if is_dense(images, &steps) {
        return vec![Section { steps, spread: Spread::WholeBatch }];
    }
    let Some(cut) = last_halving(&steps) else { return vec![Section { steps, spread: Spread::Groups(1) }] };
    let mut late = steps.split_off(cut);
    for step in &mut late {
        let other = step.operation.other_input_mut().into_iter();
        for value in std::iter::once(&mut step.input).chain(other) {
            *value = match *value {
                Value::Of(index) if index >= cut => Value::Of(index - cut),
                _ => Value::Images,
            };
        }
    }
    vec![Section { steps, spread: Spread::Groups(1) }, Section { steps: late, spread: Spread::Groups(LATE_IMAGES) }]
}

/// The step that halves the resolution for the last time, if it and the later steps read no earlier result except that of the step
/// right before it.
fn last_halving(steps: &[Step]) -> Option<usize> {
    let strides = |step: &Step| window(&step.operation).is_some_and(|window| window.stride != [1, 1]);
    let cut = steps.iter().rposition(strides).filter(|&cut| cut > 0)?;
    let reads_before = |value: Value| match value {
        Value::Of(index) => index < cut - 1,
        Value::Images => true,
    };
    let read = |step: &Step| reads_before(step.input) || step.operation.other_input().is_some_and(reads_before);
    (!steps[cut..].iter().any(read)).then_some(cut)
}

fn window(operation: &Operation) -> Option<Window> {
    match operation {
        Operation::Conv { filters, .. }
        | Operation::DepthwiseConv { filters, .. }
        | Operation::ExpandedDepthwiseConv { depthwise: (filters, _), .. } => Some(filters.window),
        Operation::MaxPool(window) => Some(*window),
        _ => None,
    }
}

/// Whether there are at least [`DENSE`] multiplications per value of the maps.
fn is_dense(images: Shape, steps: &[Step]) -> bool {
    let (mut products, mut values) = (0, 0);
    for step in steps {
        let [height, width, channels] = step.shape;
        let positions = height * width;
        values += positions * channels;
        products += match &step.operation {
            Operation::Conv { filters, .. } | Operation::DepthwiseConv { filters, .. } => {
                positions * filters.weights.len()
            }
            Operation::ExpandedDepthwiseConv { expand: (expand, _), depthwise: (depthwise, _) } => {
                let [height, width, _] = match step.input {
                    Value::Images => images,
                    Value::Of(index) => steps[index].shape,
                };
                values += height * width * channels;
                height * width * expand.weights.len() + positions * depthwise.weights.len()
            }
            _ => 0,
        };
    }
    products >= DENSE * values
}
