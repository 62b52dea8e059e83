//! Text: outlines for PNG files, and widths.

use std::sync::LazyLock;

use tiny_skia::{Path, PathBuilder, Transform};
use ttf_parser::{Face, OutlineBuilder};

pub const REGULAR_FILE: &[u8] = include_bytes!("../fonts/Roboto-Regular.ttf");
pub const MEDIUM_FILE: &[u8] = include_bytes!("../fonts/Roboto-Medium.ttf");

static REGULAR: LazyLock<Option<Face<'static>>> = LazyLock::new(|| Face::parse(REGULAR_FILE, 0).ok());
static MEDIUM: LazyLock<Option<Face<'static>>> = LazyLock::new(|| Face::parse(MEDIUM_FILE, 0).ok());

fn face(bold: bool) -> Option<&'static Face<'static>> {
    if bold { MEDIUM.as_ref() } else { REGULAR.as_ref() }
}

/// The width of `text` at this size, in pixels. A missing glyph has the width of the replacement glyph.
pub fn width(text: &str, size: f64, bold: bool) -> f64 {
    let Some(face) = face(bold) else { return 0.0 };
    let advance = |letter| f64::from(face.glyph_hor_advance(face.glyph_index(letter).unwrap_or_default()).unwrap_or(0));
    text.chars().map(advance).sum::<f64>() * size / f64::from(face.units_per_em())
}

/// `text`, shortened to fit into `room` pixels.
pub fn fitted(text: &str, size: f64, bold: bool, room: f64) -> String {
    if width(text, size, bold) <= room {
        return text.to_owned();
    }
    let mut letters: Vec<char> = text.chars().collect();
    while let Some(_gone) = letters.pop() {
        let shorter: String = letters.iter().chain(['\u{2026}'].iter()).collect();
        if width(&shorter, size, bold) <= room {
            return shorter;
        }
    }
    String::new()
}

/// The outlines of `text` at this size, its baseline beginning at 0, 0. `None` where there is nothing to draw.
pub fn outline(text: &str, size: f64, bold: bool) -> Option<Path> {
    let face = face(bold)?;
    let scale = size as f32 / f32::from(face.units_per_em());
    let mut pen = Pen { path: PathBuilder::new(), x: 0.0 };
    for letter in text.chars() {
        let glyph = face.glyph_index(letter).unwrap_or_default();
        face.outline_glyph(glyph, &mut pen);
        pen.x += f32::from(face.glyph_hor_advance(glyph).unwrap_or(0));
    }
    // Letters are drawn upwards in the font's own units.
    pen.path.finish()?.transform(Transform::from_scale(scale, -scale))
}

struct Pen {
    path: PathBuilder,
    x: f32,
}

impl OutlineBuilder for Pen {
    fn move_to(&mut self, x: f32, y: f32) {
        self.path.move_to(self.x + x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.path.line_to(self.x + x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        self.path.quad_to(self.x + x1, y1, self.x + x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        self.path.cubic_to(self.x + x1, y1, self.x + x2, y2, self.x + x, y);
    }

    fn close(&mut self) {
        self.path.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fonts_have_the_letters_of_figures() {
        for bold in [false, true] {
            let face = face(bold).unwrap();
            for letter in "AZaz09_-.,:;()%=<>/+\u{2212}\u{2013}\u{2026}\u{d7}\u{2265}éßŁΩЖ".chars() {
                assert!(face.glyph_index(letter).is_some(), "{letter}");
            }
        }
    }

    #[test]
    fn words_are_measured_and_cut() {
        let whole = width("Wearing_Necktie", 11.0, false);
        assert!((70.0..90.0).contains(&whole), "{whole}");
        assert_eq!(fitted("Wearing_Necktie", 11.0, false, 100.0), "Wearing_Necktie");
        let cut = fitted("Wearing_Necktie", 11.0, false, 40.0);
        assert!(cut.ends_with('\u{2026}') && width(&cut, 11.0, false) <= 40.0, "{cut}");
        assert!(outline("Bald", 11.0, true).unwrap().bounds().width() > 10.0);
        assert!(outline(" ", 11.0, true).is_none());
    }
}
