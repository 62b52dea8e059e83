//! Changes of pixel values.

use crate::size::Size;

/// Values times 1 + `contrast` plus 255 times `brightness`, clamped to black and white and rounded down, as in albumentations'
/// lookup table.
pub(super) fn brightness_contrast(pixels: &mut [u8], brightness: f32, contrast: f32) {
    let table: [u8; 256] =
        std::array::from_fn(|value| (value as f32 * (1.0 + contrast) + 255.0 * brightness).clamp(0.0, 255.0) as u8);
    pixels.iter_mut().for_each(|value| *value = table[usize::from(*value)]);
}

/// OpenCV's `blur`: the mean over a square of `side` pixels, with reflected edges. Sums along the rows come first, then along the
/// columns.
pub(super) fn blur(pixels: &mut [u8], size: Size, side: usize) {
    let Size { height, width } = size;
    let reach = (side / 2) as isize;
    let columns: Vec<usize> = (-reach..width as isize + reach).map(|x| reflected(x, width)).collect();
    let rows: Vec<usize> = (-reach..height as isize + reach).map(|y| reflected(y, height)).collect();
    let mut sums = vec![0u32; pixels.len()];
    for (row, sums) in pixels.chunks_exact(width * 3).zip(sums.chunks_exact_mut(width * 3)) {
        for x in 0..width {
            for channel in 0..3 {
                sums[x * 3 + channel] =
                    columns[x..x + side].iter().map(|column| u32::from(row[column * 3 + channel])).sum();
            }
        }
    }
    let area = (side * side) as f32;
    let mut sum = vec![0u32; width * 3];
    for (y, row) in pixels.chunks_exact_mut(width * 3).enumerate() {
        sum.fill(0);
        for from in &rows[y..y + side] {
            let from = &sums[from * width * 3..(from + 1) * width * 3];
            sum.iter_mut().zip(from).for_each(|(sum, value)| *sum += value);
        }
        row.iter_mut().zip(&sum).for_each(|(value, sum)| *value = (*sum as f32 / area).round_ties_even() as u8);
    }
}

/// The position within `0..length` of a position beyond the edges, reflected at the outermost pixels: OpenCV's
/// `BORDER_REFLECT_101`.
pub(super) fn reflected(position: isize, length: usize) -> usize {
    let last = length as isize - 1;
    if last == 0 {
        return 0;
    }
    let within = position.rem_euclid(2 * last);
    (if within > last { 2 * last - within } else { within }) as usize
}
