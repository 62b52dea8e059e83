//! Gradients of squeeze and excitation (`squeeze.rs`), nothing of the forward pass kept but its input.
//!
//! With `y = x * g`, `g = sigmoid(z2)`, `z2 = expand_bias + silu(z1) * expand` and `z1 = reduce_bias + mean * reduce^T`, for
//! every image:
//!
//! ```text
//! dz2[c]    = g[c] (1 - g[c]) * sum over r: dy[r, c] x[r, c]
//! dz1[h]    = silu'(z1[h]) * sum over c: dz2[c] expand[h, c]
//! dmean[c]  = sum over h: dz1[h] reduce[h, c]
//! dx[r, c]  = dy[r, c] g[c] + dmean[c] / rows
//! ```
//!
//! and over all images `dreduce[h, c] = sum: dz1[h] mean[c]`, `dexpand[h, c] = sum: silu(z1[h]) dz2[c]`, biases without the second
//! factor. A task is an image, read twice: for the sums and for `dx`; then one is a hidden channel's rows of the weights'
//! gradients. As operations of their own the pass over the images would be five.
#![allow(unsafe_code)]

use rayon::prelude::*;

use crate::activation::{Function, Silu, sigmoid};
use crate::shape::expect_len;
use crate::simd::{self, Kernel, Level, Vector, each_vector, load};
use crate::squeeze::{BLOCK, Excitation, dot};

/// What [`squeeze_excite_backward`] fills, laid out as the [`Excitation`] is.
#[derive(Debug)]
pub struct ExcitationGradients<'a> {
    /// `[hidden, channels]`
    pub reduce: &'a mut [f32],
    /// `[hidden]`
    pub reduce_bias: &'a mut [f32],
    /// `[hidden, channels]`
    pub expand: &'a mut [f32],
    /// `[channels]`
    pub expand_bias: &'a mut [f32],
}

/// Gradients of [`squeeze_excite_into`](crate::squeeze_excite_into) for its images and its layers. All are overwritten.
///
/// `images`, `output_gradient` and `image_gradient` are `[batch, rows, channels]` with `rows = height * width`.
///
/// # Panics
/// If lengths do not match.
pub fn squeeze_excite_backward(
    batch: usize,
    rows: usize,
    excitation: Excitation,
    images: &[f32],
    output_gradient: &[f32],
    image_gradient: &mut [f32],
    gradients: ExcitationGradients,
) {
    excitation.check(batch, rows, images.len());
    expect_len("output gradient", output_gradient.len(), images.len());
    expect_len("image gradient", image_gradient.len(), images.len());
    let (hidden, channels) = (excitation.reduce_bias.len(), excitation.expand_bias.len());
    expect_len("reduce gradient", gradients.reduce.len(), hidden * channels);
    expect_len("reduce bias gradient", gradients.reduce_bias.len(), hidden);
    expect_len("expand gradient", gradients.expand.len(), hidden * channels);
    expect_len("expand bias gradient", gradients.expand_bias.len(), channels);
    backward(simd::level(), [batch, rows], excitation, images, output_gradient, image_gradient, gradients);
}

fn backward(
    level: Level,
    [batch, rows]: [usize; 2],
    excitation: Excitation,
    images: &[f32],
    output_gradient: &[f32],
    image_gradient: &mut [f32],
    gradients: ExcitationGradients,
) {
    let (hidden, channels) = (excitation.reduce_bias.len(), excitation.expand_bias.len());
    let image_len = (rows * channels).max(1);
    let mut kept: Vec<Kept> = (0..batch).map(|_| Kept::new(hidden, channels)).collect();
    let images = images.par_chunks(image_len).zip(output_gradient.par_chunks(image_len));
    let images = images.zip(image_gradient.par_chunks_mut(image_len)).zip(&mut kept).with_max_len(1);
    images.for_each(|(((x, dy), dx), kept)| simd::dispatch(level, Image { excitation, rows, x, dy, dx, kept }));

    let rows_of_weights =
        gradients.reduce.par_chunks_mut(channels).zip(gradients.expand.par_chunks_mut(channels)).enumerate();
    rows_of_weights.for_each(|(h, (reduce, expand))| {
        reduce.fill(0.0);
        expand.fill(0.0);
        for kept in &kept {
            simd::dispatch(level, AddScaled { factor: kept.hidden_gradient[h], values: &kept.mean, sums: reduce });
            simd::dispatch(level, AddScaled { factor: kept.hidden[h], values: &kept.gate_gradient, sums: expand });
        }
    });
    for (h, bias) in gradients.reduce_bias.iter_mut().enumerate() {
        *bias = kept.iter().map(|kept| kept.hidden_gradient[h]).sum();
    }
    for (c, bias) in gradients.expand_bias.iter_mut().enumerate() {
        *bias = kept.iter().map(|kept| kept.gate_gradient[c]).sum();
    }
}

