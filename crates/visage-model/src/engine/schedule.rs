//! How the images of a batch are spread over the threads.
//!
//! One operation after the other over the whole batch sends every feature map of sixteen images through the main memory. A few
//! images at a time, on a thread of their own, keep theirs in the cache, and threads wait for one another once a batch
//! rather than once an operation. But filters are then read once for every few images. So:
//!
//! - Networks whose work is in dense convolutions of large filters (ResNet) go through as a whole batch.
//! - Networks of small filters and large maps (EfficientNet) go through one image at a time until the resolution is halved for
//!   the last time, and eight at a time from there, where filters are larger than maps.

use visage_kernels::Window;

use super::fuse::{Operation, Step};
use crate::plan::{Shape, Value};

/// Products for each value of a feature map, from which on a network is bound by its filters: ResNet-18 has about 700, EfficientNet-B0
/// and Lite0 about 60.
const DENSE: usize = 256;

/// Images that go through the last layers together.
const LATE_IMAGES: usize = 8;

/// Which images go through a part of the network together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spread {
    /// The whole batch; the threads share every operation.
    WholeBatch,
    /// At most so many at a time, each group on one thread.
    Groups(usize),
}

/// Steps that the same images go through, and how those are chosen.
#[derive(Debug)]
pub(super) struct Section {
    /// [`Value::Images`] is the result of the section before.
    pub(super) steps: Vec<Step>,
    pub(super) spread: Spread,
}

/// Cuts a network into sections.
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

/// The first step behind the last map before the resolution is halved for the last time, if that map is all that later steps read
/// of those before.
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

/// Whether there are [`DENSE`] products for each value of the maps.
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
