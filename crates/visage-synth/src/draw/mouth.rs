//! The mouth.

use super::Scene;
use crate::Attribute;
use crate::canvas::{Canvas, Colour, Pt, WHITE, blob, curve};

pub(super) fn paint(canvas: &mut Canvas, scene: &Scene<'_>) {
    let (geometry, palette, shot) = (scene.geometry, scene.palette, &scene.face.shot);
    let half = geometry.mouth_half_width;
    let skew = geometry.skew;
    let smiling = scene.has(Attribute::Smiling);
    // How far the corners are above the middle of the mouth.
    let lift = if smiling { 7.5 + 3.5 * shot.smile } else { -1.5 + 1.5 * shot.smile };
    let gap = match (scene.has(Attribute::MouthSlightlyOpen), smiling) {
        (false, _) => 0.0,
        (true, true) => 9.0 + 3.0 * shot.expression,
        (true, false) => 7.5 + 4.0 * shot.expression,
    };
    let (upper, lower) = if scene.has(Attribute::BigLips) { (7.4, 9.6) } else { (3.0, 4.0) };
    let y = geometry.mouth;
    // Along the mouth, u from -1 to 1: the line the lips meet in follows a parabola.
    let at = |u: f32, dy: f32| -> Pt { geometry.turned((u * half, y - lift * (u * u - 0.35) + skew * u + dy), 1.1) };
    // Smiling lips stay together at the top; others part around the middle.
    let (top, bottom) = if smiling { (-0.1 * gap, 0.9 * gap) } else { (-0.4 * gap, 0.6 * gap) };

    let lips = blob(&[
        at(-1.0, 0.0),
        at(-0.5, top * 0.8 - upper * 0.8),
        at(-0.17, top - upper),
        at(0.0, top - upper * 0.72),
        at(0.17, top - upper),
        at(0.5, top * 0.8 - upper * 0.8),
        at(1.0, 0.0),
        at(0.55, bottom * 0.75 + lower * 0.8),
        at(0.0, bottom + lower),
        at(-0.55, bottom * 0.75 + lower * 0.8),
    ]);
    canvas.glow(at(0.0, bottom + lower + 5.0), (half * 0.55, 3.5), 0.0, palette.shade, 0.6, scene.mask);
    canvas.fill(&lips, palette.lips, 1.0, None);
    if scene.has(Attribute::WearingLipstick) {
        canvas.stroke(&lips, 1.0, palette.lips.scaled(0.6), 0.9, None);
    }
    let dark = palette.lips.scaled(0.42);
    if gap > 0.0 {
        let inner = blob(&[
            at(-0.86, 0.2),
            at(-0.45, top * 0.85),
            at(0.0, top),
            at(0.45, top * 0.85),
            at(0.86, 0.2),
            at(0.5, bottom * 0.8),
            at(0.0, bottom),
            at(-0.5, bottom * 0.8),
        ]);
        canvas.fill(&inner, Colour::rgb(62, 14, 18), 1.0, None);
        let mask = canvas.mask(&inner);
        // The upper teeth: all of a smile, a strip otherwise.
        let teeth = if smiling { 0.62 * gap } else { 0.36 * gap };
        let row = blob(&[
            at(-0.9, -3.0),
            at(0.0, top - 3.0),
            at(0.9, -3.0),
            at(0.75, top + teeth * 0.8),
            at(0.0, top + teeth),
            at(-0.75, top + teeth * 0.8),
        ]);
        canvas.fill(&row, Colour::rgb(246, 243, 234), 1.0, mask.as_ref());
        canvas.glow(at(0.0, bottom + 1.0), (half * 0.5, 4.0), 0.0, Colour::rgb(196, 88, 92), 0.8, mask.as_ref());
    } else {
        let line =
            [at(-1.05, 0.0), at(-0.5, 0.4), at(-0.15, 0.9), at(0.0, 0.3), at(0.15, 0.9), at(0.5, 0.4), at(1.05, 0.0)];
        canvas.stroke(&curve(&line), 1.8, dark, 0.9, None);
    }
    // The light on the lower lip.
    canvas.glow(at(0.0, bottom + lower * 0.55), (half * 0.4, lower * 0.35), 0.0, WHITE, 0.4, None);
    if smiling {
        for side in [-1.0, 1.0] {
            canvas.stroke(
                &curve(&[at(side * 1.06, -2.5), at(side * 1.14, 0.8)]),
                1.8,
                palette.shade.scaled(0.7),
                0.8,
                None,
            );
        }
    }
}
