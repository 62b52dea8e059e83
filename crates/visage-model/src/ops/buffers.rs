//! Memory that is reused from tensor to tensor.
//!
//! A step of training makes and drops hundreds of large tensors. Left to the system, each is mapped, cleared, touched page
//! by page and unmapped again, which costs as much as a kernel. So an operation gives back the tensors of which it was the last
//! holder, and the next one takes their memory: after the first step hardly anything is allocated.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex};

use burn::tensor::{Shape, TensorData};
use burn_flex::{FlexTensor, Layout};

/// Fewest values worth keeping; the allocator has smaller ones ready.
const LARGE: usize = 4 * 1024;
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

/// Memory for the values of a tensor, and perhaps for more: cutting it down to them would mean clearing the rest again later.
pub(crate) struct Buffer {
    memory: Vec<f32>,
    len: usize,
}

impl Buffer {
    /// The tensor of these values.
    pub(crate) fn into_tensor(self, shape: impl Into<Shape>) -> FlexTensor {
        let shape = shape.into();
        assert_eq!(shape.num_elements(), self.len, "the shape {shape:?} is of other values");
        let length = self.memory.len();
        FlexTensor::from_data(TensorData::new(self.memory, [length])).with_layout(Layout::contiguous(shape))
    }

    /// These values, for a tensor on whatever device.
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

/// `len` values, to be overwritten: what they are is left over from earlier use.
pub(crate) fn take(len: usize) -> Buffer {
    if len < LARGE {
        return vec![0.0; len].into();
    }
    let kept = KEPT.lock().ok().and_then(|mut kept| {
        let fitting = kept.buffers.iter().enumerate().filter(|(_, b)| (len..=SLACK * len).contains(&b.len()));
        let best = fitting.min_by_key(|(_, buffer)| buffer.len()).map(|(index, _)| index);
        if best.is_none() {
            kept.allocated += len;
        }
        let buffer = kept.buffers.swap_remove(best?);
        kept.values -= buffer.len();
        Some(buffer)
    });
    // Outside the lock: clearing new memory takes its time.
    Buffer { memory: kept.unwrap_or_else(|| vec![0.0; len]), len }
}

/// Keeps the memory of a tensor if this is the last that holds it.
pub(crate) fn give(tensor: FlexTensor) {
    if tensor.bytes().len() < LARGE * size_of::<f32>() {
        return;
    }
    let data = tensor.data_arc();
    drop(tensor);
    if let Ok(bytes) = Arc::try_unwrap(data)
        && let Ok(buffer) = bytes.try_into_vec::<f32>()
        && let Ok(mut kept) = KEPT.lock()
        && kept.values + buffer.len() <= kept.allocated
    {
        kept.values += buffer.len();
        kept.buffers.push(buffer);
    }
}
