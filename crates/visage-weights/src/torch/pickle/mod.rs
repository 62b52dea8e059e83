//! An interpreter of pickles that executes nothing.
//!
//! A pickle is a program for a stack machine. This one knows the instructions that Python's pickler emits for
//! protocols 2 to 5 (`pickletools.py` in CPython describes them all). It builds plain data, and gives the few objects
//! of [`globals`](super::globals) their meaning in [`rebuild`](super::rebuild).
//!
//! A hostile pickle can neither exhaust the call stack, since objects refer to each other by index and nothing here
//! recurses, nor the memory, since no instruction makes more than a few words and the pickle's length is bounded.

use std::collections::HashMap;
use std::io::{self, Read};

use super::globals::{self, Global};
use super::rebuild;
use super::views::{Storage, TensorView};
use crate::error::Problem;

/// The longest pickle read, in bytes. A network of a thousand tensors takes about 150 KB, training state included.
pub(super) const LONGEST: u64 = 16 << 20;
/// The most objects a pickle may make; a tensor takes about ten.
const MOST_OBJECTS: usize = 500_000;

/// Something on the machine's stack or in a container.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ObjectId(usize);

/// Something that several values may refer to.
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
    /// Whatever holds no weights.
    Inert,
}

/// All objects of a pickle.
#[derive(Debug, Default)]
pub(super) struct Objects(Vec<Object>);

impl Objects {
    /// The object that `value` refers to, if it is one.
    pub fn get(&self, value: Value) -> Option<&Object> {
        match value {
            Value::Object(id) => self.0.get(id.0),
            _ => None,
        }
    }

