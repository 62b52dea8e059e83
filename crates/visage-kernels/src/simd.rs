//! Vectors of the widest instructions the processor has, and the choice between them at run time.
//!
//! A kernel is written once, generic over [`Vector`], and [`dispatch`] compiles it three times: for AVX-512, for AVX2
//! with FMA, and portably. Loops plain enough for the compiler to vectorise go through [`vectorized`] instead.
#![allow(unsafe_code)]

use std::sync::OnceLock;

/// The instruction sets kernels are compiled for, narrowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    /// Lanes of this level's vectors.
    pub(crate) fn lanes(self) -> usize {
        match self {
            Self::Portable => PortableF32x8::LANES,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => x86::F32x8::LANES,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => x86::F32x16::LANES,
        }
    }

    /// [`Vector::TILE_ROWS`] of this level's vectors.
    pub(crate) fn tile_rows(self) -> usize {
        match self {
            Self::Portable => PortableF32x8::TILE_ROWS,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => x86::F32x8::TILE_ROWS,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => x86::F32x16::TILE_ROWS,
        }
    }

    /// [`Vector::TILE_VECTORS`] of this level's vectors.
    pub(crate) fn tile_vectors(self) -> usize {
        match self {
            Self::Portable => PortableF32x8::TILE_VECTORS,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => x86::F32x8::TILE_VECTORS,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => x86::F32x16::TILE_VECTORS,
        }
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
    let mut levels = vec![Level::Portable];
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            levels.push(Level::Avx2);
            if ["avx512f", "avx512vl", "avx512bw", "avx512dq"].iter().all(|name| match *name {
                "avx512f" => is_x86_feature_detected!("avx512f"),
                "avx512vl" => is_x86_feature_detected!("avx512vl"),
                "avx512bw" => is_x86_feature_detected!("avx512bw"),
                _ => is_x86_feature_detected!("avx512dq"),
            }) {
                levels.push(Level::Avx512);
            }
        }
    }
    levels
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
    match level {
        // SAFETY: portable vectors need nothing of the processor.
        Level::Portable => unsafe { kernel.run::<PortableF32x8>() },
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
    #[cfg(not(target_arch = "x86_64"))]
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

/// Eight values in an array; the compiler makes of it what the target has.
#[derive(Clone, Copy)]
pub(crate) struct PortableF32x8([f32; 8]);

impl Vector for PortableF32x8 {
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
            *sum = if cfg!(target_arch = "aarch64") { a.mul_add(b, *sum) } else { a * b + *sum };
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

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Vector;
    use std::arch::x86_64::*;

    #[derive(Clone, Copy)]
    pub(crate) struct F32x8(__m256);

    impl F32x8 {
        /// All ones in the first `first` lanes.
        #[inline(always)]
        unsafe fn mask(first: usize) -> __m256i {
            static ONES_THEN_ZEROS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
            // SAFETY: `first <= 8`, so the eight values from `8 - first` lie in the table.
            unsafe { _mm256_loadu_si256(ONES_THEN_ZEROS.as_ptr().add(8 - first).cast()) }
        }
    }

    // SAFETY of all blocks below: the intrinsics need AVX2 or FMA and valid pointers, which the trait demands of callers.
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
        unsafe fn load_first(from: *const f32, first: usize) -> Self {
            Self(unsafe { _mm256_maskload_ps(from, Self::mask(first)) })
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            unsafe { _mm256_storeu_ps(to, self.0) }
        }
        #[inline(always)]
        unsafe fn store_first(self, to: *mut f32, first: usize) {
            unsafe { _mm256_maskstore_ps(to, Self::mask(first), self.0) }
        }
        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            Self(unsafe { _mm256_add_ps(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn sub(self, other: Self) -> Self {
            Self(unsafe { _mm256_sub_ps(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
            Self(unsafe { _mm256_fmadd_ps(self.0, factor.0, addend.0) })
        }
        #[inline(always)]
        unsafe fn mul(self, other: Self) -> Self {
            Self(unsafe { _mm256_mul_ps(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn reciprocal(self) -> Self {
            Self(unsafe { _mm256_div_ps(_mm256_set1_ps(1.0), self.0) })
        }
        #[inline(always)]
        unsafe fn at_least(self, other: Self) -> Self {
            // Of two operands one of which is NaN the instruction returns the second.
            Self(unsafe { _mm256_max_ps(other.0, self.0) })
        }
        #[inline(always)]
        unsafe fn at_most(self, other: Self) -> Self {
            // Of two operands one of which is NaN the instruction returns the second.
            Self(unsafe { _mm256_min_ps(other.0, self.0) })
        }
        #[inline(always)]
        unsafe fn where_above(self, z: Self, bound: Self) -> Self {
            Self(unsafe { _mm256_and_ps(_mm256_cmp_ps::<_CMP_NLE_UQ>(z.0, bound.0), self.0) })
        }
        #[inline(always)]
        unsafe fn where_below(self, z: Self, bound: Self) -> Self {
            Self(unsafe { _mm256_and_ps(_mm256_cmp_ps::<_CMP_NGE_UQ>(z.0, bound.0), self.0) })
        }
        #[inline(always)]
        unsafe fn times_power(self, shifted: Self) -> Self {
            unsafe {
                let exponent = _mm256_slli_epi32::<23>(_mm256_castps_si256(shifted.0));
                Self(_mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(self.0), exponent)))
            }
        }
    }

    #[derive(Clone, Copy)]
    pub(crate) struct F32x16(__m512);

    impl F32x16 {
        #[inline(always)]
        fn mask(first: usize) -> __mmask16 {
            ((1u32 << first) - 1) as __mmask16
        }
    }

    // SAFETY of all blocks below: the intrinsics need AVX-512F and valid pointers, which the trait demands of callers.
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
        unsafe fn load_first(from: *const f32, first: usize) -> Self {
            Self(unsafe { _mm512_maskz_loadu_ps(Self::mask(first), from) })
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            unsafe { _mm512_storeu_ps(to, self.0) }
        }
        #[inline(always)]
        unsafe fn store_first(self, to: *mut f32, first: usize) {
            unsafe { _mm512_mask_storeu_ps(to, Self::mask(first), self.0) }
        }
        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            Self(unsafe { _mm512_add_ps(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn sub(self, other: Self) -> Self {
            Self(unsafe { _mm512_sub_ps(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
            Self(unsafe { _mm512_fmadd_ps(self.0, factor.0, addend.0) })
        }
        #[inline(always)]
        unsafe fn mul(self, other: Self) -> Self {
            Self(unsafe { _mm512_mul_ps(self.0, other.0) })
        }
        #[inline(always)]
        unsafe fn reciprocal(self) -> Self {
            // An estimate of 14 bits and a step of Newton's method, in a quarter of a division's time.
            unsafe {
                let estimate = _mm512_rcp14_ps(self.0);
                let error = _mm512_fnmadd_ps(self.0, estimate, _mm512_set1_ps(1.0));
                Self(_mm512_fmadd_ps(estimate, error, estimate))
            }
        }
        #[inline(always)]
        unsafe fn at_least(self, other: Self) -> Self {
            // Of two operands one of which is NaN the instruction returns the second.
            Self(unsafe { _mm512_max_ps(other.0, self.0) })
        }
        #[inline(always)]
        unsafe fn at_most(self, other: Self) -> Self {
            // Of two operands one of which is NaN the instruction returns the second.
            Self(unsafe { _mm512_min_ps(other.0, self.0) })
        }
        #[inline(always)]
        unsafe fn where_above(self, z: Self, bound: Self) -> Self {
            Self(unsafe { _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_NLE_UQ>(z.0, bound.0), self.0) })
        }
        #[inline(always)]
        unsafe fn where_below(self, z: Self, bound: Self) -> Self {
            Self(unsafe { _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_NGE_UQ>(z.0, bound.0), self.0) })
        }
        #[inline(always)]
        unsafe fn times_power(self, shifted: Self) -> Self {
            unsafe {
                let exponent = _mm512_slli_epi32::<23>(_mm512_castps_si512(shifted.0));
                Self(_mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(self.0), exponent)))
            }
        }
    }
}
