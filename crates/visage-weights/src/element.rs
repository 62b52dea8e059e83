//! The element types in weight files, and their conversion to those in memory.

use half::{bf16, f16};
use safetensors::Dtype;

use crate::tensor::TensorValues;

/// The type of a number in a file, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    F64,
    F32,
    F16,
    Bf16,
    I64,
    I32,
    I16,
    I8,
    U64,
    U32,
    U16,
    U8,
    Bool,
    /// A type that visage does not use; with its size a reader can skip it.
    Other {
        name: &'static str,
        size: usize,
    },
}

impl Element {
    /// The size of a number in the file, in bytes.
    pub fn size(self) -> usize {
        match self {
            Element::F64 | Element::I64 | Element::U64 => 8,
            Element::F32 | Element::I32 | Element::U32 => 4,
            Element::F16 | Element::Bf16 | Element::I16 | Element::U16 => 2,
            Element::I8 | Element::U8 | Element::Bool => 1,
            Element::Other { size, .. } => size,
        }
    }

    /// The size of a number in memory, in bytes.
    pub fn decoded_size(self) -> usize {
        match self {
            Element::F64 | Element::F32 | Element::F16 | Element::Bf16 => 4,
            Element::I64 | Element::I32 | Element::I16 | Element::I8 | Element::U64 | Element::U32 | Element::U16 => 8,
            Element::U8 | Element::Bool | Element::Other { .. } => 1,
        }
    }

    /// The numbers in `bytes`, which holds a whole number of them. The error is the name of a type that visage does not use.
    pub fn decode(self, bytes: &[u8]) -> Result<TensorValues, &'static str> {
        Ok(match self {
            Element::F64 => TensorValues::F32(numbers(bytes, |b| f64::from_le_bytes(b) as f32)),
            Element::F32 => TensorValues::F32(numbers(bytes, f32::from_le_bytes)),
            Element::F16 => TensorValues::F32(numbers(bytes, |b| f16::from_le_bytes(b).to_f32())),
            Element::Bf16 => TensorValues::F32(numbers(bytes, |b| bf16::from_le_bytes(b).to_f32())),
            Element::I64 => TensorValues::I64(numbers(bytes, i64::from_le_bytes)),
            Element::I32 => TensorValues::I64(numbers(bytes, |b| i32::from_le_bytes(b).into())),
            Element::I16 => TensorValues::I64(numbers(bytes, |b| i16::from_le_bytes(b).into())),
            Element::I8 => TensorValues::I64(numbers(bytes, |b| i8::from_le_bytes(b).into())),
            Element::U64 => TensorValues::U64(numbers(bytes, u64::from_le_bytes)),
            Element::U32 => TensorValues::I64(numbers(bytes, |b| u32::from_le_bytes(b).into())),
            Element::U16 => TensorValues::I64(numbers(bytes, |b| u16::from_le_bytes(b).into())),
            Element::U8 => TensorValues::U8(bytes.to_vec()),
            Element::Bool => TensorValues::U8(bytes.iter().map(|&byte| u8::from(byte != 0)).collect()),
            Element::Other { name, .. } => return Err(name),
        })
    }

    /// The element type of a safetensors header.
    pub fn of_safetensors(dtype: Dtype) -> Self {
        match dtype {
            Dtype::F64 => Element::F64,
            Dtype::F32 => Element::F32,
            Dtype::F16 => Element::F16,
            Dtype::BF16 => Element::Bf16,
            Dtype::I64 => Element::I64,
            Dtype::I32 => Element::I32,
            Dtype::I16 => Element::I16,
            Dtype::I8 => Element::I8,
            Dtype::U64 => Element::U64,
            Dtype::U32 => Element::U32,
            Dtype::U16 => Element::U16,
            Dtype::U8 => Element::U8,
            Dtype::BOOL => Element::Bool,
            Dtype::C64 => Element::Other { name: "complex64", size: 8 },
            _ => Element::Other { name: "one of 8 bits or fewer", size: 1 },
        }
    }
}

fn numbers<const SIZE: usize, T>(bytes: &[u8], decode: impl Fn([u8; SIZE]) -> T) -> Vec<T> {
    bytes.as_chunks::<SIZE>().0.iter().map(|&chunk| decode(chunk)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_type_decodes_to_its_value() {
        let cases: [(Element, Vec<u8>, TensorValues); 13] = [
            (Element::F64, 0.1f64.to_le_bytes().to_vec(), vec![0.1f32].into()),
            (Element::F32, (-2.5f32).to_le_bytes().to_vec(), vec![-2.5f32].into()),
            (Element::F16, vec![0x00, 0x3C, 0x01, 0x00], vec![1.0f32, 5.960_464_5e-8].into()),
            (Element::Bf16, vec![0x80, 0x3F, 0x49, 0x40], vec![1.0f32, 3.140_625].into()),
            (Element::I64, i64::MIN.to_le_bytes().to_vec(), vec![i64::MIN].into()),
            (Element::I32, (-7i32).to_le_bytes().to_vec(), vec![-7i64].into()),
            (Element::I16, (-7i16).to_le_bytes().to_vec(), vec![-7i64].into()),
            (Element::I8, vec![0xFF, 1], vec![-1i64, 1].into()),
            (Element::U64, u64::MAX.to_le_bytes().to_vec(), vec![u64::MAX].into()),
            (Element::U32, u32::MAX.to_le_bytes().to_vec(), vec![i64::from(u32::MAX)].into()),
            (Element::U16, u16::MAX.to_le_bytes().to_vec(), vec![i64::from(u16::MAX)].into()),
            (Element::U8, vec![0, 255], vec![0u8, 255].into()),
            (Element::Bool, vec![0, 1], vec![0u8, 1].into()),
        ];
        for (element, bytes, expected) in cases {
            let values = element.decode(&bytes).unwrap();
            assert_eq!(values, expected, "{element:?}");
            assert_eq!(values.len() * element.size(), bytes.len(), "{element:?}");
        }
        assert_eq!(Element::Other { name: "complex64", size: 8 }.decode(&[0; 8]), Err("complex64"));
    }
}
