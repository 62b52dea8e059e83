//! Vectors for AVX2 with FMA, and for AVX-512.

use super::{Vector, by_intrinsics};
use std::arch::x86_64::*;

#[derive(Clone, Copy)]
pub(crate) struct F32x8(__m256);

impl F32x8 {
    /// All ones in the first `lanes` lanes.
    #[inline(always)]
    unsafe fn mask(lanes: usize) -> __m256i {
        static ONES_THEN_ZEROS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
        // SAFETY: `lanes <= 8`, so the eight values from `8 - lanes` on are in the table.
        unsafe { _mm256_loadu_si256(ONES_THEN_ZEROS.as_ptr().add(8 - lanes).cast()) }
    }
}

// SAFETY of all blocks below: the intrinsics need AVX2 or FMA and valid pointers, as the trait requires of callers.
impl Vector for F32x8 {
    const LANES: usize = 8;
    const TILE_ROWS: usize = 6;
    const TILE_VECTORS: usize = 2;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self(unsafe { _mm256_set1_ps(value) })
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(unsafe { _mm256_loadu_ps(from) })
    }
    #[inline(always)]
    unsafe fn load_partial(from: *const f32, lanes: usize) -> Self {
        Self(unsafe { _mm256_maskload_ps(from, Self::mask(lanes)) })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm256_storeu_ps(to, self.0) }
    }
    #[inline(always)]
    unsafe fn store_partial(self, to: *mut f32, lanes: usize) {
        unsafe { _mm256_maskstore_ps(to, Self::mask(lanes), self.0) }
    }
    by_intrinsics!(add: _mm256_add_ps, sub: _mm256_sub_ps, mul: _mm256_mul_ps);
    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
        Self(unsafe { _mm256_fmadd_ps(self.0, factor.0, addend.0) })
    }
    #[inline(always)]
    unsafe fn reciprocal(self) -> Self {
        Self(unsafe { _mm256_div_ps(_mm256_set1_ps(1.0), self.0) })
    }
    #[inline(always)]
    unsafe fn maximum(self, other: Self) -> Self {
        // If an operand is NaN, the instruction returns the second one.
        Self(unsafe { _mm256_max_ps(other.0, self.0) })
    }
    #[inline(always)]
    unsafe fn minimum(self, other: Self) -> Self {
        // If an operand is NaN, the instruction returns the second one.
        Self(unsafe { _mm256_min_ps(other.0, self.0) })
    }
    #[inline(always)]
    unsafe fn zero_unless_above(self, z: Self, bound: Self) -> Self {
        Self(unsafe { _mm256_and_ps(_mm256_cmp_ps::<_CMP_NLE_UQ>(z.0, bound.0), self.0) })
    }
    #[inline(always)]
    unsafe fn zero_unless_below(self, z: Self, bound: Self) -> Self {
        Self(unsafe { _mm256_and_ps(_mm256_cmp_ps::<_CMP_NGE_UQ>(z.0, bound.0), self.0) })
    }
    #[inline(always)]
    unsafe fn ldexp(self, shifted: Self) -> Self {
        unsafe {
            let exponent = _mm256_slli_epi32::<23>(_mm256_castps_si256(shifted.0));
            Self(_mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(self.0), exponent)))
        }
    }
    #[inline(always)]
    unsafe fn deinterleave(self, next: Self) -> [Self; 2] {
        unsafe {
            // Within each half even values of both, then the halves' pairs in order.
            let pairs = [_mm256_shuffle_ps::<0x88>(self.0, next.0), _mm256_shuffle_ps::<0xDD>(self.0, next.0)];
            pairs.map(|pairs| Self(_mm256_castpd_ps(_mm256_permute4x64_pd::<0xD8>(_mm256_castps_pd(pairs)))))
        }
    }
}

#[derive(Clone, Copy)]
pub(crate) struct F32x16(__m512);

impl F32x16 {
    #[inline(always)]
    fn mask(lanes: usize) -> __mmask16 {
        ((1u32 << lanes) - 1) as __mmask16
    }
}

// SAFETY of all blocks below: the intrinsics need AVX-512F and valid pointers, as the trait requires of callers.
impl Vector for F32x16 {
    const LANES: usize = 16;
    const TILE_ROWS: usize = 8;
    const TILE_VECTORS: usize = 3;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self(unsafe { _mm512_set1_ps(value) })
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(unsafe { _mm512_loadu_ps(from) })
    }
    #[inline(always)]
    unsafe fn load_partial(from: *const f32, lanes: usize) -> Self {
        Self(unsafe { _mm512_maskz_loadu_ps(Self::mask(lanes), from) })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm512_storeu_ps(to, self.0) }
    }
    #[inline(always)]
    unsafe fn store_partial(self, to: *mut f32, lanes: usize) {
        unsafe { _mm512_mask_storeu_ps(to, Self::mask(lanes), self.0) }
    }
    by_intrinsics!(add: _mm512_add_ps, sub: _mm512_sub_ps, mul: _mm512_mul_ps);
    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
        Self(unsafe { _mm512_fmadd_ps(self.0, factor.0, addend.0) })
    }
    #[inline(always)]
    unsafe fn reciprocal(self) -> Self {
        // A 14-bit estimate and one Newton step take a quarter of a division's time.
        unsafe {
            let estimate = _mm512_rcp14_ps(self.0);
            let error = _mm512_fnmadd_ps(self.0, estimate, _mm512_set1_ps(1.0));
            Self(_mm512_fmadd_ps(estimate, error, estimate))
        }
    }
    #[inline(always)]
    unsafe fn maximum(self, other: Self) -> Self {
        // If an operand is NaN, the instruction returns the second one.
        Self(unsafe { _mm512_max_ps(other.0, self.0) })
    }
    #[inline(always)]
    unsafe fn minimum(self, other: Self) -> Self {
        // If an operand is NaN, the instruction returns the second one.
        Self(unsafe { _mm512_min_ps(other.0, self.0) })
    }
    #[inline(always)]
    unsafe fn zero_unless_above(self, z: Self, bound: Self) -> Self {
        Self(unsafe { _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_NLE_UQ>(z.0, bound.0), self.0) })
    }
    #[inline(always)]
    unsafe fn zero_unless_below(self, z: Self, bound: Self) -> Self {
        Self(unsafe { _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_NGE_UQ>(z.0, bound.0), self.0) })
    }
    #[inline(always)]
    unsafe fn ldexp(self, shifted: Self) -> Self {
        unsafe {
            let exponent = _mm512_slli_epi32::<23>(_mm512_castps_si512(shifted.0));
            Self(_mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(self.0), exponent)))
        }
    }
    #[inline(always)]
    unsafe fn deinterleave(self, next: Self) -> [Self; 2] {
        unsafe {
            let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            let odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
            [even, odd].map(|lanes| Self(_mm512_permutex2var_ps(self.0, lanes, next.0)))
        }
    }
}
