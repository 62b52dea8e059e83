//! Vectors of the widest instructions the processor has, and the choice between them at run time.
//!
//! A kernel is written once, generic over [`Vector`], and [`dispatch`] compiles it for each instruction set: AVX-512 and AVX2
//! with FMA, or NEON, and portably. Loops plain enough for the compiler to vectorise go through [`vectorized`] instead.
#![allow(unsafe_code)]

#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::sync::OnceLock;

/// The instruction sets kernels are compiled for, narrowest first.
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

impl Level {
    /// Lanes of this level's vectors.
    pub(crate) fn lanes(self) -> usize {
        self.sizes().lanes
    }

    /// [`Vector::TILE_ROWS`] of this level's vectors.
    pub(crate) fn tile_rows(self) -> usize {
        self.sizes().tile_rows
    }

    /// [`Vector::TILE_VECTORS`] of this level's vectors.
    pub(crate) fn tile_vectors(self) -> usize {
        self.sizes().tile_vectors
    }

    fn sizes(self) -> Sizes {
        match self {
            Self::Portable => Sizes::of::<portable::F32x8>(),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => Sizes::of::<neon::F32x4>(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => Sizes::of::<x86::F32x8>(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => Sizes::of::<x86::F32x16>(),
        }
    }
}

/// The constants of a [`Vector`].
struct Sizes {
    lanes: usize,
    tile_rows: usize,
    tile_vectors: usize,
}

impl Sizes {
    fn of<V: Vector>() -> Self {
        Self { lanes: V::LANES, tile_rows: V::TILE_ROWS, tile_vectors: V::TILE_VECTORS }
    }
}

/// The widest level the processor has, or a lower one that `VISAGE_SIMD` names. Read once.
pub(crate) fn level() -> Level {
    static LEVEL: OnceLock<Level> = OnceLock::new();
    *LEVEL.get_or_init(|| {
        let wanted = std::env::var("VISAGE_SIMD").unwrap_or_default();
        let available = available();
        let named = available.iter().copied().find(|level| format!("{level:?}").eq_ignore_ascii_case(&wanted));
        named.unwrap_or(available[available.len() - 1])
    })
}

/// The levels this processor can run, narrowest first.
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

/// Runs `body` compiled for the widest level, so that the compiler may vectorise its loops accordingly.
///
/// `body` and what it calls must be `#[inline(always)]`: only inlined code takes on the instruction set.
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

/// A piece of work written over vectors of any width.
pub(crate) trait Kernel {
    type Output;

    /// Does the work. Must be `#[inline(always)]`.
    ///
    /// # Safety
    /// The processor has `V`'s instructions, which [`dispatch`] sees to; and whatever the kernel's own pointers need.
    unsafe fn run<V: Vector>(self) -> Self::Output;
}

/// Runs a kernel with the vectors of `level`, which must be one of [`available`].
///
/// To be called inside a task: what a closure does on another thread is not compiled for the level.
#[inline(always)]
pub(crate) fn dispatch<K: Kernel>(level: Level, kernel: K) -> K::Output {
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
        // SAFETY: portable vectors need nothing of the processor.
        Level::Portable => unsafe { kernel.run::<portable::F32x8>() },
        // SAFETY: as below.
        #[cfg(target_arch = "aarch64")]
        Level::Neon => unsafe { neon(kernel) },
        // SAFETY: a `Level` above `Portable` comes from `available`, which asked the processor.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { avx2(kernel) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { avx512(kernel) },
    }
}

/// Calls `body` with the place and the length of one vector after the other of `len` values; only the last may be shorter than
/// `V::LANES`.
#[inline(always)]
pub(crate) fn each_vector<V: Vector>(len: usize, mut body: impl FnMut(usize, usize)) {
    let mut at = 0;
    while at + V::LANES <= len {
        body(at, V::LANES);
        at += V::LANES;
    }
    if at < len {
        body(at, len - at);
    }
}

/// The vector, or the first `lanes` of it, that begins at value `at`.
///
/// # Safety
/// The processor has `V`'s instructions, and `values` has `lanes` of them from `at` on.
#[inline(always)]
pub(crate) unsafe fn load<V: Vector>(values: &[f32], at: usize, lanes: usize) -> V {
    debug_assert!(at + lanes <= values.len());
    // SAFETY: the caller vouches for both.
    unsafe { V::load_up_to(values.as_ptr().add(at), lanes) }
}

/// Values of a cache line.
pub(crate) const LINE: usize = 16;

/// Asks for the cache line of the first of `values`, to be in the second-level cache by the time it is needed.
#[inline(always)]
pub(crate) fn prefetch(values: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 processor has the instruction, and it accesses nothing.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(values.as_ptr().cast());
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: every 64-bit ARM processor has the instruction, and it accesses nothing.
    unsafe {
        std::arch::asm!("prfm pldl2keep, [{}]", in(reg) values.as_ptr(), options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = values;
}

/// A register of `LANES` values. `first` of a load or store is at most `LANES`.
///
/// # Safety
/// Every function needs the instructions of the implementing type; loads and stores need valid pointers (no alignment)
/// for the values they touch.
pub(crate) trait Vector: Copy {
    const LANES: usize;
    /// Rows and most vectors a row of the register tile of a matrix product. Its sums, one row of the other operand and
    /// a broadcast value must fit the register file, with a register to spare: at the very limit the compiler spills.
    const TILE_ROWS: usize;
    const TILE_VECTORS: usize;

    unsafe fn splat(value: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    /// The first `first` values, zeros behind them; nothing else is read.
    unsafe fn load_first(from: *const f32, first: usize) -> Self;
    unsafe fn store(self, to: *mut f32);
    /// Writes only the first `first` values.
    unsafe fn store_first(self, to: *mut f32, first: usize);
    /// [`load_first`](Self::load_first), faster where all lanes are asked for.
    #[inline(always)]
    unsafe fn load_up_to(from: *const f32, first: usize) -> Self {
        // SAFETY: passed on.
        unsafe { if first == Self::LANES { Self::load(from) } else { Self::load_first(from, first) } }
    }
    /// [`store_first`](Self::store_first), faster where all lanes are asked for.
    #[inline(always)]
    unsafe fn store_up_to(self, to: *mut f32, first: usize) {
        // SAFETY: passed on.
        unsafe { if first == Self::LANES { self.store(to) } else { self.store_first(to, first) } }
    }
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    /// `self * factor + addend`, rounded once where the processor can.
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    /// `1 / self` to a unit in the last place, for values in [1, 2^126].
    unsafe fn reciprocal(self) -> Self;
    /// The greater of each pair. Of a NaN and a bound remains the NaN.
    unsafe fn at_least(self, bound: Self) -> Self;
    /// The lesser of each pair. Of a NaN and a bound remains the NaN.
    unsafe fn at_most(self, bound: Self) -> Self;
    /// `self` where `z` is above `bound` or no number, elsewhere 0.
    unsafe fn where_above(self, z: Self, bound: Self) -> Self;
    /// `self` where `z` is below `bound` or no number, elsewhere 0.
    unsafe fn where_below(self, z: Self, bound: Self) -> Self;
    /// `self * 2^n`, for values in [1/2, 2) and whole numbers `n` in [-125, 126] that lie in the low bits of `shifted`, as adding
    /// 1.5 * 2^23 leaves them.
    unsafe fn times_power(self, shifted: Self) -> Self;
}
