//! An interpreter of pickles that executes nothing.
//!
//! A pickle is a program for a stack machine. This one knows the instructions that Python's pickler emits for protocols 2 to 5
//! (`pickletools.py` in CPython describes them all). It builds plain data, and [`rebuild`](super::rebuild) interprets the few
//! functions and classes of [`globals`](super::globals).
//!
//! A hostile pickle cannot exhaust the call stack, because objects refer to each other by index and nothing here recurses. Nor
//! can it exhaust the memory, because no instruction allocates more than a few words and the pickle's length is bounded.

mod code;
mod machine;
mod opcode;

use std::io::Read;

pub(super) use self::code::MAX_LENGTH;
use self::machine::Machine;
use super::objects::{Objects, Value};
use crate::error::Problem;

/// Reads one pickle from `file`, up to its end: its value, and the objects that it refers to.
pub(super) fn read<R: Read>(file: R) -> Result<(Value, Objects), Problem> {
    Machine::new(file).run()
}

#[cfg(test)]
mod tests;
