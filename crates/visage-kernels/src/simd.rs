//! SIMD vectors, and the selection of an instruction set at run time.
//!
//! A kernel is written once, generic over [`Vector`]. [`dispatch`] compiles it for each instruction set: AVX-512, AVX2 with
//! FMA, NEON, and portable code. Loops simple enough for the compiler's auto-vectoriser go through [`vectorized`] instead.
#![allow(unsafe_code)]

#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::ops::Range;
use std::sync::OnceLock;

/// The instruction sets that kernels are compiled for, narrowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Portable,
    #[cfg(target_arch = "aarch64")]
    Neon,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// A constant of the vector type of a [`Level`].
macro_rules! constant_of_level {
    ($level:expr, $constant:ident) => {
        match $level {
            Level::Portable => portable::F32x8::$constant,
            #[cfg(target_arch = "aarch64")]
            Level::Neon => neon::F32x4::$constant,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => x86::F32x8::$constant,
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => x86::F32x16::$constant,
        }
    };
}

impl Level {
    /// [`Vector::LANES`] of this level's vectors.
    pub(crate) fn lanes(self) -> usize {
        constant_of_level!(self, LANES)
    }

    /// [`Vector::TILE_ROWS`] of this level's vectors.
    pub(crate) fn tile_rows(self) -> usize {
        constant_of_level!(self, TILE_ROWS)
    }

    /// [`Vector::TILE_VECTORS`] of this level's vectors.
    pub(crate) fn tile_vectors(self) -> usize {
        constant_of_level!(self, TILE_VECTORS)
    }
}

/// The widest level of the processor, or a narrower one that `VISAGE_SIMD` names. Determined once.
pub(crate) fn level() -> Level {
    static LEVEL: OnceLock<Level> = OnceLock::new();
    #[cfg(test)]
    if let Some(level) = OVERRIDE.get() {
        return level;
    }
    *LEVEL.get_or_init(|| {
        let wanted = std::env::var("VISAGE_SIMD").unwrap_or_default();
        let available = available();
        let named = available.iter().copied().find(|level| format!("{level:?}").eq_ignore_ascii_case(&wanted));
        named.unwrap_or(available[available.len() - 1])
    })
}

