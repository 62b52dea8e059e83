//! A pool of memory for large tensors on the CPU.
//!
//! A training step makes and drops hundreds of large tensors. The system allocator would map, clear, fault in and unmap each of
//! them, which costs as much as a kernel. Instead, an operation returns tensors to the pool if it held their last handle, and
//! the next operation takes their memory. After the first step there are hardly any allocations.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex};

use burn::tensor::{Shape, TensorData};
use burn_flex::{FlexTensor, Layout};

/// Buffers with fewer values are not pooled: the allocator is fast for them.
const LARGE: usize = 4 * 1024;
/// A buffer is at most this many times larger than the tensor that takes it.
const SLACK: usize = 4;

struct Pool {
    buffers: Vec<Vec<f32>>,
    /// Values in all buffers.
    values: usize,
    /// Values that were allocated because no buffer fitted. The pool keeps no more than these, so that memory that was
    /// allocated elsewhere does not accumulate.
    allocated: usize,
}

static POOL: Mutex<Pool> = Mutex::new(Pool { buffers: Vec::new(), values: 0, allocated: 0 });

/// Memory for the values of a tensor. It may be longer than the tensor: if it were truncated, the rest would have to be cleared
/// when it is used again.
pub(crate) struct Buffer {
    memory: Vec<f32>,
    len: usize,
}

impl Buffer {
    pub(crate) fn into_tensor(self, shape: impl Into<Shape>) -> FlexTensor {
        let shape = shape.into();
        assert_eq!(shape.num_elements(), self.len, "{shape:?} is another number of values");
        let length = self.memory.len();
        FlexTensor::from_data(TensorData::new(self.memory, [length])).with_layout(Layout::contiguous(shape))
    }

    pub(crate) fn into_data<const D: usize>(mut self, shape: [usize; D]) -> TensorData {
        self.memory.truncate(self.len);
        TensorData::new(self.memory, shape)
    }
}

impl From<Vec<f32>> for Buffer {
    fn from(memory: Vec<f32>) -> Self {
        Self { len: memory.len(), memory }
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.memory[..self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.memory[..self.len]
    }
}

/// A buffer of `len` unspecified values.
pub(crate) fn take(len: usize) -> Buffer {
    if len < LARGE {
        return vec![0.0; len].into();
    }
    let pooled = POOL.lock().ok().and_then(|mut pool| {
        let fitting = pool.buffers.iter().enumerate().filter(|(_, b)| (len..=SLACK * len).contains(&b.len()));
        let best = fitting.min_by_key(|(_, buffer)| buffer.len()).map(|(index, _)| index);
        if best.is_none() {
            pool.allocated += len;
        }
        let buffer = pool.buffers.swap_remove(best?);
        pool.values -= buffer.len();
        Some(buffer)
    });
    // Outside the lock, because clearing new memory takes long.
    Buffer { memory: pooled.unwrap_or_else(|| vec![0.0; len]), len }
}

/// Returns the memory of a tensor to the pool if this is its last handle.
pub(crate) fn recycle(tensor: FlexTensor) {
    if tensor.bytes().len() < LARGE * size_of::<f32>() {
        return;
    }
    let data = tensor.data_arc();
    drop(tensor);
    if let Ok(bytes) = Arc::try_unwrap(data)
        && let Ok(buffer) = bytes.try_into_vec::<f32>()
        && let Ok(mut pool) = POOL.lock()
        && pool.values + buffer.len() <= pool.allocated
    {
        pool.values += buffer.len();
        pool.buffers.push(buffer);
    }
}
