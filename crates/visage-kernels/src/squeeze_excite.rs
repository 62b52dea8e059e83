//! Squeeze-and-excitation (Hu et al., 2018): every channel of an image scaled by a gate computed from the whole image.
//!
//! ```text
//! mean[c]    = sum over p: x[n, p, c] / pixels                        p: the pixels of image n
//! hidden[h]  = activation(reduce_bias[h] + sum over c: mean[c] * reduce[h, c])
//! gate[c]    = function(expand_bias[c] + sum over h: hidden[h] * expand[h, c])
//! y[n, p, c] = x[n, p, c] * gate[c]
//! ```
//!
//! The functions are SiLU and the sigmoid in EfficientNets, ReLU and the hard sigmoid in MobileNetV3.
//!
//! As separate operations these would be a dozen small ones, whose overhead exceeds their arithmetic. Here they are two passes
//! over tasks; a task is a group of an image's channels. The first pass computes each group's part of the sums of `hidden`, the
//! second the gates. Vectors run along the channels. The mean is summed in blocks of 64 pixels, so that the rounding error does
//! not grow with the image.
#![allow(unsafe_code)]
// Register tiles read best, and are optimised most reliably, as loops over constant index ranges.
#![allow(clippy::needless_range_loop)]

mod backward;

use std::ops::Range;

use crate::activation::{Activation, Function, GateFunction, with_activation};
use crate::parallel::{self, SharedMut};
use crate::shape::expect_len;
use crate::simd::{self, Kernel, Vector, for_each_vector, for_each_vector_group, load};

pub use backward::{ExcitationGradients, squeeze_excite_backward};

/// Pixels that are summed in registers before they are added to the mean.
const BLOCK: usize = 64;
/// Approximate smallest number of values of a group.
const GROUP: usize = 8 * 1024;
/// Largest number of groups of an image's channels.
const GROUPS: usize = 8;
/// Groups begin at multiples of this number of channels.
const GROUP_STEP: usize = 64;
/// Vectors that are taken through pixels and weights together: a single vector may be half a cache line.
const VECTORS: usize = 4;

/// The two fully connected layers that compute the gates.
#[derive(Clone, Copy, Debug)]
pub struct Excitation<'a> {
    /// `[hidden, channels]`.
    pub reduce: &'a [f32],
    /// `[hidden]`.
    pub reduce_bias: &'a [f32],
    /// `[hidden, channels]`: PyTorch's `[channels, hidden]` transposed.
    pub expand: &'a [f32],
    /// `[channels]`.
    pub expand_bias: &'a [f32],
    /// Follows the first layer.
    pub activation: Activation,
    /// Follows the second layer.
    pub gate: GateFunction,
}

impl Excitation<'_> {
    #[track_caller]
    fn check(&self, batch: usize, pixels: usize, images: usize) {
        let (hidden, channels) = (self.reduce_bias.len(), self.expand_bias.len());
        expect_len("images", images, batch * pixels * channels);
        expect_len("reduce", self.reduce.len(), hidden * channels);
        expect_len("expand", self.expand.len(), hidden * channels);
    }
}

/// Squeeze-and-excitation in place. `images` is `[batch, pixels, channels]`, with `pixels = height * width`.
///
/// # Panics
/// If lengths do not match.
pub fn squeeze_excite(batch: usize, pixels: usize, excitation: Excitation, images: &mut [f32]) {
    excitation.check(batch, pixels, images.len());
    let images = SharedMut::new(images);
    forward([batch, pixels], excitation, images, images);
}

/// [`squeeze_excite`] into a separate slice `output`.
///
/// # Panics
/// If lengths do not match.
pub fn squeeze_excite_into(batch: usize, pixels: usize, excitation: Excitation, images: &[f32], output: &mut [f32]) {
    excitation.check(batch, pixels, images.len());
    expect_len("output", output.len(), images.len());
    forward([batch, pixels], excitation, SharedMut::read_only(images), SharedMut::new(output));
}