    fn get_mut(&mut self, value: Value) -> Option<&mut Object> {
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

    /// What `value` is, in words for a message.
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

/// Reads one pickle from `file`, up to its end: its value, and the objects that refers to.
pub(super) fn read<R: Read>(file: R) -> Result<(Value, Objects), Problem> {
    let mut machine = Machine {
        code: Code { file, position: 0 },
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        objects: Objects::default(),
        copied: 0,
    };
    machine.run().map(|value| (value, machine.objects))
}

/// The bytes of a pickle, counted.
struct Code<R> {
    file: R,
    position: u64,
}

impl<R: Read> Code<R> {
    fn array<const SIZE: usize>(&mut self) -> Result<[u8; SIZE], Problem> {
        self.advance(SIZE as u64)?;
        let mut bytes = [0; SIZE];
        self.file.read_exact(&mut bytes).map_err(ended)?;
        Ok(bytes)
    }

    fn byte(&mut self) -> Result<u8, Problem> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn bytes(&mut self, length: u64) -> Result<Vec<u8>, Problem> {
        self.advance(length)?;
        let mut bytes = Vec::new();
        self.file.by_ref().take(length).read_to_end(&mut bytes)?;
        if bytes.len() as u64 == length { Ok(bytes) } else { Err(ended(io::ErrorKind::UnexpectedEof.into())) }
    }

    fn skip(&mut self, length: u64) -> Result<(), Problem> {
        self.advance(length)?;
        let skipped = io::copy(&mut self.file.by_ref().take(length), &mut io::sink())?;
        if skipped == length { Ok(()) } else { Err(ended(io::ErrorKind::UnexpectedEof.into())) }
    }

    fn text(&mut self, length: u64) -> Result<String, Problem> {
        String::from_utf8(self.bytes(length)?).map_err(|_| self.damaged("a string is not UTF-8"))
    }

    /// The text up to the end of the line, which is left out.
    fn line(&mut self) -> Result<String, Problem> {
        let mut bytes = Vec::new();
        loop {
            match self.byte()? {
                b'\n' => break,
                byte => bytes.push(byte),
            }
        }
        String::from_utf8(bytes).map_err(|_| self.damaged("a name is not UTF-8"))
    }

    fn advance(&mut self, length: u64) -> Result<(), Problem> {
        match self.position.checked_add(length) {
            Some(position) if position <= LONGEST => {
                self.position = position;
                Ok(())
            }
            _ => Err(self.damaged("it is longer than any that describes weights")),
        }
    }

    fn damaged(&self, what: &str) -> Problem {
        Problem::Damaged(format!("at byte {} of its pickle, {what}", self.position))
    }
}

fn ended(error: io::Error) -> Problem {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Problem::Damaged("it ends in the middle of its pickle".to_owned()),
        _ => error.into(),
    }
}

struct Machine<R> {
    code: Code<R>,
    stack: Vec<Value>,
    /// The heights of the stack at the marks not yet taken.
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    objects: Objects,
    /// Entries copied from one container into another: the only work that could outgrow the pickle.
    copied: u64,
}

impl<R: Read> Machine<R> {
    fn run(&mut self) -> Result<Value, Problem> {
        loop {
            let instruction = self.code.byte()?;
            match instruction {
                // PROTO, FRAME
                0x80 => match self.code.byte()? {
                    0..=5 => {}
                    protocol => return Err(self.code.damaged(&format!("it claims protocol {protocol}"))),
                },
                0x95 => self.code.skip(8)?,
                // MARK, STOP, POP, POP_MARK
                b'(' => self.marks.push(self.stack.len()),
                b'.' => return self.pop(),
                b'0' => drop(self.pop()?),
                b'1' => drop(self.pop_to_mark()?),

                // NONE, NEWTRUE, NEWFALSE
                b'N' => self.stack.push(Value::None),
                0x88 => self.stack.push(Value::Bool(true)),
                0x89 => self.stack.push(Value::Bool(false)),
                // BININT, BININT1, BININT2, LONG1, LONG4, BINFLOAT
                b'J' => {
                    let integer = i32::from_le_bytes(self.code.array()?);
                    self.stack.push(Value::Int(integer.into()));
                }
                b'K' => {
                    let integer = self.code.byte()?;
                    self.stack.push(Value::Int(integer.into()));
                }
                b'M' => {
                    let integer = u16::from_le_bytes(self.code.array()?);
                    self.stack.push(Value::Int(integer.into()));
                }
                0x8A => {
                    let length = self.code.byte()?.into();
                    self.long_integer(length)?;
                }
                0x8B => {
                    let length = u32::from_le_bytes(self.code.array()?).into();
                    self.long_integer(length)?;
                }
                b'G' => {
                    self.code.skip(8)?;
                    self.stack.push(Value::Float);
                }
                // SHORT_BINUNICODE, BINUNICODE, BINUNICODE8
                0x8C => {
                    let length = self.code.byte()?.into();
                    self.text(length)?;
                }
                b'X' => {
                    let length = u32::from_le_bytes(self.code.array()?).into();
                    self.text(length)?;
                }
                0x8D => {
                    let length = u64::from_le_bytes(self.code.array()?);
                    self.text(length)?;
                }
                // SHORT_BINSTRING, BINSTRING: Python 2's strings, which may be text or bytes.
                b'U' => {
                    let length = self.code.byte()?.into();
                    self.old_string(length)?;
                }
                b'T' => {
                    let length = u32::from_le_bytes(self.code.array()?).into();
                    self.old_string(length)?;
                }
                // SHORT_BINBYTES, BINBYTES, BINBYTES8, BYTEARRAY8
                b'C' => {
                    let length = self.code.byte()?.into();
                    self.bytes(length)?;
                }
                b'B' => {
                    let length = u32::from_le_bytes(self.code.array()?).into();
                    self.bytes(length)?;
                }
                0x8E | 0x96 => {
                    let length = u64::from_le_bytes(self.code.array()?);
                    self.bytes(length)?;
                }

                // EMPTY_TUPLE, TUPLE1, TUPLE2, TUPLE3, TUPLE
                b')' => self.tuple(0)?,
                0x85 => self.tuple(1)?,
                0x86 => self.tuple(2)?,
                0x87 => self.tuple(3)?,
                b't' => {
                    let items = self.pop_to_mark()?;
                    self.push(Object::Tuple(items))?;
                }
                // EMPTY_LIST, APPEND, APPENDS
                b']' => self.push(Object::List(Vec::new()))?,
                b'a' => {
                    let item = self.pop()?;
                    self.append(&[item])?;
                }
                b'e' | 0x90 => {
                    // ADDITEMS, on a set, is the same.
                    let items = self.pop_to_mark()?;
                    self.append(&items)?;
                }
                // EMPTY_DICT, SETITEM, SETITEMS
                b'}' => self.push(Object::Dict(Vec::new()))?,
                b's' => {
                    let value = self.pop()?;
                    let key = self.pop()?;
                    self.set_items(&[key, value])?;
                }
                b'u' => {
                    let items = self.pop_to_mark()?;
                    self.set_items(&items)?;
                }
                // EMPTY_SET, FROZENSET
                0x8F => self.push(Object::Inert)?,
                0x91 => {
                    self.pop_to_mark()?;
                    self.push(Object::Inert)?;
                }

                // BINPUT, LONG_BINPUT, MEMOIZE, BINGET, LONG_BINGET
                b'q' => {
                    let index = self.code.byte()?.into();
                    self.remember(index)?;
                }
                b'r' => {
                    let index = u32::from_le_bytes(self.code.array()?);
                    self.remember(index)?;
                }
                0x94 => {
                    let index = u32::try_from(self.memo.len()).map_err(|_| self.code.damaged("its memo is full"))?;
                    self.remember(index)?;
                }
                b'h' => {
                    let index = self.code.byte()?.into();
                    self.recall(index)?;
                }
                b'j' => {
                    let index = u32::from_le_bytes(self.code.array()?);
                    self.recall(index)?;
                }

                // GLOBAL, STACK_GLOBAL
                b'c' => {
                    let (module, name) = (self.code.line()?, self.code.line()?);
                    self.stack.push(Value::Global(globals::find(&module, &name)?));
                }
                0x93 => {
                    let (name, module) = (self.pop()?, self.pop()?);
                    let (Some(module), Some(name)) = (self.objects.text(module), self.objects.text(name)) else {
                        return Err(self.code.damaged("the name of a Python object is not a string"));
                    };
                    self.stack.push(Value::Global(globals::find(module, name)?));
                }
                // REDUCE, NEWOBJ, NEWOBJ_EX, BUILD
                b'R' | 0x81 => {
                    let (arguments, function) = (self.pop()?, self.pop()?);
                    self.call(function, arguments)?;
                }
                0x92 => {
                    let (_keywords, arguments, class) = (self.pop()?, self.pop()?, self.pop()?);
                    self.call(class, arguments)?;
                }
                // The state of an object: for a state dict, the versions of its modules; for a tensor, attributes.
                b'b' => drop(self.pop()?),
                // BINPERSID
                b'Q' => {
                    let id = self.pop()?;
                    let storage = rebuild::storage(&self.objects, id)?;
                    self.push(Object::Storage(Box::new(storage)))?;
                }
                other => {
                    let what = format!("there is an instruction, {other:#04x}, that torch.save does not use");
                    return Err(self.code.damaged(&what));
                }
            }
        }
    }

