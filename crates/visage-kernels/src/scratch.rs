//! Scratch memory that a thread reuses from one call to the next.

use std::cell::RefCell;

thread_local! {
    /// A stack, because a thread that waits for its tasks may meanwhile run a task of another kernel.
    static BUFFERS: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Calls `body` with a buffer of `len` values, left over from earlier use and therefore arbitrary.
pub(crate) fn with_buffer<R>(len: usize, body: impl FnOnce(&mut [f32]) -> R) -> R {
    let mut buffer = BUFFERS.with_borrow_mut(Vec::pop).unwrap_or_default();
    if buffer.len() < len {
        // A fresh allocation is cheaper than growing, which would copy the old values.
        buffer = vec![0.0; len];
    }
    let result = body(&mut buffer[..len]);
    BUFFERS.with_borrow_mut(|buffers| buffers.push(buffer));
    result
}
