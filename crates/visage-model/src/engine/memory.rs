//! Memory planning: which buffer holds which result. A buffer is reused after the last step that reads it.

use super::fuse::{Operation, Step};
use crate::plan::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Input,
    Buffer(usize),
    Output,
}

#[derive(Debug)]
pub(super) struct Memory {
    /// The place of each step's result. The last step writes the output.
    pub(super) results: Vec<Place>,
    /// The size of each buffer, in values of one image.
    pub(super) buffers: Vec<usize>,
}

impl Memory {
    /// Assigns the free buffer that fits best to each result. A buffer is free after the last step that reads it. Squeeze and
    /// excitation works in place if it is the last to read its input.
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

    pub(super) fn place(&self, value: Value) -> Place {
        match value {
            Value::Images => Place::Input,
            Value::Of(index) => self.results[index],
        }
    }

    /// The smallest free buffer of at least `len` values, or the largest free one, enlarged, or a new one.
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

/// For each step, the steps whose results no later step reads.
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

#[cfg(test)]
mod tests {
    use visage_kernels::{Activation, GateFunction};

    use super::*;
    use crate::ops::POINT;
    use crate::plan::Filters;

    fn filters() -> Filters {
        Filters { weights: Vec::new(), bias: Vec::new(), window: POINT }
    }

    fn step(input: usize, operation: Operation, len: usize) -> Step {
        Step { input: Value::Of(input), operation, shape: [1, 1, len] }
    }

    fn add(residual: usize) -> Operation {
        Operation::Elementwise { residual: Some(Value::Of(residual)), activation: Activation::Identity }
    }

    fn squeeze_excite() -> Operation {
        Operation::SqueezeExcite { reduce: (filters(), Activation::Silu), expand: (filters(), GateFunction::Sigmoid) }
    }

    /// Shortcuts over several steps, maps of different sizes, and squeeze and excitation in place (6) and not (2).
    fn steps() -> Vec<Step> {
        let first = Step { input: Value::Images, operation: Operation::GlobalAveragePool, shape: [1, 1, 8] };
        vec![
            first,
            step(0, Operation::GlobalAveragePool, 4),
            step(1, squeeze_excite(), 4),
            step(2, add(1), 4),
            step(3, Operation::GlobalAveragePool, 16),
            step(4, add(0), 16),
            step(5, squeeze_excite(), 16),
            step(6, Operation::GlobalAveragePool, 2),
            step(7, add(6), 2),
        ]
    }

    fn reads(step: &Step) -> impl Iterator<Item = usize> {
        [Some(step.input), step.operation.other_input()].into_iter().flatten().filter_map(|value| match value {
            Value::Of(index) => Some(index),
            Value::Images => None,
        })
    }

    #[test]
    fn no_result_overwrites_a_live_one() {
        let steps = steps();
        let memory = Memory::plan(&steps);
        assert_eq!(memory.results.last(), Some(&Place::Output));
        for (index, step) in steps.iter().enumerate() {
            let Place::Buffer(buffer) = memory.results[index] else { continue };
            assert!(memory.buffers[buffer] >= step.shape.iter().product());
            let in_place = matches!(step.operation, Operation::SqueezeExcite { .. });
            for earlier in (0..index).filter(|&earlier| memory.results[earlier] == memory.results[index]) {
                let last_reader =
                    (0..steps.len()).rev().find(|&later| reads(&steps[later]).any(|read| read == earlier));
                let last_reader = last_reader.expect("every result is read");
                assert!(last_reader < index || (in_place && last_reader == index), "{index} overwrites {earlier}");
            }
        }
    }

    #[test]
    fn buffers_are_reused() {
        let memory = Memory::plan(&steps());
        assert_eq!(memory.results[6], memory.results[5], "squeeze and excitation works in place on its last reading");
        assert_ne!(memory.results[2], memory.results[1], "its input is read later");
        assert!(memory.buffers.len() < steps().len() - 1, "{memory:?}");
    }
}