    fn pop(&mut self) -> Result<Value, Problem> {
        if self.stack.len() == self.marks.last().copied().unwrap_or(0) {
            return Err(self.code.damaged("a value is missing"));
        }
        self.stack.pop().ok_or_else(|| self.code.damaged("a value is missing"))
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value>, Problem> {
        let mark = self.marks.pop().ok_or_else(|| self.code.damaged("a mark is missing"))?;
        Ok(self.stack.split_off(mark))
    }

    /// The value on top of the stack, which stays there.
    fn top(&self) -> Result<Value, Problem> {
        self.stack.last().copied().ok_or_else(|| self.code.damaged("a value is missing"))
    }

    /// Puts a new object on the stack.
    fn push(&mut self, object: Object) -> Result<(), Problem> {
        if self.objects.0.len() == MOST_OBJECTS {
            return Err(self.code.damaged("it holds more objects than any that describes weights"));
        }
        self.stack.push(Value::Object(ObjectId(self.objects.0.len())));
        self.objects.0.push(object);
        Ok(())
    }

    fn long_integer(&mut self, length: u64) -> Result<(), Problem> {
        let bytes = self.code.bytes(length)?;
        if bytes.len() > 8 {
            return self.push(Object::LongInteger(bytes));
        }
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut word = [if negative { 0xFF } else { 0 }; 8];
        word[..bytes.len()].copy_from_slice(&bytes);
        self.stack.push(Value::Int(i64::from_le_bytes(word)));
        Ok(())
    }

    fn text(&mut self, length: u64) -> Result<(), Problem> {
        let text = self.code.text(length)?;
        self.push(Object::Text(text))
    }

    fn old_string(&mut self, length: u64) -> Result<(), Problem> {
        let bytes = self.code.bytes(length)?;
        self.push(String::from_utf8(bytes).map_or(Object::Inert, Object::Text))
    }

    fn bytes(&mut self, length: u64) -> Result<(), Problem> {
        self.code.skip(length)?;
        self.push(Object::Inert)
    }

    fn tuple(&mut self, length: usize) -> Result<(), Problem> {
        let mut items = Vec::with_capacity(length);
        for _ in 0..length {
            items.push(self.pop()?);
        }
        items.reverse();
        self.push(Object::Tuple(items))
    }

    /// Adds items to the list on top of the stack.
    fn append(&mut self, items: &[Value]) -> Result<(), Problem> {
        let list = self.top()?;
        match self.objects.get_mut(list) {
            Some(Object::List(list)) => list.extend_from_slice(items),
            Some(Object::Inert) => {}
            _ => return Err(self.code.damaged("items are added to something that is not a list")),
        }
        Ok(())
    }

    /// Adds keys and values, in turns, to the dict on top of the stack.
    fn set_items(&mut self, items: &[Value]) -> Result<(), Problem> {
        let (entries, rest) = items.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(self.code.damaged("a key has no value"));
        }
        let dict = self.top()?;
        match self.objects.get_mut(dict) {
            Some(Object::Dict(dict)) => dict.extend(entries.iter().map(|&[key, value]| (key, value))),
            Some(Object::Inert) => {}
            _ => return Err(self.code.damaged("entries are added to something that is not a dict")),
        }
        Ok(())
    }

