//! What happens to a convolution's sums while they are still in the cache.
#![allow(unsafe_code)]

use crate::activation::{Activation, Function, with_activation};
use crate::shape::expect_len;
use crate::simd::Vector;

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
            for at in (0..sums.len()).step_by(V::LANES) {
                let lanes = V::LANES.min(sums.len() - at);
                // SAFETY: the sums and as many values of the residual have `lanes` values from `at` on.
                unsafe {
                    let to = sums.as_mut_ptr().add(at);
                    let load = |from| if lanes == V::LANES { V::load(from) } else { V::load_first(from, lanes) };
                    let mut sum = load(to);
                    if let Some(residual) = residual {
                        sum = sum.add(load(residual.as_ptr().add(at)));
                    }
                    let value = F::lanes(sum);
                    if lanes == V::LANES { value.store(to) } else { value.store_first(to, lanes) }
                }
            }
        });
    }
}
