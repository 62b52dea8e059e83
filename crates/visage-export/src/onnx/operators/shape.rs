//! Operators that change shape, layout or type, and sums over an axis.

use super::broadcast::{indices, strides};
use super::{Inputs, Reason, integer, integers};
use crate::onnx::schema::{DataType, NodeProto};
use crate::onnx::tensor::{Array, Values, product};

pub(super) fn cast(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Array, Reason> {
    let array = inputs.get(0)?;
    match (&array.values, integer(node, "to", 0)) {
        (Values::Uint8(bytes), to) if to == DataType::Float as i64 => {
            Ok(Array::floats(&*array.shape, bytes.iter().map(|&byte| f32::from(byte)).collect()))
        }
        _ => Err("only casts from uint8 to float are supported".to_owned()),
    }
}

pub(super) fn transpose(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Array, Reason> {
    let (shape, values) = inputs.floats(0)?;
    let permutation: [usize; 4] = integers(node, "perm")?;
    let mut sorted = permutation;
    sorted.sort_unstable();
    if sorted != [0, 1, 2, 3] || shape.len() != 4 {
        return Err(format!("{permutation:?} is not a permutation of the axes of {shape:?}"));
    }
    let strides = strides(shape);
    let permuted = permutation.map(|axis| shape[axis]);
    let strides = permutation.map(|axis| strides[axis]);
    Ok(Array::floats(permuted, indices(&permuted, [&strides]).map(|[index]| values[index]).collect()))
}

pub(super) fn unsqueeze(inputs: &Inputs<'_>) -> Result<Array, Reason> {
    let (shape, values) = inputs.floats(0)?;
    let mut shape = shape.to_vec();
    for axis in inputs.axes(1)? {
        if axis > shape.len() {
            return Err(format!("axis {axis} is out of range"));
        }
        shape.insert(axis, 1);
    }
    Ok(Array::floats(shape, values.to_vec()))
}

/// The sum over the last axis, which is removed.
pub(super) fn reduce_sum(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Array, Reason> {
    let (shape, values) = inputs.floats(0)?;
    let axes = inputs.axes(1)?;
    let (Some((&length, rest)), 0) = (shape.split_last(), integer(node, "keepdims", 1)) else {
        return Err("only sums that remove their axis are supported".to_owned());
    };
    if axes != [rest.len()] {
        return Err(format!("only sums over the last axis are supported, not over {axes:?}"));
    }
    let count = product(rest).unwrap_or(0);
    let sums = (0..count).map(|row| values[row * length..][..length].iter().sum()).collect();
    Ok(Array::floats(rest, sums))
}

pub(super) fn flatten(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Array, Reason> {
    let (shape, values) = inputs.floats(0)?;
    match (shape.split_first(), integer(node, "axis", 1)) {
        (Some((&batch, rest)), 1) => Ok(Array::floats([batch, product(rest).unwrap_or(0)], values.to_vec())),
        _ => Err("only flattening from axis 1 is supported".to_owned()),
    }
}
