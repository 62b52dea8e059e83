//! The results of calling the few functions and classes that a weight file may name.

use super::globals::Global;
use super::objects::{Object, Objects, Value};
use super::views::{MAX_DIMENSIONS, Storage, TensorView};
use crate::element::Element;
use crate::error::Problem;

/// The longest name of a storage, in bytes: a decimal number of 64 bits.
const MAX_KEY_LENGTH: usize = 20;

/// The result of a call.
pub(super) enum Outcome {
    New(Object),
    Existing(Value),
}

/// The result of calling `function` with a tuple of `arguments`.
pub(super) fn call(objects: &Objects, function: Value, arguments: Value) -> Result<Outcome, Problem> {
    let Value::Global(function) = function else {
        return Err(Problem::Damaged(format!("its pickle calls {}", objects.describe(function))));
    };
    let arguments =
        objects.tuple(arguments).ok_or_else(|| damaged("the arguments of a call in its pickle are not a tuple"))?;
    match function {
        // The only function that calls another. It must not call itself, which would never end.
        Global::RebuildFromType => {
            match (arguments.first(), arguments.get(2).and_then(|&inner| objects.tuple(inner))) {
                (Some(&Value::Global(inner)), Some(arguments)) if inner != Global::RebuildFromType => {
                    call_plain(objects, inner, arguments)
                }
                _ => Err(damaged("a tensor subclass in its pickle is incomplete")),
            }
        }
        plain => call_plain(objects, plain, arguments),
    }
}

fn call_plain(objects: &Objects, function: Global, arguments: &[Value]) -> Result<Outcome, Problem> {
    match function {
        Global::OrderedDict => dict(objects, arguments).map(Object::Dict).map(Outcome::New),
        Global::RebuildTensor => tensor(objects, arguments, None),
        Global::RebuildTensorOfType => match arguments.get(6) {
            Some(&Value::Global(Global::Dtype(element))) => tensor(objects, arguments, Some(element)),
            _ => Err(damaged("a tensor in its pickle has no element type")),
        },
        Global::RebuildParameter => match arguments.first() {
            Some(&value) if matches!(objects.get(value), Some(Object::Tensor(_))) => Ok(Outcome::Existing(value)),
            _ => Err(damaged("a parameter in its pickle has no tensor")),
        },
        Global::Inert => Ok(Outcome::New(Object::Inert)),
        Global::RebuildFromType | Global::Storage(_) | Global::Dtype(_) => {
            Err(damaged("its pickle calls something that cannot be called"))
        }
    }
}

/// The entries of `OrderedDict()` or, as Python 2 wrote it, `OrderedDict([[key, value], ...])`.
fn dict(objects: &Objects, arguments: &[Value]) -> Result<Vec<(Value, Value)>, Problem> {
    let Some(&pairs) = arguments.first() else { return Ok(Vec::new()) };
    let entry = |&pair| match objects.items(pair) {
        Some(&[key, value]) => Some((key, value)),
        _ => None,
    };
    let entries = objects.items(pairs).and_then(|pairs| pairs.iter().map(entry).collect());
    entries.ok_or_else(|| damaged("a dict in its pickle is not made of keys and values"))
}

/// A tensor from (storage, offset, shape, strides, ...), with elements of the type `element` or else that of its storage.
fn tensor(objects: &Objects, arguments: &[Value], element: Option<Element>) -> Result<Outcome, Problem> {
    let view = || {
        let [storage, offset, shape, strides, ..] = *arguments else { return None };
        let Some(Object::Storage(storage)) = objects.get(storage) else { return None };
        let (shape, strides) = (lengths(objects, shape)?, lengths(objects, strides)?);
        if shape.len() != strides.len() {
            return None;
        }
        let offset = count(offset)?.checked_add(storage.offset)?;
        let element = element.unwrap_or(storage.element);
        Some(TensorView { storage: Storage::clone(storage), element, offset, shape, strides })
    };
    let view = view().ok_or_else(|| damaged("the shape or strides of a tensor in its pickle are invalid"))?;
    Ok(Outcome::New(Object::Tensor(Box::new(view))))
}

/// The storage with a persistent id: ("storage", class, key, device, length), and in files before PyTorch 1.6 a sixth item, which
/// is (key, offset, length) if the storage is part of another, or else None.
pub(super) fn storage(objects: &Objects, id: Value) -> Result<Storage, Problem> {
    let storage = || {
        let [kind, class, key, _device, length, ref rest @ ..] = *objects.tuple(id)? else { return None };
        let Value::Global(Global::Storage(element)) = class else { return None };
        let (kind, key) = (objects.text(kind)?, objects.text(key)?);
        if kind != "storage" || key.len() > MAX_KEY_LENGTH {
            return None;
        }
        let offset = match rest.first().and_then(|&part| objects.tuple(part)) {
            Some(part) => count(*part.get(1)?)?,
            None => 0,
        };
        Some(Storage { key: key.to_owned(), element, offset, length: count(length)? })
    };
    storage().ok_or_else(|| damaged("its pickle refers to a storage in a way that torch.save does not"))
}

fn lengths(objects: &Objects, value: Value) -> Option<Vec<usize>> {
    let items = objects.items(value)?;
    if items.len() > MAX_DIMENSIONS {
        return None;
    }
    items.iter().map(|&item| count(item)).collect()
}

fn count(value: Value) -> Option<usize> {
    match value {
        Value::Int(integer) => usize::try_from(integer).ok(),
        _ => None,
    }
}

fn damaged(what: &str) -> Problem {
    Problem::Damaged(what.to_owned())
}