    fn remember(&mut self, index: u32) -> Result<(), Problem> {
        let value = self.top()?;
        self.memo.insert(index, value);
        Ok(())
    }

    fn recall(&mut self, index: u32) -> Result<(), Problem> {
        match self.memo.get(&index) {
            Some(&value) => self.stack.push(value),
            None => return Err(self.code.damaged(&format!("the memo has no entry {index}"))),
        }
        Ok(())
    }

    fn call(&mut self, function: Value, arguments: Value) -> Result<(), Problem> {
        match rebuild::call(&self.objects, function, arguments)? {
            rebuild::Outcome::Existing(value) => {
                self.stack.push(value);
                Ok(())
            }
            rebuild::Outcome::New(object) => {
                if let Object::Dict(entries) = &object {
                    self.copied += entries.len() as u64;
                    if self.copied > self.code.position {
                        return Err(self.code.damaged("the same list is made into dicts over and over"));
                    }
                }
                self.push(object)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(code: &[u8]) -> Result<(Value, Objects), Problem> {
        read(code)
    }

    #[test]
    fn integers_of_every_width() {
        let cases: [(&[u8], i64); 8] = [
            (b"K\xFF.", 255),
            (b"M\xFF\xFF.", 65535),
            (b"J\xFF\xFF\xFF\xFF.", -1),
            (b"\x8A\x00.", 0),
            (b"\x8A\x01\xFF.", -1),
            (b"\x8A\x02\xFF\x00.", 255),
            (b"\x8A\x08\x00\x00\x00\x00\x00\x00\x00\x80.", i64::MIN),
            (b"\x8B\x02\x00\x00\x00\x00\x80.", -32768),
        ];
        for (code, expected) in cases {
            let (value, _) = run(code).unwrap();
            assert!(matches!(value, Value::Int(integer) if integer == expected), "{value:?}, not {expected}");
        }
    }

    #[test]
    fn a_dict_filled_after_it_was_remembered() {
        // {'a': [1, 2], 'b': the same list}, as protocol 4 writes it.
        let code = b"\x80\x04\x95\x16\0\0\0\0\0\0\0}\x94(\x8C\x01a\x94]\x94(K\x01K\x02e\x8C\x01b\x94h\x02u.";
        let (value, objects) = run(code).unwrap();
        let entries = objects.dict(value).unwrap();
        let keys: Vec<_> = entries.iter().map(|&(key, _)| objects.text(key).unwrap()).collect();
        assert_eq!(keys, ["a", "b"]);
        for &(_, list) in entries {
            assert!(matches!(objects.items(list), Some([Value::Int(1), Value::Int(2)])));
        }
    }

    #[test]
    fn broken_pickles_are_errors() {
        let cases: [&[u8]; 14] = [
            b"",
            b"K",
            b".",
            b"(.",
            b"t.",
            b"K\x01(\x85.",
            b"h\x07.",
            b"\x80\x09N.",
            b"X\xFF\xFF\xFF\xFFabc.",
            b"\x8D\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFFabc.",
            b"NK\x01a.",
            b"}(K\x01u.",
            b"NQ.",
            b"I1\n.",
        ];
        for code in cases {
            let problem = run(code).unwrap_err();
            assert!(matches!(problem, Problem::Damaged(_)), "{}: {problem}", code.escape_ascii());
        }
    }

    #[test]
    fn nesting_is_no_danger() {
        let mut code = vec![b')'];
        code.extend([0x85].repeat(400_000));
        code.push(b'.');
        drop(run(&code).unwrap());
        code.splice(0..0, [b')'].repeat(200_000));
        run(&code).unwrap_err();
    }

    #[test]
    fn copies_are_bounded() {
        // One list of a thousand pairs, made into a dict a thousand times.
        let mut code = b"](".to_vec();
        code.extend(b"NN\x86".repeat(1000));
        code.extend(b"e\x85q\x01ccollections\nOrderedDict\nq\x02");
        code.extend(b"h\x02h\x01R".repeat(1000));
        code.push(b'.');
        assert!(run(&code).unwrap_err().to_string().contains("over and over"));
    }
}