/// The levels that this processor supports, narrowest first.
pub(crate) fn available() -> Vec<Level> {
    let levels = [
        (Level::Portable, true),
        #[cfg(target_arch = "aarch64")]
        (Level::Neon, std::arch::is_aarch64_feature_detected!("neon")),
        #[cfg(target_arch = "x86_64")]
        (Level::Avx2, is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")),
        #[cfg(target_arch = "x86_64")]
        (
            Level::Avx512,
            is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma"),
        ),
    ];
    levels.into_iter().filter_map(|(level, has)| has.then_some(level)).collect()
}

#[cfg(test)]
thread_local! {
    static OVERRIDE: std::cell::Cell<Option<Level>> = const { std::cell::Cell::new(None) };
}

/// Calls `body` with each supported level, which is also the one that [`level`] returns on this thread.
#[cfg(test)]
pub(crate) fn for_each_level(body: impl Fn(Level)) {
    for level in available() {
        OVERRIDE.set(Some(level));
        body(level);
    }
    OVERRIDE.set(None);
}

/// Runs `body` compiled for the selected level, so that the compiler can vectorise its loops for it.
///
/// `body` and the functions it calls must be `#[inline(always)]`: only inlined code is compiled for the level.
#[inline(always)]
pub(crate) fn vectorized<R>(body: impl FnOnce() -> R) -> R {
    struct Body<F>(F);
    impl<R, F: FnOnce() -> R> Kernel for Body<F> {
        type Output = R;
        #[inline(always)]
        unsafe fn run<V: Vector>(self) -> R {
            (self.0)()
        }
    }
    dispatch(level(), Body(body))
}

/// A computation that is generic over the vector type.
pub(crate) trait Kernel {
    type Output;

    /// Runs the kernel. Implementations must be `#[inline(always)]`.
    ///
    /// # Safety
    /// The processor must support `V`, which [`dispatch`] ensures. The kernel's pointers must be valid.
    unsafe fn run<V: Vector>(self) -> Self::Output;
}

/// Runs a kernel with the vectors of `level`, which must be one of [`available`].
///
/// Call it inside a task, not around one: a closure that runs on another thread is not compiled for the level.
#[inline(always)]
pub(crate) fn dispatch<K: Kernel>(level: Level, kernel: K) -> K::Output {
    // A function of its own, so that no caller contains a copy.
    fn portable<K: Kernel>(kernel: K) -> K::Output {
        // SAFETY: portable vectors run on every processor.
        unsafe { kernel.run::<portable::F32x8>() }
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
    fn avx512<K: Kernel>(kernel: K) -> K::Output {
        // SAFETY: this function runs only where these instructions exist.
        unsafe { kernel.run::<x86::F32x16>() }
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn avx2<K: Kernel>(kernel: K) -> K::Output {
        // SAFETY: this function runs only where these instructions exist.
        unsafe { kernel.run::<x86::F32x8>() }
    }
    #[cfg(target_arch = "aarch64")]
    #[target_feature(enable = "neon")]
    fn neon<K: Kernel>(kernel: K) -> K::Output {
        // SAFETY: this function runs only where these instructions exist.
        unsafe { kernel.run::<neon::F32x4>() }
    }
    match level {
        Level::Portable => portable(kernel),
        // SAFETY: as below.
        #[cfg(target_arch = "aarch64")]
        Level::Neon => unsafe { neon(kernel) },
        // SAFETY: a `Level` above `Portable` comes from `available`, which has checked the processor.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { avx2(kernel) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { avx512(kernel) },
    }
}

/// Splits `len` values into vectors and calls `body` with the start and the length of each. Only the last may be shorter
/// than `V::LANES`.
#[inline(always)]
pub(crate) fn for_each_vector<V: Vector>(len: usize, mut body: impl FnMut(usize, usize)) {
    let mut at = 0;
    while at + V::LANES <= len {
        body(at, V::LANES);
        at += V::LANES;
    }
    if at < len {
        body(at, len - at);
    }
}

/// Splits the channels of `range` into groups of `VECTORS` whole vectors and a rest of single vectors. Calls `group` with the
/// first channel of each group, `single` with the first channel and the number of channels of each single vector.
#[inline(always)]
pub(crate) fn for_each_vector_group<V: Vector, const VECTORS: usize>(
    range: Range<usize>,
    mut group: impl FnMut(usize),
    mut single: impl FnMut(usize, usize),
) {
    let mut at = range.start;
    while at + VECTORS * V::LANES <= range.end {
        group(at);
        at += VECTORS * V::LANES;
    }
    while at < range.end {
        single(at, V::LANES.min(range.end - at));
        at += V::LANES;
    }
}

/// Loads the first `lanes` lanes of a vector from `values[at..]`.
///
/// # Safety
/// The processor must support `V`, and `values` must have `lanes` values from `at` on.
#[inline(always)]
pub(crate) unsafe fn load<V: Vector>(values: &[f32], at: usize, lanes: usize) -> V {
    debug_assert!(at + lanes <= values.len());
    // SAFETY: as the caller guarantees.
    unsafe { V::load_lanes(values.as_ptr().add(at), lanes) }
}

/// `f32` values per cache line.
pub(crate) const LINE: usize = 16;

/// Prefetches the cache line of the first of `values` into the second-level cache.
#[inline(always)]
pub(crate) fn prefetch(values: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 processor has the instruction, and it cannot fault.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(values.as_ptr().cast());
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: every 64-bit ARM processor has the instruction, and it cannot fault.
    unsafe {
        std::arch::asm!("prfm pldl2keep, [{}]", in(reg) values.as_ptr(), options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = values;
}

/// Implements functions of [`Vector`] of two operands by intrinsics.
macro_rules! by_intrinsics {
    ($($function:ident: $intrinsic:ident),*) => {
        $(
            #[inline(always)]
            unsafe fn $function(self, other: Self) -> Self {
                // SAFETY: as the trait requires of callers.
                Self(unsafe { $intrinsic(self.0, other.0) })
            }
        )*
    };
}
use by_intrinsics;

/// A vector register of `LANES` values.
///
/// # Safety
/// Every function needs a processor that supports the implementing type. Loads and stores need pointers that are valid for
/// the values they access; alignment is not required. A number of `lanes` must be at most `LANES`.
pub(crate) trait Vector: Copy {
    const LANES: usize;
    /// Rows of a matrix product's register tile. The tile's sums, one row of the right-hand matrix and a broadcast value must
    /// fit the register file with one register to spare: without it the compiler spills.
    const TILE_ROWS: usize;
    /// Largest number of vectors in a row of the register tile.
    const TILE_VECTORS: usize;

    unsafe fn splat(value: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    /// Loads the first `lanes` values and sets the other lanes to zero. Reads nothing else.
    unsafe fn load_partial(from: *const f32, lanes: usize) -> Self;
    unsafe fn store(self, to: *mut f32);
    /// Stores the first `lanes` values. Writes nothing else.
    unsafe fn store_partial(self, to: *mut f32, lanes: usize);
    /// [`load_partial`](Self::load_partial), or the faster [`load`](Self::load) of a whole vector.
    #[inline(always)]
    unsafe fn load_lanes(from: *const f32, lanes: usize) -> Self {
        // SAFETY: as the caller guarantees.
        unsafe { if lanes == Self::LANES { Self::load(from) } else { Self::load_partial(from, lanes) } }
    }
    /// [`store_partial`](Self::store_partial), or the faster [`store`](Self::store) of a whole vector.
    #[inline(always)]
    unsafe fn store_lanes(self, to: *mut f32, lanes: usize) {
        // SAFETY: as the caller guarantees.
        unsafe { if lanes == Self::LANES { self.store(to) } else { self.store_partial(to, lanes) } }
    }
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    /// `self * factor + addend`, fused (rounded once) except in portable code.
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    /// `1 / self` to one unit in the last place, for values in [1, 2^126].
    unsafe fn reciprocal(self) -> Self;
    /// The lane-wise maximum. A NaN in `self` is kept.
    unsafe fn maximum(self, bound: Self) -> Self;
    /// The lane-wise minimum. A NaN in `self` is kept.
    unsafe fn minimum(self, bound: Self) -> Self;
    /// `self` where `z > bound` or `z` is NaN, 0 elsewhere.
    unsafe fn zero_unless_above(self, z: Self, bound: Self) -> Self;
    /// `self` where `z < bound` or `z` is NaN, 0 elsewhere.
    unsafe fn zero_unless_below(self, z: Self, bound: Self) -> Self;
    /// `self * 2^n` for values in [1/2, 2) and integers `n` in [-125, 126]. `shifted` is `n + 1.5 * 2^23`, which has `n` in the
    /// low bits of its mantissa.
    unsafe fn ldexp(self, shifted: Self) -> Self;
    /// The lanes of even and of odd numbers, of `self` followed by `next`.
    unsafe fn deinterleave(self, next: Self) -> [Self; 2];
}
