//! Inference of convolutions row by row, on planar rows.
//!
//! ```text
//!   memory of a map's row:   [ margin | channel 0, columns 0 ... 255 | margin | channel 1, columns 0 ... 255 | margin ...
//!                              [ margin | channel 0, columns 256 ...  | margin | channel 1, columns 256 ...
//!
//!   layer 0   rows in a ring buffer:  . . 4 5 6 7        a layer computes its next two rows as soon as the rows
//!   layer 1                           . 3 4 5 6          under their windows exist, and overwrites rows that the
//!   layer 2                           2 3 4 5            next layer has used
//! ```
//!
//! Networks for small devices have few channels on large maps. Their layers do so little work on a value that NHWC kernels are
//! limited by two things: vectors along 24 channels leave lanes empty, and a map of a large image leaves the second-level cache
//! between two layers. Here vectors run along the columns, so that all lanes are used whatever the channels, and the rows pass
//! through all layers while they are in the cache: a layer keeps a few rows only. The result for an image of any size is that of
//! a convolution of the whole image.
//!
//! [`PlanarRows`] is the ring buffer, [`PlanarConv`] and [`PlanarSeparable`] are the layers. Each call of their `advance` computes
//! up to two rows on the calling thread.

mod conv;
mod product;
mod rows;
mod separable;

use crate::shape::{Window, expect_len};

pub use conv::PlanarConv;
pub use rows::PlanarRows;
pub use separable::PlanarSeparable;

/// Zeros before the first column of each channel. A multiple of every vector's lanes, so that columns keep the alignment.
const MARGIN: usize = 16;
/// Columns of a strip. Wide maps are divided into strips: the distance between two channels is then less than 2 KiB, within which the
/// processor prefetches, and a depthwise convolution goes through a strip's memory from the first value to the last.
const STRIP: usize = 256;
/// Columns of the neighbouring strips that a strip's margins repeat.
const HALO: usize = 4;
/// Values after the last row that vectors may read: two vectors of columns and two columns.
const TAIL: usize = 64;
/// Rows that a layer computes together. Both use the weights, and in depthwise convolutions the source values, that one loads.
const PAIR: usize = 2;

/// The number of output rows that can be computed now: two if possible.
///
/// With a vertical stride, a single row waits for the next: otherwise all layers that follow would compute single rows.
fn ready(window: &Window, input: &PlanarRows, output: &PlanarRows) -> usize {
    let wanted = PAIR.min(output.height - output.end);
    let fits = |rows: usize| {
        let last = (output.end + rows - 1) * window.stride[0] + window.kernel[0];
        last.saturating_sub(window.padding.top).min(input.height) <= input.end
    };
    let least = if window.stride[0] == 1 { 1 } else { wanted };
    (least..=wanted).rev().find(|&rows| rows > 0 && fits(rows)).unwrap_or(0)
}

#[track_caller]
fn check(window: &Window, channels: [usize; 2], input: &PlanarRows, output: &PlanarRows, phases: usize) {
    expect_len("input channels", input.channels, channels[0]);
    expect_len("output channels", output.channels, channels[1]);
    expect_len("output rows", output.height, window.out_height(input.height));
    expect_len("output columns", output.width, window.out_width(input.width * phases));
    // A strip of the output is computed from the strip of the input at the same place.
    let strips = [input.width, output.width].map(|width| width.div_ceil(STRIP));
    assert!(
        strips[1] <= strips[0],
        "an output of {} columns needs more strips than its input of {}",
        output.width,
        input.width
    );
}

#[cfg(test)]
mod tests;
