//! Writing safetensors files.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use safetensors::tensor::{Dtype, TensorInfo};
use serde::{Serialize, Serializer};

use crate::atomic;
use crate::error::{Problem, WeightsError, quoted};
use crate::safetensors_read::LONGEST_HEADER;
use crate::tensor::{Tensor, TensorFile, TensorValues};

/// The header's key for text; no tensor can be called this.
const METADATA_KEY: &str = "__metadata__";

/// Stores `file` as a safetensors file at `path`, by [`atomic::write`]: the file there is replaced whole or not at all.
///
/// Equal content gives equal bytes: the header's text is sorted by key, and tensors by element size (which aligns
/// them, as the format recommends) and then by name. The `safetensors` crate's own writer keeps the text in an order
/// that differs from run to run.
///
/// # Errors
///
/// [`WeightsError`] where the system cannot write, where a tensor has not as many values as its shape says, where one
/// is called `__metadata__`, or where names and text together pass the format's 100 MB.
pub fn write_safetensors(path: &Path, file: &TensorFile) -> Result<(), WeightsError> {
    let (header, tensors) = header(file).map_err(|problem| WeightsError::new(path, problem))?;
    atomic::write(path, |out| {
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(&header)?;
        tensors.iter().try_for_each(|tensor| write_values(out, &tensor.data))
    })
    .map_err(|error| WeightsError::new(path, error.into()))
}

/// The JSON header, and the tensors in the order it gives them.
fn header(file: &TensorFile) -> Result<(Vec<u8>, Vec<&Tensor>), Problem> {
    let mut tensors: Vec<_> = file.tensors.iter().collect();
    // Stable: names stay in order among tensors of one element size.
    tensors.sort_by_key(|(_, tensor)| std::cmp::Reverse(element(&tensor.data).1));

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
        let start = end;
        end += tensor.data.len() * size;
        entries.push((*name, TensorInfo { dtype, shape: tensor.shape.clone(), data_offsets: (start, end) }));
    }

    let mut header = serde_json::to_vec(&Header { file, entries }).map_err(io::Error::from)?;
    // Spaces up to a multiple of eight, so that the tensors are aligned.
    header.resize(header.len().next_multiple_of(8), b' ');
    if header.len() as u64 > LONGEST_HEADER {
        return Err(Problem::Unwritable(format!("names and metadata take {} bytes", header.len())));
    }
    Ok((header, tensors.into_iter().map(|(_, tensor)| tensor).collect()))
}

struct Header<'a> {
    file: &'a TensorFile,
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
        let metadata = &self.file.metadata;
        let metadata = (!metadata.is_empty()).then_some((METADATA_KEY, Entry::Metadata(metadata)));
        let tensors = self.entries.iter().map(|(name, info)| (name.as_str(), Entry::Tensor(info)));
        serializer.collect_map(metadata.into_iter().chain(tensors))
    }
}

/// How values are stored, and the bytes each takes.
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
