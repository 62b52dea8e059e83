//! The number types a network can compute in, on a processor that computes in f32.

use half::{bf16, f16};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Values of a task.
const BLOCK: usize = 16 * 1024;

/// The type that activations, products and their gradients are held in. Weights and the optimiser are f32 always.
///
/// On the CPU the arithmetic itself is f32 and every result is rounded to the type: the numbers are those of the type,
/// with sums kept in f32 as tensor cores keep them, and neither time nor memory is saved.
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
    /// Rounds every value to the nearest of the type, ties to even.
    pub(super) fn round(self, values: &mut [f32]) {
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
