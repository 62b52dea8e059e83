//! The format before PyTorch 1.6: consecutive pickles of a magic number, a version, a description of the system, the object and the
//! keys of its storages; then the storages, each after its length.

use std::collections::HashMap;
use std::io::{BufReader, Read, Seek, SeekFrom};

use super::objects::{Object, Objects, Value};
use super::pickle;
use super::state_dict;
use super::views::Assembly;
use crate::element::Element;
use crate::error::{Problem, quoted};
use crate::tensor::TensorFile;

/// The first pickle's value: 0x1950a86a20f9469cfc6c, little-endian.
const MAGIC: [u8; 10] = [0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19];
/// The only version.
const VERSION: i64 = 1001;

/// Reads a file of `length` bytes that begins with a pickle.
pub(crate) fn read<R: Read + Seek>(file: R, length: u64) -> Result<TensorFile, Problem> {
    // Pickles are read byte by byte.
    let mut file = BufReader::new(file);

    check_header(&mut file)?;
    let (saved, objects) = pickle::read(&mut file)?;
    let mut assembly = Assembly::new(state_dict::tensors(&objects, saved)?, length)?;
    // Storages that are skipped, such as the optimiser's, have an element size too.
    let elements: HashMap<String, Element> = objects
        .iter()
        .filter_map(|object| match object {
            Object::Storage(storage) => Some((storage.key.clone(), storage.element)),
            _ => None,
        })
        .collect();
    drop(objects);

    let (keys, objects) = pickle::read(&mut file)?;
    let keys = objects.items(keys).ok_or_else(|| Problem::Damaged("its list of storages is not a list".to_owned()))?;
    let mut position = file.stream_position()?;
    for &key in keys {
        let element = objects.text(key).and_then(|key| Some((key, *elements.get(key)?)));
        let Some((key, element)) = element else {
            return Err(Problem::Damaged("it lists a storage that no tensor has".to_owned()));
        };
        position += 8;
        require(position, length)?;
        let mut count = [0; 8];
        file.read_exact(&mut count)?;
        let bytes = u64::from_le_bytes(count).checked_mul(element.size() as u64);
        let end = bytes.and_then(|bytes| position.checked_add(bytes));
        let (Some(bytes), Some(end)) = (bytes, end) else {
            return Err(Problem::Damaged(format!("the length of its storage {} is invalid", quoted(key))));
        };
        require(end, length)?;
        if assembly.needs(key) {
            let mut storage = vec![0; bytes as usize];
            file.read_exact(&mut storage)?;
            assembly.fill(key, &storage)?;
        } else {
            file.seek(SeekFrom::Start(end))?;
        }
        position = end;
    }
    assembly.finish()
}

/// Reads the first three pickles: the magic number, the version and the description of the system.
fn check_header(file: &mut impl Read) -> Result<(), Problem> {
    let foreign = || Problem::Foreign("it is a Python pickle, but not one of PyTorch's".to_owned());
    let (magic, objects) = match pickle::read(&mut *file) {
        Err(Problem::Damaged(_)) => return Err(foreign()),
        magic => magic?,
    };
    if !matches!(objects.get(magic), Some(Object::LongInteger(magic)) if *magic == MAGIC) {
        return Err(foreign());
    }
    let (version, _) = pickle::read(&mut *file)?;
    if !matches!(version, Value::Int(VERSION)) {
        return Err(Problem::Unsupported(format!("its format is not version {VERSION} of PyTorch's")));
    }
    let (system, objects) = pickle::read(&mut *file)?;
    if is_big_endian(&objects, system) {
        return Err(Problem::Unsupported("its numbers are big-endian, which visage does not read".to_owned()));
    }
    Ok(())
}

/// Whether the system that wrote the file was big-endian.
fn is_big_endian(objects: &Objects, system: Value) -> bool {
    objects
        .dict(system)
        .into_iter()
        .flatten()
        .any(|&(key, value)| objects.text(key) == Some("little_endian") && matches!(value, Value::Bool(false)))
}

fn require(expected: u64, actual: u64) -> Result<(), Problem> {
    if expected > actual { Err(Problem::Truncated { expected, actual }) } else { Ok(()) }
}
