//! Earrings and necklaces.

use super::scene::{SIDES, Scene};
use crate::attribute::Attribute;
use crate::canvas::{Canvas, Colour, Pt, WHITE, curve, discs, ellipse, resample};

const METALS: [Colour; 4] = Colour::list([0xF4C430, 0xE2E6EE, 0x34C4BE, 0xDE3654]);

fn metal(choice: f32) -> (Colour, f32) {
    let at = choice * METALS.len() as f32;
    (METALS[(at as usize).min(METALS.len() - 1)], at.fract())
}

pub(super) fn paint_earrings(canvas: &mut Canvas, scene: &Scene<'_>) {
    if !scene.has(Attribute::WearingEarrings) {
        return;
    }
    let (colour, style) = metal(scene.face.shot.earrings);
    let rim = colour.scaled(0.45);
    for side in SIDES {
        let (x, y) = scene.geometry.ear(side);
        let (x, y) = (x + side * 1.5, y + 12.0);
        if style < 0.4 {
            let ring = ellipse((x, y + 9.0), (7.0, 9.0));
            canvas.stroke(&ring, 4.2, rim, 0.9, None);
            canvas.stroke(&ring, 2.8, colour, 1.0, None);
        } else if style < 0.75 {
            canvas.stroke(&curve(&[(x, y), (x, y + 13.0)]), 2.4, colour, 1.0, None);
            let drop = ellipse((x, y + 16.0), (4.6, 6.6));
            canvas.fill(&drop, colour, 1.0, None);
            canvas.stroke(&drop, 1.2, rim, 0.9, None);
            canvas.fill(&ellipse((x - 1.3, y + 14.0), (1.3, 1.8)), WHITE, 0.9, None);
        } else {
            canvas.fill(&ellipse((x, y + 2.0), (5.6, 5.6)), colour, 1.0, None);
            canvas.stroke(&ellipse((x, y + 2.0), (5.6, 5.6)), 1.3, rim, 0.9, None);
            canvas.fill(&ellipse((x - 1.5, y + 0.4), (1.6, 1.6)), WHITE, 0.95, None);
        }
    }
}

pub(super) fn paint_necklace(canvas: &mut Canvas, scene: &Scene<'_>) {
    if !scene.has(Attribute::WearingNecklace) {
        return;
    }
    let (colour, style) = metal(scene.face.shot.necklace);
    let rim = colour.scaled(0.4);
    let neck = scene.geometry.neck_half_width + 2.0;
    let arc: [Pt; 5] = [(-neck, 86.0), (-neck * 0.66, 96.5), (0.0, 102.0), (neck * 0.66, 96.5), (neck, 86.0)];
    if style < 0.5 {
        let beads: Vec<(Pt, f32)> = resample(&arc, 13).into_iter().map(|at| (at, 3.3)).collect();
        canvas.fill(&discs(beads.iter().map(|&(at, r)| (at, r + 0.9))), rim, 0.9, None);
        canvas.fill(&discs(beads.iter().copied()), colour, 1.0, None);
        canvas.fill(&discs(beads.iter().map(|&((x, y), _)| ((x - 1.0, y - 1.0), 0.9))), WHITE, 0.9, None);
    } else {
        canvas.stroke(&curve(&arc), 3.8, rim, 0.9, None);
        canvas.stroke(&curve(&arc), 2.4, colour, 1.0, None);
        canvas.fill(&ellipse((0.0, 107.5), (6.0, 7.0)), rim, 1.0, None);
        canvas.fill(&ellipse((0.0, 107.5), (4.8, 5.8)), colour, 1.0, None);
        canvas.fill(&ellipse((-1.4, 105.5), (1.6, 1.9)), WHITE, 0.9, None);
    }
}
