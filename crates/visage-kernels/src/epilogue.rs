//! What happens to a convolution's sums while they are still in the cache.

use crate::activation::{Activation, Function, with_activation};
use crate::shape::expect_len;

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
    #[inline(always)]
    pub(crate) fn finish(&self, first: usize, sums: &mut [f32]) {
        if let Some(residual) = self.residual {
            for (sum, value) in sums.iter_mut().zip(&residual[first..]) {
                *sum += value;
            }
        }
        if self.activation != Activation::Identity {
            with_activation!(self.activation, F => {
                for sum in sums {
                    *sum = F::value(*sum);
                }
            });
        }
    }
}