/// Of an image, what the weights' gradients are made of.
struct Kept {
    /// `[channels]`
    mean: Vec<f32>,
    /// `silu(z1)`, `[hidden]`
    hidden: Vec<f32>,
    /// `dz1`, `[hidden]`
    hidden_gradient: Vec<f32>,
    /// `dz2`, `[channels]`
    gate_gradient: Vec<f32>,
}

impl Kept {
    fn new(hidden: usize, channels: usize) -> Self {
        let [mean, gate_gradient] = [channels; 2].map(|len| vec![0.0; len]);
        let [hidden, hidden_gradient] = [hidden; 2].map(|len| vec![0.0; len]);
        Self { mean, hidden, hidden_gradient, gate_gradient }
    }
}

/// One image, `[rows, channels]`.
struct Image<'a> {
    excitation: Excitation<'a>,
    rows: usize,
    x: &'a [f32],
    dy: &'a [f32],
    dx: &'a mut [f32],
    kept: &'a mut Kept,
}

impl Kernel for Image<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Self { excitation: Excitation { reduce, reduce_bias, expand, expand_bias }, rows, x, dy, dx, kept } = self;
        let channels = expand_bias.len();
        // SAFETY of all blocks below: the caller vouches for the instructions; each pair of slices that a function is given is
        // equally long, and a row of the image has `channels` values.
        let mut products = vec![0.0f32; channels];
        unsafe { sums_of_rows::<V>(x, dy, &mut kept.mean, &mut products) };
        let mean_of = 1.0 / rows as f32;
        kept.mean.iter_mut().for_each(|sum| *sum *= mean_of);

        let mut z1 = reduce_bias.to_vec();
        for (z, weights) in z1.iter_mut().zip(reduce.chunks_exact(channels)) {
            *z += unsafe { dot::<V>(&kept.mean, weights) };
        }
        unsafe { map::<V>(&z1, &mut kept.hidden, |z, _| Silu::lanes(z)) };
        let mut gate = expand_bias.to_vec();
        for (hidden, weights) in kept.hidden.iter().zip(expand.chunks_exact(channels)) {
            unsafe { add_scaled::<V>(*hidden, weights, &mut gate) };
        }
        let z2 = gate.clone();
        unsafe { map::<V>(&z2, &mut gate, |z, _| sigmoid(z)) };

        kept.gate_gradient.copy_from_slice(&products);
        unsafe { map::<V>(&gate, &mut kept.gate_gradient, |g, sum| sum.mul(g).mul(V::splat(1.0).sub(g))) };
        for (gradient, weights) in kept.hidden_gradient.iter_mut().zip(expand.chunks_exact(channels)) {
            *gradient = unsafe { dot::<V>(&kept.gate_gradient, weights) };
        }
        unsafe { map::<V>(&z1, &mut kept.hidden_gradient, |z, gradient| Silu::backward(z, gradient)) };
        let mut mean_gradient = vec![0.0f32; channels];
        for (gradient, weights) in kept.hidden_gradient.iter().zip(reduce.chunks_exact(channels)) {
            unsafe { add_scaled::<V>(gradient * mean_of, weights, &mut mean_gradient) };
        }
        for (dy, dx) in dy.chunks_exact(channels).zip(dx.chunks_exact_mut(channels)) {
            each_vector::<V>(
                channels,
                #[inline(always)]
                |at, lanes| unsafe {
                    let value =
                        load::<V>(dy, at, lanes).mul_add(load(&gate, at, lanes), load(&mean_gradient, at, lanes));
                    value.store_up_to(dx.as_mut_ptr().add(at), lanes);
                },
            );
        }
    }
}

