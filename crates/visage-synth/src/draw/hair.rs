//! The hair on the head.
//!
//! One side of the hair is the area between an outer contour (from the top of the head down to the ends of the hair) and an
//! inner one (from the hairline down beside the face). Strands interpolate between the two contours.

use super::scene::{SIDES, Scene};
use crate::attribute::Attribute;
use crate::canvas::{BLACK, Canvas, Colour, Pt, WHITE, blob, curve, ellipse, lerp, resample, ribbons};
use rand::RngExt;
use visage_data::random::stream;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Cut {
    Cropped,
    Bob,
    Long,
    Updo,
}

impl Cut {
    fn of(scene: &Scene<'_>) -> Self {
        let length = scene.face.person.hair_length;
        let textured = scene.has(Attribute::StraightHair) || scene.has(Attribute::WavyHair);
        // Some men have long hair and some women short hair, so that length alone does not reveal the sex.
        match (scene.has(Attribute::Male), textured) {
            (true, true) if length > 0.88 => Cut::Bob,
            (true, _) => Cut::Cropped,
            (false, true) if length > 0.32 => Cut::Long,
            (false, true) => Cut::Bob,
            (false, false) if length > 0.35 => Cut::Updo,
            (false, false) => Cut::Cropped,
        }
    }
}

/// The number of points of a contour and of a strand.
const STEPS: usize = 21;
/// The number of strands on each side.
const STRANDS: usize = 4;

struct Hair {
    cut: Cut,
    /// Outer and inner contour of the left and the right side, from the top down.
    sides: [(Vec<Pt>, Vec<Pt>); 2],
    wavy: bool,
    straight: bool,
}

impl Hair {
    fn of(scene: &Scene<'_>) -> Option<Self> {
        if scene.has(Attribute::Bald) {
            return None;
        }
        let cut = Cut::of(scene);
        let (wavy, straight) = (scene.has(Attribute::WavyHair), scene.has(Attribute::StraightHair));
        let sides = SIDES.map(|side| (outer(scene, cut, side, wavy, straight), inner(scene, cut, side)));
        Some(Self { cut, sides, wavy, straight })
    }
}

fn outer(scene: &Scene<'_>, cut: Cut, side: f32, wavy: bool, straight: bool) -> Vec<Pt> {
    let geometry = scene.geometry;
    let (cheek, crown) = (geometry.cheek, geometry.crown);
    let volume = 6.0 + 4.0 * scene.face.person.hair_volume + if wavy { 3.5 } else { 0.0 }
        - if cut == Cut::Updo { 3.0 } else { 0.0 };
    let mut points = vec![
        (0.0, crown - volume),
        (24.0, crown + 4.0 - volume),
        (cheek - 4.0 + volume * 0.5, -40.0 - volume * 0.3),
        (cheek + volume * 0.75, -14.0),
    ];
    points.extend(match cut {
        Cut::Cropped | Cut::Updo => vec![(cheek + 2.5, 3.0)],
        Cut::Bob => vec![(cheek + volume + 2.0, 14.0), (cheek + volume + 3.0, 42.0), (cheek + 1.0, 61.0)],
        Cut::Long => vec![
            (cheek + volume + 2.0, 18.0),
            (cheek + volume + 5.0, 64.0),
            (cheek + volume + 4.0, 108.0),
            (cheek + 2.0, 122.0),
        ],
    });
    let spikes = if wavy { 0.6 } else { 1.0 };
    let mut contour = resample(&points, (spikes * if cut == Cut::Long { 28.0 } else { 20.0 }) as usize);
    let last = contour.len() - 1;
    for (i, point) in contour.iter_mut().enumerate().skip(1) {
        // Away from the centre of the head.
        let (dx, dy) = (point.0, (point.1 + 14.0).min(0.0));
        let norm = dx.hypot(dy).max(1.0);
        let push = if wavy {
            if i % 2 == 0 { 4.0 } else { -4.0 }
        } else if straight && cut == Cut::Cropped && i < last - 2 {
            if i % 2 == 0 { 3.0 } else { -2.0 }
        } else {
            0.0
        };
        point.0 += push * dx / norm;
        point.1 += push * dy / norm;
    }
    contour.into_iter().map(|(x, y)| geometry.turned((side * x, y), -0.2)).collect()
}

