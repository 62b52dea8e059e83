//! Buffers that a thread keeps from one call to the next.

use std::cell::RefCell;

thread_local! {
    /// A stack, because a thread that waits for its tasks may meanwhile run another kernel's.
    static BUFFERS: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Lends `body` a buffer of `len` values; what they are is left over from earlier use.
pub(crate) fn with_buffer<R>(len: usize, body: impl FnOnce(&mut [f32]) -> R) -> R {
    let mut buffer = BUFFERS.with_borrow_mut(Vec::pop).unwrap_or_default();
    if buffer.len() < len {
        // The old values need not be moved, so a fresh, untouched allocation is cheaper than growing.
        buffer = vec![0.0; len];
    }
    let result = body(&mut buffer[..len]);
    BUFFERS.with_borrow_mut(|buffers| buffers.push(buffer));
    result
}
