//! Dense convolution on planar rows.
#![allow(unsafe_code)]

use super::product::{Columns, Product, Targets};
use super::{HALO, MARGIN, PlanarRows, STRIP, check, ready};
use crate::activation::Activation;
use crate::shape::{Padding, Window, expect_len};
use crate::simd::{self, Kernel, Vector};

/// A dense convolution on planar rows.
///
/// With a horizontal stride of `s`, the input has `s` channels for each of the convolution's: channel `i * s + p` has the columns
/// `p`, `p + s`, ... of channel `i`.
#[derive(Debug)]
pub struct PlanarConv {
    window: Window,
    in_channels: usize,
    product: Product,
}

impl PlanarConv {
    /// From the weight `[out_channels, kernel_height, kernel_width, in_channels]` and the bias `[out_channels]`, followed by a ReLU
    /// or nothing.
    ///
    /// # Panics
    /// If lengths do not match, or the window has more columns than one and four strides.
    #[must_use]
    pub fn new(window: Window, in_channels: usize, weight: &[f32], bias: &[f32], relu: bool) -> Self {
        let Padding { left, right, .. } = window.padding;
        assert!(window.kernel[1].max(left).max(right) <= HALO * window.stride[1] + 1, "a window of too many columns");
        expect_len("weight", weight.len(), bias.len() * window.taps() * in_channels);
        let activation = if relu { Activation::Relu } else { Activation::Identity };
        Self { window, in_channels, product: Product::new(simd::level(), weight, bias, activation) }
    }

    /// Computes up to two more rows of the output, if the input has the rows under their windows. Returns the number.
    ///
    /// # Panics
    /// If channels or sizes do not match, the output is so much wider than the input that it needs more strips, or the input no longer has
    /// a row that is needed.
    pub fn advance(&self, input: &PlanarRows, output: &mut PlanarRows) -> usize {
        let Self { window, in_channels, product } = self;
        let phases = window.stride[1];
        check(window, [in_channels * phases, product.rows()], input, output, phases);
        let (first, count) = (output.end, ready(window, input, output));
        if count == 0 {
            return 0;
        }
        let mut columns = Vec::with_capacity(product.depth());
        for r in 0..window.kernel[0] {
            let rows = [first, first + count - 1].map(|y| input.source(y * window.stride[0] + r, window.padding.top));
            for s in 0..window.kernel[1] {
                // Column `x * phases + s - left` is column `x + shift` of a phase; both are offset to stay positive.
                let column = s + MARGIN * phases - window.padding.left;
                let (shift, phase) = (column / phases, column % phases);
                for channel in 0..*in_channels {
                    let at = (channel * phases + phase) * input.channel_len + shift;
                    columns.push(rows.map(|row| row.wrapping_add(at).wrapping_sub(MARGIN)));
                }
            }
        }
        let targets = output.append_targets(count);
        let strip_len = input.strip_len;
        simd::dispatch(product.level(), Dense { product, columns: &columns, strip_len, targets: &targets });
        output.repeat_borders(first..first + count);
        count
    }
}

/// A task: some rows of a dense convolution.
struct Dense<'a> {
    product: &'a Product,
    columns: Columns<'a>,
    /// Values from one strip of the input to the next.
    strip_len: usize,
    targets: &'a Targets,
}

impl Kernel for Dense<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        for x in (0..self.targets.width).step_by(V::LANES) {
            // SAFETY: the level is the product's. Columns are inside the input's rows from the margin before them to the one
            // behind, of which vectors may read as much as a margin or the tail. The targets are rows of the output.
            let at = x / STRIP * self.strip_len + x % STRIP;
            unsafe { self.product.multiply::<V>(self.columns, at, None, self.targets, x) };
        }
    }
}
