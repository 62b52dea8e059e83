//! Operators that change shape, layout, order or type, and sums over an axis.

use super::broadcast::{indices, strides};
use super::{Inputs, Reason, count, integer, integers};
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
    for axis in inputs.indices(1)? {
        if axis > shape.len() {
            return Err(format!("axis {axis} is out of range"));
        }
        shape.insert(axis, 1);
    }
    Ok(Array::floats(shape, values.to_vec()))
}

/// The sum over an axis, which is removed.
pub(super) fn reduce_sum(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Array, Reason> {
    let (shape, values) = inputs.floats(0)?;
    let (&[axis], 0) = (&inputs.indices(1)?[..], integer(node, "keepdims", 1)) else {
        return Err("only sums that remove one axis are supported".to_owned());
    };
    let [outer, length, inner] = around(shape, axis)?;
    let sum = |at: usize| -> f32 {
        let (row, column) = (at / inner, at % inner);
        (0..length).map(|index| values[(row * length + index) * inner + column]).sum()
    };
    let mut rest = shape.to_vec();
    rest.remove(axis);
    Ok(Array::floats(rest, (0..outer * inner).map(sum).collect()))
}

/// The slices of the input at some indices of an axis.
pub(super) fn gather(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Array, Reason> {
    let (shape, values) = inputs.floats(0)?;
    let (axis, indices) = (axis(node)?, inputs.indices(1)?);
    let [outer, length, inner] = around(shape, axis)?;
    if inputs.get(1)?.shape.len() != 1 || indices.iter().any(|&index| index >= length) {
        return Err(format!("{indices:?} is not a list of indices of {length} slices"));
    }
    let mut gathered = shape.to_vec();
    gathered[axis] = indices.len();
    let mut out = Vec::with_capacity(count(&gathered)?);
    for row in 0..outer {
        for index in &indices {
            out.extend_from_slice(&values[(row * length + index) * inner..][..inner]);
        }
    }
    Ok(Array::floats(gathered, out))
}

/// The inputs, one after another along the first axis.
pub(super) fn concat(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Array, Reason> {
    let parts = (0..inputs.0.len()).map(|index| inputs.floats(index)).collect::<Result<Vec<_>, _>>()?;
    let Some((&(first, _), 0)) = parts.first().map(|first| (first, axis(node).unwrap_or(1))) else {
        return Err("only concatenation along axis 0 is supported".to_owned());
    };
    if first.is_empty() || parts.iter().any(|(shape, _)| shape.get(1..) != first.get(1..)) {
        return Err("its inputs differ in more than the first axis".to_owned());
    }
    let mut shape = first.to_vec();
    shape[0] = parts.iter().map(|(shape, _)| shape[0]).sum();
    let mut out = Vec::with_capacity(count(&shape)?);
    parts.iter().for_each(|(_, values)| out.extend_from_slice(values));
    Ok(Array::floats(shape, out))
}

/// The input in another shape, of which one dimension may be -1: as long as the values require.
pub(super) fn reshape(inputs: &Inputs<'_>) -> Result<Array, Reason> {
    let (_, values) = inputs.floats(0)?;
    let wanted = inputs.integers(1)?;
    let known = wanted.iter().filter(|&&length| length != -1).try_fold(1_usize, |product, &length| {
        usize::try_from(length).ok().filter(|&length| length > 0).and_then(|length| product.checked_mul(length))
    });
    let free = known.filter(|known| values.len().is_multiple_of(*known)).map(|known| values.len() / known);
    let shape: Option<Vec<usize>> =
        wanted.iter().map(|&length| if length == -1 { free } else { usize::try_from(length).ok() }).collect();
    shape
        .filter(|shape| product(shape) == Some(values.len()))
        .map(|shape| Array::floats(shape, values.to_vec()))
        .ok_or_else(|| format!("{} values have no shape {wanted:?}", values.len()))
}

/// The attribute `axis` of a node, which is not negative.
fn axis(node: &NodeProto) -> Result<usize, Reason> {
    usize::try_from(integer(node, "axis", 0)).map_err(|error| error.to_string())
}

/// The number of values before an axis, its length, and the number of values behind it.
fn around(shape: &[usize], axis: usize) -> Result<[usize; 3], Reason> {
    let Some(&length) = shape.get(axis) else { return Err(format!("axis {axis} is out of range")) };
    let [before, behind] = [&shape[..axis], &shape[axis + 1..]].map(|part| product(part).unwrap_or(0));
    Ok([before, length, behind])
}

pub(super) fn flatten(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Array, Reason> {
    let (shape, values) = inputs.floats(0)?;
    match (shape.split_first(), integer(node, "axis", 1)) {
        (Some((&batch, rest)), 1) => Ok(Array::floats([batch, product(rest).unwrap_or(0)], values.to_vec())),
        _ => Err("only flattening from axis 1 is supported".to_owned()),
    }
}
