//! Facial hair: five o'clock shadow, goatee, mustache, sideburns.

use super::scene::{SIDES, Scene};
use crate::attribute::Attribute;
use crate::canvas::{BLACK, Canvas, Colour, Pt, blob, ribbons, specks};
use rand::RngExt;
use visage_data::random::stream;

pub(super) fn paint(canvas: &mut Canvas, scene: &Scene<'_>) {
    if scene.has(Attribute::FiveOClockShadow) {
        paint_shadow(canvas, scene);
    }
    if scene.has(Attribute::Sideburns) {
        paint_sideburns(canvas, scene);
    }
    if scene.has(Attribute::Goatee) {
        let (geometry, chin) = (scene.geometry, scene.geometry.chin);
        let at = |x: f32, y: f32| geometry.turned((x, y), 0.9);
        let half = 16.5;
        let top = geometry.mouth + 9.0;
        let patch = [
            at(-half, top - 1.0),
            at(-6.0, top + 5.0),
            at(0.0, top + 1.5),
            at(6.0, top + 5.0),
            at(half, top - 1.0),
            at(half + 0.5, chin - 6.0),
            at(half * 0.6, chin + 4.5),
            at(0.0, chin + 8.0),
            at(-half * 0.6, chin + 4.5),
            at(-half - 0.5, chin - 6.0),
        ];
        canvas.fill(&blob(&patch), scene.palette.brow, 0.97, None);
        let strands: Vec<[Pt; 2]> =
            (-3..=3).map(|i| [at(i as f32 * 4.2, top + 7.0), at(i as f32 * 3.4, chin + 2.0)]).collect();
        canvas.fill(&ribbons(&strands, 2.6), lighter(scene.palette.brow), 0.6, None);
    }
}

fn lighter(colour: Colour) -> Colour {
    colour.mix(Colour::rgb(200, 170, 140), 0.35)
}

fn paint_shadow(canvas: &mut Canvas, scene: &Scene<'_>) {
    let geometry = scene.geometry;
    let at = |x: f32, y: f32| geometry.turned((x, y), 0.7);
    let (cheek, chin, lip) = (geometry.cheek, geometry.chin, geometry.nose_tip + 8.0);
    let area = blob(&[
        at(-cheek - 2.0, 16.0),
        at(-cheek + 12.0, 36.0),
        at(-20.0, lip + 1.0),
        at(0.0, lip),
        at(20.0, lip + 1.0),
        at(cheek - 12.0, 36.0),
        at(cheek + 2.0, 16.0),
        at(cheek, chin),
        at(0.0, chin + 12.0),
        at(-cheek, chin),
    ]);
    let skin = scene.palette.skin;
    let blue = Colour::rgb(56, 62, 76).mix(skin, 0.15).mix(BLACK, if skin.luma() < 0.42 { 0.6 } else { 0.0 });
    canvas.fill(&area, blue, 0.5, scene.mask);
    let mut rng = stream(scene.face.shot.detail, "synth-stipple", 0, 0);
    let dots: Vec<(Pt, f32)> = (0..110)
        .map(|_| {
            let (u, v): (f32, f32) = (rng.random_range(-1.0..1.0), rng.random());
            let top = if u.abs() < 0.45 { lip + 1.0 } else { 20.0 + 16.0 * (1.0 - u.abs()) };
            (at(u * (cheek - 1.0), top + v * (chin - top)), 0.95)
        })
        .collect();
    canvas.fill(&specks(dots), blue.scaled(0.35), 0.75, scene.mask);
}

fn paint_sideburns(canvas: &mut Canvas, scene: &Scene<'_>) {
    let geometry = scene.geometry;
    let (cheek, jaw) = (geometry.cheek, geometry.jaw);
    for side in SIDES {
        let at = |x: f32, y: f32| geometry.turned((side * x, y), 0.3);
        let strip = blob(&[
            at(cheek + 1.0, -20.0),
            at(cheek + 3.0, 6.0),
            at(cheek + 1.0, 26.0),
            at(jaw + 3.0, 45.0),
            at(jaw - 9.0, 48.0),
            at(cheek - 13.0, 34.0),
            at(cheek - 11.0, 10.0),
            at(cheek - 9.0, -18.0),
        ]);
        canvas.fill(&strip, scene.palette.brow, 0.97, None);
        let strands: Vec<[Pt; 2]> =
            (0..5).map(|i| [at(cheek - 7.0, 2.0 + 8.0 * i as f32), at(cheek - 2.0, 9.0 + 8.0 * i as f32)]).collect();
        canvas.fill(&ribbons(&strands, 2.6), lighter(scene.palette.brow), 0.55, scene.mask);
    }
}

pub(super) fn paint_mustache(canvas: &mut Canvas, scene: &Scene<'_>) {
    if !scene.has(Attribute::Mustache) {
        return;
    }
    let geometry = scene.geometry;
    let at = |x: f32, y: f32| geometry.turned((x, y), 1.3);
    // Between the nose and the lip, overlapping the lip's upper edge.
    let (top, low) = (geometry.nose_tip + 6.0, geometry.mouth - 1.0);
    let shape = blob(&[
        at(0.0, top),
        at(9.0, top - 0.5),
        at(19.0, top + 5.0),
        at(26.0, low + 3.0),
        at(17.0, low + 1.0),
        at(7.0, low),
        at(0.0, low - 2.0),
        at(-7.0, low),
        at(-17.0, low + 1.0),
        at(-26.0, low + 3.0),
        at(-19.0, top + 5.0),
        at(-9.0, top - 0.5),
    ]);
    canvas.fill(&shape, scene.palette.brow, 0.97, None);
    let strands: Vec<[Pt; 2]> = SIDES
        .into_iter()
        .flat_map(|side| (0..4).map(move |i| (side, i as f32)))
        .map(|(side, i)| [at(side * (2.0 + 4.0 * i), top + 2.5 + 0.8 * i), at(side * (4.0 + 5.2 * i), low - 1.0)])
        .collect();
    canvas.fill(&ribbons(&strands, 2.6), lighter(scene.palette.brow), 0.55, None);
}
