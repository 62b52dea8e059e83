//! Hats.

use super::scene::Scene;
use crate::attribute::Attribute;
use crate::canvas::{BLACK, Canvas, Colour, Pt, WHITE, blob, curve, curves, ellipse};
use crate::geometry::{Geometry, HAT_DEPTH, Hat};
use tiny_skia::Path;

const HATS: [Colour; 7] = Colour::list([0xB2222C, 0x223E82, 0x2E6E46, 0xE2B234, 0x3C3C42, 0xC49664, 0xE0E2E6]);

struct Shape<'a> {
    geometry: &'a Geometry,
    half: f32,
    rim: f32,
    top: f32,
    colour: Colour,
    dark: Colour,
    light: Colour,
}

impl Shape<'_> {
    fn at(&self, x: f32, y: f32) -> Pt {
        self.geometry.turned((x, y), HAT_DEPTH)
    }

    fn dome(&self, height: f32, square: f32) -> Path {
        let (half, rim) = (self.half, self.rim);
        blob(&[
            self.at(-half, rim),
            self.at(-half + 1.0, rim - 20.0),
            self.at(-half * square, height + 9.0),
            self.at(0.0, height),
            self.at(half * square, height + 9.0),
            self.at(half - 1.0, rim - 20.0),
            self.at(half, rim),
            self.at(0.0, rim + 2.0),
        ])
    }
}

pub(super) fn paint(canvas: &mut Canvas, scene: &Scene<'_>) {
    if !scene.has(Attribute::WearingHat) {
        return;
    }
    let geometry = scene.geometry;
    let colour = Colour::pick(&HATS, scene.face.shot.hat_colour);
    let (dark, light) = (colour.mix(BLACK, 0.35), colour.mix(WHITE, 0.4));
    let (half, rim, top) = (geometry.hat_half_width, geometry.hat_rim, geometry.hat_top);
    let shape = Shape { geometry, half, rim, top, colour, dark, light };
    match geometry.hat {
        Hat::Knitted => paint_knitted(canvas, &shape),
        Hat::Peaked => paint_peaked(canvas, &shape),
        Hat::Brimmed => paint_brimmed(canvas, &shape),
    }
}

fn paint_knitted(canvas: &mut Canvas, shape: &Shape<'_>) {
    let Shape { half, rim, top, colour, dark, light, .. } = *shape;
    let at = |x, y| shape.at(x, y);
    canvas.fill(&ellipse(at(0.0, top - 4.0), (10.0, 9.0)), light, 1.0, None);
    canvas.fill(&shape.dome(top, 0.72), colour, 1.0, None);
    let ribs: Vec<[Pt; 3]> = (-3..=3)
        .map(|i| i as f32 / 3.5)
        .map(|u| [at(u * half * 0.45, top + 6.0), at(u * half * 0.9, rim - 26.0), at(u * half, rim - 4.0)])
        .collect();
    canvas.stroke(&curves(&ribs), 1.8, dark, 0.8, None);
    let edge = blob(&[
        at(-half - 2.0, rim - 12.0),
        at(0.0, rim - 9.0),
        at(half + 2.0, rim - 12.0),
        at(half + 2.0, rim + 5.0),
        at(0.0, rim + 8.0),
        at(-half - 2.0, rim + 5.0),
    ]);
    canvas.fill(&edge, light, 1.0, None);
    canvas.stroke(&edge, 1.4, dark, 0.7, None);
}

fn paint_peaked(canvas: &mut Canvas, shape: &Shape<'_>) {
    let Shape { half, rim, top, colour, dark, light, .. } = *shape;
    let at = |x, y| shape.at(x, y);
    canvas.fill(&shape.dome(top + 5.0, 0.78), colour, 1.0, None);
    canvas.stroke(&curve(&[at(0.0, top + 5.0), at(0.0, rim)]), 1.6, dark, 0.8, None);
    canvas.fill(&ellipse(at(0.0, top + 29.0), (8.0, 8.0)), light, 1.0, None);
    let peak = blob(&[
        at(-half + 4.0, rim - 4.0),
        at(0.0, rim - 9.0),
        at(half - 4.0, rim - 4.0),
        at(half - 8.0, rim + 7.0),
        at(0.0, rim + 12.0),
        at(-half + 8.0, rim + 7.0),
    ]);
    canvas.fill(&peak, dark, 1.0, None);
}

fn paint_brimmed(canvas: &mut Canvas, shape: &Shape<'_>) {
    let Shape { half, rim, top, colour, dark, .. } = *shape;
    let at = |x, y| shape.at(x, y);
    canvas.fill(&shape.dome(top + 1.0, 0.7), colour, 1.0, None);
    let band = curve(&[at(-half + 1.0, rim - 9.0), at(0.0, rim - 6.0), at(half - 1.0, rim - 9.0)]);
    canvas.stroke(&band, 9.0, dark, 1.0, None);
    let brim = blob(&[
        at(-half - 23.0, rim - 6.0),
        at(-half, rim - 3.0),
        at(0.0, rim - 1.0),
        at(half, rim - 3.0),
        at(half + 23.0, rim - 6.0),
        at(half, rim + 7.0),
        at(0.0, rim + 9.0),
        at(-half, rim + 7.0),
    ]);
    canvas.fill(&brim, colour.mix(BLACK, 0.12), 1.0, None);
    canvas.stroke(&brim, 1.2, dark, 0.8, None);
}
