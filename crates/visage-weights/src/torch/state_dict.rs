//! Finding the state dict in a saved object.

use std::collections::BTreeMap;

use super::objects::{Object, Objects, Value};
use super::views::TensorView;
use crate::error::{Problem, quoted};

/// The keys under which training programs store a network's state dict, beside the epoch and other state.
const WRAPPERS: [&str; 3] = ["state_dict", "model_state_dict", "model"];
/// The deepest nesting of such wrappers.
const MAX_DEPTH: usize = 4;

/// The tensors of the state dict that `saved` is or wraps, by name.
///
/// # Errors
///
/// [`Problem::Unsupported`] when there is none.
pub(super) fn tensors(objects: &Objects, saved: Value) -> Result<BTreeMap<String, TensorView>, Problem> {
    let mut state_dict = saved;
    for _ in 0..MAX_DEPTH {
        match wrapped(objects, state_dict) {
            Some(inner) => state_dict = inner,
            None => break,
        }
    }
    let Some(entries) = objects.dict(state_dict) else {
        let what = objects.describe(state_dict);
        return Err(Problem::Unsupported(format!("it holds {what} where a state dict (names and tensors) is needed")));
    };

    let mut tensors = BTreeMap::new();
    for &(key, value) in entries {
        let Some(name) = objects.text(key) else {
            let what = objects.describe(key);
            return Err(Problem::Unsupported(format!("a key of its state dict is {what}, not the name of a tensor")));
        };
        let Some(Object::Tensor(view)) = objects.get(value) else {
            let (name, what) = (quoted(name), objects.describe(value));
            return Err(Problem::Unsupported(format!(
                "{name} is {what}, not a tensor, and there is no state dict under {}",
                WRAPPERS.join(", ")
            )));
        };
        tensors.insert(name.to_owned(), TensorView::clone(view));
    }
    if tensors.is_empty() {
        return Err(Problem::Unsupported("it holds no tensors".to_owned()));
    }
    Ok(tensors)
}

/// The dict under a wrapper's key, if `outer` has one.
fn wrapped(objects: &Objects, outer: Value) -> Option<Value> {
    let entries = objects.dict(outer)?;
    WRAPPERS.iter().find_map(|&wrapper| {
        // As in Python, the last of equal keys counts.
        let &(_, value) = entries.iter().rev().find(|&&(key, _)| objects.text(key) == Some(wrapper))?;
        objects.dict(value).map(|_| value)
    })
}
