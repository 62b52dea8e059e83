//! The content of a weight file.

use std::collections::BTreeMap;

/// Named tensors and the text stored beside them.
///
/// Both maps are ordered, so that the order of everything derived from them depends on the content alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TensorFile {
    /// The tensors by name.
    pub tensors: BTreeMap<String, Tensor>,
    /// Text by key: the `__metadata__` of a safetensors header. Always empty for PyTorch files.
    pub metadata: BTreeMap<String, String>,
}

/// An n-dimensional array of numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// The length of each dimension, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
    /// The values, row-major: as many as the product of `shape`.
    pub data: TensorValues,
}

impl Tensor {
    /// A tensor of `shape` with row-major `data`. [`write_safetensors`](crate::write_safetensors) refuses a tensor
    /// whose number of values is not the product of its shape.
    pub fn new(shape: impl Into<Vec<usize>>, data: impl Into<TensorValues>) -> Self {
        Tensor { shape: shape.into(), data: data.into() }
    }
}

/// The values of a tensor, in one of the element types that visage uses.
#[derive(Clone, Debug, PartialEq)]
pub enum TensorValues {
    /// Floating-point numbers of any width: f16 and bf16 are converted exactly, f64 is rounded to the nearest f32.
    F32(Vec<f32>),
    /// Signed integers of any width, and unsigned ones of 16 and 32 bits.
    I64(Vec<i64>),
    /// Unsigned integers of 64 bits.
    U64(Vec<u64>),
    /// Bytes and booleans (0 or 1).
    U8(Vec<u8>),
}

impl TensorValues {
    /// The number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            TensorValues::F32(values) => values.len(),
            TensorValues::I64(values) => values.len(),
            TensorValues::U64(values) => values.len(),
            TensorValues::U8(values) => values.len(),
        }
    }

    /// Whether there are no values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values if they are floating-point numbers.
    #[must_use]
    pub fn as_f32(&self) -> Option<&[f32]> {
        match self {
            TensorValues::F32(values) => Some(values),
            _ => None,
        }
    }
}

impl From<Vec<f32>> for TensorValues {
    fn from(values: Vec<f32>) -> Self {
        TensorValues::F32(values)
    }
}

impl From<Vec<i64>> for TensorValues {
    fn from(values: Vec<i64>) -> Self {
        TensorValues::I64(values)
    }
}

impl From<Vec<u64>> for TensorValues {
    fn from(values: Vec<u64>) -> Self {
        TensorValues::U64(values)
    }
}

impl From<Vec<u8>> for TensorValues {
    fn from(values: Vec<u8>) -> Self {
        TensorValues::U8(values)
    }
}
