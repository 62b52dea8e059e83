//! Vectors that need nothing of the processor.

use super::Vector;

/// Eight values in an array; the compiler makes of it what the target has.
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
        // SAFETY: the caller vouches for eight readable values; an array of f32 needs no more alignment than f32,
        // and `read_unaligned` not even that.
        Self(unsafe { from.cast::<[f32; 8]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn load_first(from: *const f32, first: usize) -> Self {
        let mut values = [0.0; 8];
        for (lane, value) in values.iter_mut().enumerate().take(first) {
            // SAFETY: the caller vouches for `first` readable values.
            *value = unsafe { from.add(lane).read() };
        }
        Self(values)
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller vouches for eight writable values.
        unsafe { to.cast::<[f32; 8]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, first: usize) {
        for (lane, value) in self.0.iter().enumerate().take(first) {
            // SAFETY: the caller vouches for `first` writable values.
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
    unsafe fn at_least(mut self, other: Self) -> Self {
        for (a, b) in self.0.iter_mut().zip(other.0) {
            *a = if *a < b { b } else { *a };
        }
        self
    }
    #[inline(always)]
    unsafe fn at_most(mut self, other: Self) -> Self {
        for (a, b) in self.0.iter_mut().zip(other.0) {
            *a = if *a > b { b } else { *a };
        }
        self
    }
    #[inline(always)]
    unsafe fn where_above(mut self, z: Self, bound: Self) -> Self {
        for ((a, z), bound) in self.0.iter_mut().zip(z.0).zip(bound.0) {
            *a = if z <= bound { 0.0 } else { *a };
        }
        self
    }
    #[inline(always)]
    unsafe fn where_below(mut self, z: Self, bound: Self) -> Self {
        for ((a, z), bound) in self.0.iter_mut().zip(z.0).zip(bound.0) {
            *a = if z >= bound { 0.0 } else { *a };
        }
        self
    }
    #[inline(always)]
    unsafe fn times_power(mut self, shifted: Self) -> Self {
        for (a, n) in self.0.iter_mut().zip(shifted.0) {
            *a = f32::from_bits(a.to_bits().wrapping_add(n.to_bits() << 23));
        }
        self
    }
}
