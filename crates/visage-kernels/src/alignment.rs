//! Memory that begins where cache lines do.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};

/// Bytes of a cache line, and of the widest vectors.
const LINE: usize = 64;
/// Smaller allocations are left as they are.
const LARGE: usize = 4096;

/// The system's allocator, but for large allocations, which begin at a cache line.
///
/// The system aligns to 16 bytes. A vector of 64 bytes then lies across two lines wherever a kernel reads or writes one,
/// which halves the speed of the first-level cache. A program that runs kernels does well to have
/// `#[global_allocator] static ALLOCATOR: LineAligned = LineAligned;`; results are the same without.
#[derive(Clone, Copy, Debug, Default)]
pub struct LineAligned;

fn aligned(layout: Layout) -> Layout {
    if layout.size() < LARGE { layout } else { layout.align_to(LINE).unwrap_or(layout) }
}

// SAFETY: every call goes to the system's allocator, with a layout that is a function of the caller's: what was allocated with
// one is freed and resized with the same. A stricter alignment satisfies the caller's too.
unsafe impl GlobalAlloc for LineAligned {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise about the layout holds for the aligned one, which has the same size.
        unsafe { System.alloc(aligned(layout)) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(aligned(layout)) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer comes from this allocator with this layout, so from the system with the aligned one.
        unsafe { System.dealloc(pointer, aligned(layout)) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let resized = Layout::from_size_align(size, layout.align());
        if resized.is_ok_and(|resized| aligned(resized).align() == aligned(layout).align()) {
            // SAFETY: as `dealloc`, and old and new memory are aligned alike.
            return unsafe { System.realloc(pointer, aligned(layout), size) };
        }
        // SAFETY: the caller vouches for the size; both blocks are as long as what is copied, and apart.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                std::ptr::copy_nonoverlapping(pointer, moved, layout.size().min(size));
                self.dealloc(pointer, layout);
            }
            moved
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[global_allocator]
    static ALLOCATOR: LineAligned = LineAligned;

    #[test]
    fn large_vectors_begin_at_a_line_and_keep_their_values_as_they_grow_and_shrink() {
        let mut values: Vec<u32> = Vec::new();
        for len in 0..100_000u32 {
            values.push(len);
            assert!(values.capacity() * 4 < LARGE || (values.as_ptr() as usize).is_multiple_of(LINE));
        }
        values.truncate(10);
        values.shrink_to_fit();
        assert_eq!(values, (0..10).collect::<Vec<u32>>());
        let zeros = vec![0.0f32; 5000];
        assert!((zeros.as_ptr() as usize).is_multiple_of(LINE));
    }
}