/// Reads `images` and writes `output`, which may be the same slice.
fn forward([batch, pixels]: [usize; 2], excitation: Excitation, images: SharedMut, output: SharedMut) {
    let level = simd::level();
    let (hidden, channels) = (excitation.reduce_bias.len(), excitation.expand_bias.len());
    if batch * pixels * channels == 0 {
        return;
    }
    let width = channels.div_ceil((pixels * channels / GROUP).clamp(1, GROUPS)).next_multiple_of(GROUP_STEP);
    let groups = channels.div_ceil(width);
    // All images of one group after another, so that the group's weights are read from memory once.
    let image_and_group = |task: usize| (task % batch, task / batch);
    let group = |index: usize| {
        let first = index * width;
        Group { excitation, pixels, channels: first..channels.min(first + width) }
    };
    // `[batch, groups, hidden]`
    let mut sums = vec![0.0; batch * groups * hidden];
    let shared_sums = SharedMut::new(&mut sums);
    parallel::for_each(batch * groups, |task| {
        let (image, index) = image_and_group(task);
        // SAFETY: no task writes to the images in this pass, and no other task accesses these sums.
        let (image, sums) = unsafe {
            let sums = shared_sums.at((image * groups + index) * hidden);
            let image = images.at(image * pixels * channels);
            (std::slice::from_raw_parts(image, pixels * channels), std::slice::from_raw_parts_mut(sums, hidden))
        };
        simd::dispatch(level, Squeeze { group: group(index), image, sums });
    });
    parallel::for_each(batch * groups, |task| {
        let (image, index) = image_and_group(task);
        let sums = &sums[image * groups * hidden..][..groups * hidden];
        let first = image * pixels * channels;
        // SAFETY: the index is within the images.
        let (image, output) = unsafe { (images.at(first).cast_const(), output.at(first)) };
        simd::dispatch(level, Excite { group: group(index), sums, image, output });
    });
}

/// A group of an image's channels.
struct Group<'a> {
    excitation: Excitation<'a>,
    pixels: usize,
    channels: Range<usize>,
}

/// First pass: the group's part of the sums of the hidden layer.
struct Squeeze<'a> {
    group: Group<'a>,
    image: &'a [f32],
    /// `[hidden]`.
    sums: &'a mut [f32],
}

impl Kernel for Squeeze<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Group { excitation, pixels, channels: range } = self.group;
        let channels = excitation.expand_bias.len();
        let mut means = vec![0.0f32; range.len()];
        for block in self.image.chunks(BLOCK * channels) {
            let sums = means.as_mut_ptr();
            // SAFETY: as the caller guarantees; every pixel has the channels of `range`, and `means` a value for each of them.
            for_each_vector_group::<V, VECTORS>(
                range.clone(),
                #[inline(always)]
                |at| unsafe { add_pixels::<V, VECTORS>(block, channels, at, V::LANES, sums.add(at - range.start)) },
                #[inline(always)]
                |at, lanes| unsafe { add_pixels::<V, 1>(block, channels, at, lanes, sums.add(at - range.start)) },
            );
        }
        for mean in &mut means {
            *mean /= pixels as f32;
        }
        for (sum, weights) in self.sums.iter_mut().zip(excitation.reduce.chunks_exact(channels)) {
            // SAFETY: as the caller guarantees.
            *sum = unsafe { dot::<V>(&means, &weights[range.clone()]) };
        }
    }
}

/// Second pass: computes the gates of the group's channels and applies them.
struct Excite<'a> {
    group: Group<'a>,
    /// `[groups, hidden]`.
    sums: &'a [f32],
    /// The image and the output, which may be the same. No other task accesses the group's channels.
    image: *const f32,
    output: *mut f32,
}

impl Kernel for Excite<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Group {
            excitation: Excitation { reduce_bias, expand, expand_bias, activation, .. },
            channels: ref range,
            ..
        } = self.group;
        let (hidden, channels) = (reduce_bias.len(), expand_bias.len());
        let sum = |h: usize| reduce_bias[h] + self.sums.iter().skip(h).step_by(hidden).sum::<f32>();
        let mut hidden: Vec<f32> = (0..hidden).map(sum).collect();
        with_activation!(activation, F => for_each_vector::<V>(
            hidden.len(),
            #[inline(always)]
            |at, lanes| {
                // SAFETY: as the caller guarantees; there are `lanes` values from `at` on.
                unsafe {
                    let values = hidden.as_mut_ptr().add(at);
                    F::apply(V::load_lanes(values, lanes)).store_lanes(values, lanes);
                }
            },
        ));
        assert!(expand.len() == hidden.len() * channels && range.end <= channels);
        // SAFETY: as the caller guarantees; the channels are the group's.
        for_each_vector_group::<V, VECTORS>(
            range.clone(),
            #[inline(always)]
            |at| unsafe { self.gate_channels::<V, VECTORS>(&hidden, at, V::LANES) },
            #[inline(always)]
            |at, lanes| unsafe { self.gate_channels::<V, 1>(&hidden, at, lanes) },
        );
    }
}

