//! The operations fused to the end of a convolution, applied while its sums are still in the cache.
#![allow(unsafe_code)]

use crate::activation::{Activation, Function, with_activation};
use crate::shape::expect_len;
use crate::simd::{Vector, for_each_vector, load};

/// The operations fused to the end of a convolution: `activation(sum + bias[channel] + residual)`.
///
/// With the scale of a batch norm folded into the weight and its shift as the bias, this covers norm, shortcut and
/// activation at inference.
#[derive(Clone, Copy, Debug, Default)]
pub struct Epilogue<'a> {
    /// `[out_channels]`, zero if `None`.
    pub bias: Option<&'a [f32]>,
    /// The shortcut, of the same shape as the output; zero if `None`.
    pub residual: Option<&'a [f32]>,
    /// Applied last.
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

    /// The bounds to clamp the biased sums to, if clamping is the whole epilogue.
    pub(crate) fn bounds(&self) -> Option<[f32; 2]> {
        (self.residual.is_none() && self.activation.only_clamps()).then(|| self.activation.bounds())
    }

    /// Adds the residual and applies the activation to `sums`, which include the bias and are the output from index `first`
    /// on.
    ///
    /// Register tiles store their sums before this pass: a tile that contained all activations would be too long for the
    /// compiler to keep its sums in registers.
    ///
    /// # Safety
    /// The processor must support `V`.
    #[inline(always)]
    pub(crate) unsafe fn finish<V: Vector>(&self, first: usize, sums: &mut [f32]) {
        if self.residual.is_none() && self.activation == Activation::Identity {
            return;
        }
        let residual = self.residual.map(|residual| &residual[first..][..sums.len()]);
        with_activation!(self.activation, F => {
            for_each_vector::<V>(
                sums.len(),
                #[inline(always)]
                |at, lanes| {
                    // SAFETY: `sums` and `residual` are equally long and have `lanes` values from `at` on.
                    unsafe {
                        let to = sums.as_mut_ptr().add(at);
                        let sum = V::load_lanes(to, lanes);
                        let sum = residual.map_or(sum, |residual| sum.add(load(residual, at, lanes)));
                        F::apply(sum).store_lanes(to, lanes);
                    }
                },
            );
        });
    }
}
