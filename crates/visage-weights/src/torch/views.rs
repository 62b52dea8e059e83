//! Tensors as PyTorch stores them: views of shared storages, and their conversion to plain tensors.

use std::collections::BTreeMap;

use crate::element::Element;
use crate::error::{Problem, quoted};
use crate::tensor::{Tensor, TensorFile};

/// The most dimensions of a tensor; weights have five at most.
pub(super) const MAX_DIMENSIONS: usize = 16;

/// The most memory of the tensors, as a multiple of the file's size. Half precision doubles in size, 8-bit integers grow eight
/// times, and weights shared between layers are repeated.
const MAX_GROWTH: u64 = 16;

/// A contiguous array of numbers in the file.
#[derive(Clone, Debug)]
pub(super) struct Storage {
    /// Its key in the file.
    pub key: String,
    pub element: Element,
    /// Added to the offsets of its tensors, in elements.
    pub offset: usize,
    /// Its length in the file, in elements.
    pub length: usize,
}

/// A tensor whose value at the index vector `i` is the storage's at `offset + i . strides`.
#[derive(Clone, Debug)]
pub(super) struct TensorView {
    pub storage: Storage,
    pub element: Element,
    /// In elements.
    pub offset: usize,
    pub shape: Vec<usize>,
    /// In elements; as many as `shape` has lengths.
    pub strides: Vec<usize>,
}

impl TensorView {
    /// The number of values.
    fn values(&self) -> Option<usize> {
        self.shape.iter().try_fold(1usize, |product, &length| product.checked_mul(length))
    }

    /// The number of bytes that this view needs of its storage: the end of its last value.
    fn end(&self) -> Option<usize> {
        let mut last = self.offset;
        for (&length, &stride) in self.shape.iter().zip(&self.strides) {
            last = last.checked_add(stride.checked_mul(length.checked_sub(1)?)?)?;
        }
        last.checked_add(1)?.checked_mul(self.element.size())
    }

    fn is_row_major(&self) -> bool {
        let mut expected = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(&length, &stride)| {
            let fits = length == 1 || stride == expected;
            expected *= length;
            fits
        })
    }

    /// The tensor, from all bytes of its storage. `name` is for messages.
    fn read(&self, name: &str, storage: &[u8]) -> Result<Tensor, Problem> {
        let described = self.storage.length.checked_mul(self.storage.element.size());
        if described != Some(storage.len()) {
            let (name, length, bytes) = (quoted(name), self.storage.length, storage.len());
            let what = format!("the storage of tensor {name} should have {length} elements, but has {bytes} bytes");
            return Err(Problem::Damaged(what));
        }
        let size = self.element.size();
        let data = match (self.values(), self.end()) {
            (Some(0), _) => self.element.decode(&[]),
            (Some(values), Some(end)) if end <= storage.len() => {
                if self.is_row_major() {
                    self.element.decode(&storage[self.offset * size..][..values * size])
                } else {
                    self.element.decode(&self.gather(storage, values))
                }
            }
            _ => return Err(Problem::Damaged(format!("tensor {} reaches beyond its storage", quoted(name)))),
        };
        let data = data.map_err(|element| {
            let name = quoted(name);
            Problem::Unsupported(format!("the elements of tensor {name} are {element}, which visage does not read"))
        })?;
        Ok(Tensor { shape: self.shape.clone(), data })
    }

    /// The bytes of all `values`, row-major. The view must be within the storage.
    fn gather(&self, storage: &[u8], values: usize) -> Vec<u8> {
        let size = self.element.size();
        let mut gathered = Vec::with_capacity(values * size);
        let mut index = vec![0; self.shape.len()];
        let mut position = self.offset;
        for _ in 0..values {
            gathered.extend_from_slice(&storage[position * size..][..size]);
            // Increments the index, the last dimension fastest.
            for dimension in (0..index.len()).rev() {
                if index[dimension] + 1 < self.shape[dimension] {
                    index[dimension] += 1;
                    position += self.strides[dimension];
                    break;
                }
                position -= self.strides[dimension] * index[dimension];
                index[dimension] = 0;
            }
        }
        gathered
    }
}

/// The tensors of a state dict while their storages are read one by one.
pub(super) struct Assembly {
    /// The views still to read, with their names, by the key of their storage.
    pending: BTreeMap<String, Vec<(String, TensorView)>>,
    tensors: BTreeMap<String, Tensor>,
}

