//! The transforms of F(4x4, 3x3) on vectors of channels.

use super::POINTS;
use crate::simd::Vector;

/// Loads the whole slice, at most a vector.
///
/// # Safety
/// The processor must support `V`.
#[inline(always)]
pub(super) unsafe fn load<V: Vector>(values: &[f32]) -> V {
    // SAFETY: the slice has as many values.
    unsafe { V::load_lanes(values.as_ptr(), values.len()) }
}

/// Stores `lanes` lanes of the value of each point p at `to + p * step`.
///
/// # Safety
/// The processor must support `V`. `lanes` must be at most a vector's, and the addresses valid.
#[inline(always)]
pub(super) unsafe fn store_points<V: Vector>(values: &[V; POINTS], lanes: usize, to: *mut f32, step: usize) {
    for point in 0..POINTS {
        // SAFETY: as the caller guarantees.
        unsafe { values[point].store_lanes(to.add(point * step), lanes) }
    }
}

/// The two-dimensional transform `T x T'` of a square `x` of `FROM` rows, where `transform` multiplies `T` by a column.
///
/// # Safety
/// The processor must support `V`.
#[inline(always)]
pub(super) unsafe fn transform_2d<
    V: Vector,
    const FROM_LEN: usize,
    const FROM: usize,
    const TO_LEN: usize,
    const TO: usize,
>(
    x: &[V; FROM_LEN],
    transform: impl Fn([V; FROM]) -> [V; TO],
) -> [V; TO_LEN] {
    const { assert!(FROM * FROM == FROM_LEN && TO * TO == TO_LEN) }
    // SAFETY: as the caller guarantees.
    unsafe {
        let mut half = [[V::splat(0.0); TO]; FROM];
        for column in 0..FROM {
            let mut values = [V::splat(0.0); FROM];
            for row in 0..FROM {
                values[row] = x[row * FROM + column];
            }
            half[column] = transform(values);
        }
        let mut result = [V::splat(0.0); TO_LEN];
        for row in 0..TO {
            let mut values = [V::splat(0.0); FROM];
            for column in 0..FROM {
                values[column] = half[column][row];
            }
            let values = transform(values);
            for column in 0..TO {
                result[row * TO + column] = values[column];
            }
        }
        result
    }
}

/// # Safety
/// The processor must support `V`.
#[inline(always)]
unsafe fn scaled<V: Vector>(value: V, factor: f32) -> V {
    // SAFETY: as the caller guarantees.
    unsafe { value.mul_add(V::splat(factor), V::splat(0.0)) }
}

/// The input transform: B' times a column of a patch.
///
/// # Safety
/// The processor must support `V`, here and below.
#[inline(always)]
pub(super) unsafe fn input_transform<V: Vector>([d0, d1, d2, d3, d4, d5]: [V; 6]) -> [V; 6] {
    // SAFETY: as the caller guarantees.
    unsafe {
        let (minus_four, minus_five, four, two) = (V::splat(-4.0), V::splat(-5.0), V::splat(4.0), V::splat(2.0));
        let (a, b) = (d2.mul_add(minus_four, d4), d1.mul_add(minus_four, d3));
        let (c, d) = (d4.sub(d2), d3.sub(d1));
        let minus_two = V::splat(-2.0);
        [
            d0.mul_add(four, d2.mul_add(minus_five, d4)),
            a.add(b),
            a.sub(b),
            d.mul_add(two, c),
            d.mul_add(minus_two, c),
            d1.mul_add(four, d3.mul_add(minus_five, d5)),
        ]
    }
}

/// The filter transform: G times a column of a filter.
#[inline(always)]
pub(super) unsafe fn filter_transform<V: Vector>([g0, g1, g2]: [V; 3]) -> [V; 6] {
    // SAFETY: as the caller guarantees.
    unsafe {
        let (a, b) = (scaled(g0.add(g2), -1.0 / 6.0), scaled(g1, 1.0 / 6.0));
        let (c, d) = (g0.mul_add(V::splat(1.0 / 24.0), scaled(g2, 1.0 / 6.0)), scaled(g1, 1.0 / 12.0));
        [scaled(g0, 0.25), a.sub(b), a.add(b), c.add(d), c.sub(d), g2]
    }
}

/// The output transform: A' times a column of products.
#[inline(always)]
pub(super) unsafe fn output_transform<V: Vector>([m0, m1, m2, m3, m4, m5]: [V; 6]) -> [V; 4] {
    // SAFETY: as the caller guarantees.
    unsafe {
        let (a, b, c, d) = (m1.add(m2), m1.sub(m2), m3.add(m4), m3.sub(m4));
        [
            m0.add(a).add(c),
            d.mul_add(V::splat(2.0), b),
            c.mul_add(V::splat(4.0), a),
            d.mul_add(V::splat(8.0), b).add(m5),
        ]
    }
}

/// The transpose of the output transform: A times a column of the output gradient.
#[inline(always)]
pub(super) unsafe fn output_gradient_transform<V: Vector>([y0, y1, y2, y3]: [V; 4]) -> [V; 6] {
    // SAFETY: as the caller guarantees.
    unsafe {
        let (even, odd) = (y0.add(y2), y1.add(y3));
        let four = y2.mul_add(V::splat(4.0), y0);
        let eight = y3.mul_add(V::splat(8.0), scaled(y1, 2.0));
        [y0, even.add(odd), even.sub(odd), four.add(eight), four.sub(eight), y3]
    }
}

/// The transpose of the filter transform: G' times a column of the transformed filters' gradient.
#[inline(always)]
pub(super) unsafe fn filter_gradient_transform<V: Vector>([u0, u1, u2, u3, u4, u5]: [V; 6]) -> [V; 3] {
    // SAFETY: as the caller guarantees.
    unsafe {
        let (a, b, c, d) = (u1.add(u2), u2.sub(u1), u3.add(u4), u3.sub(u4));
        let sixth = scaled(a, -1.0 / 6.0);
        [
            u0.mul_add(V::splat(0.25), c.mul_add(V::splat(1.0 / 24.0), sixth)),
            d.mul_add(V::splat(1.0 / 12.0), scaled(b, 1.0 / 6.0)),
            c.mul_add(V::splat(1.0 / 6.0), sixth).add(u5),
        ]
    }
}
