//! The named tensors of a saved object.

use std::collections::{BTreeMap, HashSet};

use super::objects::{Object, ObjectId, Objects, Value};
use super::views::TensorView;
use crate::error::Problem;

/// The deepest nesting of containers that is searched.
const MAX_DEPTH: usize = 8;
/// The longest name in bytes. The modules of a network have shorter ones, and a hostile file cannot multiply longer ones.
const MAX_NAME: usize = 300;

/// Every tensor in `saved` under the keys that lead to it, joined with dots: `fc.bias` of a state dict, `model.fc.bias` of a state dict
/// under the key `model`, `0.fc.bias` of the first item of a list.
///
/// Only strings are names. Entries with other keys are left out, such as the tensors of PyTorch's optimisers, whose keys are numbers.
///
/// # Errors
///
/// [`Problem::Unsupported`] when there are no named tensors.
pub(super) fn tensors(objects: &Objects, saved: Value) -> Result<BTreeMap<String, TensorView>, Problem> {
    let mut search = Search { objects, visited: HashSet::new(), tensors: BTreeMap::new() };
    if !search.container("", saved, 0) {
        let what = objects.describe(saved);
        return Err(Problem::Unsupported(format!("it holds {what} where a state dict (names and tensors) is needed")));
    }
    if search.tensors.is_empty() {
        return Err(Problem::Unsupported("it holds no tensors with names".to_owned()));
    }
    Ok(search.tensors)
}

struct Search<'a> {
    objects: &'a Objects,
    /// A container may hold itself, or occur many times: it is searched where it occurs first.
    visited: HashSet<ObjectId>,
    tensors: BTreeMap<String, TensorView>,
}

impl Search<'_> {
    /// Searches the container called `name`. False if `value` is not a container.
    fn container(&mut self, name: &str, value: Value, depth: usize) -> bool {
        let Value::Object(id) = value else { return false };
        let objects = self.objects;
        match objects.get(value) {
            Some(Object::Dict(entries)) if self.enter(id, depth) => {
                for &(key, value) in entries {
                    if let Some(key) = objects.text(key) {
                        self.entry(name, key, value, depth);
                    }
                }
                true
            }
            Some(Object::List(items) | Object::Tuple(items)) if self.enter(id, depth) => {
                for (number, &item) in items.iter().enumerate() {
                    self.entry(name, &number.to_string(), item, depth);
                }
                true
            }
            found => matches!(found, Some(Object::Dict(_) | Object::List(_) | Object::Tuple(_))),
        }
    }

    fn enter(&mut self, id: ObjectId, depth: usize) -> bool {
        depth < MAX_DEPTH && self.visited.insert(id)
    }

    fn entry(&mut self, container: &str, key: &str, value: Value, depth: usize) {
        let Some(object) = self.objects.get(value) else { return };
        if container.len() + key.len() >= MAX_NAME {
            return;
        }
        let name = if container.is_empty() { key.to_owned() } else { format!("{container}.{key}") };
        if let Object::Tensor(view) = object {
            self.tensors.insert(name, TensorView::clone(view));
        } else {
            self.container(&name, value, depth + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torch::pickle;

    #[test]
    fn containers_within_each_other_are_searched_once() {
        // A list that holds itself, and lists of a hundred times the list before.
        let mut code = b"\x80\x02]q\0h\0a".to_vec();
        for level in 1..=20 {
            code.extend_from_slice(&[b']', b'q', level, b'(']);
            code.extend([b'h', level - 1].repeat(100));
            code.push(b'e');
        }
        code.push(b'.');
        let (saved, objects) = pickle::read(code.as_slice()).unwrap();
        let problem = tensors(&objects, saved).unwrap_err();
        assert!(problem.to_string().contains("no tensors with names"), "{problem}");
    }
}
