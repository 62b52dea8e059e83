//! Gradients of squeeze-and-excitation. Of the forward pass only the input is kept; the rest is computed again.
//!
//! With `y = x * g`, `g = gate(z2)`, `z2 = expand_bias + f(z1) * expand` and `z1 = reduce_bias + mean * reduce^T`, where `f` is the
//! activation, for every image with pixels p:
//!
//! ```text
//! dz2[c]    = gate'(z2[c]) * sum over p: dy[p, c] x[p, c]
//! dz1[h]    = f'(z1[h]) * sum over c: dz2[c] expand[h, c]
//! dmean[c]  = sum over h: dz1[h] reduce[h, c]
//! dx[p, c]  = dy[p, c] g[c] + dmean[c] / pixels
//! ```
//!
//! and over all images `dreduce[h, c] = sum: dz1[h] mean[c]` and `dexpand[h, c] = sum: f(z1[h]) dz2[c]`; the gradients of
//! the biases lack the second factor. A first pass has a task per image, which reads the image twice: for the sums and for `dx`.
//! A second pass has a task per hidden channel, for its rows of the weights' gradients.

use rayon::prelude::*;

use super::{BLOCK, Excitation, dot};
use crate::activation::{Function, with_activation};
use crate::shape::expect_len;
use crate::simd::{self, Kernel, Vector, for_each_vector, load};

/// The gradients with respect to the layers of an [`Excitation`].
#[derive(Debug)]
pub struct ExcitationGradients<'a> {
    /// `[hidden, channels]`.
    pub reduce: &'a mut [f32],
    /// `[hidden]`.
    pub reduce_bias: &'a mut [f32],
    /// `[hidden, channels]`.
    pub expand: &'a mut [f32],
    /// `[channels]`.
    pub expand_bias: &'a mut [f32],
}

/// Gradients of [`squeeze_excite_into`](crate::squeeze_excite_into) with respect to its images and layers. All are
/// overwritten.
///
/// `images`, `output_gradient` and `image_gradient` are `[batch, pixels, channels]`, with `pixels = height * width`.
///
/// # Panics
/// If lengths do not match.
pub fn squeeze_excite_backward(
    batch: usize,
    pixels: usize,
    excitation: Excitation,
    images: &[f32],
    output_gradient: &[f32],
    image_gradient: &mut [f32],
    gradients: ExcitationGradients,
) {
    excitation.check(batch, pixels, images.len());
    expect_len("output gradient", output_gradient.len(), images.len());
    expect_len("image gradient", image_gradient.len(), images.len());
    let (hidden, channels) = (excitation.reduce_bias.len(), excitation.expand_bias.len());
    expect_len("reduce gradient", gradients.reduce.len(), hidden * channels);
    expect_len("reduce bias gradient", gradients.reduce_bias.len(), hidden);
    expect_len("expand gradient", gradients.expand.len(), hidden * channels);
    expect_len("expand bias gradient", gradients.expand_bias.len(), channels);
    let level = simd::level();
    let image_len = (pixels * channels).max(1);
    let mut factors: Vec<Factors> = (0..batch).map(|_| Factors::new(hidden, channels)).collect();
    let images = images.par_chunks(image_len).zip(output_gradient.par_chunks(image_len));
    let images = images.zip(image_gradient.par_chunks_mut(image_len)).zip(&mut factors).with_max_len(1);
    images.for_each(|(((x, dy), dx), factors)| {
        simd::dispatch(level, Image { excitation, pixels, x, dy, dx, factors });
    });

    let weight_rows =
        gradients.reduce.par_chunks_mut(channels).zip(gradients.expand.par_chunks_mut(channels)).enumerate();
    weight_rows.for_each(|(h, (reduce, expand))| {
        reduce.fill(0.0);
        expand.fill(0.0);
        for Factors { mean, hidden, hidden_gradient, gate_gradient } in &factors {
            simd::dispatch(level, AddScaled { factor: hidden_gradient[h], values: mean, sums: reduce });
            simd::dispatch(level, AddScaled { factor: hidden[h], values: gate_gradient, sums: expand });
        }
    });
    for (h, bias) in gradients.reduce_bias.iter_mut().enumerate() {
        *bias = factors.iter().map(|factors| factors.hidden_gradient[h]).sum();
    }
    for (c, bias) in gradients.expand_bias.iter_mut().enumerate() {
        *bias = factors.iter().map(|factors| factors.gate_gradient[c]).sum();
    }
}

/// The factors of an image's part of the weights' gradients.
struct Factors {
    /// `[channels]`.
    mean: Vec<f32>,
    /// `f(z1)`, `[hidden]`.
    hidden: Vec<f32>,
    /// `dz1`, `[hidden]`.
    hidden_gradient: Vec<f32>,
    /// `dz2`, `[channels]`.
    gate_gradient: Vec<f32>,
}

impl Factors {
    fn new(hidden: usize, channels: usize) -> Self {
        let [mean, gate_gradient] = [channels; 2].map(|len| vec![0.0; len]);
        let [hidden, hidden_gradient] = [hidden; 2].map(|len| vec![0.0; len]);
        Self { mean, hidden, hidden_gradient, gate_gradient }
    }
}

/// The first pass over an image, `[pixels, channels]`.
struct Image<'a> {
    excitation: Excitation<'a>,
    pixels: usize,
    x: &'a [f32],
    dy: &'a [f32],
    dx: &'a mut [f32],
    factors: &'a mut Factors,
}

