//! The number types a network can compute in.

use std::str::FromStr;

use burn::tensor::FloatDType;
use half::{bf16, f16};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Values of a task.
const BLOCK: usize = 16 * 1024;

/// The type that activations, products and their gradients are held in. Weights and the optimiser are f32 always.
///
/// On the CPU the arithmetic itself is f32 and every result is rounded to the type: the numbers are those of the type,
/// with sums kept in f32 as tensor cores keep them, and neither time nor memory is saved. On a graphics card convolutions
/// and products are of the type, and norms and what lies between are f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 8 bits of exponent, 23 of fraction.
    #[default]
    F32,
    /// 8 bits of exponent, 7 of fraction.
    Bf16,
    /// 5 bits of exponent, 10 of fraction: at most 65504, which is why its training scales the loss.
    F16,
}

impl Precision {
    /// All of them, the widest first.
    pub const ALL: [Precision; 3] = [Precision::F32, Precision::Bf16, Precision::F16];

    /// The type as Burn calls it.
    pub(crate) fn dtype(self) -> FloatDType {
        match self {
            Precision::F32 => FloatDType::F32,
            Precision::Bf16 => FloatDType::BF16,
            Precision::F16 => FloatDType::F16,
        }
    }

    /// The name recipes use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::Bf16 => "bf16",
            Precision::F16 => "f16",
        }
    }

    /// Rounds every value to the nearest of the type, ties to even.
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

/// A name that is no type's.
#[derive(Clone, Debug, thiserror::Error)]
#[error("there is no type called {0:?}; there are f32, bf16 and f16")]
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
