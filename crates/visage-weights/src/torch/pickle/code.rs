//! The bytes of a pickle.

use std::io::{self, Read};

use crate::error::Problem;

/// The longest pickle that is read, in bytes. A network of a thousand tensors takes about 150 KB, training state included.
pub(crate) const MAX_LENGTH: u64 = 16 << 20;

/// A reader that counts the bytes of a pickle.
pub(super) struct Code<R> {
    file: R,
    pub(super) position: u64,
}

impl<R: Read> Code<R> {
    pub(super) fn new(file: R) -> Self {
        Code { file, position: 0 }
    }

    pub(super) fn array<const SIZE: usize>(&mut self) -> Result<[u8; SIZE], Problem> {
        self.advance(SIZE as u64)?;
        let mut bytes = [0; SIZE];
        self.file.read_exact(&mut bytes).map_err(ended)?;
        Ok(bytes)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Problem> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn bytes(&mut self, length: u64) -> Result<Vec<u8>, Problem> {
        self.advance(length)?;
        let mut bytes = Vec::new();
        self.file.by_ref().take(length).read_to_end(&mut bytes)?;
        if bytes.len() as u64 == length { Ok(bytes) } else { Err(ended(io::ErrorKind::UnexpectedEof.into())) }
    }

    pub(super) fn skip(&mut self, length: u64) -> Result<(), Problem> {
        self.advance(length)?;
        let skipped = io::copy(&mut self.file.by_ref().take(length), &mut io::sink())?;
        if skipped == length { Ok(()) } else { Err(ended(io::ErrorKind::UnexpectedEof.into())) }
    }

    /// A length of one byte.
    pub(super) fn length1(&mut self) -> Result<u64, Problem> {
        self.byte().map(u64::from)
    }

    /// A length of four bytes.
    pub(super) fn length4(&mut self) -> Result<u64, Problem> {
        self.array().map(u32::from_le_bytes).map(u64::from)
    }

    /// A length of eight bytes.
    pub(super) fn length8(&mut self) -> Result<u64, Problem> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn text(&mut self, length: u64) -> Result<String, Problem> {
        String::from_utf8(self.bytes(length)?).map_err(|_| self.damaged("a string is not UTF-8"))
    }

    /// The text up to the end of the line, without the line end.
    pub(super) fn line(&mut self) -> Result<String, Problem> {
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
            Some(position) if position <= MAX_LENGTH => {
                self.position = position;
                Ok(())
            }
            _ => Err(self.damaged("it is longer than any that describes weights")),
        }
    }

    pub(super) fn damaged(&self, what: &str) -> Problem {
        Problem::Damaged(format!("at byte {} of its pickle, {what}", self.position))
    }
}

fn ended(error: io::Error) -> Problem {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Problem::Damaged("it ends in the middle of its pickle".to_owned()),
        _ => error.into(),
    }
}
