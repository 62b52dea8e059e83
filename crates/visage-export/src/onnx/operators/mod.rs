//! The operators of visage's graphs, as ONNX's operator sets 17 and 18 define them.
//!
//! A node's properties (kernel, strides, padding, groups, axes) are read only from the file.

mod broadcast;
mod convolution;
mod elementwise;
mod quantisation;
mod resize;
mod shape;
#[cfg(test)]
mod tests;

use super::schema::NodeProto;
use super::tensor::{Array, Values, product};

pub(super) type Reason = String;

/// A node's inputs. `None` is an optional input that is omitted.
pub(super) struct Inputs<'a>(pub(super) Vec<Option<&'a Array>>);

impl<'a> Inputs<'a> {
    fn get(&self, index: usize) -> Result<&'a Array, Reason> {
        self.0.get(index).copied().flatten().ok_or_else(|| format!("input {index} is missing"))
    }

    fn floats(&self, index: usize) -> Result<(&'a [usize], &'a [f32]), Reason> {
        let array = self.get(index)?;
        let values = array.as_floats().ok_or_else(|| format!("input {index} is not float"))?;
        Ok((&array.shape, values))
    }

    fn number(&self, index: usize) -> Result<f32, Reason> {
        match self.floats(index)?.1 {
            &[number] => Ok(number),
            _ => Err(format!("input {index} is not a single number")),
        }
    }

    fn integers(&self, index: usize) -> Result<&'a [i64], Reason> {
        match &self.get(index)?.values {
            Values::Int64(values) => Ok(values),
            _ => Err(format!("input {index} is not a list of integers")),
        }
    }

    /// Axes or indices, none of which is negative.
    fn indices(&self, index: usize) -> Result<Vec<usize>, Reason> {
        self.integers(index)?.iter().map(|&value| usize::try_from(value).map_err(|error| error.to_string())).collect()
    }
}

/// Computes a node. `None` if its operator is not supported.
pub(super) fn compute(node: &NodeProto, inputs: &Inputs<'_>) -> Option<Result<Array, Reason>> {
    Some(match node.op_type() {
        "Add" => elementwise::arithmetic(inputs, |a, b| a + b),
        "Sub" => elementwise::arithmetic(inputs, |a, b| a - b),
        "Mul" => elementwise::arithmetic(inputs, |a, b| a * b),
        "Div" => elementwise::arithmetic(inputs, |a, b| a / b),
        "Relu" => elementwise::each(inputs, |value| value.max(0.0)),
        "Sigmoid" => elementwise::each(inputs, visage_judge::sigmoid),
        "HardSigmoid" => elementwise::hard_sigmoid(node, inputs),
        "HardSwish" => elementwise::each(inputs, |value| value * (value / 6.0 + 0.5).clamp(0.0, 1.0)),
        // To even, where two integers are equally near.
        "Round" => elementwise::each(inputs, f32::round_ties_even),
        "Resize" => resize::resize(node, inputs),
        "Clip" => elementwise::clip(inputs),
        "Cast" => shape::cast(node, inputs),
        "Transpose" => shape::transpose(node, inputs),
        "Gather" => shape::gather(node, inputs),
        "Concat" => shape::concat(node, inputs),
        "Reshape" => shape::reshape(inputs),
        "Unsqueeze" => shape::unsqueeze(inputs),
        "ReduceSum" => shape::reduce_sum(node, inputs),
        "Where" => elementwise::choose(inputs),
        "Flatten" => shape::flatten(node, inputs),
        "Gemm" => convolution::gemm(node, inputs),
        "Conv" => convolution::conv(node, inputs),
        "MaxPool" => convolution::max_pool(node, inputs),
        "GlobalAveragePool" => convolution::global_average_pool(inputs),
        "QuantizeLinear" => quantisation::quantize(inputs),
        "DequantizeLinear" => quantisation::dequantize(node, inputs),
        _ => return None,
    })
}

/// The integer attribute `name` of a node, or `absent`.
fn integer(node: &NodeProto, name: &str, absent: i64) -> i64 {
    node.attribute.iter().find(|attribute| attribute.name() == name).map_or(absent, |attribute| attribute.i())
}

/// The text attribute `name` of a node; empty if there is none.
fn text<'a>(node: &'a NodeProto, name: &str) -> &'a [u8] {
    node.attribute.iter().find(|attribute| attribute.name() == name).map_or(&[], |attribute| attribute.s())
}

/// The attribute `name` of a node, or `absent`.
fn float(node: &NodeProto, name: &str, absent: f32) -> f32 {
    node.attribute.iter().find(|attribute| attribute.name() == name).map_or(absent, |attribute| attribute.f())
}

/// The attribute `name` of a node, which is a list of `N` integers.
fn integers<const N: usize>(node: &NodeProto, name: &str) -> Result<[usize; N], Reason> {
    let attribute = node.attribute.iter().find(|attribute| attribute.name() == name);
    let values: Option<Vec<usize>> =
        attribute.and_then(|attribute| attribute.ints.iter().map(|&value| usize::try_from(value).ok()).collect());
    values.and_then(|values| values.try_into().ok()).ok_or_else(|| format!("its {name} is not a list of {N} numbers"))
}

/// The fewest values for which a task is started.
const MIN_VALUES: usize = 1 << 14;

/// The largest size of an array: more than any network of visage needs for a batch. It bounds the memory that a forged file can
/// request.
const MAX_VALUES: usize = 1 << 28;

fn count(shape: &[usize]) -> Result<usize, Reason> {
    let count = product(shape).filter(|&count| count <= MAX_VALUES);
    count.ok_or_else(|| format!("an array of {shape:?} would be too large"))
}
