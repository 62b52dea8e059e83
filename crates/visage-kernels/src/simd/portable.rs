//! Portable vectors.

use super::Vector;

/// Eight values in an array, which the compiler maps to the target's instructions.
#[derive(Clone, Copy)]
pub(crate) struct F32x8([f32; 8]);

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
    unsafe fn add(mut self, other: Self) -> Self {
        for (a, b) in self.0.iter_mut().zip(other.0) {
            *a += b;
        }
        self
    }
    #[inline(always)]
    unsafe fn sub(mut self, other: Self) -> Self {
        for (a, b) in self.0.iter_mut().zip(other.0) {
            *a -= b;
        }
        self
    }
    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, mut addend: Self) -> Self {
        for ((sum, a), b) in addend.0.iter_mut().zip(self.0).zip(factor.0) {
            // `f32::mul_add` is a library call where the target has no fused instruction.
            *sum += a * b;
        }
        addend
    }
    #[inline(always)]
    unsafe fn mul(mut self, other: Self) -> Self {
        for (a, b) in self.0.iter_mut().zip(other.0) {
            *a *= b;
        }
        self
    }
    #[inline(always)]
    unsafe fn reciprocal(mut self) -> Self {
        for a in &mut self.0 {
            *a = 1.0 / *a;
        }
        self
    }
    #[inline(always)]
    unsafe fn maximum(mut self, other: Self) -> Self {
        for (a, b) in self.0.iter_mut().zip(other.0) {
            *a = if *a < b { b } else { *a };
        }
        self
    }
    #[inline(always)]
    unsafe fn minimum(mut self, other: Self) -> Self {
        for (a, b) in self.0.iter_mut().zip(other.0) {
            *a = if *a > b { b } else { *a };
        }
        self
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
    unsafe fn ldexp(mut self, shifted: Self) -> Self {
        for (a, n) in self.0.iter_mut().zip(shifted.0) {
            *a = f32::from_bits(a.to_bits().wrapping_add(n.to_bits() << 23));
        }
        self
    }
}
