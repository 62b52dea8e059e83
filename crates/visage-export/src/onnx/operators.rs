//! The operators that graphs of visage use, by the definitions of ONNX's operator set 17.
//!
//! Convolutions run on the kernels the networks run on, between two changes of layout; everything else is a plain loop. What a
//! node says of itself (kernel, strides, pads, groups, axes) is taken from the file and from nowhere else.

use rayon::prelude::*;
use visage_kernels::{ConvShape, DepthwiseShape, Epilogue, Padding, Window, conv2d, depthwise_conv2d};

use super::schema::{DataType, NodeProto};
use super::tensor::{Array, Values, product};

/// Why a node cannot be computed.
pub(super) type Reason = String;

/// A node's inputs, an optional one that is left out being `None`.
pub(super) struct Inputs<'a>(pub(super) Vec<Option<&'a Array>>);

impl<'a> Inputs<'a> {
    fn get(&self, index: usize) -> Result<&'a Array, Reason> {
        self.0.get(index).copied().flatten().ok_or_else(|| format!("it has no input {index}"))
    }

    fn floats(&self, index: usize) -> Result<(&'a [usize], &'a [f32]), Reason> {
        let array = self.get(index)?;
        let values = array.as_floats().ok_or_else(|| format!("input {index} is not float"))?;
        Ok((&array.shape, values))
    }

    fn number(&self, index: usize) -> Result<f32, Reason> {
        match self.floats(index)?.1 {
            &[number] => Ok(number),
            _ => Err(format!("input {index} is not one number")),
        }
    }

    fn axes(&self, index: usize) -> Result<Vec<usize>, Reason> {
        match &self.get(index)?.values {
            Values::Int64(axes) => axes.iter().map(|&axis| usize::try_from(axis).map_err(|e| e.to_string())).collect(),
            _ => Err(format!("input {index} holds no axes")),
        }
    }
}

/// Computes one node; `None` for an operator that is not among these.
pub(super) fn compute(node: &NodeProto, inputs: &Inputs<'_>) -> Option<Result<Array, Reason>> {
    Some(match node.op_type() {
        "Add" => arithmetic(inputs, |a, b| a + b),
        "Sub" => arithmetic(inputs, |a, b| a - b),
        "Mul" => arithmetic(inputs, |a, b| a * b),
        "Div" => arithmetic(inputs, |a, b| a / b),
        "Relu" => each(inputs, |value| value.max(0.0)),
        "Sigmoid" => each(inputs, visage_judge::sigmoid),
        "Clip" => clip(inputs),
        "Cast" => cast(node, inputs),
        "Transpose" => transpose(node, inputs),
        "Unsqueeze" => unsqueeze(inputs),
        "ReduceSum" => reduce_sum(node, inputs),
        "Where" => choose(inputs),
        "Flatten" => flatten(node, inputs),
        "Gemm" => gemm(node, inputs),
        "Conv" => conv(node, inputs),
        "MaxPool" => max_pool(node, inputs),
        "GlobalAveragePool" => global_average_pool(inputs),
        "QuantizeLinear" => quantize(inputs),
        "DequantizeLinear" => dequantize(node, inputs),
        _ => return None,
    })
}

fn integer(node: &NodeProto, name: &str, absent: i64) -> i64 {
    node.attribute.iter().find(|attribute| attribute.name() == name).map_or(absent, |attribute| attribute.i())
}

fn integers<const N: usize>(node: &NodeProto, name: &str) -> Result<[usize; N], Reason> {
    let attribute = node.attribute.iter().find(|attribute| attribute.name() == name);
    let values: Option<Vec<usize>> =
        attribute.and_then(|attribute| attribute.ints.iter().map(|&value| usize::try_from(value).ok()).collect());
    values.and_then(|values| values.try_into().ok()).ok_or_else(|| format!("its {name} is not {N} numbers"))
}

/// The most values an array may have: more than any network of visage makes of a batch, and a bound on what a forged file asks for.
const MOST_VALUES: usize = 1 << 28;

