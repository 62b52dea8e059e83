//! The passes of the gradients: sums per channel, then the input's gradient.

use rayon::prelude::*;

use super::Layout;
use super::apply::Affine;
use crate::activation::{Activation, Function, with_activation};
use crate::simd::{self, Kernel, Vector, for_each_vector, load, vectorized};

/// The operands of the gradient at `z`.
#[derive(Clone, Copy)]
pub(super) struct Operands<'a> {
    pub(super) input: &'a [f32],
    pub(super) residual: Option<&'a [f32]>,
    pub(super) output_gradient: &'a [f32],
    pub(super) activation: Activation,
}

impl<'a> Operands<'a> {
    /// The `index`-th part of `len` values. The last part may be shorter.
    #[inline(always)]
    fn part(&self, index: usize, len: usize) -> Operands<'a> {
        let values = index * len..self.input.len().min((index + 1) * len);
        Operands {
            input: &self.input[values.clone()],
            residual: self.residual.map(|residual| &residual[values.clone()]),
            output_gradient: &self.output_gradient[values],
            activation: self.activation,
        }
    }

    /// # Safety
    /// The processor must support `V`, and all operands must have `lanes` values from `at` on.
    #[inline(always)]
    unsafe fn gradient_at_z<V: Vector, F: Function>(
        &self,
        affine: &Affine,
        deviation: V,
        at: usize,
        lanes: usize,
    ) -> V {
        // SAFETY: as the caller guarantees.
        unsafe {
            let gradient = load(self.output_gradient, at, lanes);
            if !F::NEEDS_INPUT {
                return gradient;
            }
            let z = affine.z(deviation, at, lanes);
            let z = self.residual.map_or(z, |residual| z.add(load(residual, at, lanes)));
            F::backward(z, gradient)
        }
    }
}

/// Sums over the rows, per channel: of the gradient at `z`, and of that times the input's deviation from the mean.
pub(super) struct Sums {
    pub(super) plain: Vec<f64>,
    pub(super) deviation: Vec<f64>,
}

/// Sums the gradient at `z`, and stores it in `store`.
pub(super) fn gradient_sums(layout: Layout, operands: &Operands, affine: &Affine, store: Option<&mut [f32]>) -> Sums {
    let (block, level) = (layout.block, simd::level());
    let count = operands.input.len().div_ceil(block);
    let sums = |index: usize, dz: Option<&mut [f32]>| {
        simd::dispatch(level, GradientSums { layout, operands: operands.part(index, block), affine, dz })
    };
    let blocks: Vec<Sums> = match store {
        None => (0..count).into_par_iter().map(|index| sums(index, None)).collect(),
        Some(dz) => dz.par_chunks_mut(block).enumerate().map(|(index, dz)| sums(index, Some(dz))).collect(),
    };
    let mut sums = Sums { plain: vec![0.0; layout.channels], deviation: vec![0.0; layout.channels] };
    for block in &blocks {
        for c in 0..layout.channels {
            sums.plain[c] += block.plain[c];
            sums.deviation[c] += block.deviation[c];
        }
    }
    sums
}

/// [`gradient_sums`] of one block.
struct GradientSums<'a> {
    layout: Layout,
    operands: Operands<'a>,
    affine: &'a Affine,
    dz: Option<&'a mut [f32]>,
}

impl Kernel for GradientSums<'_> {
    type Output = Sums;

    #[inline(always)]
    unsafe fn run<V: Vector>(self) -> Sums {
        let Self { layout, operands, affine, mut dz } = self;
        let period = layout.period;
        let mut plain = vec![0.0f32; period];
        let mut deviation = vec![0.0f32; period];
        with_activation!(operands.activation, F => {
            for index in 0..operands.input.len().div_ceil(period) {
                let operands = operands.part(index, period);
                let len = operands.input.len();
                let mut dz = dz.as_mut().map(|dz| &mut dz[index * period..][..len]);
                for_each_vector::<V>(
                    len,
                    #[inline(always)]
                    |at, lanes| {
                        // SAFETY: as the caller guarantees; all slices have `lanes` values from `at` on.
                        unsafe {
                            let d = affine.deviation::<V>(operands.input, at, lanes);
                            let g = operands.gradient_at_z::<V, F>(affine, d, at, lanes);
                            if let Some(dz) = &mut dz {
                                g.store_lanes(dz.as_mut_ptr().add(at), lanes);
                            }
                            load::<V>(&plain, at, lanes).add(g).store_lanes(plain.as_mut_ptr().add(at), lanes);
                            let sum = g.mul_add(d, load(&deviation, at, lanes));
                            sum.store_lanes(deviation.as_mut_ptr().add(at), lanes);
                        }
                    },
                );
            }
        });
        let mut sums = Sums { plain: vec![0.0; layout.channels], deviation: vec![0.0; layout.channels] };
        layout.fold(&plain, &mut sums.plain);
        layout.fold(&deviation, &mut sums.deviation);
        sums
    }
}

/// The input's gradient in a batch norm: the gradient at `z`, less its mean and its projection on the normalised input, times
/// the scale. `means` are the mean gradient and the mean projection, repeated to the period.
pub(super) fn centred_gradient(
    layout: Layout,
    operands: &Operands,
    affine: &Affine,
    means: [&[f32]; 2],
    input_gradient: &mut [f32],
) {
    let (block, level) = (layout.block, simd::level());
    input_gradient.par_chunks_mut(block).enumerate().for_each(|(index, dx)| {
        simd::dispatch(level, CentredGradient { operands: operands.part(index, block), affine, means, dx });
    });
}

/// [`centred_gradient`] of one block.
struct CentredGradient<'a> {
    operands: Operands<'a>,
    affine: &'a Affine,
    means: [&'a [f32]; 2],
    dx: &'a mut [f32],
}

impl Kernel for CentredGradient<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Self { operands, affine, means: [mean_gradient, mean_projection], dx } = self;
        let period = affine.period();
        with_activation!(operands.activation, F => {
            for (index, dx) in dx.chunks_mut(period).enumerate() {
                let operands = operands.part(index, period);
                for_each_vector::<V>(
                    dx.len(),
                    #[inline(always)]
                    |at, lanes| {
                        // SAFETY: as the caller guarantees; all slices have `lanes` values from `at` on.
                        unsafe {
                            let d = affine.deviation::<V>(operands.input, at, lanes);
                            let g = operands.gradient_at_z::<V, F>(affine, d, at, lanes);
                            let projected = d.mul_add(load(mean_projection, at, lanes), load(mean_gradient, at, lanes));
                            let value = g.sub(projected).mul(load(&affine.scale, at, lanes));
                            value.store_lanes(dx.as_mut_ptr().add(at), lanes);
                        }
                    },
                );
            }
        });
    }
}

/// `y[r, c] = x[r, c] * scale[c]`, in place if there is no `x`. `scale` is repeated to the period.
pub(super) fn scale_rows(layout: Layout, x: Option<&[f32]>, scale: &[f32], y: &mut [f32]) {
    y.par_chunks_mut(layout.block).enumerate().for_each(|(index, y)| {
        let x = x.map(|x| &x[index * layout.block..][..y.len()]);
        vectorized(
            #[inline(always)]
            || {
                for (index, y) in y.chunks_mut(layout.period).enumerate() {
                    if let Some(x) = x {
                        y.copy_from_slice(&x[index * layout.period..][..y.len()]);
                    }
                    for (y, scale) in y.iter_mut().zip(scale) {
                        *y *= scale;
                    }
                }
            },
        );
    });
}
