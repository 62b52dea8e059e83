//! The coefficients of an image, decoded scan by scan.

use std::ops::RangeInclusive;

use super::entropy::{Bits, Table};
use super::{Tables, ZIGZAG};
use crate::memory::MAX_PIXELS;

/// One colour component.
pub(super) struct Component {
    id: u8,
    /// Its sampling factors: blocks across and down in each MCU (minimum coded unit).
    pub(super) across: usize,
    pub(super) down: usize,
    /// Its blocks across and down, including padding in the last MCUs.
    pub(super) columns: usize,
    rows: usize,
    quantisation_number: usize,
    /// The quantisation table as of its first scan.
    pub(super) quantisation: Option<[u16; 64]>,
    /// Its blocks row by row, with coefficients in natural order.
    pub(super) blocks: Vec<[i16; 64]>,
}

/// An image.
pub(super) struct Frame {
    pub(super) width: usize,
    pub(super) height: usize,
    is_progressive: bool,
    pub(super) components: Vec<Component>,
    /// The largest sampling factors of any component.
    pub(super) most_across: usize,
    pub(super) most_down: usize,
}

impl Frame {
    pub(super) fn read(content: &[u8], is_progressive: bool) -> Option<Self> {
        let &[precision, h1, h2, w1, w2, count, ref rest @ ..] = content else { return None };
        let (height, width) = (usize::from(u16::from_be_bytes([h1, h2])), usize::from(u16::from_be_bytes([w1, w2])));
        let is_covered = precision == 8 && (count == 1 || count == 3) && rest.len() >= 3 * usize::from(count);
        if !is_covered || width == 0 || height == 0 || width * height > MAX_PIXELS {
            return None;
        }
        let parts: Vec<_> = rest.chunks_exact(3).take(usize::from(count)).collect();
        let sampling = |part: &[u8]| (usize::from(part[1] >> 4), usize::from(part[1] & 15));
        if parts.iter().any(|part| !(1..=4).contains(&sampling(part).0) || !(1..=4).contains(&sampling(part).1)) {
            return None;
        }
        let most_across = parts.iter().map(|part| sampling(part).0).max()?;
        let most_down = parts.iter().map(|part| sampling(part).1).max()?;
        let mcus_across = width.div_ceil(8 * most_across);
        let mcus_down = height.div_ceil(8 * most_down);
        let components = parts
            .iter()
            .map(|part| {
                let (across, down) = sampling(part);
                let (columns, rows) = (mcus_across * across, mcus_down * down);
                Component {
                    id: part[0],
                    across,
                    down,
                    columns,
                    rows,
                    quantisation_number: usize::from(part[2]),
                    quantisation: None,
                    blocks: vec![[0; 64]; columns * rows],
                }
            })
            .collect();
        Some(Frame { width, height, is_progressive, components, most_across, most_down })
    }

    /// The component's own size in pixels, rounded up.
    pub(super) fn size_of(&self, component: &Component) -> (usize, usize) {
        let part = |length: usize, own: usize, most: usize| (length * own).div_ceil(most);
        (part(self.width, component.across, self.most_across), part(self.height, component.down, self.most_down))
    }

    /// Stores the current tables in the components whose first scan begins.
    pub(super) fn take_quantisation(&mut self, tables: &[Option<[u16; 64]>; 4]) {
        for component in &mut self.components {
            if component.quantisation.is_none() {
                component.quantisation = tables.get(component.quantisation_number).copied().flatten();
            }
        }
    }

    /// Whether the components have the ids R, G and B.
    pub(super) fn is_named_rgb(&self) -> bool {
        self.components.iter().map(|component| component.id).eq(*b"RGB")
    }
}

/// One scan: a pass over the image.
pub(super) struct Scan {
    /// The indices of its components and of their DC and AC tables.
    parts: Vec<(usize, usize, usize)>,
    /// The first and the last coefficient (spectral selection).
    first: usize,
    last: usize,
    /// The lowest bit of the scan before and of this one (successive approximation).
    high: u32,
    low: u32,
}

/// The state between blocks.
#[derive(Default)]
struct State {
    /// The previous DC value of each component of the scan.
    dc: [i32; 4],
    /// The blocks left in an end-of-band run.
    run: u32,
}

impl Scan {
    pub(super) fn read(content: &[u8], frame: &Frame) -> Option<Self> {
        let (&count, rest) = content.split_first()?;
        let (names, rest) = rest.split_at_checked(2 * usize::from(count))?;
        let &[first, last, bits, ..] = rest else { return None };
        let mut parts = Vec::new();
        for name in names.chunks_exact(2) {
            let component = frame.components.iter().position(|component| component.id == name[0])?;
            parts.push((component, usize::from(name[1] >> 4), usize::from(name[1] & 15)));
        }
        let (first, last) = if frame.is_progressive { (usize::from(first), usize::from(last)) } else { (0, 63) };
        let (high, low) = if frame.is_progressive { (u32::from(bits >> 4), u32::from(bits & 15)) } else { (0, 0) };
        let is_sound = (1..=3).contains(&parts.len())
            && first <= last
            && last < 64
            && low < 14
            && (!frame.is_progressive || (first == 0) == (last == 0))
            && (first == 0 || parts.len() == 1);
        is_sound.then_some(Scan { parts, first, last, high, low })
    }