/// How many values an array of `shape` has.
fn count(shape: &[usize]) -> Result<usize, Reason> {
    let count = product(shape).filter(|&count| count <= MOST_VALUES);
    count.ok_or_else(|| format!("an array of {shape:?} would be too large"))
}

/// The shape of a batch of maps, which has something in it.
fn map_of(shape: &[usize]) -> Result<[usize; 4], Reason> {
    let map = shape.try_into().ok().filter(|map: &[usize; 4]| !map.contains(&0));
    map.ok_or_else(|| format!("its input is {shape:?}, which is no batch of maps"))
}

fn each(inputs: &Inputs<'_>, function: impl Fn(f32) -> f32 + Sync) -> Result<Array, Reason> {
    let (shape, values) = inputs.floats(0)?;
    Ok(Array::floats(shape, values.par_iter().with_min_len(1 << 14).map(|&value| function(value)).collect()))
}

fn clip(inputs: &Inputs<'_>) -> Result<Array, Reason> {
    let (low, high) = (inputs.number(1)?, inputs.number(2)?);
    each(inputs, |value| value.max(low).min(high))
}

/// Element by element, dimensions of length 1 stretching to the other's.
fn arithmetic(inputs: &Inputs<'_>, function: impl Fn(f32, f32) -> f32 + Sync) -> Result<Array, Reason> {
    let ((a_shape, a), (b_shape, b)) = (inputs.floats(0)?, inputs.floats(1)?);
    let shape = broadcast(a_shape, b_shape)?;
    if a_shape == b_shape {
        return Ok(Array::floats(
            shape,
            a.par_iter().with_min_len(1 << 14).zip(b).map(|(&a, &b)| function(a, b)).collect(),
        ));
    }
    let (a_steps, b_steps) = (steps(a_shape, &shape), steps(b_shape, &shape));
    let values = positions(&shape, [&a_steps, &b_steps]).map(|[at_a, at_b]| function(a[at_a], b[at_b])).collect();
    Ok(Array::floats(shape, values))
}

fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>, Reason> {
    let rank = a.len().max(b.len());
    let length = |shape: &[usize], axis: usize| (axis + shape.len()).checked_sub(rank).map_or(1, |axis| shape[axis]);
    let shape: Vec<usize> = (0..rank)
        .map(|axis| match (length(a, axis), length(b, axis)) {
            (a, b) if a == b || b == 1 => Ok(a),
            (1, b) => Ok(b),
            _ => Err(format!("its inputs are {a:?} and {b:?}, which do not go together")),
        })
        .collect::<Result<_, Reason>>()?;
    count(&shape).map(|_| shape)
}

/// How far apart neighbours along each axis of `to` lie in an array of `shape` that is stretched to it.
fn steps(shape: &[usize], to: &[usize]) -> Vec<usize> {
    let mut steps = vec![0; to.len()];
    let mut step = 1;
    for (axis, &length) in shape.iter().enumerate().rev() {
        if length != 1 {
            steps[axis + to.len() - shape.len()] = step;
        }
        step *= length;
    }
    steps
}

/// Where each element of an array of `shape` lies in `N` others, by their steps.
fn positions<const N: usize>(shape: &[usize], steps: [&[usize]; N]) -> impl Iterator<Item = [usize; N]> {
    // Every shape that comes here was counted before.
    let count = product(shape).unwrap_or(0);
    let mut index = vec![0; shape.len()];
    let mut at = [0; N];
    (0..count).map(move |_| {
        let here = at;
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            let back = index[axis] == shape[axis];
            for (at, steps) in at.iter_mut().zip(steps) {
                *at = if back { *at - steps[axis] * (shape[axis] - 1) } else { *at + steps[axis] };
            }
            if !back {
                break;
            }
            index[axis] = 0;
        }
        here
    })
}