impl Assembly {
    /// Prepares to read the tensors of a file of `file_length` bytes.
    ///
    /// # Errors
    ///
    /// [`Problem::Damaged`] where they would take more memory than the file can account for.
    pub fn new(views: BTreeMap<String, TensorView>, file_length: u64) -> Result<Self, Problem> {
        let mut memory = 0u64;
        let mut pending: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for (name, view) in views {
            let bytes = view.values().and_then(|values| values.checked_mul(view.element.decoded_size()));
            memory = memory.saturating_add(bytes.map_or(u64::MAX, |bytes| bytes as u64));
            if memory > file_length.saturating_mul(MAX_GROWTH) {
                let name = quoted(&name);
                return Err(Problem::Damaged(format!("up to tensor {name}, its tensors are far larger than the file")));
            }
            pending.entry(view.storage.key.clone()).or_default().push((name, view));
        }
        Ok(Assembly { pending, tensors: BTreeMap::new() })
    }

    /// The keys of the storages still to be read.
    pub fn keys(&self) -> Vec<String> {
        self.pending.keys().cloned().collect()
    }

    /// Whether the storage called `key` is still to be read.
    pub fn needs(&self, key: &str) -> bool {
        self.pending.contains_key(key)
    }

    /// Reads all tensors on the storage called `key`, of which `bytes` is the whole.
    pub fn fill(&mut self, key: &str, bytes: &[u8]) -> Result<(), Problem> {
        for (name, view) in self.pending.remove(key).unwrap_or_default() {
            let tensor = view.read(&name, bytes)?;
            self.tensors.insert(name, tensor);
        }
        Ok(())
    }

    /// The tensors, all storages having been read.
    pub fn finish(self) -> Result<TensorFile, Problem> {
        match self.pending.values().flatten().next() {
            Some((name, _)) => Err(Problem::Damaged(format!("the values of tensor {} are missing", quoted(name)))),
            None => Ok(TensorFile { tensors: self.tensors, metadata: BTreeMap::new() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(offset: usize, shape: &[usize], strides: &[usize]) -> TensorView {
        let storage = Storage { key: "0".to_owned(), element: Element::U8, offset: 0, length: 24 };
        TensorView { storage, element: Element::U8, offset, shape: shape.to_vec(), strides: strides.to_vec() }
    }

    #[test]
    fn views_read_what_their_strides_say() {
        let storage: Vec<u8> = (0..24).collect();
        let cases: [(TensorView, Vec<u8>); 9] = [
            (view(0, &[2, 12], &[12, 1]), (0..24).collect()),
            (view(4, &[2, 3], &[3, 1]), (4..10).collect()),
            (view(0, &[3, 2], &[1, 3]), vec![0, 3, 1, 4, 2, 5]),
            (view(6, &[2, 3], &[6, 2]), vec![6, 8, 10, 12, 14, 16]),
            (view(5, &[], &[]), vec![5]),
            (view(23, &[3], &[0]), vec![23, 23, 23]),
            (view(20, &[1, 4], &[usize::MAX, 1]), vec![20, 21, 22, 23]),
            (view(1, &[2, 1, 2], &[1, usize::MAX, 7]), vec![1, 8, 2, 9]),
            (view(99, &[0, 4], &[4, 1]), vec![]),
        ];
        for (view, expected) in cases {
            assert_eq!(view.read("x", &storage).unwrap(), Tensor::new(view.shape.clone(), expected), "{view:?}");
        }
    }

    #[test]
    fn views_beyond_their_storage_are_errors() {
        let storage = [0; 24];
        for view in [
            view(24, &[], &[]),
            view(1, &[24], &[1]),
            view(0, &[2, 2], &[23, 1]),
            view(usize::MAX, &[1], &[1]),
            view(0, &[2], &[usize::MAX]),
            view(0, &[usize::MAX, usize::MAX], &[1, 1]),
        ] {
            view.read("x", &storage).unwrap_err();
        }
        view(0, &[4], &[1]).read("x", &storage[..23]).unwrap_err();
    }

    #[test]
    fn a_small_file_cannot_hold_a_large_tensor() {
        let tensors = |length| BTreeMap::from([("x".to_owned(), view(0, &[length], &[0]))]);
        assert!(Assembly::new(tensors(16_000), 1000).is_ok());
        assert!(Assembly::new(tensors(16_001), 1000).is_err());
        assert!(Assembly::new(BTreeMap::from([("x".to_owned(), view(0, &[usize::MAX, 2], &[0, 0]))]), 1000).is_err());
    }
}
