//! The stack machine.

use std::collections::HashMap;
use std::io::Read;

use super::code::Code;
use super::opcode;
use crate::error::Problem;
use crate::torch::globals;
use crate::torch::objects::{Object, Objects, Value};
use crate::torch::rebuild;

pub(super) struct Machine<R> {
    code: Code<R>,
    stack: Vec<Value>,
    /// The height of the stack at each open mark.
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    objects: Objects,
    /// Entries copied from one container to another: the only work that could outgrow the pickle.
    copied: u64,
}

impl<R: Read> Machine<R> {
    pub(super) fn new(file: R) -> Self {
        Machine {
            code: Code::new(file),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            objects: Objects::default(),
            copied: 0,
        }
    }

    /// Runs up to the instruction that ends the pickle.
    pub(super) fn run(mut self) -> Result<(Value, Objects), Problem> {
        loop {
            let instruction = self.code.byte()?;
            if instruction == opcode::STOP {
                return Ok((self.pop()?, self.objects));
            }
            let is_known = self.control(instruction)?
                || self.literal(instruction)?
                || self.string(instruction)?
                || self.container(instruction)?
                || self.memo(instruction)?
                || self.object(instruction)?;
            if !is_known {
                let what = format!("there is an instruction, {instruction:#04x}, that torch.save does not use");
                return Err(self.code.damaged(&what));
            }
        }
    }

    // Each group executes the instruction and returns true if it is one of its own.