fn cast(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Array, Reason> {
    let array = inputs.get(0)?;
    match (&array.values, integer(node, "to", 0)) {
        (Values::Uint8(bytes), to) if to == DataType::Float as i64 => {
            Ok(Array::floats(&*array.shape, bytes.iter().map(|&byte| f32::from(byte)).collect()))
        }
        _ => Err("only a cast of uint8 to float is known".to_owned()),
    }
}

fn transpose(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Array, Reason> {
    let (shape, values) = inputs.floats(0)?;
    let permutation: [usize; 4] = integers(node, "perm")?;
    let mut sorted = permutation;
    sorted.sort_unstable();
    if sorted != [0, 1, 2, 3] || shape.len() != 4 {
        return Err(format!("a permutation {permutation:?} of {shape:?}"));
    }
    let plain = steps_of(shape);
    let permuted = permutation.map(|axis| shape[axis]);
    let steps = permutation.map(|axis| plain[axis]);
    Ok(Array::floats(permuted, positions(&permuted, [&steps]).map(|[at]| values[at]).collect()))
}

/// How far apart neighbours along each axis lie.
fn steps_of(shape: &[usize]) -> Vec<usize> {
    let mut steps = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        steps[axis - 1] = steps[axis] * shape[axis];
    }
    steps
}

fn unsqueeze(inputs: &Inputs<'_>) -> Result<Array, Reason> {
    let (shape, values) = inputs.floats(0)?;
    let mut shape = shape.to_vec();
    for axis in inputs.axes(1)? {
        if axis > shape.len() {
            return Err(format!("there is no axis {axis}"));
        }
        shape.insert(axis, 1);
    }
    Ok(Array::floats(shape, values.to_vec()))
}

/// The sum over the last axis, which then is gone.
fn reduce_sum(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Array, Reason> {
    let (shape, values) = inputs.floats(0)?;
    let axes = inputs.axes(1)?;
    let (Some((&length, rest)), 0) = (shape.split_last(), integer(node, "keepdims", 1)) else {
        return Err("only a sum that drops its axis is known".to_owned());
    };
    if axes != [rest.len()] {
        return Err(format!("only the last axis can be summed over, not {axes:?}"));
    }
    let count = product(rest).unwrap_or(0);
    let sums = (0..count).map(|row| values[row * length..][..length].iter().sum()).collect();
    Ok(Array::floats(rest, sums))
}

fn choose(inputs: &Inputs<'_>) -> Result<Array, Reason> {
    let condition = inputs.get(0)?;
    let ((a_shape, a), (b_shape, b)) = (inputs.floats(1)?, inputs.floats(2)?);
    let Values::Bool(chosen) = &condition.values else { return Err("its condition is not bool".to_owned()) };
    let shape = broadcast(&broadcast(&condition.shape, a_shape)?, b_shape)?;
    let steps = [steps(&condition.shape, &shape), steps(a_shape, &shape), steps(b_shape, &shape)];
    let steps = [&*steps[0], &*steps[1], &*steps[2]];
    let values = positions(&shape, steps).map(|[at, at_a, at_b]| if chosen[at] { a[at_a] } else { b[at_b] }).collect();
    Ok(Array::floats(shape, values))
}

fn flatten(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Array, Reason> {
    let (shape, values) = inputs.floats(0)?;
    match (shape.split_first(), integer(node, "axis", 1)) {
        (Some((&batch, rest)), 1) => Ok(Array::floats([batch, product(rest).unwrap_or(0)], values.to_vec())),
        _ => Err("only flattening to rows is known".to_owned()),
    }
}

/// `input * weight^T + bias`
fn gemm(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Array, Reason> {
    let ((shape, input), (weight_shape, weight), (_, bias)) = (inputs.floats(0)?, inputs.floats(1)?, inputs.floats(2)?);
    let (&[batch, features], &[outputs, expected], 1) = (shape, weight_shape, integer(node, "transB", 0)) else {
        return Err("only a product with a transposed weight is known".to_owned());
    };
    if features != expected || bias.len() != outputs {
        return Err(format!("its input is {shape:?}, its weight {weight_shape:?}, its bias {}", bias.len()));
    }
    let mut values = vec![0.0; count(&[batch, outputs])?];
    if outputs > 0 && features > 0 {
        values.par_chunks_mut(outputs).zip(input.par_chunks(features)).for_each(|(row, input)| {
            for ((value, weight), bias) in row.iter_mut().zip(weight.chunks(features)).zip(bias) {
                // Sums of eight, as long rows lose digits in one.
                let mut sums = [0.0_f32; 8];
                for (place, (a, b)) in input.iter().zip(weight).enumerate() {
                    sums[place % 8] += a * b;
                }
                *value = sums.iter().sum::<f32>() + bias;
            }
        });
    }
    Ok(Array::floats([batch, outputs], values))
}

/// `[batch, channels, positions]` to `[batch, positions, channels]`, or back with the last two swapped.
fn swapped(values: &[f32], batch: usize, rows: usize, columns: usize) -> Vec<f32> {
    let mut out = vec![0.0; values.len()];
    if batch > 0 && !values.is_empty() {
        out.par_chunks_mut(rows * columns).zip(values.par_chunks(rows * columns)).for_each(|(out, values)| {
            for (row, values) in values.chunks(columns).enumerate() {
                for (column, &value) in values.iter().enumerate() {
                    out[column * rows + row] = value;
                }
            }
        });
    }
    out
}

fn window(node: &NodeProto, [height, width]: [usize; 2]) -> Result<Window, Reason> {
    let [top, left, bottom, right] = integers(node, "pads")?;
    let (kernel, stride) = (integers(node, "kernel_shape")?, integers(node, "strides")?);
    // Padding beyond the window would be windows of nothing else.
    let pads = [[top, bottom], [left, right]];
    let padded = kernel.iter().zip(pads).all(|(&kernel, pads)| pads.iter().all(|&pad| pad < kernel));
    let most = MOST_VALUES;
    let fits = |length: usize, axis: usize| {
        kernel[axis] <= most && stride[axis] <= most && length + pads[axis][0] + pads[axis][1] >= kernel[axis]
    };
    if kernel.contains(&0) || stride.contains(&0) || !padded || !fits(height, 0) || !fits(width, 1) {
        return Err(format!("a window of {kernel:?} by steps of {stride:?} on {height}x{width}"));
    }
    Ok(Window { kernel, stride, padding: Padding { top, left, bottom, right } })
}

fn conv(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Array, Reason> {
    let ((shape, input), (weight_shape, weight), (_, bias)) = (inputs.floats(0)?, inputs.floats(1)?, inputs.floats(2)?);
    let ([batch, channels, in_height, in_width], [outputs, per_group, ..]) = (map_of(shape)?, map_of(weight_shape)?);
    let window = window(node, [in_height, in_width])?;
    let groups = usize::try_from(integer(node, "group", 1)).unwrap_or(0);
    if per_group.checked_mul(groups) != Some(channels) || weight_shape[2..] != window.kernel || bias.len() != outputs {
        return Err(format!("its input is {shape:?}, its weight {weight_shape:?}, its groups {groups}"));
    }
    let out_size = [window.out_height(in_height), window.out_width(in_width)];
    let input = swapped(input, batch, channels, in_height * in_width);
    let mut output = vec![0.0; count(&[batch, outputs, out_size[0], out_size[1]])?];
    let epilogue = Epilogue { bias: Some(bias), ..Epilogue::default() };
    let taps = window.kernel[0] * window.kernel[1];
    if groups == 1 {
        let shape = ConvShape { batch, in_height, in_width, in_channels: channels, out_channels: outputs, window };
        let weight = swapped(weight, outputs, channels, taps);
        conv2d(shape, &input, &weight, epilogue, &mut output);
    } else if per_group == 1 && outputs == channels {
        let shape = DepthwiseShape { batch, in_height, in_width, channels, window };
        let weight = swapped(weight, 1, channels, taps);
        depthwise_conv2d(shape, &input, &weight, epilogue, &mut output);
    } else {
        return Err(format!("convolutions of {groups} groups are not known"));
    }
    let positions = out_size[0] * out_size[1];
    Ok(Array::floats([batch, outputs, out_size[0], out_size[1]], swapped(&output, batch, positions, outputs)))
}

fn max_pool(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Array, Reason> {
    let (shape, input) = inputs.floats(0)?;
    let [batch, channels, height, width] = map_of(shape)?;
    let window = window(node, [height, width])?;
    let out_size = [window.out_height(height), window.out_width(width)];
    let mut output = Vec::with_capacity(count(&[batch, channels, out_size[0], out_size[1]])?);
    // The rows or columns a window covers, without padding.
    let covered = |at: usize, axis: usize, before: usize, length: usize| {
        let start = at * window.stride[axis];
        start.saturating_sub(before).min(length)..(start + window.kernel[axis]).saturating_sub(before).min(length)
    };
    for map in input.chunks(height * width) {
        for y in 0..out_size[0] {
            let rows = covered(y, 0, window.padding.top, height);
            for x in 0..out_size[1] {
                let columns = covered(x, 1, window.padding.left, width);
                let rows = rows.clone().map(|row| &map[row * width..][columns.clone()]);
                output.push(rows.flatten().copied().fold(f32::NEG_INFINITY, f32::max));
            }
        }
    }
    Ok(Array::floats([batch, channels, out_size[0], out_size[1]], output))
}

fn global_average_pool(inputs: &Inputs<'_>) -> Result<Array, Reason> {
    let (shape, input) = inputs.floats(0)?;
    let [batch, channels, height, width] = map_of(shape)?;
    let positions = height * width;
    let mean = |map: &[f32]| (map.iter().map(|&value| f64::from(value)).sum::<f64>() / positions as f64) as f32;
    let means = input.par_chunks(positions).map(mean).collect();
    Ok(Array::floats([batch, channels, 1, 1], means))
}

/// `saturate(round(x / scale) + zero point)`, halves to even.
fn quantize(inputs: &Inputs<'_>) -> Result<Array, Reason> {
    let (shape, values) = inputs.floats(0)?;
    let scale = inputs.number(1)?;
    let quantized = |zero: f32, low: f32, high: f32| {
        let of = move |&value: &f32| ((value / scale).round_ties_even() + zero).clamp(low, high);
        values.par_iter().with_min_len(1 << 14).map(of)
    };
    let values = match &inputs.get(2)?.values {
        // The casts are of whole numbers in range.
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

/// `(x - zero point) * scale`, with one scale or one for each place along an axis.
fn dequantize(node: &NodeProto, inputs: &Inputs<'_>) -> Result<Array, Reason> {
    let (array, zero) = (inputs.get(0)?, inputs.get(2)?);
    let (_, scales) = inputs.floats(1)?;
    let zero = match &zero.values {
        Values::Uint8(zero) => zero.iter().map(|&zero| i64::from(zero)).collect(),
        Values::Int8(zero) => zero.iter().map(|&zero| i64::from(zero)).collect(),
        Values::Int32(zero) => zero.iter().map(|&zero| i64::from(zero)).collect::<Vec<_>>(),
        _ => return Err("its zero point is of a type that is not known".to_owned()),
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
    let place = |at: usize| at / run % scales.len();
    let of = |(at, value): (usize, i64)| (value - zero[place(at)]) as f32 * scales[place(at)];
    let values = match &array.values {
        Values::Uint8(values) if scales.len() == 1 => {
            // Activations, which are many: a table makes each value once.
            let table: [f32; 256] = std::array::from_fn(|value| of((0, value as i64)));
            values.par_iter().with_min_len(1 << 14).map(|&value| table[usize::from(value)]).collect()
        }
        Values::Uint8(values) => values.iter().map(|&value| i64::from(value)).enumerate().map(of).collect(),
        Values::Int8(values) => values.iter().map(|&value| i64::from(value)).enumerate().map(of).collect(),
        Values::Int32(values) => values.iter().map(|&value| i64::from(value)).enumerate().map(of).collect(),
        _ => return Err("its input is not quantised".to_owned()),
    };
    Ok(Array::floats(&*array.shape, values))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::builder::{int, ints};
    use super::*;

    fn integers_of<T: TryFrom<i64>>(values: &Value) -> Vec<T> {
        let values = values.as_array().unwrap().iter().map(|value| value.as_i64().unwrap());
        values.map(|value| T::try_from(value).ok().unwrap()).collect()
    }

    fn array(told: &Value) -> Array {
        let values = &told["values"];
        let values = match told["type"].as_str().unwrap() {
            "float32" => {
                Values::Float(values.as_array().unwrap().iter().map(|value| value.as_f64().unwrap() as f32).collect())
            }
            "uint8" => Values::Uint8(integers_of(values)),
            "int8" => Values::Int8(integers_of(values)),
            "int32" => Values::Int32(integers_of(values)),
            "int64" => Values::Int64(integers_of(values)),
            "bool" => Values::Bool(values.as_array().unwrap().iter().map(|value| value.as_bool().unwrap()).collect()),
            other => panic!("{other}"),
        };
        Array { shape: integers_of(&told["shape"]), values }
    }

    fn node(operator: &str, attributes: &Value) -> NodeProto {
        let attribute = attributes.as_object().unwrap().iter().map(|(name, value)| match value.as_i64() {
            Some(number) => int(name, number),
            None => ints(name, integers_of::<usize>(value)),
        });
        NodeProto { op_type: Some(operator.to_owned()), attribute: attribute.collect(), ..NodeProto::default() }
    }

    /// `tests/golden/onnx_operators.py` made the numbers.
    fn golden() -> Vec<Value> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/onnx_operators.json");
        let golden: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        golden["cases"].as_array().unwrap().clone()
    }

    #[test]
    fn operators_compute_what_onnx_runtime_computes() {
        for case in golden() {
            let operator = case["operator"].as_str().unwrap();
            let inputs: Vec<Array> = case["inputs"].as_array().unwrap().iter().map(array).collect();
            let found = compute(&node(operator, &case["attributes"]), &Inputs(inputs.iter().map(Some).collect()));
            let (found, expected) = (found.unwrap().unwrap(), array(&case["output"]));
            let about = format!("{operator} {}", case["attributes"]);
            assert_eq!(found.shape, expected.shape, "{about}");
            match (&found.values, &expected.values) {
                (Values::Float(found), Values::Float(expected)) => {
                    let largest = expected.iter().fold(1.0_f32, |largest, value| largest.max(value.abs()));
                    for (found, expected) in found.iter().zip(expected) {
                        assert!((found - expected).abs() <= 2e-6 * largest, "{about}: {found} {expected}");
                    }
                }
                (found, expected) => assert_eq!(found, expected, "{about}"),
            }
        }
    }

    #[test]
    fn inputs_that_do_not_fit_are_told_and_not_computed() {
        let cases = golden();
        let mut refused = 0;
        for case in &cases {
            let operator = case["operator"].as_str().unwrap();
            let node = node(operator, &case["attributes"]);
            let inputs: Vec<Array> = case["inputs"].as_array().unwrap().iter().map(array).collect();
            let compute = |inputs: Vec<Option<&Array>>| compute(&node, &Inputs(inputs)).unwrap();
            assert!(compute(Vec::new()).is_err(), "{operator} of nothing");
            // Each input in turn left out, of no dimension, empty, or of another type: an answer or a reason, never a panic.
            let strange = [
                None,
                Some(Array::floats([], vec![1.0])),
                Some(Array::floats([0, 3], Vec::new())),
                Some(Array { shape: vec![2], values: Values::Int64(vec![-1, 9]) }),
                Some(Array { shape: vec![1], values: Values::Uint8(vec![7]) }),
            ];
            for place in 0..inputs.len() {
                for other in &strange {
                    let mut given: Vec<Option<&Array>> = inputs.iter().map(Some).collect();
                    given[place] = other.as_ref();
                    refused += usize::from(compute(given).is_err());
                }
            }
        }
        assert!(refused > 2 * cases.len(), "{refused}");
    }

    #[test]
    fn an_operator_that_visage_does_not_write_is_none() {
        assert!(compute(&node("Softmax", &serde_json::json!({})), &Inputs(Vec::new())).is_none());
    }
}
