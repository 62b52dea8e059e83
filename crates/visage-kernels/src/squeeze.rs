//! Squeeze and excitation (Hu et al., 2018) at inference: every channel of an image weighted by what all of it shows.
//!
//! ```text
//! mean[c]    = sum over r: x[n, r, c] / rows                          r: the pixels of image n
//! hidden[h]  = silu(reduce_bias[h] + sum over c: mean[c] * reduce[h, c])
//! gate[c]    = sigmoid(expand_bias[c] + sum over h: hidden[h] * expand[h, c])
//! x[n, r, c] = x[n, r, c] * gate[c]
//! ```
//!
//! As operations of their own these are a dozen small ones, whose starting costs more than their arithmetic. Here a task is
//! an image; channels are the vectors, but for the sums of `hidden`, which run along them. The mean is summed by blocks of
//! 64 pixels, so that its rounding does not grow with the image.
#![allow(unsafe_code)]

use crate::activation::{Function, Silu, sigmoid};
use crate::parallel::{self, SharedMut};
use crate::shape::expect_len;
use crate::simd::{self, Kernel, Level, Vector};

/// Pixels whose sum is made in registers.
const BLOCK: usize = 64;

/// The two layers of a gate.
#[derive(Clone, Copy, Debug)]
pub struct Excitation<'a> {
    /// `[hidden, channels]`
    pub reduce: &'a [f32],
    /// `[hidden]`
    pub reduce_bias: &'a [f32],
    /// `[hidden, channels]`: PyTorch's `[channels, hidden]` transposed.
    pub expand: &'a [f32],
    /// `[channels]`
    pub expand_bias: &'a [f32],
}

/// Gates `images`, `[batch, rows, channels]` with `rows = height * width`, in place.
///
/// # Panics
/// If lengths do not match.
pub fn squeeze_excite(batch: usize, rows: usize, excitation: Excitation, images: &mut [f32]) {
    let (hidden, channels) = (excitation.reduce_bias.len(), excitation.expand_bias.len());
    expect_len("images", images.len(), batch * rows * channels);
    expect_len("reduce", excitation.reduce.len(), hidden * channels);
    expect_len("expand", excitation.expand.len(), hidden * channels);
    gate(simd::level(), batch, excitation, images);
}

fn gate(level: Level, batch: usize, excitation: Excitation, images: &mut [f32]) {
    if images.is_empty() {
        return;
    }
    let len = images.len() / batch;
    let images = SharedMut::new(images);
    parallel::for_each(batch, |image| {
        // SAFETY: one image, which no other task touches.
        let image = unsafe { std::slice::from_raw_parts_mut(images.at(image * len), len) };
        simd::dispatch(level, Image { excitation, image });
    });
}

/// One image, `[rows, channels]`.
struct Image<'a> {
    excitation: Excitation<'a>,
    image: &'a mut [f32],
}

impl Kernel for Image<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Excitation { reduce, reduce_bias, expand, expand_bias } = self.excitation;
        let channels = expand_bias.len();
        let rows = self.image.len() / channels;
        let mut means = vec![0.0f32; channels];
        for block in self.image.chunks(BLOCK * channels) {
            for (at, means) in (0..channels).step_by(V::LANES).zip(means.chunks_mut(V::LANES)) {
                // SAFETY: the caller vouches for the instructions; every row has the channels from `at` on that `means` has.
                unsafe { add_rows::<V>(block, channels, at, means) };
            }
        }
        for mean in &mut means {
            *mean /= rows as f32;
        }
        let mut gates = expand_bias.to_vec();
        for ((weights, bias), expand) in
            reduce.chunks_exact(channels).zip(reduce_bias).zip(expand.chunks_exact(channels))
        {
            // SAFETY: the caller vouches for the instructions.
            let hidden = Silu::value(bias + unsafe { dot::<V>(&means, weights) });
            for (gate, weight) in gates.iter_mut().zip(expand) {
                *gate += hidden * weight;
            }
        }
        for gate in &mut gates {
            *gate = sigmoid(*gate);
        }
        for row in self.image.chunks_exact_mut(channels) {
            for (value, gate) in row.iter_mut().zip(&gates) {
                *value *= gate;
            }
        }
    }
}

