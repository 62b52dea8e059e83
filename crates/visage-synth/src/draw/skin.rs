//! Ears, the face's surface, and the lines and marks on it.

use super::scene::{SIDES, Scene};
use crate::attribute::Attribute;
use crate::canvas::{Canvas, Colour, Pt, WHITE, curve, curves, discs, ellipse, specks};
use rand::RngExt;
use tiny_skia::Path;
use visage_data::random::stream;

pub(super) fn paint_ears(canvas: &mut Canvas, scene: &Scene<'_>) {
    for side in SIDES {
        let (x, y) = scene.geometry.ear(side);
        canvas.fill(&ellipse((x, y), (7.0, 13.0)), scene.palette.skin.mix(scene.palette.shade, 0.2), 1.0, None);
        canvas.fill(&ellipse((x + side, y + 1.0), (3.6, 8.0)), scene.palette.shade, 0.6, None);
    }
}

/// The face without its features: base colour, shading and cheeks.
pub(super) fn paint_face(canvas: &mut Canvas, scene: &Scene<'_>, outline: &Path) {
    let (geometry, palette, shot, mask) = (scene.geometry, scene.palette, &scene.face.shot, scene.mask);
    // One side of the face is turned away from the light.
    let dark = shot.light_side.signum();
    let strength = 0.25 + 0.5 * shot.light_contrast;
    canvas.fill_linear(
        outline,
        ((dark * geometry.cheek * 1.05, 10.0), palette.skin.mix(palette.shade, strength)),
        ((dark * geometry.cheek * (0.1 - 0.3 * shot.light_side.abs()), 0.0), palette.skin),
    );
    canvas.glow((-dark * 16.0, -26.0), (34.0, 24.0), 0.0, palette.light, 0.35, mask);
    canvas.stroke(outline, 1.6, palette.shade, 0.55, None);

    if scene.has(Attribute::Bald) {
        canvas.glow((-dark * 10.0, geometry.crown + 13.0), (19.0, 9.0), -dark * 12.0, WHITE, 0.8, mask);
    }
    for side in SIDES {
        let at = |x: f32, y: f32| geometry.turned((side * x, y), 0.8);
        if scene.has(Attribute::HighCheekbones) {
            let hollow = palette.shade.scaled(0.8);
            canvas.glow(at(geometry.cheek - 12.0, 36.0), (20.0, 7.5), -side * 48.0, hollow, 0.85, mask);
            canvas.glow(at(geometry.cheek - 17.0, 15.0), (15.0, 7.0), -side * 24.0, palette.light, 1.0, mask);
        }
        if scene.has(Attribute::RosyCheeks) {
            let rose = Colour::rgb(232, 50, 84);
            canvas.glow(at(geometry.cheek - 18.0, 24.0), (17.0, 14.0), 0.0, rose, 0.8, mask);
        }
        if scene.has(Attribute::Chubby) {
            // A full cheek catches the light and folds beside the mouth.
            canvas.glow(at(geometry.cheek - 15.0, 33.0), (15.0, 14.0), 0.0, palette.light, 0.5, mask);
            let fold = [at(25.0, 28.0), at(29.5, 40.0), at(27.0, 54.0)];
            canvas.stroke(&curve(&fold), 2.0, palette.shade, 0.7, mask);
        }
    }
    if !scene.has(Attribute::Attractive) {
        paint_blemishes(canvas, scene);
    }
}

/// Spots and moles. They are the same in every image of a person.
fn paint_blemishes(canvas: &mut Canvas, scene: &Scene<'_>) {
    let geometry = scene.geometry;
    let mut rng = stream(scene.face.person.marks, "synth-blemishes", 0, 0);
    let mut spots = |count: usize, radius: std::ops::Range<f32>| -> Vec<(Pt, f32)> {
        (0..count)
            .map(|_| {
                let at = (rng.random_range(-36.0..36.0f32), rng.random_range(-34.0..geometry.chin - 10.0));
                (geometry.turned(at, 0.8), rng.random_range(radius.clone()))
            })
            .collect()
    };
    let (patches, freckles, moles) = (spots(6, 6.0..10.0), spots(22, 1.2..1.9), spots(2, 1.4..2.0));
    let red = scene.palette.skin.mix(Colour::rgb(170, 36, 30), 0.7);
    for part in [1.0, 0.6] {
        canvas.fill(&discs(patches.iter().map(|&(at, radius)| (at, radius * part))), red, 0.24, scene.mask);
    }
    canvas.fill(&specks(freckles), scene.palette.shade, 0.75, scene.mask);
    canvas.fill(&discs(moles), scene.palette.shade.scaled(0.5), 0.9, scene.mask);
}

pub(super) fn paint_lines(canvas: &mut Canvas, scene: &Scene<'_>) {
    let (geometry, palette, mask) = (scene.geometry, scene.palette, scene.mask);
    let line = palette.shade.scaled(0.72);
    let mouth = geometry.mouth;
    if scene.has(Attribute::Smiling) {
        let half = geometry.mouth_half_width + 6.0;
        let folds = SIDES.map(|side| {
            [(13.0, geometry.nose_tip + 1.0), (half - 2.0, mouth - 9.0), (half + 1.5, mouth + 3.0)]
                .map(|(x, y)| geometry.turned((side * x, y), 1.1))
        });
        canvas.stroke(&curves(&folds), 1.7, line, 0.65, mask);
    }
    if scene.has(Attribute::Young) {
        return;
    }
    let at = |side: f32, x: f32, y: f32| geometry.turned((side * x, y), 1.0);
    let mut lines: Vec<Vec<Pt>> = (0..3)
        .map(|i| {
            let y = geometry.brow - 10.0 - 7.0 * i as f32;
            let half = 25.0 - 4.0 * i as f32;
            vec![
                at(-1.0, half, y + 2.0),
                at(-1.0, half * 0.5, y - 0.5),
                (geometry.turned((0.0, y + 1.0), 1.0)),
                at(1.0, half * 0.5, y - 0.5),
                at(1.0, half, y + 2.0),
            ]
        })
        .collect();
    for side in SIDES {
        let corner = geometry.eye_x + geometry.eye_half_width;
        for spread in [-5.0, 1.0, 7.0] {
            lines.push(vec![at(side, corner + 2.5, 1.0 + spread * 0.3), at(side, corner + 10.0, 1.0 + spread)]);
        }
        // From the wings of the nose past the mouth, and from its corners to the jaw.
        lines.push(vec![
            at(side, 14.0, geometry.nose_tip + 1.0),
            at(side, 22.5, mouth - 10.0),
            at(side, 26.0, mouth + 2.0),
        ]);
        lines.push(vec![at(side, 22.0, mouth + 7.0), at(side, 23.5, mouth + 17.0)]);
        canvas.glow(at(side, 27.0, mouth - 2.0), (6.0, 15.0), side * 12.0, palette.shade, 0.5, mask);
    }
    canvas.stroke(&curves(&lines), 1.9, line, 0.6, mask);
}
