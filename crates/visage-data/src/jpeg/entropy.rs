//! Huffman decoding.

/// Codes of at most this length are decoded by table lookup; longer ones are rare and are searched.
const LOOKUP_BITS: u32 = 9;

/// A Huffman table (T.81, annex C).
pub(super) struct Table {
    /// For each prefix of `LOOKUP_BITS` bits the code's length and value; length 0 where the code is longer.
    lookup: Box<[(u8, u8); 1 << LOOKUP_BITS]>,
    /// For each length the end of its codes, aligned to 16 bits; 0 where there are none.
    ends: [u32; 17],
    /// For each length the offset from a code to the index of its value.
    offsets: [i32; 17],
    values: Vec<u8>,
}

impl Table {
    pub(super) fn new(counts: &[u8; 16], values: &[u8]) -> Option<Self> {
        let mut table = Table {
            lookup: Box::new([(0, 0); 1 << LOOKUP_BITS]),
            ends: [0; 17],
            offsets: [0; 17],
            values: values.to_vec(),
        };
        let (mut code, mut index) = (0u32, 0usize);
        for length in 1..=16u32 {
            let count = usize::from(counts[length as usize - 1]);
            table.offsets[length as usize] = index as i32 - code as i32;
            for _ in 0..count {
                if length <= LOOKUP_BITS {
                    let first = (code << (LOOKUP_BITS - length)) as usize;
                    table
                        .lookup
                        .get_mut(first..first + (1 << (LOOKUP_BITS - length)))?
                        .fill((length as u8, values[index]));
                }
                code += 1;
                index += 1;
            }
            if code > 1 << length {
                return None;
            }
            table.ends[length as usize] = if count > 0 { code << (16 - length) } else { 0 };
            code <<= 1;
        }
        Some(table)
    }
}

/// The bits of a scan, followed by zeros, as in libjpeg.
pub(super) struct Bits<'a> {
    file: &'a [u8],
    at: usize,
    buffer: u64,
    held: u32,
    /// Whether bits past the end were read.
    pub(super) exhausted: bool,
}

impl<'a> Bits<'a> {
    pub(super) fn new(file: &'a [u8]) -> Self {
        Bits { file, at: 0, buffer: 0, held: 0, exhausted: false }
    }

    /// The file after the scan.
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.file[self.at..]
    }

    /// Fills the buffer from the data before the next marker.
    fn fill(&mut self) {
        while self.held <= 56 {
            let byte = match (self.file.get(self.at), self.file.get(self.at + 1)) {
                (Some(0xFF), Some(0)) => {
                    self.at += 2;
                    0xFF
                }
                (Some(0xFF), _) | (None, _) => return,
                (Some(&byte), _) => {
                    self.at += 1;
                    byte
                }
            };
            self.buffer |= u64::from(byte) << (56 - self.held);
            self.held += 8;
        }
    }

    fn need(&mut self, count: u32) {
        if self.held < count {
            self.fill();
            if self.held < count {
                // The buffer is zero beyond its bits.
                self.exhausted = true;
                self.held = 64;
            }
        }
    }

    fn drop_bits(&mut self, count: u32) {
        self.buffer <<= count;
        self.held -= count;
    }

    /// The next `count` bits, up to 16.
    pub(super) fn take(&mut self, count: u32) -> i32 {
        if count == 0 {
            return 0;
        }
        self.need(count);
        let value = (self.buffer >> (64 - count)) as i32;
        self.drop_bits(count);
        value
    }

    /// A signed number of `size` bits; the lower half of the range stands for negative numbers (T.81, F.2.2.1).
    pub(super) fn signed(&mut self, size: u32) -> i32 {
        let value = self.take(size);
        if size > 0 && value < 1 << (size - 1) { value - (1 << size) + 1 } else { value }
    }

    /// The value of the next code; 0 for an invalid code, as in libjpeg.
    pub(super) fn code(&mut self, table: &Table) -> u8 {
        self.need(16.min(self.held.max(1)));
        if self.held < 16 {
            self.fill();
        }
        let (length, value) = table.lookup[(self.buffer >> (64 - LOOKUP_BITS)) as usize];
        if length > 0 {
            self.need(u32::from(length));
            self.drop_bits(u32::from(length));
            return value;
        }
        let ahead = (self.buffer >> 48) as u32;
        for length in LOOKUP_BITS + 1..=16 {
            if ahead < table.ends[length as usize] {
                self.need(length);
                self.drop_bits(length);
                let index = (ahead >> (16 - length)) as i32 + table.offsets[length as usize];
                return usize::try_from(index).ok().and_then(|index| table.values.get(index)).copied().unwrap_or(0);
            }
        }
        self.need(16);
        self.drop_bits(16);
        0
    }

    /// Continues after the next restart marker and drops the bits before it.
    pub(super) fn restart(&mut self) {
        (self.buffer, self.held) = (0, 0);
        let rest = &self.file[self.at..];
        let next = rest.windows(2).position(|pair| pair[0] == 0xFF && pair[1] != 0 && pair[1] != 0xFF);
        match next {
            Some(position) if (0xD0..=0xD7).contains(&rest[position + 1]) => {
                self.at += position + 2;
                self.exhausted = false;
            }
            // Another marker: the scan has ended.
            Some(position) => self.at += position,
            None => self.at = self.file.len(),
        }
    }
}