    /// Decodes the scan; `None` where a table is missing. If its data end early, the rest of it keeps its coefficients.
    pub(super) fn decode(&self, frame: &mut Frame, tables: &Tables, bits: &mut Bits<'_>) -> Option<()> {
        // A scan of one component iterates over its blocks, a scan of several over the MCUs.
        let (columns, rows) = match self.parts.as_slice() {
            &[(component, ..)] => {
                let (width, height) = frame.size_of(&frame.components[component]);
                (width.div_ceil(8), height.div_ceil(8))
            }
            _ => (frame.width.div_ceil(8 * frame.most_across), frame.height.div_ceil(8 * frame.most_down)),
        };
        let mut state = State::default();
        let units = columns * rows;
        for unit in 0..units {
            if unit > 0 && tables.restart_interval > 0 && unit % tables.restart_interval == 0 {
                bits.restart();
                state = State::default();
            }
            if bits.exhausted {
                if tables.restart_interval == 0 {
                    break;
                }
                continue;
            }
            let (x, y) = (unit % columns, unit / columns);
            for (number, &(component, dc, ac)) in self.parts.iter().enumerate() {
                let component = &mut frame.components[component];
                let (across, down) = if self.parts.len() == 1 { (1, 1) } else { (component.across, component.down) };
                for block in 0..across * down {
                    let (column, row) = (x * across + block % across, y * down + block / across);
                    if row >= component.rows || column >= component.columns {
                        return None;
                    }
                    let block = &mut component.blocks[row * component.columns + column];
                    let (dc, ac) = (tables.dc.get(dc)?.as_ref(), tables.ac.get(ac)?.as_ref());
                    if !frame.is_progressive {
                        sequential(block, dc?, ac?, &mut state.dc[number], bits);
                    } else if self.first == 0 {
                        self.progressive_dc(block, dc, &mut state.dc[number], bits)?;
                    } else if self.high == 0 {
                        self.first_ac(block, ac?, &mut state.run, bits);
                    } else {
                        self.refine_ac(block, ac?, &mut state.run, bits);
                    }
                }
            }
        }
        Some(())
    }

    fn progressive_dc(
        &self,
        block: &mut [i16; 64],
        dc: Option<&Table>,
        last: &mut i32,
        bits: &mut Bits<'_>,
    ) -> Option<()> {
        if self.high == 0 {
            let size = u32::from(bits.code(dc?)).min(16);
            *last = last.wrapping_add(bits.signed(size));
            block[0] = (*last << self.low) as i16;
        } else if bits.take(1) == 1 {
            block[0] |= 1 << self.low;
        }
        Some(())
    }

    fn first_ac(&self, block: &mut [i16; 64], ac: &Table, run: &mut u32, bits: &mut Bits<'_>) {
        if *run > 0 {
            *run -= 1;
            return;
        }
        if let Some(ended) = coefficients(block, self.first..=self.last, self.low, ac, bits) {
            *run = (1 << ended) - 1 + bits.take(ended) as u32;
        }
    }

    /// Refines AC coefficients: each non-zero one on the way gets a further bit (T.81, G.1.2.3).
    fn refine_ac(&self, block: &mut [i16; 64], ac: &Table, run: &mut u32, bits: &mut Bits<'_>) {
        let bit = 1i16 << self.low;
        let correct = |value: &mut i16, bits: &mut Bits<'_>| {
            if bits.take(1) == 1 && *value & bit == 0 {
                *value = if *value >= 0 { value.wrapping_add(bit) } else { value.wrapping_sub(bit) };
            }
        };
        let mut position = self.first;
        if *run == 0 {
            while position <= self.last {
                let code = bits.code(ac);
                let (mut zeros, size) = (i32::from(code >> 4), code & 15);
                let mut value = 0;
                if size != 0 {
                    value = if bits.take(1) == 1 { bit } else { -bit };
                } else if zeros < 15 {
                    *run = (1 << zeros) + bits.take(zeros as u32) as u32;
                    break;
                }
                while position <= self.last {
                    let at = &mut block[usize::from(ZIGZAG[position])];
                    if *at != 0 {
                        correct(at, bits);
                    } else {
                        if zeros == 0 {
                            break;
                        }
                        zeros -= 1;
                    }
                    position += 1;
                }
                if value != 0 && position <= self.last {
                    block[usize::from(ZIGZAG[position])] = value;
                }
                position += 1;
            }
        }
        if *run > 0 {
            while position <= self.last {
                let at = &mut block[usize::from(ZIGZAG[position])];
                if *at != 0 {
                    correct(at, bits);
                }
                position += 1;
            }
            *run -= 1;
        }
    }
}

fn sequential(block: &mut [i16; 64], dc: &Table, ac: &Table, last: &mut i32, bits: &mut Bits<'_>) {
    let size = u32::from(bits.code(dc)).min(16);
    *last = last.wrapping_add(bits.signed(size));
    block[0] = *last as i16;
    coefficients(block, 1..=63, 0, ac, bits);
}

/// Decodes run-length coded coefficients into zigzag `positions` (T.81, F.1.2.2). If an end-of-block code comes before the last
/// position, returns its run category, below 15: in progressive files the number of bits of the run that follow, in others 0.
#[inline(always)]
fn coefficients(
    block: &mut [i16; 64],
    positions: RangeInclusive<usize>,
    low: u32,
    ac: &Table,
    bits: &mut Bits<'_>,
) -> Option<u32> {
    let (mut position, last) = positions.into_inner();
    while position <= last {
        let code = bits.code(ac);
        let (zeros, size) = (u32::from(code >> 4), u32::from(code & 15));
        if size == 0 {
            if zeros < 15 {
                return Some(zeros);
            }
            position += 16;
            continue;
        }
        position += zeros as usize;
        let value = bits.signed(size);
        if position > last {
            return None;
        }
        block[usize::from(ZIGZAG[position])] = (value << low) as i16;
        position += 1;
    }
    None
}