/// Over the rows, the sums of `x` and of `x * dy`, by blocks so that rounding does not grow with the image.
///
/// # Safety
/// The processor has `V`'s instructions; `x` and `dy` are whole rows of as many values as there are sums.
#[inline(always)]
unsafe fn sums_of_rows<V: Vector>(x: &[f32], dy: &[f32], sums: &mut [f32], products: &mut [f32]) {
    let channels = sums.len();
    let [mut block_sums, mut block_products] = [0; 2].map(|_| vec![0.0f32; channels]);
    sums.fill(0.0);
    products.fill(0.0);
    for (x, dy) in x.chunks(BLOCK * channels).zip(dy.chunks(BLOCK * channels)) {
        block_sums.fill(0.0);
        block_products.fill(0.0);
        for (x, dy) in x.chunks_exact(channels).zip(dy.chunks_exact(channels)) {
            each_vector::<V>(
                channels,
                #[inline(always)]
                // SAFETY: the caller vouches for the instructions and the lengths.
                |at, lanes| unsafe {
                    let value = load::<V>(x, at, lanes);
                    let product = value.mul_add(load(dy, at, lanes), load(&block_products, at, lanes));
                    product.store_up_to(block_products.as_mut_ptr().add(at), lanes);
                    value.add(load(&block_sums, at, lanes)).store_up_to(block_sums.as_mut_ptr().add(at), lanes);
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
/// The processor has `V`'s instructions; both slices are equally long.
#[inline(always)]
unsafe fn map<V: Vector>(from: &[f32], to: &mut [f32], function: impl Fn(V, V) -> V) {
    each_vector::<V>(
        from.len(),
        #[inline(always)]
        // SAFETY: the caller vouches for both.
        |at, lanes| unsafe {
            function(load(from, at, lanes), load(to, at, lanes)).store_up_to(to.as_mut_ptr().add(at), lanes);
        },
    );
}

/// `sums += factor * values`.
///
/// # Safety
/// The processor has `V`'s instructions; both slices are equally long.
#[inline(always)]
unsafe fn add_scaled<V: Vector>(factor: f32, values: &[f32], sums: &mut [f32]) {
    // SAFETY: passed on.
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

/// [`add_scaled`] as a piece of work.
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
        // SAFETY: the caller vouches for the instructions.
        unsafe { add_scaled::<V>(self.factor, self.values, self.sums) };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reference::{assert_close, assert_same_on_any_threads, values};

    /// A layer and its images, in f64 so that finite differences are exact enough.
    struct Case {
        sizes: [usize; 4],
        reduce: Vec<f64>,
        reduce_bias: Vec<f64>,
        expand: Vec<f64>,
        expand_bias: Vec<f64>,
        images: Vec<f64>,
    }

    impl Case {
        /// The sum of `output * weights`, by the definition.
        fn loss(&self, weights: &[f32]) -> f64 {
            let [batch, rows, channels, hidden] = self.sizes;
            let sigmoid = |z: f64| 1.0 / (1.0 + (-z).exp());
            let mut loss = 0.0;
            for n in 0..batch {
                let image = &self.images[n * rows * channels..][..rows * channels];
                let mean: Vec<f64> = (0..channels)
                    .map(|c| (0..rows).map(|r| image[r * channels + c]).sum::<f64>() / rows as f64)
                    .collect();
                let squeezed: Vec<f64> = (0..hidden)
                    .map(|h| {
                        let z = self.reduce_bias[h]
                            + (0..channels).map(|c| mean[c] * self.reduce[h * channels + c]).sum::<f64>();
                        z * sigmoid(z)
                    })
                    .collect();
                for c in 0..channels {
                    let z = self.expand_bias[c]
                        + (0..hidden).map(|h| squeezed[h] * self.expand[h * channels + c]).sum::<f64>();
                    for r in 0..rows {
                        let at = r * channels + c;
                        loss += image[at] * sigmoid(z) * f64::from(weights[n * rows * channels + at]);
                    }
                }
            }
            loss
        }

        /// By central differences, for every value of what `part` picks.
        fn gradient(&mut self, weights: &[f32], part: impl Fn(&mut Self) -> &mut Vec<f64>) -> Vec<f64> {
            const STEP: f64 = 1e-4;
            (0..part(self).len())
                .map(|index| {
                    let before = part(self)[index];
                    let mut at = |value| {
                        part(self)[index] = value;
                        self.loss(weights)
                    };
                    let slope = (at(before + STEP) - at(before - STEP)) / (2.0 * STEP);
                    part(self)[index] = before;
                    slope
                })
                .collect()
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn all_levels_agree_with_finite_differences(
            batch in 1usize..3, rows in 1usize..70, channels in 1usize..20, hidden in 1usize..5,
        ) {
            let images = values(1, batch * rows * channels);
            let [reduce, expand] = [2, 3].map(|seed| values(seed, hidden * channels));
            let (reduce_bias, expand_bias) = (values(4, hidden), values(5, channels));
            let output_gradient = values(6, images.len());
            let wide = |values: &[f32]| values.iter().map(|value| f64::from(*value)).collect::<Vec<f64>>();
            let mut case = Case {
                sizes: [batch, rows, channels, hidden],
                reduce: wide(&reduce),
                reduce_bias: wide(&reduce_bias),
                expand: wide(&expand),
                expand_bias: wide(&expand_bias),
                images: wide(&images),
            };
            let excitation = Excitation {
                reduce: &reduce, reduce_bias: &reduce_bias, expand: &expand, expand_bias: &expand_bias,
            };
            let expected = [
                case.gradient(&output_gradient, |case| &mut case.images),
                case.gradient(&output_gradient, |case| &mut case.reduce),
                case.gradient(&output_gradient, |case| &mut case.reduce_bias),
                case.gradient(&output_gradient, |case| &mut case.expand),
                case.gradient(&output_gradient, |case| &mut case.expand_bias),
            ];
            for level in simd::available() {
                let mut actual = expected.each_ref().map(|values| vec![f32::NAN; values.len()]);
                let [dx, reduce, reduce_bias, expand, expand_bias] = &mut actual;
                let gradients = ExcitationGradients { reduce, reduce_bias, expand, expand_bias };
                backward(level, [batch, rows], excitation, &images, &output_gradient, dx, gradients);
                for ((name, actual), expected) in
                    ["images", "reduce", "reduce bias", "expand", "expand bias"].iter().zip(&actual).zip(&expected)
                {
                    assert_close(name, actual, expected, 2e-5);
                }
            }
        }
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let (batch, rows, channels, hidden) = (3, 300, 150, 7);
        let [reduce, expand] = [2, 3].map(|seed| values(seed, hidden * channels));
        let (reduce_bias, expand_bias) = (values(4, hidden), values(5, channels));
        let excitation =
            Excitation { reduce: &reduce, reduce_bias: &reduce_bias, expand: &expand, expand_bias: &expand_bias };
        let (images, gradient) = (values(1, batch * rows * channels), values(6, batch * rows * channels));
        assert_same_on_any_threads(|| {
            let mut dx = vec![0.0; images.len()];
            let [mut reduce, mut expand] = [0; 2].map(|_| vec![0.0; hidden * channels]);
            let (mut reduce_bias, mut expand_bias) = (vec![0.0; hidden], vec![0.0; channels]);
            let gradients = ExcitationGradients {
                reduce: &mut reduce,
                reduce_bias: &mut reduce_bias,
                expand: &mut expand,
                expand_bias: &mut expand_bias,
            };
            squeeze_excite_backward(batch, rows, excitation, &images, &gradient, &mut dx, gradients);
            [dx, reduce, reduce_bias, expand, expand_bias].concat()
        });
    }
}
