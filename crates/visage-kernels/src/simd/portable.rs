//! Portable vectors.

use super::Vector;

/// Eight values in an array, which the compiler maps to the target's instructions.
#[derive(Clone, Copy)]
pub(crate) struct F32x8([f32; 8]);

impl F32x8 {
    #[inline(always)]
    fn zip(mut self, other: Self, function: impl Fn(f32, f32) -> f32) -> Self {
        for (a, b) in self.0.iter_mut().zip(other.0) {
            *a = function(*a, b);
        }
        self
    }
}

impl Vector for F32x8 {
    const LANES: usize = 8;
    const TILE_ROWS: usize = 4;
    const TILE_VECTORS: usize = 2;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; 8])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller guarantees eight readable values; `read_unaligned` needs no alignment.
        Self(unsafe { from.cast::<[f32; 8]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn load_partial(from: *const f32, lanes: usize) -> Self {
        let mut values = [0.0; 8];
        for (lane, value) in values.iter_mut().enumerate().take(lanes) {
            // SAFETY: the caller guarantees `lanes` readable values.
            *value = unsafe { from.add(lane).read() };
        }
        Self(values)
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller guarantees eight writable values.
        unsafe { to.cast::<[f32; 8]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn store_partial(self, to: *mut f32, lanes: usize) {
        for (lane, value) in self.0.iter().enumerate().take(lanes) {
            // SAFETY: the caller guarantees `lanes` writable values.
            unsafe { to.add(lane).write(*value) }
        }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
        // Not `f32::mul_add`, which is a library call if the target has no fused instruction.
        addend.zip(self.zip(factor, |a, b| a * b), |sum, product| sum + product)
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn reciprocal(self) -> Self {
        self.zip(self, |a, _| 1.0 / a)
    }
    #[inline(always)]
    unsafe fn maximum(self, other: Self) -> Self {
        self.zip(other, |a, b| if a < b { b } else { a })
    }
    #[inline(always)]
    unsafe fn minimum(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { b } else { a })
    }
    #[inline(always)]
    unsafe fn zero_unless_above(mut self, z: Self, bound: Self) -> Self {
        for ((a, z), bound) in self.0.iter_mut().zip(z.0).zip(bound.0) {
            *a = if z <= bound { 0.0 } else { *a };
        }
        self
    }
    #[inline(always)]
    unsafe fn zero_unless_below(mut self, z: Self, bound: Self) -> Self {
        for ((a, z), bound) in self.0.iter_mut().zip(z.0).zip(bound.0) {
            *a = if z >= bound { 0.0 } else { *a };
        }
        self
    }
    #[inline(always)]
    unsafe fn ldexp(self, shifted: Self) -> Self {
        self.zip(shifted, |a, n| f32::from_bits(a.to_bits().wrapping_add(n.to_bits() << 23)))
    }
    #[inline(always)]
    unsafe fn deinterleave(self, next: Self) -> [Self; 2] {
        let lane = |lane: usize| if lane < 8 { self.0[lane] } else { next.0[lane - 8] };
        [0, 1].map(|odd| Self(std::array::from_fn(|index| lane(2 * index + odd))))
    }
}