    fn control(&mut self, instruction: u8) -> Result<bool, Problem> {
        match instruction {
            opcode::PROTO => match self.code.byte()? {
                0..=5 => {}
                protocol => return Err(self.code.damaged(&format!("it claims protocol {protocol}"))),
            },
            opcode::FRAME => self.code.skip(8)?,
            opcode::MARK => self.marks.push(self.stack.len()),
            opcode::POP => drop(self.pop()?),
            opcode::POP_MARK => drop(self.pop_to_mark()?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn literal(&mut self, instruction: u8) -> Result<bool, Problem> {
        match instruction {
            opcode::NONE => self.stack.push(Value::None),
            opcode::NEWTRUE => self.stack.push(Value::Bool(true)),
            opcode::NEWFALSE => self.stack.push(Value::Bool(false)),
            opcode::BININT => {
                let integer = i32::from_le_bytes(self.code.array()?);
                self.push_integer(integer);
            }
            opcode::BININT1 => {
                let integer = self.code.byte()?;
                self.push_integer(integer);
            }
            opcode::BININT2 => {
                let integer = u16::from_le_bytes(self.code.array()?);
                self.push_integer(integer);
            }
            opcode::LONG1 => {
                let length = self.code.length1()?;
                self.push_long_integer(length)?;
            }
            opcode::LONG4 => {
                let length = self.code.length4()?;
                self.push_long_integer(length)?;
            }
            opcode::BINFLOAT => {
                self.code.skip(8)?;
                self.stack.push(Value::Float);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn string(&mut self, instruction: u8) -> Result<bool, Problem> {
        let length = match instruction {
            opcode::SHORT_BINUNICODE | opcode::SHORT_BINSTRING | opcode::SHORT_BINBYTES => self.code.length1()?,
            opcode::BINUNICODE | opcode::BINSTRING | opcode::BINBYTES => self.code.length4()?,
            opcode::BINUNICODE8 | opcode::BINBYTES8 | opcode::BYTEARRAY8 => self.code.length8()?,
            _ => return Ok(false),
        };
        match instruction {
            opcode::SHORT_BINUNICODE | opcode::BINUNICODE | opcode::BINUNICODE8 => self.push_text(length)?,
            opcode::SHORT_BINSTRING | opcode::BINSTRING => self.push_old_string(length)?,
            _ => self.push_bytes(length)?,
        }
        Ok(true)
    }

    fn container(&mut self, instruction: u8) -> Result<bool, Problem> {
        match instruction {
            opcode::EMPTY_TUPLE => self.push_tuple(0)?,
            opcode::TUPLE1 => self.push_tuple(1)?,
            opcode::TUPLE2 => self.push_tuple(2)?,
            opcode::TUPLE3 => self.push_tuple(3)?,
            opcode::TUPLE => {
                let items = self.pop_to_mark()?;
                self.push(Object::Tuple(items))?;
            }
            opcode::EMPTY_LIST => self.push(Object::List(Vec::new()))?,
            opcode::APPEND => {
                let item = self.pop()?;
                self.append(&[item])?;
            }
            opcode::APPENDS | opcode::ADDITEMS => {
                let items = self.pop_to_mark()?;
                self.append(&items)?;
            }
            opcode::EMPTY_DICT => self.push(Object::Dict(Vec::new()))?,
            opcode::SETITEM => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set_items(&[key, value])?;
            }
            opcode::SETITEMS => {
                let items = self.pop_to_mark()?;
                self.set_items(&items)?;
            }
            opcode::EMPTY_SET => self.push(Object::Inert)?,
            opcode::FROZENSET => {
                self.pop_to_mark()?;
                self.push(Object::Inert)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn memo(&mut self, instruction: u8) -> Result<bool, Problem> {
        match instruction {
            opcode::BINPUT => {
                let index = self.code.byte()?.into();
                self.memoize(index)?;
            }
            opcode::LONG_BINPUT => {
                let index = u32::from_le_bytes(self.code.array()?);
                self.memoize(index)?;
            }
            opcode::MEMOIZE => {
                let index = u32::try_from(self.memo.len()).map_err(|_| self.code.damaged("its memo is full"))?;
                self.memoize(index)?;
            }
            opcode::BINGET => {
                let index = self.code.byte()?.into();
                self.push_memo(index)?;
            }
            opcode::LONG_BINGET => {
                let index = u32::from_le_bytes(self.code.array()?);
                self.push_memo(index)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn object(&mut self, instruction: u8) -> Result<bool, Problem> {
        match instruction {
            opcode::GLOBAL => {
                let (module, name) = (self.code.line()?, self.code.line()?);
                self.stack.push(Value::Global(globals::find(&module, &name)?));
            }
            opcode::STACK_GLOBAL => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Some(module), Some(name)) = (self.objects.text(module), self.objects.text(name)) else {
                    return Err(self.code.damaged("the name of a Python object is not a string"));
                };
                self.stack.push(Value::Global(globals::find(module, name)?));
            }
            opcode::REDUCE | opcode::NEWOBJ => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                self.call(function, arguments)?;
            }
            opcode::NEWOBJ_EX => {
                let (_keywords, arguments, class) = (self.pop()?, self.pop()?, self.pop()?);
                self.call(class, arguments)?;
            }
            // The state of an object: the versions of the modules of a state dict, or attributes of a tensor.
            opcode::BUILD => drop(self.pop()?),
            opcode::BINPERSID => {
                let id = self.pop()?;
                let storage = rebuild::storage(&self.objects, id)?;
                self.push(Object::Storage(Box::new(storage)))?;
            }
            _ => return Ok(false),
        }
        Ok(true)
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

    /// The value on top of the stack, without removing it.
    fn top(&self) -> Result<Value, Problem> {
        self.stack.last().copied().ok_or_else(|| self.code.damaged("a value is missing"))
    }

    /// Pushes a new object.
    fn push(&mut self, object: Object) -> Result<(), Problem> {
        let too_many = || self.code.damaged("it holds more objects than any pickle of weights");
        let value = self.objects.add(object).ok_or_else(too_many)?;
        self.stack.push(value);
        Ok(())
    }

    fn push_integer(&mut self, value: impl Into<i64>) {
        self.stack.push(Value::Int(value.into()));
    }

    fn push_long_integer(&mut self, length: u64) -> Result<(), Problem> {
        let bytes = self.code.bytes(length)?;
        if bytes.len() > 8 {
            return self.push(Object::LongInteger(bytes));
        }
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut word = [if negative { 0xFF } else { 0 }; 8];
        word[..bytes.len()].copy_from_slice(&bytes);
        self.push_integer(i64::from_le_bytes(word));
        Ok(())
    }

    fn push_text(&mut self, length: u64) -> Result<(), Problem> {
        let text = self.code.text(length)?;
        self.push(Object::Text(text))
    }

    /// Pushes a string of Python 2, which may be text or bytes.
    fn push_old_string(&mut self, length: u64) -> Result<(), Problem> {
        let bytes = self.code.bytes(length)?;
        self.push(String::from_utf8(bytes).map_or(Object::Inert, Object::Text))
    }

    fn push_bytes(&mut self, length: u64) -> Result<(), Problem> {
        self.code.skip(length)?;
        self.push(Object::Inert)
    }

    fn push_tuple(&mut self, length: usize) -> Result<(), Problem> {
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

    /// Adds alternating keys and values to the dict on top of the stack.
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

    fn memoize(&mut self, index: u32) -> Result<(), Problem> {
        let value = self.top()?;
        self.memo.insert(index, value);
        Ok(())
    }

    fn push_memo(&mut self, index: u32) -> Result<(), Problem> {
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
