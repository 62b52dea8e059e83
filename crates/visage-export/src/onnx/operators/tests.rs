//! The operators against ONNX Runtime.

use serde_json::Value;

use super::*;
use crate::onnx::builder::{float, int, ints};

fn integers_of<T: TryFrom<i64>>(values: &Value) -> Vec<T> {
    let values = values.as_array().unwrap().iter().map(|value| value.as_i64().unwrap());
    values.map(|value| T::try_from(value).ok().unwrap()).collect()
}

fn array(golden: &Value) -> Array {
    let values = &golden["values"];
    let values = match golden["type"].as_str().unwrap() {
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
    Array { shape: integers_of(&golden["shape"]), values }
}

fn node(operator: &str, attributes: &Value) -> NodeProto {
    let attribute =
        attributes.as_object().unwrap().iter().map(|(name, value)| match (value.as_i64(), value.as_f64()) {
            (Some(number), _) => int(name, number),
            (None, Some(number)) => float(name, number as f32),
            (None, None) => ints(name, integers_of::<usize>(value)),
        });
    NodeProto { op_type: Some(operator.to_owned()), attribute: attribute.collect(), ..NodeProto::default() }
}

/// The cases of `tests/golden/onnx_operators.py`.
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
fn invalid_inputs_are_errors() {
    let cases = golden();
    let mut refused = 0;
    for case in &cases {
        let operator = case["operator"].as_str().unwrap();
        let node = node(operator, &case["attributes"]);
        let inputs: Vec<Array> = case["inputs"].as_array().unwrap().iter().map(array).collect();
        let compute = |inputs: Vec<Option<&Array>>| compute(&node, &Inputs(inputs)).unwrap();
        assert!(compute(Vec::new()).is_err(), "{operator} without inputs");
        // Each input in turn is omitted, a scalar, empty, or of another type. The result is a value or an error, never a panic.
        let invalid = [
            None,
            Some(Array::floats([], vec![1.0])),
            Some(Array::floats([0, 3], Vec::new())),
            Some(Array { shape: vec![2], values: Values::Int64(vec![-1, 9]) }),
            Some(Array { shape: vec![1], values: Values::Uint8(vec![7]) }),
        ];
        for index in 0..inputs.len() {
            for other in &invalid {
                let mut given: Vec<Option<&Array>> = inputs.iter().map(Some).collect();
                given[index] = other.as_ref();
                refused += usize::from(compute(given).is_err());
            }
        }
    }
    assert!(refused > 2 * cases.len(), "{refused}");
}

#[test]
fn an_unsupported_operator_is_none() {
    assert!(compute(&node("Softmax", &serde_json::json!({})), &Inputs(Vec::new())).is_none());
}