impl Kernel for Image<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Self { excitation, pixels, x, dy, dx, factors } = self;
        let Excitation { reduce, reduce_bias, expand, expand_bias, activation, gate: function } = excitation;
        let channels = expand_bias.len();
        // SAFETY of all blocks below: as the caller guarantees; the slices passed to a function are equally long, and a pixel has
        // `channels` values.
        let mut products = vec![0.0f32; channels];
        unsafe { sum_pixels::<V>(x, dy, &mut factors.mean, &mut products) };
        let reciprocal = 1.0 / pixels as f32;
        factors.mean.iter_mut().for_each(|sum| *sum *= reciprocal);

        let mut z1 = reduce_bias.to_vec();
        for (z, weights) in z1.iter_mut().zip(reduce.chunks_exact(channels)) {
            *z += unsafe { dot::<V>(&factors.mean, weights) };
        }
        with_activation!(activation, F => unsafe { map::<V>(&z1, &mut factors.hidden, |z, _| F::apply(z)) });
        let mut gate = expand_bias.to_vec();
        for (hidden, weights) in factors.hidden.iter().zip(expand.chunks_exact(channels)) {
            unsafe { add_scaled::<V>(*hidden, weights, &mut gate) };
        }
        let z2 = gate.clone();
        unsafe { map::<V>(&z2, &mut gate, |z, _| function.apply(z)) };

        factors.gate_gradient.copy_from_slice(&products);
        unsafe { map::<V>(&gate, &mut factors.gate_gradient, |g, sum| function.backward(g, sum)) };
        for (gradient, weights) in factors.hidden_gradient.iter_mut().zip(expand.chunks_exact(channels)) {
            *gradient = unsafe { dot::<V>(&factors.gate_gradient, weights) };
        }
        let to = &mut factors.hidden_gradient;
        with_activation!(activation, F => unsafe { map::<V>(&z1, to, |z, gradient| F::backward(z, gradient)) });
        let mut mean_gradient = vec![0.0f32; channels];
        for (gradient, weights) in factors.hidden_gradient.iter().zip(reduce.chunks_exact(channels)) {
            unsafe { add_scaled::<V>(gradient * reciprocal, weights, &mut mean_gradient) };
        }
        for (dy, dx) in dy.chunks_exact(channels).zip(dx.chunks_exact_mut(channels)) {
            for_each_vector::<V>(
                channels,
                #[inline(always)]
                |at, lanes| unsafe {
                    let value =
                        load::<V>(dy, at, lanes).mul_add(load(&gate, at, lanes), load(&mean_gradient, at, lanes));
                    value.store_lanes(dx.as_mut_ptr().add(at), lanes);
                },
            );
        }
    }
}

/// Fills `sums` with the sums of `x` over the pixels, and `products` with those of `x * dy`. They are summed in blocks, so that
/// the rounding error does not grow with the image.
///
/// # Safety
/// The processor must support `V`. `x` and `dy` must be whole pixels of as many values as there are sums.
#[inline(always)]
unsafe fn sum_pixels<V: Vector>(x: &[f32], dy: &[f32], sums: &mut [f32], products: &mut [f32]) {
    let channels = sums.len();
    let [mut block_sums, mut block_products] = [0; 2].map(|_| vec![0.0f32; channels]);
    sums.fill(0.0);
    products.fill(0.0);
    for (x, dy) in x.chunks(BLOCK * channels).zip(dy.chunks(BLOCK * channels)) {
        block_sums.fill(0.0);
        block_products.fill(0.0);
        for (x, dy) in x.chunks_exact(channels).zip(dy.chunks_exact(channels)) {
            for_each_vector::<V>(
                channels,
                #[inline(always)]
                // SAFETY: as the caller guarantees.
                |at, lanes| unsafe {
                    let value = load::<V>(x, at, lanes);
                    let product = value.mul_add(load(dy, at, lanes), load(&block_products, at, lanes));
                    product.store_lanes(block_products.as_mut_ptr().add(at), lanes);
                    value.add(load(&block_sums, at, lanes)).store_lanes(block_sums.as_mut_ptr().add(at), lanes);
                },
            );
        }
        // SAFETY: as above.
        unsafe {
            add_scaled::<V>(1.0, &block_sums, sums);
            add_scaled::<V>(1.0, &block_products, products);
        }
    }
}

/// `to = function(from, to)`.
///
/// # Safety
/// The processor must support `V`, and both slices must be equally long.
#[inline(always)]
unsafe fn map<V: Vector>(from: &[f32], to: &mut [f32], function: impl Fn(V, V) -> V) {
    for_each_vector::<V>(
        from.len(),
        #[inline(always)]
        // SAFETY: as the caller guarantees.
        |at, lanes| unsafe {
            function(load(from, at, lanes), load(to, at, lanes)).store_lanes(to.as_mut_ptr().add(at), lanes);
        },
    );
}

/// `sums += factor * values`.
///
/// # Safety
/// The processor must support `V`, and both slices must be equally long.
#[inline(always)]
unsafe fn add_scaled<V: Vector>(factor: f32, values: &[f32], sums: &mut [f32]) {
    // SAFETY: as the caller guarantees.
    unsafe {
        let factor = V::splat(factor);
        map::<V>(
            values,
            sums,
            #[inline(always)]
            |value, sum| value.mul_add(factor, sum),
        );
    }
}

/// [`add_scaled`] as a kernel.
struct AddScaled<'a> {
    factor: f32,
    values: &'a [f32],
    sums: &'a mut [f32],
}

impl Kernel for AddScaled<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        assert_eq!(self.values.len(), self.sums.len());
        // SAFETY: as the caller guarantees.
        unsafe { add_scaled::<V>(self.factor, self.values, self.sums) };
    }
}

#[cfg(test)]
mod tests;
