//! Squeeze and excitation (Hu et al., 2018): every channel of an image weighted by what all of it shows.
//!
//! ```text
//! mean[c]    = sum over r: x[n, r, c] / rows                          r: the pixels of image n
//! hidden[h]  = silu(reduce_bias[h] + sum over c: mean[c] * reduce[h, c])
//! gate[c]    = sigmoid(expand_bias[c] + sum over h: hidden[h] * expand[h, c])
//! y[n, r, c] = x[n, r, c] * gate[c]
//! ```
//!
//! As operations of their own these are a dozen small ones, whose starting costs more than their arithmetic. Here they are
//! two: a task is a group of an image's channels, first for its share of the sums of `hidden`, and when all of them are
//! there for its gates. Channels are the vectors, but for those sums, which run along them. The mean is summed by blocks
//! of 64 pixels, so that its rounding does not grow with the image.
#![allow(unsafe_code)]
// Vectors abreast read best, and compile surest, as loops over constant index ranges.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use crate::activation::{Function, Silu, sigmoid};
use crate::parallel::{self, SharedMut};
use crate::shape::expect_len;
use crate::simd::{self, Kernel, Level, Vector, each_vector, load};

/// Pixels whose sum is made in registers.
pub(crate) const BLOCK: usize = 64;
/// Values of a group, about: fewer are not worth a task.
const GROUP: usize = 8 * 1024;
/// Most groups an image's channels are cut into.
const GROUPS: usize = 8;
/// A group begins at a multiple of so many channels.
const STEP: usize = 64;
/// Vectors that go over the pixels and the weights together, where there are as many: a vector alone may be half a cache line.
const ABREAST: usize = 4;

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

impl Excitation<'_> {
    #[track_caller]
    pub(crate) fn check(&self, batch: usize, rows: usize, images: usize) {
        let (hidden, channels) = (self.reduce_bias.len(), self.expand_bias.len());
        expect_len("images", images, batch * rows * channels);
        expect_len("reduce", self.reduce.len(), hidden * channels);
        expect_len("expand", self.expand.len(), hidden * channels);
    }
}

/// Gates `images`, `[batch, rows, channels]` with `rows = height * width`, in place.
///
/// # Panics
/// If lengths do not match.
pub fn squeeze_excite(batch: usize, rows: usize, excitation: Excitation, images: &mut [f32]) {
    excitation.check(batch, rows, images.len());
    let images = SharedMut::new(images);
    gate(simd::level(), [batch, rows], excitation, images, images);
}

/// [`squeeze_excite`] into another slice, `output`.
///
/// # Panics
/// If lengths do not match.
pub fn squeeze_excite_into(batch: usize, rows: usize, excitation: Excitation, images: &[f32], output: &mut [f32]) {
    excitation.check(batch, rows, images.len());
    expect_len("output", output.len(), images.len());
    gate(simd::level(), [batch, rows], excitation, SharedMut::read_only(images), SharedMut::new(output));
}

/// Reads `images` and writes `output`, which may be the same.
fn gate(level: Level, [batch, rows]: [usize; 2], excitation: Excitation, images: SharedMut, output: SharedMut) {
    let (hidden, channels) = (excitation.reduce_bias.len(), excitation.expand_bias.len());
    if batch * rows * channels == 0 {
        return;
    }
    let width = channels.div_ceil((rows * channels / GROUP).clamp(1, GROUPS)).next_multiple_of(STEP);
    let groups = channels.div_ceil(width);
    // The images of a group one after another, so that its weights are read from the main memory once.
    let place = |task: usize| (task % batch, task / batch);
    let part = |group: usize| {
        let first = group * width;
        Part { excitation, rows, channels: first..channels.min(first + width) }
    };
    // `[batch, groups, hidden]`
    let mut sums = vec![0.0; batch * groups * hidden];
    let shares = SharedMut::new(&mut sums);
    parallel::for_each(batch * groups, |task| {
        let (image, group) = place(task);
        // SAFETY: an image that nothing writes to meanwhile, and sums that no other task touches.
        let (image, sums) = unsafe {
            let share = shares.at((image * groups + group) * hidden);
            let image = images.at(image * rows * channels);
            (std::slice::from_raw_parts(image, rows * channels), std::slice::from_raw_parts_mut(share, hidden))
        };
        simd::dispatch(level, Squeeze { part: part(group), image, sums });
    });
    parallel::for_each(batch * groups, |task| {
        let (image, group) = place(task);
        let sums = &sums[image * groups * hidden..][..groups * hidden];
        let first = image * rows * channels;
        // SAFETY: within the images.
        let (image, output) = unsafe { (images.at(first).cast_const(), output.at(first)) };
        simd::dispatch(level, Excite { part: part(group), sums, image, output });
    });
}

