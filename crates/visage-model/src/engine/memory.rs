//! Which memory each result lies in: buffers that later results take over once nothing reads the earlier ones any more.

use super::fuse::{Operation, Step};
use crate::plan::Value;

/// Where a value lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the section's input.
    Input,
    /// In the buffer of this number.
    Buffer(usize),
    /// In the section's output.
    Output,
}

/// The memory of a list of steps.
#[derive(Debug)]
pub(super) struct Memory {
    /// Where each step's result lies. That of the last is the output.
    pub(super) results: Vec<Place>,
    /// Values that an image takes in each buffer.
    pub(super) buffers: Vec<usize>,
}

impl Memory {
    /// Gives every result the free buffer that fits it best. A buffer is free once no later step reads what lies in it.
    pub(super) fn plan(steps: &[Step]) -> Self {
        let mut memory = Self { results: Vec::with_capacity(steps.len()), buffers: Vec::new() };
        let mut free = Vec::new();
        for (index, (step, freed)) in steps.iter().zip(freed_after(steps)).enumerate() {
            let mut released: Vec<usize> = freed
                .into_iter()
                .filter_map(|value| match memory.results[value] {
                    Place::Buffer(buffer) => Some(buffer),
                    _ => None,
                })
                .collect();
            let result = match (&step.operation, released.as_slice()) {
                _ if index + 1 == steps.len() => Place::Output,
                (Operation::SqueezeExcite { .. }, &[input]) => {
                    released.clear();
                    Place::Buffer(input)
                }
                _ => Place::Buffer(memory.buffer(&mut free, step.shape.iter().product())),
            };
            memory.results.push(result);
            free.append(&mut released);
        }
        memory
    }

    /// Where a value lies.
    pub(super) fn place(&self, value: Value) -> Place {
        match value {
            Value::Images => Place::Input,
            Value::Of(index) => self.results[index],
        }
    }

    /// The smallest free buffer of `len` values, or the largest, made larger, or a new one.
    fn buffer(&mut self, free: &mut Vec<usize>, len: usize) -> usize {
        let best = free.iter().enumerate().min_by_key(|&(_, &buffer)| {
            let size = self.buffers[buffer];
            (size < len, if size < len { usize::MAX - size } else { size })
        });
        match best.map(|(at, _)| at) {
            Some(at) => {
                let buffer = free.swap_remove(at);
                self.buffers[buffer] = self.buffers[buffer].max(len);
                buffer
            }
            None => {
                self.buffers.push(len);
                self.buffers.len() - 1
            }
        }
    }
}

/// For each step the steps whose results it is the last to read.
pub(super) fn freed_after(steps: &[Step]) -> Vec<Vec<usize>> {
    let mut last_readers = vec![None; steps.len()];
    for (index, step) in steps.iter().enumerate() {
        for value in [Some(step.input), step.operation.other_input()].into_iter().flatten() {
            if let Value::Of(read) = value {
                last_readers[read] = Some(index);
            }
        }
    }
    let mut freed = vec![Vec::new(); steps.len()];
    for (value, reader) in last_readers.into_iter().enumerate() {
        if let Some(reader) = reader {
            freed[reader].push(value);
        }
    }
    freed
}
