//! Division of an operation into tasks, and their execution.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ops::Range;

use rayon::prelude::*;

use crate::simd::vectorized;

thread_local! {
    static ALONE: Cell<bool> = const { Cell::new(false) };
}

/// Tasks per thread: several, because threads are seldom equally fast.
const TASKS_PER_THREAD: usize = 8;

/// Runs `body` with kernels that stay on the calling thread.
///
/// For callers that parallelise over images themselves: one large task reads the filters least often, and no thread waits
/// for another.
pub fn alone<R>(body: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            ALONE.set(self.0);
        }
    }
    let _restore = Restore(ALONE.replace(true));
    body()
}

/// The number of tasks to divide an operation into whose result does not depend on it: enough to balance the load of the
/// threads, and 1 inside [`alone`].
pub(crate) fn task_count() -> usize {
    if ALONE.get() { 1 } else { TASKS_PER_THREAD * rayon::current_num_threads() }
}

/// Rayon's `with_min_len` for a parallel iterator over `count` items: 1, or all of them inside [`alone`].
pub(crate) fn min_len(count: usize) -> usize {
    if ALONE.get() { count } else { 1 }
}

/// Runs `task(0)` to `task(count - 1)` once each, in any order on the current pool; inside [`alone`] in order on this
/// thread.
pub(crate) fn for_each(count: usize, task: impl Fn(usize) + Send + Sync) {
    if count == 1 || ALONE.get() {
        (0..count).for_each(task);
    } else {
        (0..count).into_par_iter().with_max_len(1).for_each(task);
    }
}

/// [`for_each`] over consecutive ranges of `0..len` with a length of `step`; the last may be shorter.
pub(crate) fn for_each_range(len: usize, step: usize, task: impl Fn(Range<usize>) + Send + Sync) {
    for_each(len.div_ceil(step), |index| task(index * step..len.min((index + 1) * step)));
}

/// The `index`-th of `count` parts of `0..len`, which are as even as possible.
pub(crate) fn part(len: usize, index: usize, count: usize) -> Range<usize> {
    len * index / count..len * (index + 1) / count
}

/// Sums partial results, `[segments, sum.len()]`, in the order of the segments.
pub(crate) fn sum_segments(partials: &[f32], sum: &mut [f32]) {
    vectorized(
        #[inline(always)]
        || {
            let (first, rest) = partials.split_at(sum.len());
            sum.copy_from_slice(first);
            for partial in rest.chunks_exact(sum.len()) {
                for (sum, value) in sum.iter_mut().zip(partial) {
                    *sum += value;
                }
            }
        },
    );
}

/// A slice that several tasks write to, each at indices of its own.
#[derive(Clone, Copy)]
pub(crate) struct SharedMut(*mut f32);

// SAFETY: the pointer is only dereferenced by `unsafe` code that guarantees disjoint indices.
unsafe impl Send for SharedMut {}
// SAFETY: as above.
unsafe impl Sync for SharedMut {}

impl SharedMut {
    pub(crate) fn new(slice: &mut [f32]) -> Self {
        Self(slice.as_mut_ptr())
    }

    /// A slice that tasks only read.
    pub(crate) fn read_only(slice: &[f32]) -> Self {
        Self(slice.as_ptr().cast_mut())
    }

    /// The address of value `index`. It must not be written to if the slice is [`read_only`](Self::read_only).
    ///
    /// # Safety
    /// `index` is within the slice, or one past its end.
    pub(crate) unsafe fn at(self, index: usize) -> *mut f32 {
        // SAFETY: the caller guarantees the index.
        unsafe { self.0.add(index) }
    }
}
