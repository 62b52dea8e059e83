//! An allocator that aligns large blocks to cache lines.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};

/// Bytes of a cache line and of the widest vector.
const LINE: usize = 64;
/// Allocations from this size in bytes on are aligned.
const LARGE: usize = 4096;

/// The system allocator, with large allocations (4 KiB and more) aligned to cache lines.
///
/// The system allocator aligns to 16 bytes. Vectors of 64 bytes then cross a cache line at almost every access, which halves
/// the throughput of the first-level cache. Programs that run kernels should install it as
/// `#[global_allocator] static ALLOCATOR: LineAligned = LineAligned;`. Results do not depend on it.
#[derive(Clone, Copy, Debug, Default)]
pub struct LineAligned;

fn aligned(layout: Layout) -> Layout {
    if layout.size() < LARGE { layout } else { layout.align_to(LINE).unwrap_or(layout) }
}

// SAFETY: every call is forwarded to the system allocator with a layout computed from the caller's, so that a block is
// allocated, resized and freed with the same layout. A stricter alignment satisfies the caller's.
unsafe impl GlobalAlloc for LineAligned {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's guarantee for the layout holds for the aligned one, which has the same size.
        unsafe { System.alloc(aligned(layout)) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(aligned(layout)) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer comes from this allocator with this layout, hence from the system with the aligned one.
        unsafe { System.dealloc(pointer, aligned(layout)) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let resized = Layout::from_size_align(size, layout.align());
        if resized.is_ok_and(|resized| aligned(resized).align() == aligned(layout).align()) {
            // SAFETY: as in `dealloc`; old and new layout have the same alignment.
            return unsafe { System.realloc(pointer, aligned(layout), size) };
        }
        // SAFETY: the caller guarantees the size. Both blocks are at least as long as the copied part, and distinct.
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
mod tests;
