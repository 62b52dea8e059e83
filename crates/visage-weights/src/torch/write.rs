//! Writing state dicts that `torch.load` reads.

use std::io::{self, Write};
use std::path::Path;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::atomic;
use crate::error::{Problem, WeightsError, quoted};
use crate::tensor::{Tensor, TensorFile, TensorValues};

/// The alignment of storages, with which PyTorch can map them into memory.
const ALIGNMENT: u16 = 64;

/// Stores the tensors of `file` at `path` in the format of PyTorch 1.6 and later: a zip archive of a pickled `OrderedDict` and one
/// storage for each tensor, which `torch.load(PATH, weights_only=True)` reads. The metadata are not stored.
///
/// Equal content gives equal bytes. The file is replaced atomically (see [`atomic::write`]).
///
/// # Errors
///
/// [`WeightsError`] when the file cannot be written, the number of values of a tensor is not the product of its shape, or the
/// format does not support the type or the size of a tensor.
pub fn write_torch(path: &Path, file: &TensorFile) -> Result<(), WeightsError> {
    let code = pickle(file).map_err(|problem| WeightsError::new(path, problem))?;
    atomic::write(path, |out| {
        let mut archive = ZipWriter::new(out);
        let options =
            SimpleFileOptions::default().compression_method(CompressionMethod::Stored).with_alignment(ALIGNMENT);
        let mut entry = |name: &str, bytes: &[u8]| -> io::Result<()> {
            archive.start_file(format!("archive/{name}"), options)?;
            archive.write_all(bytes)
        };
        entry("data.pkl", &code)?;
        entry("byteorder", b"little")?;
        for (number, tensor) in file.tensors.values().enumerate() {
            entry(&format!("data/{number}"), &bytes(&tensor.data))?;
        }
        entry("version", b"3\n")?;
        archive.finish()?;
        Ok(())
    })
    .map_err(|error| WeightsError::new(path, error.into()))
}

/// The class of a storage of such values.
fn storage(values: &TensorValues) -> Option<&'static str> {
    match values {
        TensorValues::F32(_) => Some("FloatStorage"),
        TensorValues::I64(_) => Some("LongStorage"),
        TensorValues::U8(_) => Some("ByteStorage"),
        TensorValues::U64(_) => None,
    }
}

fn bytes(values: &TensorValues) -> Vec<u8> {
    match values {
        TensorValues::F32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        TensorValues::I64(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        TensorValues::U64(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        TensorValues::U8(values) => values.clone(),
    }
}

/// The pickle (protocol 2) of an `OrderedDict` from names to tensors, with the same calls as in those of `torch.save`.
fn pickle(file: &TensorFile) -> Result<Vec<u8>, Problem> {
    const ORDERED_DICT: &[u8] = b"ccollections\nOrderedDict\n)R";

    let mut code = b"\x80\x02".to_vec();
    code.extend_from_slice(ORDERED_DICT);
    code.push(b'(');
    for (number, (name, tensor)) in file.tensors.iter().enumerate() {
        let class = storage(&tensor.data)
            .ok_or_else(|| Problem::Unwritable(format!("tensor {} is of unsigned 64-bit integers", quoted(name))))?;
        if tensor.shape.iter().product::<usize>() != tensor.data.len() {
            let (length, shape) = (tensor.data.len(), &tensor.shape);
            return Err(Problem::Unwritable(format!("tensor {} has {length} values for {shape:?}", quoted(name))));
        }
        text(&mut code, name)?;
        code.extend_from_slice(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut code, "storage")?;
        code.extend_from_slice(format!("ctorch\n{class}\n").as_bytes());
        text(&mut code, &number.to_string())?;
        text(&mut code, "cpu")?;
        integer(&mut code, name, tensor.data.len())?;
        code.extend_from_slice(b"tQ");
        integer(&mut code, name, 0)?;
        tuple(&mut code, name, &tensor.shape)?;
        tuple(&mut code, name, &strides(tensor))?;
        // requires_grad is False, and there are no hooks.
        code.push(b'\x89');
        code.extend_from_slice(ORDERED_DICT);
        code.extend_from_slice(b"tR");
    }
    code.extend_from_slice(b"u.");
    Ok(code)
}

/// The strides of a row-major tensor, in elements.
fn strides(tensor: &Tensor) -> Vec<usize> {
    let mut strides = vec![1; tensor.shape.len()];
    for axis in (1..tensor.shape.len()).rev() {
        strides[axis - 1] = strides[axis] * tensor.shape[axis];
    }
    strides
}

fn text(code: &mut Vec<u8>, text: &str) -> Result<(), Problem> {
    let length = u32::try_from(text.len()).map_err(|_| Problem::Unwritable("a name is too long".to_owned()))?;
    code.push(b'X');
    code.extend_from_slice(&length.to_le_bytes());
    code.extend_from_slice(text.as_bytes());
    Ok(())
}

fn integer(code: &mut Vec<u8>, name: &str, value: usize) -> Result<(), Problem> {
    let value = i32::try_from(value)
        .map_err(|_| Problem::Unwritable(format!("tensor {} is too large for a pickle", quoted(name))))?;
    code.push(b'J');
    code.extend_from_slice(&value.to_le_bytes());
    Ok(())
}

fn tuple(code: &mut Vec<u8>, name: &str, values: &[usize]) -> Result<(), Problem> {
    code.push(b'(');
    values.iter().try_for_each(|&value| integer(code, name, value))?;
    code.push(b't');
    Ok(())
}
