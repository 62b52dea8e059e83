//! Text below an image.

use tiny_skia::{Color, FillRule, Paint, Pixmap, Transform};

use crate::font;

/// Font size, as a share of the image's width.
const SIZE: f64 = 0.045;
/// The smallest font size, in pixels.
const LEAST_SIZE: f64 = 12.0;
const LINE: f64 = 1.35;
/// The smallest width for text; a smaller image is enlarged by a whole factor to at least this width.
const LEAST_WIDTH: usize = 220;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captioned {
    /// RGB, one byte a value, row by row.
    pub pixels: Vec<u8>,
    pub width: usize,
    pub height: usize,
}

/// Draws `lines` in white on black below an image, RGB of `width * height * 3` bytes. Lines that are too long are truncated.
///
/// # Panics
///
/// If there are not as many bytes as `width` and `height` say.
pub fn captioned(pixels: Vec<u8>, width: usize, height: usize, lines: &[String]) -> Captioned {
    assert_eq!(pixels.len(), width * height * 3, "an image of {width}x{height}");
    let factor = if width == 0 { 1 } else { LEAST_WIDTH.div_ceil(width) };
    let mut pixels = if factor == 1 { pixels } else { enlarged(&pixels, width, factor) };
    let (width, height) = (width * factor, height * factor);
    let size = (width as f64 * SIZE).max(LEAST_SIZE);
    let below = if lines.is_empty() { 0.0 } else { ((lines.len() as f64 + 0.5) * LINE * size).ceil() };
    let Some(mut strip) = Pixmap::new(width as u32, below as u32) else { return Captioned { pixels, width, height } };
    strip.fill(Color::BLACK);
    let mut paint = Paint::default();
    paint.set_color(Color::WHITE);
    paint.anti_alias = true;
    for (number, line) in lines.iter().enumerate() {
        let fitted = font::fitted(line, size, false, width as f64 - size);
        let baseline = ((number as f64 + 1.0) * LINE * size) as f32;
        if let Some(letters) = font::outline(&fitted, size, false) {
            let place = Transform::from_translate(size as f32 / 2.0, baseline);
            strip.fill_path(&letters, &paint, FillRule::Winding, place, None);
        }
    }
    pixels.extend(strip.data().as_chunks::<4>().0.iter().flat_map(|&[red, green, blue, _]| [red, green, blue]));
    Captioned { pixels, width, height: height + strip.height() as usize }
}

/// The image enlarged by `factor`, without interpolation.
pub(crate) fn enlarged(pixels: &[u8], width: usize, factor: usize) -> Vec<u8> {
    let (pixels, _) = pixels.as_chunks::<3>();
    let rows = pixels.chunks(width.max(1)).flat_map(|row| std::iter::repeat_n(row, factor));
    rows.flat_map(|row| row.iter().flat_map(|&pixel| std::iter::repeat_n(pixel, factor))).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_below_an_image_that_stays_as_it_was() {
        let image: Vec<u8> = (0..300 * 10 * 3).map(|value| (value % 251) as u8).collect();
        let lines = ["Smiling 0.98".to_owned(), "Wearing_Hat 0.71 ".repeat(40)];
        let found = captioned(image.clone(), 300, 10, &lines);
        assert_eq!(found.width, 300);
        assert!(found.height > 10 + 2 * 13 && found.pixels.len() == 300 * found.height * 3);
        assert_eq!(found.pixels[..image.len()], image);
        let strip: Vec<&[u8]> = found.pixels[image.len()..].chunks(300 * 3).collect();
        let lit = |row: &[u8], from: usize| row[from * 3..].iter().any(|&value| value > 128);
        assert!(strip.iter().any(|row| lit(row, 0)), "letters");
        assert!(!strip.iter().any(|row| lit(row, 299)), "a line too long is cut");
        assert_eq!(captioned(image.clone(), 300, 10, &[]).pixels, image, "nothing to say");
    }

    #[test]
    fn a_small_image_is_enlarged_to_hold_words() {
        let found = captioned(vec![1, 2, 3, 4, 5, 6], 2, 1, &["Bald 0.99".to_owned()]);
        assert_eq!(found.width, 220);
        assert_eq!(found.pixels[..3], [1, 2, 3]);
        assert_eq!(found.pixels[109 * 3..111 * 3], [1, 2, 3, 4, 5, 6]);
    }
}
