//! What happens to a convolution's sums while they are still in the cache.
#![allow(unsafe_code)]

use crate::activation::{Activation, Function, with_activation};
use crate::shape::expect_len;
use crate::simd::{Vector, each_vector, load};

/// What follows the sum of products: `activation(sum + bias[channel] + residual)`.
///
/// With a batch norm's scale multiplied into the weight and its shift as the bias, this is all there is of a norm, a
/// shortcut and an activation at inference.
#[derive(Clone, Copy, Debug, Default)]
pub struct Epilogue<'a> {
    /// `[out_channels]`.
    pub bias: Option<&'a [f32]>,
    /// As the output.
    pub residual: Option<&'a [f32]>,
    /// Comes last.
    pub activation: Activation,
}

/// Of sums that stay as they are.
pub(crate) const UNBOUNDED: [f32; 2] = [f32::NEG_INFINITY, f32::INFINITY];

impl Epilogue<'_> {
    #[track_caller]
    pub(crate) fn check(&self, channels: usize, output: usize) {
        if let Some(bias) = self.bias {
            expect_len("bias", bias.len(), channels);
        }
        if let Some(residual) = self.residual {
            expect_len("residual", residual.len(), output);
        }
    }

    /// The least and the greatest value that the sums become, where that is all there is to do with them.
    pub(crate) fn bounds(&self) -> Option<[f32; 2]> {
        match self.activation {
            _ if self.residual.is_some() => None,
            Activation::Identity => Some(UNBOUNDED),
            Activation::Relu => Some([0.0, f32::INFINITY]),
            Activation::Relu6 => Some([0.0, 6.0]),
            Activation::Silu => None,
        }
    }

    /// Residual and activation over sums that hold their bias already and are the output's values from `first` on.
    ///
    /// A register tile comes here when its sums are stored: with all activations in it the tile would be too long for the
    /// compiler to keep its sums in registers.
    ///
    /// # Safety
    /// The processor has `V`'s instructions.
    #[inline(always)]
    pub(crate) unsafe fn finish<V: Vector>(&self, first: usize, sums: &mut [f32]) {
        if self.residual.is_none() && self.activation == Activation::Identity {
            return;
        }
        let residual = self.residual.map(|residual| &residual[first..][..sums.len()]);
        with_activation!(self.activation, F => {
            each_vector::<V>(
                sums.len(),
                #[inline(always)]
                |at, lanes| {
                    // SAFETY: the sums and as many values of the residual have `lanes` values from `at` on.
                    unsafe {
                        let to = sums.as_mut_ptr().add(at);
                        let sum = V::load_up_to(to, lanes);
                        let sum = residual.map_or(sum, |residual| sum.add(load(residual, at, lanes)));
                        F::lanes(sum).store_up_to(to, lanes);
                    }
                },
            );
        });
    }
}
