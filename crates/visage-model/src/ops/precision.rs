//! The number types of training and inference.

use std::str::FromStr;

use burn::tensor::FloatDType;
use half::{bf16, f16};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Values that a task rounds.
const BLOCK: usize = 16 * 1024;

/// The type of activations, products and their gradients. Weights and the optimiser's state are always f32.
///
/// The CPU emulates 16-bit types: it computes in f32 and rounds every result, with sums in f32 as in tensor cores. That saves
/// neither time nor memory. A GPU computes convolutions and products in the type, and norms and element-wise operations in f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 8 bits of exponent, 23 bits of fraction.
    #[default]
    F32,
    /// 8 bits of exponent, 7 bits of fraction.
    Bf16,
    /// 5 bits of exponent, 10 bits of fraction. The largest value is 65504, so training scales the loss.
    F16,
}

impl Precision {
    /// All types, the widest first.
    pub const ALL: [Precision; 3] = [Precision::F32, Precision::Bf16, Precision::F16];

    pub(crate) fn dtype(self) -> FloatDType {
        match self {
            Precision::F32 => FloatDType::F32,
            Precision::Bf16 => FloatDType::BF16,
            Precision::F16 => FloatDType::F16,
        }
    }

    /// The name in recipes and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::Bf16 => "bf16",
            Precision::F16 => "f16",
        }
    }

    /// Rounds every value to the nearest that the type can represent, ties to even.
    pub(crate) fn round(self, values: &mut [f32]) {
        if self == Precision::F32 {
            return;
        }
        values.par_chunks_mut(BLOCK).for_each(|block| match self {
            Precision::F32 => {}
            Precision::Bf16 => block.iter_mut().for_each(|value| *value = bf16::from_f32(*value).to_f32()),
            Precision::F16 => block.iter_mut().for_each(|value| *value = f16::from_f32(*value).to_f32()),
        });
    }
}

/// A name that is not the name of a type.
#[derive(Clone, Debug, thiserror::Error)]
#[error("unknown precision {0:?}; known precisions: f32, bf16, f16")]
pub struct UnknownPrecision(String);

impl FromStr for Precision {
    type Err = UnknownPrecision;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|precision| precision.name() == name)
            .ok_or_else(|| UnknownPrecision(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_rounded_to_the_nearest_and_ties_to_even() {
        let table = [
            (Precision::F32, 1.000_000_1, 1.000_000_1),
            (Precision::Bf16, 1.0 + 1.0 / 256.0, 1.0),
            (Precision::Bf16, 1.0 + 3.0 / 256.0, 1.0 + 4.0 / 256.0),
            (Precision::Bf16, 3.0e38, 3.004_055_3e38),
            (Precision::F16, 1.0 + 1.0 / 2048.0, 1.0),
            (Precision::F16, 65504.0, 65504.0),
            (Precision::F16, 65520.0, f32::INFINITY),
            (Precision::F16, 1e-8, 0.0),
            (Precision::F16, -6e-8, -5.960_464_5e-8),
        ];
        for (precision, value, expected) in table {
            let mut values = [value];
            precision.round(&mut values);
            assert_eq!(values[0], expected, "{precision:?} of {value}");
        }
        let mut values = [f32::NAN];
        Precision::F16.round(&mut values);
        assert!(values[0].is_nan());
    }
}