/// The inner contour of one side: the hairline, then the edge beside the face.
fn inner(scene: &Scene<'_>, cut: Cut, side: f32) -> Vec<Pt> {
    let geometry = scene.geometry;
    let (cheek, crown) = (geometry.cheek, geometry.crown);
    let mut points = if scene.has(Attribute::RecedingHairline) {
        // A tongue of hair in the middle and bare temples.
        vec![(0.0, crown + 9.0), (7.0, crown + 7.0), (19.0, crown - 1.5), (29.0, crown + 5.0), (cheek - 9.0, -36.0)]
    } else {
        let lean = 3.5 * scene.face.person.parting * side;
        vec![(0.0, crown + 20.0), (15.0, crown + 21.0 - lean), (29.0, crown + 28.0 - lean), (cheek - 9.0, -22.0)]
    };
    points.extend(match cut {
        Cut::Cropped | Cut::Updo => vec![(cheek - 5.0, -10.0), (cheek - 2.0, 3.0)],
        Cut::Bob => vec![(cheek - 5.0, -4.0), (cheek - 4.0, 30.0), (cheek - 7.0, 59.0)],
        Cut::Long => vec![(cheek - 5.0, -4.0), (cheek - 3.0, 32.0), (cheek - 9.0, 74.0), (cheek - 20.0, 122.0)],
    });
    points.into_iter().map(|(x, y)| geometry.turned((side * x, y), if y < 0.0 { 0.4 } else { 0.0 })).collect()
}

pub(super) fn paint_back(canvas: &mut Canvas, scene: &Scene<'_>) {
    let Some(hair) = Hair::of(scene) else { return };
    let dark = scene.palette.hair.scaled(0.62);
    match hair.cut {
        Cut::Cropped => {}
        Cut::Updo => {
            // A hat leaves no room for the knot.
            if !scene.has(Attribute::WearingHat) {
                let centre = (6.0 * scene.face.person.parting, scene.geometry.crown - 15.0);
                canvas.fill(&ellipse(centre, (19.0, 15.0)), scene.palette.hair.scaled(0.85), 1.0, None);
                canvas.stroke(&ellipse(centre, (12.0, 8.5)), 1.6, dark, 0.8, None);
            }
        }
        Cut::Bob | Cut::Long => {
            let [(left, _), (right, _)] = &hair.sides;
            let points: Vec<Pt> = left.iter().rev().chain(right.iter().skip(1)).copied().collect();
            canvas.fill(&blob(&points), dark, 1.0, None);
        }
    }
}

