//! How an operation is cut into tasks, and who runs them.
#![allow(unsafe_code)]

use std::cell::Cell;

use rayon::prelude::*;

thread_local! {
    static ALONE: Cell<bool> = const { Cell::new(false) };
}

/// Runs `body`, whose kernels keep to this thread and are not cut into tasks.
///
/// For callers that keep every thread busy with work of its own: tasks that are as large as they can be read the filters least
/// often, and threads do not wait for one another.
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

/// How many tasks an operation is best cut into, where its result does not depend on it: enough to keep the threads there are evenly
/// busy, and one for a thread alone.
pub(crate) fn tasks() -> usize {
    if ALONE.get() { 1 } else { TASKS_A_THREAD * rayon::current_num_threads() }
}

/// Fewest of `count` pieces that a parallel iterator is to hand to a thread at once: one, or all of them [`alone`].
pub(crate) fn least(count: usize) -> usize {
    if ALONE.get() { count } else { 1 }
}

/// Threads are seldom equally fast.
const TASKS_A_THREAD: usize = 8;

/// Runs `task(0)` to `task(count - 1)`, each once, in any order and on any thread of the current pool, or in order on this thread
/// [`alone`].
pub(crate) fn for_each(count: usize, task: impl Fn(usize) + Send + Sync) {
    if count == 1 || ALONE.get() {
        (0..count).for_each(task);
    } else {
        (0..count).into_par_iter().with_max_len(1).for_each(task);
    }
}

/// A slice that tasks write to at places no other task touches.
#[derive(Clone, Copy)]
pub(crate) struct SharedMut(*mut f32);

// SAFETY: the pointer is only dereferenced by `unsafe` code that promises disjoint places.
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

    /// The address of value `index`, not to be written to in a slice that is only read.
    ///
    /// # Safety
    /// `index` is within the slice, or one past its end.
    pub(crate) unsafe fn at(self, index: usize) -> *mut f32 {
        // SAFETY: the caller keeps to the slice.
        unsafe { self.0.add(index) }
    }
}
