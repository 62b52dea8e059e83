//! Writing safetensors files.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use safetensors::tensor::{Dtype, TensorInfo};
use serde::{Serialize, Serializer};

use crate::atomic;
use crate::checksum::{self, Checksums, TensorChecksum};
use crate::error::{Problem, WeightsError, quoted};
use crate::safetensors_read::MAX_HEADER;
use crate::tensor::{Tensor, TensorFile, TensorValues};

/// The header's key for metadata; no tensor can have this name.
const METADATA_KEY: &str = "__metadata__";

/// Stores `file` as a safetensors file at `path`, atomically (see [`atomic::write`]).
///
/// Equal content gives equal bytes: the metadata is sorted by key, and the tensors by element size (which aligns them, as the
/// format recommends) and then by name. The `safetensors` crate's own writer has an order of metadata that differs from
/// run to run. The metadata also holds checksums, which [`read`](crate::read()) checks and leaves out.
///
/// # Errors
///
/// [`WeightsError`] when the file cannot be written, the number of values of a tensor is not the product of its shape, a tensor is
/// called `__metadata__`, or names and metadata exceed the format's 100 MB.
pub fn write_safetensors(path: &Path, file: &TensorFile) -> Result<(), WeightsError> {
    let (header, tensors) = header(file).map_err(|problem| WeightsError::new(path, problem))?;
    atomic::write(path, |out| {
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(&header)?;
        tensors.iter().try_for_each(|tensor| write_values(out, &tensor.data))
    })
    .map_err(|error| WeightsError::new(path, error.into()))
}

/// The JSON header, and the tensors in its order.
fn header(file: &TensorFile) -> Result<(Vec<u8>, Vec<&Tensor>), Problem> {
    let mut tensors: Vec<_> = file.tensors.iter().collect();
    // Stable: tensors of one element size stay in the order of their names.
    tensors.sort_by_key(|(_, tensor)| std::cmp::Reverse(element(&tensor.data).1));

    let mut checksums = Checksums::new(&file.metadata);
    let mut entries = Vec::with_capacity(tensors.len());
    let mut end = 0;
    for (name, tensor) in &tensors {
        let (dtype, size) = element(&tensor.data);
        let values = tensor.shape.iter().try_fold(1usize, |product, &length| product.checked_mul(length));
        if values != Some(tensor.data.len()) {
            let (name, shape, values) = (quoted(name), &tensor.shape, tensor.data.len());
            return Err(Problem::Unwritable(format!("tensor {name} has shape {shape:?} but {values} values")));
        }
        if name.as_str() == METADATA_KEY {
            return Err(Problem::Unwritable(format!("a tensor cannot be called {METADATA_KEY}")));
        }
        let mut checksum = TensorChecksum::new(dtype, &tensor.shape);
        write_values(&mut checksum, &tensor.data)?;
        checksums.add(name, checksum);
        let start = end;
        end += tensor.data.len() * size;
        entries.push((*name, TensorInfo { dtype, shape: tensor.shape.clone(), data_offsets: (start, end) }));
    }

    let mut metadata = file.metadata.clone();
    metadata.insert(checksum::KEY.to_owned(), serde_json::to_string(&checksums).map_err(io::Error::from)?);
    let mut header = serde_json::to_vec(&Header { metadata, entries }).map_err(io::Error::from)?;
    // Padding with spaces to a multiple of eight aligns the tensors.
    header.resize(header.len().next_multiple_of(8), b' ');
    if header.len() as u64 > MAX_HEADER {
        return Err(Problem::Unwritable(format!("names and metadata take {} bytes", header.len())));
    }
    Ok((header, tensors.into_iter().map(|(_, tensor)| tensor).collect()))
}

struct Header<'a> {
    metadata: BTreeMap<String, String>,
    entries: Vec<(&'a String, TensorInfo)>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Entry<'a> {
    Metadata(&'a BTreeMap<String, String>),
    Tensor(&'a TensorInfo),
}

impl Serialize for Header<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let metadata = (METADATA_KEY, Entry::Metadata(&self.metadata));
        let tensors = self.entries.iter().map(|(name, info)| (name.as_str(), Entry::Tensor(info)));
        serializer.collect_map(std::iter::once(metadata).chain(tensors))
    }
}

/// The element type of the values, and its size in bytes.
fn element(values: &TensorValues) -> (Dtype, usize) {
    match values {
        TensorValues::F32(_) => (Dtype::F32, 4),
        TensorValues::I64(_) => (Dtype::I64, 8),
        TensorValues::U64(_) => (Dtype::U64, 8),
        TensorValues::U8(_) => (Dtype::U8, 1),
    }
}

fn write_values(out: &mut impl Write, values: &TensorValues) -> io::Result<()> {
    match values {
        TensorValues::F32(values) => write_numbers(out, values, f32::to_le_bytes),
        TensorValues::I64(values) => write_numbers(out, values, i64::to_le_bytes),
        TensorValues::U64(values) => write_numbers(out, values, u64::to_le_bytes),
        TensorValues::U8(values) => out.write_all(values),
    }
}

fn write_numbers<const SIZE: usize, T: Copy>(
    out: &mut impl Write,
    values: &[T],
    encode: impl Fn(T) -> [u8; SIZE],
) -> io::Result<()> {
    let mut bytes = Vec::new();
    for chunk in values.chunks(1 << 14) {
        bytes.clear();
        for &value in chunk {
            bytes.extend_from_slice(&encode(value));
        }
        out.write_all(&bytes)?;
    }
    Ok(())
}
