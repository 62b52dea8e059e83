//! Vectors for NEON, which every 64-bit ARM processor that runs an operating system has.

use super::{Vector, by_intrinsics};
use std::arch::aarch64::*;

#[derive(Clone, Copy)]
pub(crate) struct F32x4(float32x4_t);

// SAFETY of all blocks below: the intrinsics need NEON and valid pointers, as the trait requires of callers.
impl Vector for F32x4 {
    const LANES: usize = 4;
    const TILE_ROWS: usize = 8;
    const TILE_VECTORS: usize = 3;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self(unsafe { vdupq_n_f32(value) })
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(unsafe { vld1q_f32(from) })
    }
    #[inline(always)]
    unsafe fn load_partial(from: *const f32, lanes: usize) -> Self {
        unsafe {
            let none = vdup_n_f32(0.0);
            Self(match lanes {
                0 => vcombine_f32(none, none),
                1 => vcombine_f32(vld1_lane_f32::<0>(from, none), none),
                2 => vcombine_f32(vld1_f32(from), none),
                3 => vcombine_f32(vld1_f32(from), vld1_lane_f32::<0>(from.add(2), none)),
                _ => vld1q_f32(from),
            })
        }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { vst1q_f32(to, self.0) }
    }
    #[inline(always)]
    unsafe fn store_partial(self, to: *mut f32, lanes: usize) {
        unsafe {
            match lanes {
                0 => (),
                1 => vst1q_lane_f32::<0>(to, self.0),
                2 => vst1_f32(to, vget_low_f32(self.0)),
                3 => {
                    vst1_f32(to, vget_low_f32(self.0));
                    vst1q_lane_f32::<2>(to.add(2), self.0);
                }
                _ => vst1q_f32(to, self.0),
            }
        }
    }
    // `vmaxq_f32` and `vminq_f32` return NaN if an operand is NaN.
    by_intrinsics!(add: vaddq_f32, sub: vsubq_f32, mul: vmulq_f32, maximum: vmaxq_f32, minimum: vminq_f32);
    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
        Self(unsafe { vfmaq_f32(addend.0, self.0, factor.0) })
    }
    #[inline(always)]
    unsafe fn reciprocal(self) -> Self {
        Self(unsafe { vdivq_f32(vdupq_n_f32(1.0), self.0) })
    }
    #[inline(always)]
    unsafe fn zero_unless_above(self, z: Self, bound: Self) -> Self {
        Self(unsafe { zero_where(self.0, vcleq_f32(z.0, bound.0)) })
    }
    #[inline(always)]
    unsafe fn zero_unless_below(self, z: Self, bound: Self) -> Self {
        Self(unsafe { zero_where(self.0, vcgeq_f32(z.0, bound.0)) })
    }
    #[inline(always)]
    unsafe fn ldexp(self, shifted: Self) -> Self {
        unsafe {
            let exponent = vshlq_n_u32::<23>(vreinterpretq_u32_f32(shifted.0));
            Self(vreinterpretq_f32_u32(vaddq_u32(vreinterpretq_u32_f32(self.0), exponent)))
        }
    }
    #[inline(always)]
    unsafe fn deinterleave(self, next: Self) -> [Self; 2] {
        unsafe { [Self(vuzp1q_f32(self.0, next.0)), Self(vuzp2q_f32(self.0, next.0))] }
    }
}

/// `values` with 0 where `mask` is all ones.
#[inline(always)]
unsafe fn zero_where(values: float32x4_t, mask: uint32x4_t) -> float32x4_t {
    unsafe { vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(values), mask)) }
}
