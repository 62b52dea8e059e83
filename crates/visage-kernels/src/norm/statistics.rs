//! Mean and variance of a batch.

use rayon::prelude::*;

use super::{BatchStatistics, Layout};
use crate::simd::vectorized;

/// Mean and sum of squared deviations of one block, per channel.
struct Moments {
    rows: f64,
    mean: Vec<f64>,
    squares: Vec<f64>,
}

pub(super) fn compute(layout: Layout, input: &[f32], epsilon: f64) -> BatchStatistics {
    let blocks: Vec<Moments> = input
        .par_chunks(layout.block)
        .map(|block| {
            vectorized(
                #[inline(always)]
                || block_moments(layout, block),
            )
        })
        .collect();
    let mut rows = 0.0;
    let mut mean = vec![0.0; layout.channels];
    let mut squares = vec![0.0; layout.channels];
    for block in &blocks {
        let total = rows + block.rows;
        let (share, cross) = (block.rows / total, rows * block.rows / total);
        for c in 0..layout.channels {
            let delta = block.mean[c] - mean[c];
            mean[c] += delta * share;
            squares[c] += block.squares[c] + delta * delta * cross;
        }
        rows = total;
    }
    let variance: Vec<f64> = squares.iter().map(|sum| sum / f64::max(rows, 1.0)).collect();
    BatchStatistics {
        mean: mean.iter().map(|m| *m as f32).collect(),
        inverse_std: variance.iter().map(|v| (1.0 / (v + epsilon).sqrt()) as f32).collect(),
        variance: variance.iter().map(|v| *v as f32).collect(),
    }
}

#[inline(always)]
fn block_moments(layout: Layout, block: &[f32]) -> Moments {
    let rows = (block.len() / layout.channels) as f64;
    let mut sums = vec![0.0f32; layout.period];
    for x in block.chunks(layout.period) {
        for (sum, x) in sums.iter_mut().zip(x) {
            *sum += x;
        }
    }
    let mut mean = vec![0.0f64; layout.channels];
    layout.fold(&sums, &mut mean);
    // The second pass takes deviations from the mean rounded to f32, and sums them too, which corrects for the rounding.
    let centre: Vec<f32> = mean.iter().map(|sum| (sum / rows) as f32).collect();
    let centres = layout.repeat(&centre);
    let mut squared_sums = vec![0.0f32; layout.period];
    sums.fill(0.0);
    for x in block.chunks(layout.period) {
        for (((sum, squared_sum), x), centre) in sums.iter_mut().zip(&mut squared_sums).zip(x).zip(&centres) {
            let deviation = x - centre;
            *sum += deviation;
            *squared_sum += deviation * deviation;
        }
    }
    let mut remainder = vec![0.0f64; layout.channels];
    let mut squares = vec![0.0f64; layout.channels];
    layout.fold(&sums, &mut remainder);
    layout.fold(&squared_sums, &mut squares);
    for c in 0..layout.channels {
        mean[c] = f64::from(centre[c]) + remainder[c] / rows;
        squares[c] -= remainder[c] * remainder[c] / rows;
    }
    Moments { rows, mean, squares }
}
