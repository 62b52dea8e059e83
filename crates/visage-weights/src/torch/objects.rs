//! The objects that a pickle builds.

use super::globals::Global;
use super::views::{Storage, TensorView};

/// The most objects that a pickle may make; a tensor takes about ten.
const MAX_OBJECTS: usize = 500_000;

/// A value on the stack of the pickle machine or in a container.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float,
    Global(Global),
    Object(ObjectId),
}

/// The index of an object in its [`Objects`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ObjectId(usize);

/// An object that several values may refer to.
#[derive(Debug)]
pub(super) enum Object {
    Text(String),
    /// An integer beyond 64 bits, as little-endian two's complement.
    LongInteger(Vec<u8>),
    Tuple(Vec<Value>),
    List(Vec<Value>),
    Dict(Vec<(Value, Value)>),
    Storage(Box<Storage>),
    Tensor(Box<TensorView>),
    /// Anything without weights.
    Inert,
}

/// All objects of a pickle.
#[derive(Debug, Default)]
pub(super) struct Objects(Vec<Object>);

impl Objects {
    /// Adds an object and returns a reference to it; `None` if there are too many.
    pub fn add(&mut self, object: Object) -> Option<Value> {
        if self.0.len() == MAX_OBJECTS {
            return None;
        }
        self.0.push(object);
        Some(Value::Object(ObjectId(self.0.len() - 1)))
    }

    /// The object that `value` refers to, if any.
    pub fn get(&self, value: Value) -> Option<&Object> {
        match value {
            Value::Object(id) => self.0.get(id.0),
            _ => None,
        }
    }

    pub fn get_mut(&mut self, value: Value) -> Option<&mut Object> {
        match value {
            Value::Object(id) => self.0.get_mut(id.0),
            _ => None,
        }
    }

    pub fn text(&self, value: Value) -> Option<&str> {
        match self.get(value) {
            Some(Object::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub fn tuple(&self, value: Value) -> Option<&[Value]> {
        match self.get(value) {
            Some(Object::Tuple(items)) => Some(items),
            _ => None,
        }
    }

    /// The items of a tuple or a list.
    pub fn items(&self, value: Value) -> Option<&[Value]> {
        match self.get(value) {
            Some(Object::Tuple(items) | Object::List(items)) => Some(items),
            _ => None,
        }
    }

    pub fn dict(&self, value: Value) -> Option<&[(Value, Value)]> {
        match self.get(value) {
            Some(Object::Dict(entries)) => Some(entries),
            _ => None,
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Object> {
        self.0.iter()
    }

    /// The kind of `value`, for messages.
    pub fn describe(&self, value: Value) -> &'static str {
        match value {
            Value::None => "None",
            Value::Bool(_) | Value::Int(_) | Value::Float => "a number",
            Value::Global(_) => "a Python class or function",
            Value::Object(_) => match self.get(value) {
                Some(Object::Text(_)) => "a string",
                Some(Object::LongInteger(_)) => "a number",
                Some(Object::Tuple(_)) => "a tuple",
                Some(Object::List(_)) => "a list",
                Some(Object::Dict(_)) => "a dict",
                Some(Object::Storage(_)) => "a bare storage",
                Some(Object::Tensor(_)) => "a tensor",
                Some(Object::Inert) | None => "a Python object",
            },
        }
    }
}
