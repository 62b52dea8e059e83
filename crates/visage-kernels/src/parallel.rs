//! Tasks cut by shape, run by whatever threads there are.
#![allow(unsafe_code)]

use rayon::prelude::*;

/// Runs `task(0)` to `task(count - 1)`, each once, in any order and on any thread of the current pool.
pub(crate) fn for_each(count: usize, task: impl Fn(usize) + Send + Sync) {
    if count == 1 {
        task(0);
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