pub(super) fn paint_front(canvas: &mut Canvas, scene: &Scene<'_>) {
    let Some(hair) = Hair::of(scene) else { return };
    let colour = scene.palette.hair;
    let (dark, light) = (colour.mix(BLACK, 0.42), colour.mix(WHITE, if colour.luma() < 0.25 { 0.3 } else { 0.42 }));
    let [(left_outer, left_inner), (right_outer, right_inner)] = &hair.sides;
    let mut points: Vec<Pt> = left_outer.iter().rev().chain(right_outer.iter().skip(1)).copied().collect();
    points.extend(right_inner.iter().rev().chain(left_inner.iter().skip(1)));
    let shape = blob(&points);
    // A shadow where the hair meets the skin.
    let hairline: Vec<Pt> = left_inner.iter().rev().chain(right_inner.iter().skip(1)).copied().collect();
    canvas.stroke(&curve(&hairline), 4.0, scene.palette.shade, 0.35, scene.mask);
    let lit = -scene.face.shot.light_side.signum();
    let cheek = scene.geometry.cheek;
    canvas.fill_linear(&shape, ((-lit * cheek * 1.3, 20.0), colour.mix(BLACK, 0.35)), ((lit * cheek, -30.0), colour));

    let mut rng = stream(scene.face.shot.detail, "synth-strands", 0, 0);
    let (mut darks, mut lights) = (Vec::new(), Vec::new());
    if hair.wavy || hair.straight {
        for (outer, inner) in &hair.sides {
            let (outer, inner) = (resample(outer, STEPS), resample(inner, STEPS));
            for strand in 0..STRANDS {
                let at = (strand as f32 + rng.random_range(0.25..0.75)) / STRANDS as f32;
                let phase = rng.random_range(0.0..1.5);
                let line: Vec<Pt> = (1..STEPS - 1)
                    .map(|i| {
                        let (x, y) = lerp(outer[i], inner[i], at);
                        if hair.wavy { (x + 3.4 * (i as f32 * 1.15 + phase).sin(), y) } else { (x, y) }
                    })
                    .collect();
                if strand % 2 == 0 { darks.push(line) } else { lights.push(line) }
            }
        }
    } else {
        // Smooth hair has one band of light.
        for (outer, inner) in &hair.sides {
            let (outer, inner) = (resample(outer, STEPS), resample(inner, STEPS));
            lights.push((0..STEPS * 2 / 3).map(|i| lerp(outer[i], inner[i], 0.42)).collect());
        }
        canvas.fill(&ribbons(&lights, 8.0), light, 0.35, None);
    }
    let width = if hair.wavy { 3.4 } else { 2.8 };
    canvas.fill(&ribbons(&darks, width), dark, 0.85, None);
    canvas.fill(&ribbons(&lights, width), light, 0.65, None);

    if scene.has(Attribute::Bangs) {
        paint_bangs(canvas, scene, &hair, [colour, dark, light]);
    }
}

fn paint_bangs(canvas: &mut Canvas, scene: &Scene<'_>, hair: &Hair, [colour, dark, light]: [Colour; 3]) {
    let geometry = scene.geometry;
    let (cheek, crown) = (geometry.cheek, geometry.crown);
    let at = |x: f32, y: f32| geometry.turned((x, y), 0.6);
    let half = cheek - 5.0;
    let low = -14.0;
    // Straight across, or swept to one side.
    let sweep = if scene.face.shot.bangs < 0.5 { 0.0 } else { 7.0 * scene.face.person.parting.signum() };
    let edge = |u: f32| low - sweep * u + if sweep == 0.0 { 0.0 } else { -4.0 };
    let tips = 9;
    let mut points = vec![
        at(-half, -26.0),
        at(-half * 0.8, crown + 14.0),
        at(0.0, crown + 8.0),
        at(half * 0.8, crown + 14.0),
        at(half, -26.0),
    ];
    for i in (0..=2 * tips).rev() {
        let u = i as f32 / tips as f32 - 1.0;
        let tooth = if i % 2 == 0 {
            0.0
        } else if hair.wavy {
            -6.0
        } else {
            -3.5
        };
        points.push(at(u * half, edge(u) + tooth - 5.0 * u * u));
    }
    let fringe = blob(&points);
    canvas.stroke(&fringe, 2.5, scene.palette.shade, 0.4, scene.mask);
    canvas.fill(&fringe, colour.mix(dark, 0.12), 1.0, None);
    let strands = |offset: f32| -> Vec<[Pt; 3]> {
        (0..6)
            .map(|i| {
                let u = (i as f32 + offset) / 3.0 - 1.0;
                let bend = if hair.wavy { 3.0 } else { 0.0 };
                [
                    at(u * half * 0.7, crown + 16.0),
                    at(u * half * 0.85 + bend, -32.0),
                    at(u * half * 0.93, edge(u) - 5.0),
                ]
            })
            .collect()
    };
    canvas.fill(&ribbons(&strands(0.25), 2.2), dark, 0.8, None);
    canvas.fill(&ribbons(&strands(0.75), 2.2), light, 0.5, None);
}
