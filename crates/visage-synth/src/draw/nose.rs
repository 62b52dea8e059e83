//! The nose.

use super::scene::{SIDES, Scene};
use crate::attribute::Attribute;
use crate::canvas::{Canvas, Pt, WHITE, blob, curve, ellipse, polygon};

pub(super) fn paint(canvas: &mut Canvas, scene: &Scene<'_>) {
    let (geometry, palette) = (scene.geometry, scene.palette);
    let (tip, half) = (geometry.nose_tip, geometry.nose_half_width);
    let at = |x, y| point(scene, x, y);
    let pointy = scene.has(Attribute::PointyNose);
    let line = palette.shade.scaled(0.78);
    let dark = scene.face.shot.light_side.signum();

    // The bridge: shaded on the side away from the light, lit along its ridge.
    let bridge = if pointy { 3.2 } else { 4.6 } + (half - 8.5) * 0.3;
    let flank = polygon(&[
        at(dark * bridge, -9.0),
        at(dark * (bridge + 4.0), -8.0),
        at(dark * (half - 1.0), tip - 3.0),
        at(dark * half * 0.4, tip - 1.0),
    ]);
    canvas.fill(&flank, palette.shade, 0.45, scene.mask);

    // The wings.
    for side in SIDES {
        let wing = blob(&[
            at(side * half * 0.5, tip - 8.0),
            at(side * half, tip - 4.5),
            at(side * (half + 0.5), tip + 1.5),
            at(side * half * 0.55, tip + 3.5),
        ]);
        canvas.fill(&wing, palette.skin.mix(palette.shade, 0.3), 1.0, None);
        let rim = [
            at(side * half * 0.82, tip - 8.0),
            at(side * (half + 0.8), tip - 2.5),
            at(side * (half - 0.5), tip + 3.0),
            at(side * half * 0.5, tip + 3.6),
        ];
        canvas.stroke(&curve(&rim), 1.7, line, 0.9, None);
    }
    paint_tip(canvas, scene, pointy);
    for side in SIDES {
        canvas.fill(
            &ellipse(at(side * half * 0.52, tip + 2.3), (half * 0.26, 1.7)),
            palette.shade.scaled(0.4),
            0.9,
            None,
        );
    }
}

/// A point of the nose, which stands out more towards its tip.
fn point(scene: &Scene<'_>, x: f32, y: f32) -> Pt {
    scene.geometry.turned((x, y), 1.0 + 0.7 * ((y + 10.0) / 34.0).clamp(0.0, 1.0))
}

fn paint_tip(canvas: &mut Canvas, scene: &Scene<'_>, pointy: bool) {
    let (geometry, palette) = (scene.geometry, scene.palette);
    let (tip, half) = (geometry.nose_tip, geometry.nose_half_width);
    let at = |x, y| point(scene, x, y);
    let line = palette.shade.scaled(0.78);
    let dark = scene.face.shot.light_side.signum();
    if pointy {
        // Straight flanks meet in a sharp tip that hangs below the wings.
        let point = tip + 9.5;
        canvas.fill(
            &polygon(&[at(-half * 0.62, tip - 3.0), at(half * 0.62, tip - 3.0), at(0.0, point)]),
            palette.skin.mix(palette.light, 0.4),
            1.0,
            None,
        );
        canvas.stroke(&curve(&[at(-half * 0.7, tip - 1.0), at(0.0, point)]), 2.4, line, 1.0, None);
        canvas.stroke(&curve(&[at(half * 0.7, tip - 1.0), at(0.0, point)]), 2.4, line, 1.0, None);
        canvas.fill(
            &polygon(&[at(-1.6, -8.0), at(1.6, -8.0), at(0.6, point - 3.5), at(-0.6, point - 3.5)]),
            palette.light,
            0.9,
            None,
        );
    } else {
        let ball = 0.62 * half;
        canvas.fill(&ellipse(at(0.0, tip - 2.5), (ball, 6.2)), palette.skin.mix(palette.light, 0.12), 1.0, None);
        canvas.glow(at(-dark * 1.5, tip - 5.0), (ball * 0.8, 4.5), 0.0, WHITE, 0.45, None);
        canvas.stroke(&curve(&[at(-ball, tip + 0.5), at(0.0, tip + 4.8), at(ball, tip + 0.5)]), 1.7, line, 0.75, None);
    }
}
