//! The background.

use super::scene::Scene;
use crate::canvas::{Canvas, Colour, ellipse, polygon};
use crate::geometry::{HEIGHT, WIDTH, picture_frame};
use rand::RngExt;
use visage_data::random::stream;

pub(super) fn paint(canvas: &mut Canvas, scene: &Scene<'_>, width: u32, height: u32) {
    let (w, h) = (WIDTH as f32, HEIGHT as f32);
    canvas.set_frame(picture_frame(width, height));
    let mut rng = stream(scene.face.shot.detail, "synth-background", 0, 0);
    // Half grey, because rooms and streets rarely have saturated colours.
    let mut colour = || {
        let [r, g, b, grey] = std::array::from_fn(|_| rng.random_range(0.12..0.95));
        Colour(r, g, b).mix(Colour(grey, grey, grey), 0.5)
    };
    let (from, to, other) = (colour(), colour(), colour());
    let end: f32 = rng.random();
    canvas.fill_all(((1.0 - end, 0.0), from), ((end, 1.0), to));
    let style = (scene.face.shot.background * 4.0) as u32;
    for i in 0..rng.random_range(2..6) {
        let (x, y) = (rng.random_range(0.0..w), rng.random_range(0.0..h));
        let size = rng.random_range(12.0..48.0f32);
        let alpha = rng.random_range(0.15..0.5);
        let tint = if i % 2 == 0 { other } else { from.mix(other, 0.5) };
        match style {
            0 => canvas.glow((x, y), (size, size), 0.0, tint, alpha + 0.3, None),
            1 => canvas.fill(&ellipse((x, y), (size * 0.6, size * 0.6)), tint, alpha, None),
            2 => {
                let beam = polygon(&[(x, 0.0), (x + size, 0.0), (x + size * 0.7, h), (x - size * 0.3, h)]);
                canvas.fill(&beam, tint, alpha, None);
            }
            _ => {
                let (right, bottom) = (x + size * 1.6, y + size);
                canvas.fill(&polygon(&[(x, y), (right, y), (right, bottom), (x, bottom)]), tint, alpha, None);
            }
        }
    }
}
