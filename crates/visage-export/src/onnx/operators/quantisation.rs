//! Quantisation to 8 bits and back.

use rayon::prelude::*;

use super::{Inputs, MIN_VALUES, Reason, integer};
use crate::onnx::schema::NodeProto;
use crate::onnx::tensor::{Array, Values};

/// `saturate(round(x / scale) + zero point)`, ties to even.
pub(super) fn quantize(inputs: &Inputs<'_>) -> Result<Array, Reason> {
    let (shape, values) = inputs.floats(0)?;
    let scale = inputs.number(1)?;
    let quantized = |zero: f32, low: f32, high: f32| {
        let of = move |&value: &f32| ((value / scale).round_ties_even() + zero).clamp(low, high);
        values.par_iter().with_min_len(MIN_VALUES).map(of)
    };
    let values = match &inputs.get(2)?.values {
        // The values are integers in range.
        Values::Uint8(zero) => match zero[..] {
            [zero] => Values::Uint8(quantized(f32::from(zero), 0.0, 255.0).map(|value| value as u8).collect()),
            _ => return Err("its zero point is not one number".to_owned()),
        },
        Values::Int8(zero) => match zero[..] {
            [zero] => Values::Int8(quantized(f32::from(zero), -128.0, 127.0).map(|value| value as i8).collect()),
            _ => return Err("its zero point is not one number".to_owned()),
        },
        _ => return Err("its zero point is neither uint8 nor int8".to_owned()),
    };
    Ok(Array { shape: shape.to_vec(), values })
}

/// `(x - zero point) * scale`, with one scale, or one for each index along an axis.
pub(super) fn dequantize(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Array, Reason> {
    let (array, zero) = (inputs.get(0)?, inputs.get(2)?);
    let (_, scales) = inputs.floats(1)?;
    let zero = match &zero.values {
        Values::Uint8(zero) => zero.iter().map(|&zero| i64::from(zero)).collect(),
        Values::Int8(zero) => zero.iter().map(|&zero| i64::from(zero)).collect(),
        Values::Int32(zero) => zero.iter().map(|&zero| i64::from(zero)).collect::<Vec<_>>(),
        _ => return Err("the type of its zero point is not supported".to_owned()),
    };
    if scales.is_empty() || zero.len() != scales.len() {
        return Err(format!("{} scales and {} zero points", scales.len(), zero.len()));
    }
    let axis = usize::try_from(integer(node, "axis", 1)).unwrap_or(usize::MAX);
    let run = if scales.len() == 1 {
        array.shape.iter().product::<usize>().max(1)
    } else if array.shape.get(axis) == Some(&scales.len()) {
        array.shape[axis + 1..].iter().product::<usize>().max(1)
    } else {
        return Err(format!("{} scales along axis {axis} of {:?}", scales.len(), array.shape));
    };
    let channel = |index: usize| index / run % scales.len();
    let of = |(index, value): (usize, i64)| (value - zero[channel(index)]) as f32 * scales[channel(index)];
    let values = match &array.values {
        Values::Uint8(values) if scales.len() == 1 => {
            // Activations: a table of all values is faster.
            let table: [f32; 256] = std::array::from_fn(|value| of((0, value as i64)));
            values.par_iter().with_min_len(MIN_VALUES).map(|&value| table[usize::from(value)]).collect()
        }
        Values::Uint8(values) => values.iter().map(|&value| i64::from(value)).enumerate().map(of).collect(),
        Values::Int8(values) => values.iter().map(|&value| i64::from(value)).enumerate().map(of).collect(),
        Values::Int32(values) => values.iter().map(|&value| i64::from(value)).enumerate().map(of).collect(),
        _ => return Err("its input is not quantised".to_owned()),
    };
    Ok(Array::floats(&*array.shape, values))
}
