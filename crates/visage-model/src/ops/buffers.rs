//! Memory that goes from one tensor to the next.
//!
//! A step of training makes and drops hundreds of large tensors. Left to the system, each is mapped, cleared, touched page
//! by page and unmapped again, which costs as much as a kernel. So an operation gives back the tensors that nobody holds
//! any more, and the next one takes their memory: after the first step hardly anything is allocated.

use std::sync::Mutex;

use burn_flex::FlexTensor;

/// Fewest values worth keeping; the allocator has smaller ones ready.
const LARGE: usize = 16 * 1024;
/// How many times too large a buffer may be for what it is taken for.
const SLACK: usize = 4;

/// The memory nobody holds at the moment.
struct Kept {
    buffers: Vec<Vec<f32>>,
    /// Values in them.
    values: usize,
    /// Values that were allocated because nothing kept would do. No more than these are kept, so that buffers from elsewhere
    /// do not pile up.
    allocated: usize,
}

static KEPT: Mutex<Kept> = Mutex::new(Kept { buffers: Vec::new(), values: 0, allocated: 0 });

/// `len` values, to be overwritten: what they are is left over from earlier use.
pub(crate) fn take(len: usize) -> Vec<f32> {
    if len < LARGE {
        return vec![0.0; len];
    }
    let buffer = KEPT.lock().ok().and_then(|mut kept| {
        let fitting = kept.buffers.iter().enumerate().filter(|(_, b)| (len..=SLACK * len).contains(&b.capacity()));
        let best = fitting.min_by_key(|(_, buffer)| buffer.capacity()).map(|(index, _)| index);
        if best.is_none() {
            kept.allocated += len;
        }
        let buffer = kept.buffers.swap_remove(best?);
        kept.values -= buffer.capacity();
        Some(buffer)
    });
    // Outside the lock: clearing new memory takes its time.
    let mut buffer = buffer.unwrap_or_default();
    if buffer.is_empty() {
        return vec![0.0; len];
    }
    buffer.resize(len, 0.0);
    buffer
}

/// Keeps the memory of a tensor if this is the last that holds it.
pub(crate) fn give(tensor: FlexTensor) {
    if tensor.is_unique()
        && tensor.bytes().len() >= LARGE * size_of::<f32>()
        && let Ok(buffer) = tensor.into_data().try_into_vec::<f32>()
        && let Ok(mut kept) = KEPT.lock()
        && kept.values + buffer.capacity() <= kept.allocated
    {
        kept.values += buffer.capacity();
        kept.buffers.push(buffer);
    }
}