/// Adds the rows' values from column `at` on to `sums`, which are a vector or less. Even and odd rows are summed apart.
///
/// # Safety
/// The processor has `V`'s instructions. `block` is whole rows of `channels` values, at least `at + sums.len()`.
#[inline(always)]
unsafe fn add_rows<V: Vector>(block: &[f32], channels: usize, at: usize, sums: &mut [f32]) {
    let lanes = sums.len();
    // SAFETY: loads and stores are of `lanes` values, which the rows and the sums have.
    unsafe {
        let mut totals = [V::splat(0.0); 2];
        for (index, row) in block.chunks_exact(channels).enumerate() {
            let from = row.as_ptr().add(at);
            let values = if lanes == V::LANES { V::load(from) } else { V::load_first(from, lanes) };
            totals[index % 2] = totals[index % 2].add(values);
        }
        let sum = V::load_first(sums.as_ptr(), lanes).add(totals[0].add(totals[1]));
        sum.store_first(sums.as_mut_ptr(), lanes);
    }
}

/// The sum of the products of `a` and `b`, which are equally long: four vectors of sums, then those by lane.
///
/// # Safety
/// The processor has `V`'s instructions.
#[inline(always)]
unsafe fn dot<V: Vector>(a: &[f32], b: &[f32]) -> f32 {
    const MOST_LANES: usize = 16;
    assert!(a.len() == b.len() && V::LANES <= MOST_LANES);
    // SAFETY: loads are of `lanes` values, which both slices have; `total` has a vector's lanes.
    unsafe {
        let mut sums = [V::splat(0.0); 4];
        for (index, at) in (0..a.len()).step_by(V::LANES).enumerate() {
            let lanes = V::LANES.min(a.len() - at);
            let (a, b) = (V::load_first(a.as_ptr().add(at), lanes), V::load_first(b.as_ptr().add(at), lanes));
            sums[index % 4] = a.mul_add(b, sums[index % 4]);
        }
        let mut total = [0.0f32; MOST_LANES];
        sums[0].add(sums[1]).add(sums[2].add(sums[3])).store(total.as_mut_ptr());
        total.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reference::{assert_close, assert_same_on_any_threads, values};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]
        #[test]
        fn all_levels_agree_with_the_definition(
            batch in 1usize..4, rows in 1usize..200, channels in 1usize..90, hidden in 1usize..9,
        ) {
            let images = values(1, batch * rows * channels);
            let [reduce, expand] = [2, 3].map(|seed| values(seed, hidden * channels));
            let (reduce_bias, expand_bias) = (values(4, hidden), values(5, channels));
            let mut expected = Vec::new();
            for image in images.chunks(rows * channels) {
                let mean = |c: usize| image.chunks(channels).map(|row| f64::from(row[c])).sum::<f64>() / rows as f64;
                let means: Vec<f64> = (0..channels).map(mean).collect();
                let hidden: Vec<f64> = (0..hidden).map(|h| {
                    let z = means.iter().zip(&reduce[h * channels..]).map(|(mean, w)| mean * f64::from(*w)).sum::<f64>()
                        + f64::from(reduce_bias[h]);
                    z / (1.0 + (-z).exp())
                }).collect();
                for (index, value) in image.iter().enumerate() {
                    let c = index % channels;
                    let products = hidden.iter().enumerate().map(|(h, z)| z * f64::from(expand[h * channels + c]));
                    let z = products.sum::<f64>() + f64::from(expand_bias[c]);
                    expected.push(f64::from(*value) / (1.0 + (-z).exp()));
                }
            }
            let excitation = Excitation {
                reduce: &reduce, reduce_bias: &reduce_bias, expand: &expand, expand_bias: &expand_bias,
            };
            for level in simd::available() {
                let mut actual = images.clone();
                gate(level, batch, excitation, &mut actual);
                assert_close("gated images", &actual, &expected, 5e-6);
            }
        }
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let (batch, rows, channels, hidden) = (5, 300, 50, 7);
        let [reduce, expand] = [2, 3].map(|seed| values(seed, hidden * channels));
        let (reduce_bias, expand_bias) = (values(4, hidden), values(5, channels));
        let excitation =
            Excitation { reduce: &reduce, reduce_bias: &reduce_bias, expand: &expand, expand_bias: &expand_bias };
        assert_same_on_any_threads(|| {
            let mut images = values(1, batch * rows * channels);
            squeeze_excite(batch, rows, excitation, &mut images);
            images
        });
    }
}
