//! Numbered outlines of faces on a photograph.

use image::{Rgb, RgbImage};
use tiny_skia::{Color, FillRule, Paint, Pixmap, Transform};

use crate::font;

/// The colour of outlines and numbers.
const COLOUR: [u8; 3] = [255, 214, 10];
/// The thickness of a line, as a share of the photograph's longer side.
const THICKNESS: f64 = 0.003;
/// The font size, as a share of the photograph's longer side, and the smallest one in pixels.
const SIZE: f64 = 0.025;
const LEAST_SIZE: f64 = 12.0;

/// Outlines boxes (left, top, width and height in pixels) on a photograph, and numbers them from 1 if there are several.
pub fn outline_faces(photograph: &mut RgbImage, boxes: &[[f64; 4]]) {
    let longer = f64::from(photograph.width().max(photograph.height()));
    let thickness = (longer * THICKNESS).ceil().max(1.0);
    let size = (longer * SIZE).max(LEAST_SIZE);
    for (number, &[x, y, width, height]) in boxes.iter().enumerate() {
        let inner = [x, y, x + width, y + height];
        let outer = [x - thickness, y - thickness, x + width + thickness, y + height + thickness];
        fill(photograph, [outer[0], outer[1], outer[2], inner[1]]);
        fill(photograph, [outer[0], inner[3], outer[2], outer[3]]);
        fill(photograph, [outer[0], inner[1], inner[0], inner[3]]);
        fill(photograph, [inner[2], inner[1], outer[2], inner[3]]);
        if boxes.len() > 1 {
            label(photograph, &(number + 1).to_string(), size, outer);
        }
    }
}

/// Fills a rectangle as far as it lies in the image.
fn fill(image: &mut RgbImage, [left, top, right, bottom]: [f64; 4]) {
    // Casts from negative numbers give 0.
    let columns = left.round() as u32..(right.round() as u32).min(image.width());
    for y in top.round() as u32..(bottom.round() as u32).min(image.height()) {
        columns.clone().for_each(|x| image.put_pixel(x, y, Rgb(COLOUR)));
    }
}

/// Writes a number in black on a plate above an outline, or below it where there is no room.
fn label(image: &mut RgbImage, text: &str, size: f64, [left, top, _, bottom]: [f64; 4]) {
    let (width, height) = (font::width(text, size, true) + size * 0.4, size * 1.2);
    let Some(mut plate) = Pixmap::new(width.ceil() as u32, height.ceil() as u32) else { return };
    let [red, green, blue] = COLOUR;
    plate.fill(Color::from_rgba8(red, green, blue, 255));
    let mut paint = Paint::default();
    paint.set_color(Color::BLACK);
    paint.anti_alias = true;
    if let Some(letters) = font::outline(text, size, true) {
        let place = Transform::from_translate((size * 0.2) as f32, (size * 0.95) as f32);
        plate.fill_path(&letters, &paint, FillRule::Winding, place, None);
    }
    let above = top - f64::from(plate.height());
    let (left, top) = (left.max(0.0) as u32, if above < 0.0 { bottom.max(0.0) } else { above } as u32);
    for (index, pixel) in plate.pixels().iter().enumerate() {
        let (x, y) = (left + index as u32 % plate.width(), top + index as u32 / plate.width());
        if x < image.width() && y < image.height() {
            image.put_pixel(x, y, Rgb([pixel.red(), pixel.green(), pixel.blue()]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_outlined_and_the_rest_stays() {
        let mut image = RgbImage::new(100, 80);
        outline_faces(&mut image, &[[20.0, 10.0, 30.0, 40.0]]);
        let is_lit = |x, y| image.get_pixel(x, y).0 == COLOUR;
        assert!(is_lit(19, 30) && is_lit(50, 30) && is_lit(35, 9) && is_lit(35, 50));
        assert!(!is_lit(20, 10) && !is_lit(35, 30) && !is_lit(10, 30) && !is_lit(60, 30));
    }

    #[test]
    fn several_boxes_are_numbered_and_may_reach_beyond_the_edge() {
        let mut image = RgbImage::from_pixel(200, 150, Rgb([90; 3]));
        outline_faces(&mut image, &[[-10.0, -10.0, 60.0, 60.0], [150.0, 100.0, 100.0, 100.0], [500.0, 5.0, 9.0, 9.0]]);
        let lit = image.pixels().filter(|pixel| pixel.0 == COLOUR).count();
        assert!(lit > 200, "{lit}");
        // Digits, in black on their plates.
        let near = |at: u32, from: u32| (from..from + 20).contains(&at);
        let black = |x: u32, y: u32| {
            let pixels = image.enumerate_pixels();
            pixels.filter(|&(px, py, pixel)| near(px, x) && near(py, y) && pixel.0[0] < 60).count()
        };
        // The first has no room above.
        let digits = [black(0, 51), black(149, 84)];
        assert!(digits.iter().all(|&digits| digits > 3 && digits < 200), "{digits:?}");
    }
}
