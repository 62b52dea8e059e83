//! Element-wise operators.

use rayon::prelude::*;

use super::broadcast::{broadcast, broadcast_strides, indices};
use super::{Inputs, MIN_VALUES, Reason, float};
use crate::onnx::schema::NodeProto;
use crate::onnx::tensor::{Array, Values};

pub(super) fn each(inputs: &Inputs<'_>, function: impl Fn(f32) -> f32 + Sync) -> Result<Array, Reason> {
    let (shape, values) = inputs.floats(0)?;
    Ok(Array::floats(shape, values.par_iter().with_min_len(MIN_VALUES).map(|&value| function(value)).collect()))
}

pub(super) fn clip(inputs: &Inputs<'_>) -> Result<Array, Reason> {
    let (low, high) = (inputs.number(1)?, inputs.number(2)?);
    each(inputs, |value| value.max(low).min(high))
}

pub(super) fn hard_sigmoid(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Array, Reason> {
    let (alpha, beta) = (float(node, "alpha", 0.2), float(node, "beta", 0.5));
    each(inputs, |value| (alpha * value + beta).clamp(0.0, 1.0))
}

pub(super) fn arithmetic(inputs: &Inputs<'_>, function: impl Fn(f32, f32) -> f32 + Sync) -> Result<Array, Reason> {
    let ((a_shape, a), (b_shape, b)) = (inputs.floats(0)?, inputs.floats(1)?);
    let shape = broadcast(a_shape, b_shape)?;
    if a_shape == b_shape {
        return Ok(Array::floats(
            shape,
            a.par_iter().with_min_len(MIN_VALUES).zip(b).map(|(&a, &b)| function(a, b)).collect(),
        ));
    }
    let strides = [broadcast_strides(a_shape, &shape), broadcast_strides(b_shape, &shape)];
    let values = indices(&shape, strides.each_ref().map(Vec::as_slice)).map(|[i, j]| function(a[i], b[j])).collect();
    Ok(Array::floats(shape, values))
}

/// `Where`: the second input where the condition holds, otherwise the third.
pub(super) fn choose(inputs: &Inputs<'_>) -> Result<Array, Reason> {
    let condition = inputs.get(0)?;
    let ((a_shape, a), (b_shape, b)) = (inputs.floats(1)?, inputs.floats(2)?);
    let Values::Bool(chosen) = &condition.values else { return Err("its condition is not bool".to_owned()) };
    let shape = broadcast(&broadcast(&condition.shape, a_shape)?, b_shape)?;
    let strides = [&*condition.shape, a_shape, b_shape].map(|from| broadcast_strides(from, &shape));
    let values = indices(&shape, strides.each_ref().map(Vec::as_slice))
        .map(|[condition, i, j]| if chosen[condition] { a[i] } else { b[j] })
        .collect();
    Ok(Array::floats(shape, values))
}
