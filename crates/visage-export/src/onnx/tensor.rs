//! The arrays of the interpreter.

use super::schema::{DataType, TensorProto};
use crate::error::GraphError;

/// An array, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// The length of each dimension, outermost first. Empty for a scalar.
    pub shape: Vec<usize>,
    /// The values. Their number is the product of `shape`.
    pub values: Values,
}

/// Values of one type.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// `float32`
    Float(Vec<f32>),
    /// `uint8`
    Uint8(Vec<u8>),
    /// `int8`
    Int8(Vec<i8>),
    /// `int32`
    Int32(Vec<i32>),
    /// `int64`
    Int64(Vec<i64>),
    /// `bool`
    Bool(Vec<bool>),
}

impl Values {
    fn len(&self) -> usize {
        match self {
            Values::Float(values) => values.len(),
            Values::Uint8(values) => values.len(),
            Values::Int8(values) => values.len(),
            Values::Int32(values) => values.len(),
            Values::Int64(values) => values.len(),
            Values::Bool(values) => values.len(),
        }
    }
}

impl Array {
    /// An array of floats.
    pub fn floats(shape: impl Into<Vec<usize>>, values: Vec<f32>) -> Self {
        Self { shape: shape.into(), values: Values::Float(values) }
    }

    /// The values, if they are floats.
    pub fn as_floats(&self) -> Option<&[f32]> {
        match &self.values {
            Values::Float(values) => Some(values),
            _ => None,
        }
    }

    pub(super) fn is_consistent(&self) -> bool {
        product(&self.shape) == Some(self.values.len())
    }

    /// The array of a constant in a file.
    pub(super) fn of(constant: &TensorProto) -> Result<Self, GraphError> {
        let bad = |reason: &str| GraphError::Constant { name: constant.name().to_owned(), reason: reason.to_owned() };
        let shape: Option<Vec<usize>> = constant.dims.iter().map(|&length| usize::try_from(length).ok()).collect();
        let shape = shape.ok_or_else(|| bad("a dimension is negative"))?;
        let bytes = constant.raw_data.as_deref().ok_or_else(|| bad("its values are not stored as raw bytes"))?;
        let values = match DataType::try_from(constant.data_type.unwrap_or_default()) {
            Ok(DataType::Float) => Values::Float(numbers(bytes, f32::from_le_bytes)),
            Ok(DataType::Uint8) => Values::Uint8(bytes.to_vec()),
            Ok(DataType::Int8) => Values::Int8(numbers(bytes, i8::from_le_bytes)),
            Ok(DataType::Int32) => Values::Int32(numbers(bytes, i32::from_le_bytes)),
            Ok(DataType::Int64) => Values::Int64(numbers(bytes, i64::from_le_bytes)),
            Ok(DataType::Bool) => Values::Bool(bytes.iter().map(|&byte| byte != 0).collect()),
            _ => return Err(bad("its element type is not supported")),
        };
        let array = Self { shape, values };
        if array.is_consistent() { Ok(array) } else { Err(bad("its number of values is not that of its shape")) }
    }
}

fn numbers<const SIZE: usize, T>(bytes: &[u8], decode: impl Fn([u8; SIZE]) -> T) -> Vec<T> {
    bytes.as_chunks::<SIZE>().0.iter().map(|&chunk| decode(chunk)).collect()
}

/// The number of values of a shape. `None` on overflow.
pub(super) fn product(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1_usize, |product, &length| product.checked_mul(length))
}