/// A group of an image's channels.
struct Part<'a> {
    excitation: Excitation<'a>,
    rows: usize,
    channels: Range<usize>,
}

/// Fills `sums` with the part's share of every hidden value.
struct Squeeze<'a> {
    part: Part<'a>,
    image: &'a [f32],
    sums: &'a mut [f32],
}

impl Kernel for Squeeze<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Part { excitation, rows, channels: range } = self.part;
        let channels = excitation.expand_bias.len();
        let mut means = vec![0.0f32; range.len()];
        for block in self.image.chunks(BLOCK * channels) {
            let mut wide = means.chunks_exact_mut(ABREAST * V::LANES);
            let mut at = range.start;
            // SAFETY: the caller vouches for the instructions; every row has the channels from `at` on that `means` has.
            unsafe {
                for means in &mut wide {
                    add_rows::<V, ABREAST>(block, channels, at, means);
                    at += means.len();
                }
                for means in wide.into_remainder().chunks_mut(V::LANES) {
                    add_rows::<V, 1>(block, channels, at, means);
                    at += means.len();
                }
            }
        }
        for mean in &mut means {
            *mean /= rows as f32;
        }
        for (sum, weights) in self.sums.iter_mut().zip(excitation.reduce.chunks_exact(channels)) {
            // SAFETY: the caller vouches for the instructions.
            *sum = unsafe { dot::<V>(&means, &weights[range.clone()]) };
        }
    }
}

/// Gates the part's channels of an image.
struct Excite<'a> {
    part: Part<'a>,
    /// `[groups, hidden]`
    sums: &'a [f32],
    /// No other task touches the part's channels of it, nor of the output, which may be the same.
    image: *const f32,
    output: *mut f32,
}

impl Kernel for Excite<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Part { excitation: Excitation { reduce_bias, expand, expand_bias, .. }, channels: ref range, .. } =
            self.part;
        let (hidden, channels) = (reduce_bias.len(), expand_bias.len());
        let sum = |h: usize| reduce_bias[h] + self.sums.iter().skip(h).step_by(hidden).sum::<f32>();
        let mut hidden: Vec<f32> = (0..hidden).map(sum).collect();
        each_vector::<V>(
            hidden.len(),
            #[inline(always)]
            |at, lanes| {
                // SAFETY: the caller vouches for the instructions; there are `lanes` values from `at` on.
                unsafe {
                    let values = hidden.as_mut_ptr().add(at);
                    Silu::lanes(V::load_up_to(values, lanes)).store_up_to(values, lanes);
                }
            },
        );
        assert!(expand.len() == hidden.len() * channels && range.end <= channels);
        let mut at = range.start;
        // SAFETY: the caller vouches for the instructions; the channels are the part's.
        unsafe {
            while at + ABREAST * V::LANES <= range.end {
                self.channels::<V, ABREAST>(&hidden, at, V::LANES);
                at += ABREAST * V::LANES;
            }
            while at < range.end {
                self.channels::<V, 1>(&hidden, at, V::LANES.min(range.end - at));
                at += V::LANES;
            }
        }
    }
}

