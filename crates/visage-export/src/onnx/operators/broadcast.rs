//! Broadcasting: iteration over arrays by strides.

use super::{Reason, count};
use crate::onnx::tensor::product;

/// The shape to which `a` and `b` are broadcast.
pub(super) fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>, Reason> {
    let rank = a.len().max(b.len());
    let length = |shape: &[usize], axis: usize| (axis + shape.len()).checked_sub(rank).map_or(1, |axis| shape[axis]);
    let shape: Vec<usize> = (0..rank)
        .map(|axis| match (length(a, axis), length(b, axis)) {
            (a, b) if a == b || b == 1 => Ok(a),
            (1, b) => Ok(b),
            _ => Err(format!("its inputs are {a:?} and {b:?}, which cannot be broadcast")),
        })
        .collect::<Result<_, Reason>>()?;
    count(&shape).map(|_| shape)
}

/// The strides of an array of `shape` that is broadcast to `to`: 0 along stretched axes.
pub(super) fn broadcast_strides(shape: &[usize], to: &[usize]) -> Vec<usize> {
    let mut strides = vec![0; to.len()];
    let mut stride = 1;
    for (axis, &length) in shape.iter().enumerate().rev() {
        if length != 1 {
            strides[axis + to.len() - shape.len()] = stride;
        }
        stride *= length;
    }
    strides
}

/// For each element of an array of `shape`, its indices in `N` other arrays with these strides.
pub(super) fn indices<const N: usize>(shape: &[usize], strides: [&[usize]; N]) -> impl Iterator<Item = [usize; N]> {
    // `count` has checked every shape.
    let count = product(shape).unwrap_or(0);
    let mut index = vec![0; shape.len()];
    let mut at = [0; N];
    (0..count).map(move |_| {
        let here = at;
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            let back = index[axis] == shape[axis];
            for (at, strides) in at.iter_mut().zip(strides) {
                *at = if back { *at - strides[axis] * (shape[axis] - 1) } else { *at + strides[axis] };
            }
            if !back {
                break;
            }
            index[axis] = 0;
        }
        here
    })
}

pub(super) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}
