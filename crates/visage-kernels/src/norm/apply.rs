//! The forward pass with given statistics.

use rayon::prelude::*;

use super::{BatchStatistics, Layout, NormOperands};
use crate::activation::{Activation, Function, with_activation};
use crate::shape::expect_len;
use crate::simd::{self, Kernel, Vector, for_each_vector, load};

/// `z = (x - mean) * scale + shift`, with parameters repeated to the period. Subtracting the mean first keeps the digits that
/// `x * scale + (shift - mean * scale)` would lose to cancellation.
pub(super) struct Affine {
    mean: Vec<f32>,
    pub(super) scale: Vec<f32>,
    shift: Vec<f32>,
}

impl Affine {
    #[track_caller]
    pub(super) fn batch_norm(layout: Layout, operands: &NormOperands, statistics: &BatchStatistics) -> Self {
        expect_len("mean", statistics.mean.len(), layout.channels);
        expect_len("inverse_std", statistics.inverse_std.len(), layout.channels);
        let scale: Vec<f32> = operands.scale.iter().zip(&statistics.inverse_std).map(|(g, s)| g * s).collect();
        Self::new(layout, &statistics.mean, &scale, operands.shift)
    }

    pub(super) fn constant(layout: Layout, operands: &NormOperands) -> Self {
        Self::new(layout, &vec![0.0; layout.channels], operands.scale, operands.shift)
    }

    fn new(layout: Layout, mean: &[f32], scale: &[f32], shift: &[f32]) -> Self {
        Self { mean: layout.repeat(mean), scale: layout.repeat(scale), shift: layout.repeat(shift) }
    }

    /// Length of the period.
    pub(super) fn period(&self) -> usize {
        self.mean.len()
    }

    /// `x - mean`.
    ///
    /// # Safety
    /// The processor must support `V`. `x` and the period must have `lanes` values from `at` on.
    #[inline(always)]
    pub(super) unsafe fn deviation<V: Vector>(&self, x: &[f32], at: usize, lanes: usize) -> V {
        // SAFETY: as the caller guarantees.
        unsafe { load::<V>(x, at, lanes).sub(load(&self.mean, at, lanes)) }
    }

    /// `z`, given `x - mean`.
    ///
    /// # Safety
    /// The processor must support `V`, and the period must have `lanes` values from `at` on.
    #[inline(always)]
    pub(super) unsafe fn z<V: Vector>(&self, deviation: V, at: usize, lanes: usize) -> V {
        // SAFETY: as the caller guarantees.
        unsafe { deviation.mul_add(load(&self.scale, at, lanes), load(&self.shift, at, lanes)) }
    }
}

pub(super) fn forward(layout: Layout, operands: &NormOperands, affine: &Affine, output: &mut [f32]) {
    let NormOperands { input, residual, activation, .. } = *operands;
    let (block, level) = (layout.block, simd::level());
    input.par_chunks(block).zip(output.par_chunks_mut(block)).enumerate().for_each(|(index, (x, y))| {
        let residual = residual.map(|residual| &residual[index * block..][..x.len()]);
        simd::dispatch(level, Forward { x, affine, residual, activation, y });
    });
}

/// The forward pass over one block.
struct Forward<'a> {
    x: &'a [f32],
    affine: &'a Affine,
    residual: Option<&'a [f32]>,
    activation: Activation,
    y: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Self { x, affine, residual, activation, y } = self;
        let period = affine.period();
        with_activation!(activation, F => {
            for (index, (x, y)) in x.chunks(period).zip(y.chunks_mut(period)).enumerate() {
                let residual = residual.map(|residual| &residual[index * period..][..x.len()]);
                for_each_vector::<V>(
                    x.len(),
                    #[inline(always)]
                    |at, lanes| {
                        // SAFETY: as the caller guarantees; all slices have `lanes` values from `at` on.
                        unsafe {
                            let z = affine.z::<V>(affine.deviation(x, at, lanes), at, lanes);
                            let z = residual.map_or(z, |residual| z.add(load(residual, at, lanes)));
                            F::apply(z).store_lanes(y.as_mut_ptr().add(at), lanes);
                        }
                    },
                );
            }
        });
    }
}