impl Excite<'_> {
    /// Gates `VECTORS` vectors of channels from `at` on, of `lanes` channels each.
    ///
    /// # Safety
    /// The processor must support `V`, the channels must be the group's, and `expand` must have a row for each value of `hidden`.
    #[inline(always)]
    unsafe fn gate_channels<V: Vector, const VECTORS: usize>(&self, hidden: &[f32], at: usize, lanes: usize) {
        let Group { excitation: Excitation { expand, expand_bias, gate: function, .. }, pixels, .. } = self.group;
        let channels = expand_bias.len();
        // SAFETY: biases, every row of weights and every pixel have `lanes` values from each `channel(vector)` on, and no other
        // task accesses them in the image and the output.
        unsafe {
            let channel = |vector: usize| at + vector * V::LANES;
            let mut gates = [V::splat(0.0); VECTORS];
            for vector in 0..VECTORS {
                gates[vector] = load(expand_bias, channel(vector), lanes);
            }
            for (h, value) in hidden.iter().enumerate() {
                let value = V::splat(*value);
                for vector in 0..VECTORS {
                    gates[vector] =
                        load::<V>(expand, h * channels + channel(vector), lanes).mul_add(value, gates[vector]);
                }
            }
            for gate in &mut gates {
                *gate = function.apply(*gate);
            }
            for pixel in 0..pixels {
                for vector in 0..VECTORS {
                    let at = pixel * channels + channel(vector);
                    let value = V::load_lanes(self.image.add(at), lanes);
                    value.mul(gates[vector]).store_lanes(self.output.add(at), lanes);
                }
            }
        }
    }
}

/// Adds `VECTORS` vectors of channels from `at` on, of `lanes` channels each, to `sums`, summed over the pixels of a block. Even
/// and odd pixels have separate sums.
///
/// # Safety
/// The processor must support `V`. `block` must be whole pixels of `channels` values with these channels, and `sums` must have a
/// value for each of them.
#[inline(always)]
unsafe fn add_pixels<V: Vector, const VECTORS: usize>(
    block: &[f32],
    channels: usize,
    at: usize,
    lanes: usize,
    sums: *mut f32,
) {
    // SAFETY: all accesses are within what the caller guarantees.
    unsafe {
        let mut totals = [[V::splat(0.0); VECTORS]; 2];
        for (index, pixel) in block.chunks_exact(channels).enumerate() {
            for vector in 0..VECTORS {
                let total = &mut totals[index % 2][vector];
                *total = total.add(load(pixel, at + vector * V::LANES, lanes));
            }
        }
        for vector in 0..VECTORS {
            let to = sums.add(vector * V::LANES);
            let sum = V::load_lanes(to, lanes).add(totals[0][vector].add(totals[1][vector]));
            sum.store_lanes(to, lanes);
        }
    }
}

/// The dot product of two slices of equal length: four vectors of sums, which are added and then summed lane by lane.
///
/// # Safety
/// The processor must support `V`.
#[inline(always)]
unsafe fn dot<V: Vector>(a: &[f32], b: &[f32]) -> f32 {
    const MOST_LANES: usize = 16;
    assert!(a.len() == b.len() && V::LANES <= MOST_LANES);
    // SAFETY: both slices have `lanes` values from `at` on, and `total` has a vector's lanes.
    unsafe {
        let mut sums = [V::splat(0.0); 4];
        for (index, at) in (0..a.len()).step_by(V::LANES).enumerate() {
            let lanes = V::LANES.min(a.len() - at);
            let (a, b) = (V::load_partial(a.as_ptr().add(at), lanes), V::load_partial(b.as_ptr().add(at), lanes));
            sums[index % 4] = a.mul_add(b, sums[index % 4]);
        }
        let mut total = [0.0f32; MOST_LANES];
        sums[0].add(sums[1]).add(sums[2].add(sums[3])).store(total.as_mut_ptr());
        total.iter().sum()
    }
}

#[cfg(test)]
mod tests;
