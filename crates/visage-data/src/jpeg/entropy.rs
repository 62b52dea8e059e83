//! Huffman codes and the bits they are read from.

/// Codes up to this long are looked up; longer ones, which are rare, are searched for.
const QUICK: u32 = 9;

/// A Huffman table (T.81, annex C).
pub(super) struct Table {
    /// For each beginning of `QUICK` bits the code's length and value; length 0 where the code is longer.
    quick: Box<[(u8, u8); 1 << QUICK]>,
    /// For each length the first code past those of that length, aligned to 16 bits; 0 where there is none.
    ends: [u32; 17],
    /// For each length what to add to a code to get the place of its value.
    offsets: [i32; 17],
    values: Vec<u8>,
}

impl Table {
    pub(super) fn new(counts: &[u8; 16], values: &[u8]) -> Option<Self> {
        let mut table =
            Table { quick: Box::new([(0, 0); 1 << QUICK]), ends: [0; 17], offsets: [0; 17], values: values.to_vec() };
        let (mut code, mut place) = (0u32, 0usize);
        for length in 1..=16u32 {
            let count = usize::from(counts[length as usize - 1]);
            table.offsets[length as usize] = place as i32 - code as i32;
            for _ in 0..count {
                if length <= QUICK {
                    let first = (code << (QUICK - length)) as usize;
                    table.quick.get_mut(first..first + (1 << (QUICK - length)))?.fill((length as u8, values[place]));
                }
                code += 1;
                place += 1;
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

/// The bits of a scan. Past its end come zeros, as in libjpeg.
pub(super) struct Bits<'a> {
    file: &'a [u8],
    at: usize,
    buffer: u64,
    held: u32,
    /// Whether bits were asked for that are not there.
    pub(super) exhausted: bool,
}

impl<'a> Bits<'a> {
    pub(super) fn new(file: &'a [u8]) -> Self {
        Bits { file, at: 0, buffer: 0, held: 0, exhausted: false }
    }

    /// What follows the scan.
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.file[self.at..]
    }

    /// Fills the buffer as far as there is data before the next marker.
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
                // The buffer holds zeros beyond its bits.
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

    /// A number of `size` bits, the lower half of which are negative (T.81, F.2.2.1).
    pub(super) fn signed(&mut self, size: u32) -> i32 {
        let value = self.take(size);
        if size > 0 && value < 1 << (size - 1) { value - (1 << size) + 1 } else { value }
    }

    /// The value of the next code; 0 for one that is none, as in libjpeg.
    pub(super) fn code(&mut self, table: &Table) -> u8 {
        self.need(16.min(self.held.max(1)));
        if self.held < 16 {
            self.fill();
        }
        let (length, value) = table.quick[(self.buffer >> (64 - QUICK)) as usize];
        if length > 0 {
            self.need(u32::from(length));
            self.drop_bits(u32::from(length));
            return value;
        }
        let ahead = (self.buffer >> 48) as u32;
        for length in QUICK + 1..=16 {
            if ahead < table.ends[length as usize] {
                self.need(length);
                self.drop_bits(length);
                let place = (ahead >> (16 - length)) as i32 + table.offsets[length as usize];
                return usize::try_from(place).ok().and_then(|place| table.values.get(place)).copied().unwrap_or(0);
            }
        }
        self.need(16);
        self.drop_bits(16);
        0
    }

    /// Goes on after the restart marker that should be here. What is left of the part before it is dropped.
    pub(super) fn restart(&mut self) {
        (self.buffer, self.held) = (0, 0);
        let rest = &self.file[self.at..];
        let next = rest.windows(2).position(|pair| pair[0] == 0xFF && pair[1] != 0 && pair[1] != 0xFF);
        match next {
            Some(place) if (0xD0..=0xD7).contains(&rest[place + 1]) => {
                self.at += place + 2;
                self.exhausted = false;
            }
            // The end, or another marker: nothing more comes.
            Some(place) => self.at += place,
            None => self.at = self.file.len(),
        }
    }
}
