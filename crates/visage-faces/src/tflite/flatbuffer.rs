//! Reading FlatBuffers (<https://flatbuffers.dev/internals/>), as far as TensorFlow Lite's files need it. Every read is checked.

/// A table: a position in the file, and its virtual table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table<'a> {
    file: &'a [u8],
    at: usize,
}

impl<'a> Table<'a> {
    /// The root table of a file.
    pub(super) fn root(file: &'a [u8]) -> Option<Self> {
        Some(Table { file, at: offset(file, 0)? })
    }

    /// The position of the field `index`; `None` if it has its default.
    fn field(&self, index: usize) -> Option<usize> {
        let back = i32::from_le_bytes(array(self.file, self.at)?);
        let virtual_table = usize::try_from(i64::try_from(self.at).ok()? - i64::from(back)).ok()?;
        let length = usize::from(u16::from_le_bytes(array(self.file, virtual_table)?));
        let entry = 4 + 2 * index;
        if entry + 2 > length {
            return None;
        }
        let offset = usize::from(u16::from_le_bytes(array(self.file, virtual_table + entry)?));
        (offset > 0).then(|| self.at + offset)
    }

    pub(super) fn i8(&self, index: usize) -> i8 {
        let byte = self.field(index).and_then(|at| self.file.get(at));
        byte.map_or(0, |byte| i8::from_le_bytes([*byte]))
    }

    pub(super) fn i32(&self, index: usize) -> i32 {
        self.field(index).and_then(|at| array(self.file, at)).map_or(0, i32::from_le_bytes)
    }

    pub(super) fn u32(&self, index: usize) -> u32 {
        self.field(index).and_then(|at| array(self.file, at)).map_or(0, u32::from_le_bytes)
    }

    pub(super) fn table(&self, index: usize) -> Option<Table<'a>> {
        let at = self.field(index)?;
        Some(Table { file: self.file, at: at.checked_add(offset(self.file, at)?)? })
    }

    /// The start of a vector of `size` bytes an element, and its bytes; none if it is absent.
    fn vector(&self, index: usize, size: usize) -> Option<(usize, &'a [u8])> {
        let Some(at) = self.field(index) else { return Some((0, &[])) };
        let start = at.checked_add(offset(self.file, at)?)?;
        let length = offset(self.file, start)?;
        Some((start + 4, self.file.get(start + 4..)?.get(..length.checked_mul(size)?)?))
    }

    pub(super) fn bytes(&self, index: usize) -> Option<&'a [u8]> {
        Some(self.vector(index, 1)?.1)
    }

    pub(super) fn integers(&self, index: usize) -> Option<Vec<i32>> {
        let (integers, _) = self.vector(index, 4)?.1.as_chunks::<4>();
        Some(integers.iter().map(|bytes| i32::from_le_bytes(*bytes)).collect())
    }

    pub(super) fn tables(&self, index: usize) -> Option<Vec<Table<'a>>> {
        let (start, bytes) = self.vector(index, 4)?;
        let table = |number: usize| {
            let at = start + 4 * number;
            Some(Table { file: self.file, at: at.checked_add(offset(self.file, at)?)? })
        };
        (0..bytes.len() / 4).map(table).collect()
    }
}

fn array<const N: usize>(file: &[u8], at: usize) -> Option<[u8; N]> {
    file.get(at..)?.first_chunk().copied()
}

/// The unsigned offset or length at a position.
fn offset(file: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(array(file, at)?)).ok()
}
