//! From coefficients to RGB.

use image::RgbImage;

use super::frame::{Component, Frame};
use super::{Tables, transform};

/// The samples of one component, at its own size.
struct Plane {
    width: usize,
    height: usize,
    stride: usize,
    values: Vec<u8>,
}

impl Plane {
    fn row(&self, row: usize) -> &[u8] {
        &self.values[row * self.stride..][..self.width]
    }
}

/// The image as RGB.
pub(super) fn image(frame: &Frame, tables: &Tables) -> Option<RgbImage> {
    let planes = frame.components.iter().map(|component| plane(frame, component)).collect::<Option<Vec<_>>>()?;
    let Frame { width, height, .. } = *frame;
    let mut pixels = vec![0; width * height * 3];
    if let [grey] = planes.as_slice() {
        for (row, out) in pixels.chunks_exact_mut(width * 3).enumerate() {
            out.as_chunks_mut::<3>().0.iter_mut().zip(grey.row(row)).for_each(|(pixel, &level)| *pixel = [level; 3]);
        }
        return RgbImage::from_raw(width as u32, height as u32, pixels);
    }
    let is_rgb = match tables.adobe_transform {
        _ if tables.is_jfif => false,
        Some(transform) => transform == 0,
        None => frame.is_named_rgb(),
    };
    let colours = ColourTables::new();
    let mut lines = [vec![0; width], vec![0; width], vec![0; width]];
    let mut sums = Vec::new();
    for (row, out) in pixels.chunks_exact_mut(width * 3).enumerate() {
        for ((line, plane), component) in lines.iter_mut().zip(&planes).zip(&frame.components) {
            upsample(frame, component, plane, row, line, &mut sums);
        }
        let [first, second, third] = &lines;
        for (((pixel, &y), &cb), &cr) in out.as_chunks_mut::<3>().0.iter_mut().zip(first).zip(second).zip(third) {
            *pixel = if is_rgb { [y, cb, cr] } else { colours.rgb(y, cb, cr) };
        }
    }
    RgbImage::from_raw(width as u32, height as u32, pixels)
}

fn plane(frame: &Frame, component: &Component) -> Option<Plane> {
    let quantisation = component.quantisation.as_ref()?;
    let stride = component.columns * 8;
    let mut values = vec![0; component.blocks.len() * 64];
    for (index, block) in component.blocks.iter().enumerate() {
        let start = index / component.columns * 8 * stride + index % component.columns * 8;
        transform::block(block, quantisation, &mut values, start, stride);
    }
    let (width, height) = frame.size_of(component);
    Some(Plane { width, height, stride, values })
}

/// One row of a component, upsampled to the size of the image (`jdsample.c`): by a triangle filter where its factor is 2, by
/// repetition otherwise and in very narrow images.
fn upsample(frame: &Frame, component: &Component, plane: &Plane, row: usize, line: &mut [u8], sums: &mut Vec<u16>) {
    let (across, down) = (frame.most_across / component.across, frame.most_down / component.down);
    let is_whole = frame.most_across.is_multiple_of(component.across) && frame.most_down.is_multiple_of(component.down);
    let own_row = (row * component.down / frame.most_down).min(plane.height - 1);
    let near = plane.row(own_row);
    // The row with a weight of a quarter: the one above for even rows, the one below for odd rows.
    let other = || {
        let other = if row.is_multiple_of(2) { own_row.saturating_sub(1) } else { (own_row + 1).min(plane.height - 1) };
        plane.row(other)
    };
    match (across, down) {
        _ if !is_whole => {
            for (x, value) in line.iter_mut().enumerate() {
                *value = near[(x * component.across / frame.most_across).min(plane.width - 1)];
            }
        }
        (1, 1) => line.copy_from_slice(&near[..line.len()]),
        (2, 1) if plane.width > 2 => {
            sums.clear();
            sums.extend(near.iter().map(|&near| u16::from(near)));
            double::<2>(sums, [1, 2], line);
        }
        (1, 2) => {
            let bias = if row.is_multiple_of(2) { 1 } else { 2 };
            for ((value, &near), &far) in line.iter_mut().zip(near).zip(other()) {
                *value = ((3 * u16::from(near) + u16::from(far) + bias) >> 2) as u8;
            }
        }
        (2, 2) if plane.width > 2 => {
            sums.clear();
            sums.extend(near.iter().zip(other()).map(|(&near, &far)| 3 * u16::from(near) + u16::from(far)));
            double::<4>(sums, [8, 7], line);
        }
        _ => line.iter_mut().enumerate().for_each(|(x, value)| *value = near[(x / across).min(plane.width - 1)]),
    }
}

/// Twice as many values: three quarters of the nearer one and a quarter of the other, which is itself at the ends. The results are
/// shifted right by `SHIFT`; `biases` are added before, to the even and to the odd ones.
fn double<const SHIFT: u32>(values: &[u16], biases: [u16; 2], line: &mut [u8]) {
    let last = values.len() - 1;
    let pair = |before: u16, own: u16, after: u16| {
        [3 * own + before + biases[0], 3 * own + after + biases[1]].map(|sum| (sum >> SHIFT) as u8)
    };
    let at_end = |own: usize| pair(values[own.saturating_sub(1)], values[own], values[(own + 1).min(last)]);
    let (pairs, odd) = line.as_chunks_mut::<2>();
    if let Some(value) = odd.first_mut() {
        [*value, _] = at_end(pairs.len());
    }
    let Some((first, rest)) = pairs.split_first_mut() else { return };
    *first = at_end(0);
    for (out, window) in rest.iter_mut().zip(values.windows(3)) {
        *out = pair(window[0], window[1], window[2]);
    }
    if let Some(out) = rest.get_mut(last - 1) {
        *out = at_end(last);
    }
}

/// The tables of the conversion from YCbCr to RGB (`jdcolor.c`).
pub(crate) struct ColourTables {
    red: [i16; 256],
    blue: [i16; 256],
    green_of_cr: [i32; 256],
    green_of_cb: [i32; 256],
}

impl ColourTables {
    pub(crate) fn new() -> Self {
        // 1.402, 1.772, 0.71414 and 0.34414 times 65536.
        let table = |factor: i32| std::array::from_fn(|value| ((factor * (value as i32 - 128) + 32768) >> 16) as i16);
        ColourTables {
            red: table(91881),
            blue: table(116130),
            green_of_cr: std::array::from_fn(|value| -46802 * (value as i32 - 128)),
            green_of_cb: std::array::from_fn(|value| -22554 * (value as i32 - 128) + 32768),
        }
    }

    #[inline(always)]
    pub(crate) fn rgb(&self, y: u8, cb: u8, cr: u8) -> [u8; 3] {
        let (y, cb, cr) = (i32::from(y), usize::from(cb), usize::from(cr));
        let green = (self.green_of_cb[cb] + self.green_of_cr[cr]) >> 16;
        [y + i32::from(self.red[cr]), y + green, y + i32::from(self.blue[cb])].map(|value| value.clamp(0, 255) as u8)
    }
}
