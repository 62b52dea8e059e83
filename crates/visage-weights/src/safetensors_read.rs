//! Reading safetensors files: eight bytes with the length of the header, a JSON header, then the data of the tensors.

use std::io::Read;

use safetensors::tensor::Metadata;

use crate::checksum::{self, Checksums, TensorChecksum};
use crate::element::Element;
use crate::error::{Problem, quoted};
use crate::tensor::{Tensor, TensorFile};

/// The size of the header's length at the beginning of the file, in bytes.
const LENGTH_BYTES: u64 = 8;
/// The longest header the format allows, in bytes.
pub(crate) const MAX_HEADER: u64 = 100_000_000;

/// Whether a file that begins with `start` is a safetensors file.
pub(crate) fn begins(start: &[u8]) -> bool {
    header_length(start).is_some_and(|length| length <= MAX_HEADER) && start.get(8) == Some(&b'{')
}

fn header_length(start: &[u8]) -> Option<u64> {
    start.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

/// Reads a file of `length` bytes whose start passes [`begins`].
pub(crate) fn read<R: Read>(mut file: R, length: u64) -> Result<TensorFile, Problem> {
    let mut start = [0; LENGTH_BYTES as usize];
    file.read_exact(&mut start)?;
    let data_start = LENGTH_BYTES + u64::from_le_bytes(start).min(MAX_HEADER);
    if data_start > length {
        return Err(Problem::Truncated { expected: data_start, actual: length });
    }
    let mut header = vec![0; (data_start - LENGTH_BYTES) as usize];
    file.read_exact(&mut header)?;
    // The header's parser checks that the tensors are contiguous and that each has the length of its shape.
    let header: Metadata = serde_json::from_slice(&header).map_err(|error| {
        Problem::Damaged(format!("its header cannot be understood: {}", quoted(&error.to_string())))
    })?;

    let expected = data_start.saturating_add(header.data_len() as u64);
    if expected > length {
        return Err(Problem::Truncated { expected, actual: length });
    }
    if expected < length {
        let surplus = length - expected;
        return Err(Problem::Damaged(format!("{surplus} bytes follow the last tensor in its header")));
    }

    let metadata = header.metadata().iter().flatten().map(|(key, text)| (key.clone(), text.clone())).collect();
    let mut result = TensorFile { metadata, ..TensorFile::default() };
    let stated = result.metadata.remove(checksum::KEY);
    let mut checksums = Checksums::new(&result.metadata);
    for name in header.offset_keys() {
        let Some(info) = header.info(&name) else { continue };
        let (start, end) = info.data_offsets;
        let mut bytes = vec![0; end - start];
        file.read_exact(&mut bytes)?;
        if stated.is_some() {
            let mut checksum = TensorChecksum::new(info.dtype, &info.shape);
            checksum.update(&bytes);
            checksums.add(&name, checksum);
        }
        let data = Element::of_safetensors(info.dtype).decode(&bytes).map_err(|element| {
            let name = quoted(&name);
            Problem::Unsupported(format!("the elements of tensor {name} are {element}, which visage does not read"))
        })?;
        result.tensors.insert(name, Tensor { shape: info.shape.clone(), data });
    }
    if let Some(stated) = stated {
        checksums.check(&stated)?;
    }
    Ok(result)
}