impl Excite<'_> {
    /// Gates `VECTORS` vectors of channels from `at` on, each of `lanes` channels.
    ///
    /// # Safety
    /// The processor has `V`'s instructions; the channels are the part's; `expand` has a row for each value of `hidden`.
    #[inline(always)]
    unsafe fn channels<V: Vector, const VECTORS: usize>(&self, hidden: &[f32], at: usize, lanes: usize) {
        let Part { excitation: Excitation { expand, expand_bias, .. }, rows, .. } = self.part;
        let channels = expand_bias.len();
        // SAFETY: biases, every row of weights and every pixel of the image have `lanes` values from each `place(vector)` on,
        // and no other task touches these of the image.
        unsafe {
            let place = |vector: usize| at + vector * V::LANES;
            let mut gates = [V::splat(0.0); VECTORS];
            for vector in 0..VECTORS {
                gates[vector] = load(expand_bias, place(vector), lanes);
            }
            for (h, value) in hidden.iter().enumerate() {
                let value = V::splat(*value);
                for vector in 0..VECTORS {
                    gates[vector] =
                        load::<V>(expand, h * channels + place(vector), lanes).mul_add(value, gates[vector]);
                }
            }
            for gate in &mut gates {
                *gate = sigmoid(*gate);
            }
            for row in 0..rows {
                for vector in 0..VECTORS {
                    let pixel = row * channels + place(vector);
                    let value = V::load_up_to(self.image.add(pixel), lanes);
                    value.mul(gates[vector]).store_up_to(self.output.add(pixel), lanes);
                }
            }
        }
    }
}

/// Adds the rows' values from column `at` on to `sums`, which are `VECTORS` vectors, or less than one. Even and odd rows are
/// summed apart.
///
/// # Safety
/// The processor has `V`'s instructions. `block` is whole rows of `channels` values, at least `at + sums.len()`.
#[inline(always)]
unsafe fn add_rows<V: Vector, const VECTORS: usize>(block: &[f32], channels: usize, at: usize, sums: &mut [f32]) {
    let lanes = sums.len().min(V::LANES);
    // SAFETY: loads and stores are of `lanes` values, which the rows and the sums have.
    unsafe {
        let mut totals = [[V::splat(0.0); VECTORS]; 2];
        for (index, row) in block.chunks_exact(channels).enumerate() {
            for vector in 0..VECTORS {
                let total = &mut totals[index % 2][vector];
                *total = total.add(load(row, at + vector * V::LANES, lanes));
            }
        }
        for vector in 0..VECTORS {
            let to = sums.as_mut_ptr().add(vector * V::LANES);
            let sum = V::load_up_to(to, lanes).add(totals[0][vector].add(totals[1][vector]));
            sum.store_up_to(to, lanes);
        }
    }
}

/// The sum of the products of `a` and `b`, which are equally long: four vectors of sums, then those by lane.
///
/// # Safety
/// The processor has `V`'s instructions.
#[inline(always)]
pub(crate) unsafe fn dot<V: Vector>(a: &[f32], b: &[f32]) -> f32 {
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
            batch in 1usize..4, rows in 1usize..200, channels in 1usize..300, hidden in 1usize..9,
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
                let in_place = SharedMut::new(&mut actual);
                gate(level, [batch, rows], excitation, in_place, in_place);
                assert_close("gated images", &actual, &expected, 5e-6);
                let mut apart = vec![f32::NAN; images.len()];
                gate(level, [batch, rows], excitation, SharedMut::read_only(&images), SharedMut::new(&mut apart));
                assert_eq!(apart, actual);
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
        assert_same_on_any_threads(|| {
            let mut images = values(1, batch * rows * channels);
            squeeze_excite(batch, rows, excitation, &mut images);
            images
        });
    }
}
