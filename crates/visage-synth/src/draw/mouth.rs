//! The mouth.

use super::scene::{SIDES, Scene};
use crate::attribute::Attribute;
use crate::canvas::{Canvas, Colour, Pt, WHITE, blob, curve};
use crate::geometry::Geometry;

/// The shape of a mouth. The line in which the lips meet is a parabola.
struct Mouth<'a> {
    geometry: &'a Geometry,
    smiling: bool,
    /// How far the corners are above the middle.
    lift: f32,
    /// How far the lips are apart.
    gap: f32,
    /// How far the inner edges of the upper and the lower lip are below the line.
    top: f32,
    bottom: f32,
    /// The heights of the upper and the lower lip.
    upper: f32,
    lower: f32,
}

impl<'a> Mouth<'a> {
    fn of(scene: &Scene<'a>) -> Self {
        let shot = &scene.face.shot;
        let smiling = scene.has(Attribute::Smiling);
        let lift = if smiling { 7.5 + 3.5 * shot.smile } else { -1.5 + 1.5 * shot.smile };
        let gap = match (scene.has(Attribute::MouthSlightlyOpen), smiling) {
            (false, _) => 0.0,
            (true, true) => 9.0 + 3.0 * shot.expression,
            (true, false) => 7.5 + 4.0 * shot.expression,
        };
        // The lips of a smile stay together at the top; others part around the middle.
        let (top, bottom) = if smiling { (-0.1 * gap, 0.9 * gap) } else { (-0.4 * gap, 0.6 * gap) };
        let (upper, lower) = if scene.has(Attribute::BigLips) { (7.4, 9.6) } else { (3.0, 4.0) };
        Mouth { geometry: scene.geometry, smiling, lift, gap, top, bottom, upper, lower }
    }

    /// The point at `u`, from -1 to 1 along the mouth, `dy` below the line.
    fn at(&self, u: f32, dy: f32) -> Pt {
        let geometry = self.geometry;
        let y = geometry.mouth - self.lift * (u * u - 0.35) + geometry.skew * u + dy;
        geometry.turned((u * geometry.mouth_half_width, y), 1.1)
    }
}

pub(super) fn paint(canvas: &mut Canvas, scene: &Scene<'_>) {
    let mouth = Mouth::of(scene);
    let Mouth { bottom, lower, .. } = mouth;
    let (palette, half) = (scene.palette, scene.geometry.mouth_half_width);
    let at = |u, dy| mouth.at(u, dy);
    canvas.glow(at(0.0, bottom + lower + 5.0), (half * 0.55, 3.5), 0.0, palette.shade, 0.6, scene.mask);
    paint_lips(canvas, scene, &mouth);
    if mouth.gap > 0.0 {
        paint_teeth(canvas, &mouth);
    } else {
        let line =
            [at(-1.05, 0.0), at(-0.5, 0.4), at(-0.15, 0.9), at(0.0, 0.3), at(0.15, 0.9), at(0.5, 0.4), at(1.05, 0.0)];
        canvas.stroke(&curve(&line), 1.8, palette.lips.scaled(0.42), 0.9, None);
    }
    // The light on the lower lip.
    canvas.glow(at(0.0, bottom + lower * 0.55), (half * 0.4, lower * 0.35), 0.0, WHITE, 0.4, None);
    if mouth.smiling {
        for side in SIDES {
            let corner = curve(&[at(side * 1.06, -2.5), at(side * 1.14, 0.8)]);
            canvas.stroke(&corner, 1.8, palette.shade.scaled(0.7), 0.8, None);
        }
    }
}

fn paint_lips(canvas: &mut Canvas, scene: &Scene<'_>, mouth: &Mouth<'_>) {
    let Mouth { top, bottom, upper, lower, .. } = *mouth;
    let at = |u, dy| mouth.at(u, dy);
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
    canvas.fill(&lips, scene.palette.lips, 1.0, None);
    if scene.has(Attribute::WearingLipstick) {
        canvas.stroke(&lips, 1.0, scene.palette.lips.scaled(0.6), 0.9, None);
    }
}

/// The inside of an open mouth with the upper teeth: all of them in a smile, a strip otherwise.
fn paint_teeth(canvas: &mut Canvas, mouth: &Mouth<'_>) {
    let Mouth { top, bottom, gap, .. } = *mouth;
    let at = |u, dy| mouth.at(u, dy);
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
    let teeth = if mouth.smiling { 0.62 * gap } else { 0.36 * gap };
    let row = blob(&[
        at(-0.9, -3.0),
        at(0.0, top - 3.0),
        at(0.9, -3.0),
        at(0.75, top + teeth * 0.8),
        at(0.0, top + teeth),
        at(-0.75, top + teeth * 0.8),
    ]);
    canvas.fill(&row, Colour::rgb(246, 243, 234), 1.0, mask.as_ref());
    let tongue = (mouth.geometry.mouth_half_width * 0.5, 4.0);
    canvas.glow(at(0.0, bottom + 1.0), tongue, 0.0, Colour::rgb(196, 88, 92), 0.8, mask.as_ref());
}
