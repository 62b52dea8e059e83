//! Eyes, what is painted around them, the bags under them and the brows over them.

use super::{SIDES, Scene};
use crate::Attribute;
use crate::canvas::{BLACK, Canvas, Colour, Pt, WHITE, blob, curve, curves, ellipse};

const EYE_SHADOW: [Colour; 5] = [
    Colour::rgb(112, 60, 150),
    Colour::rgb(40, 92, 170),
    Colour::rgb(160, 40, 90),
    Colour::rgb(30, 124, 116),
    Colour::rgb(70, 44, 56),
];

pub(super) fn paint(canvas: &mut Canvas, scene: &Scene<'_>) {
    SIDES.into_iter().for_each(|side| paint_eye(canvas, scene, side));
}

fn paint_eye(canvas: &mut Canvas, scene: &Scene<'_>, side: f32) {
    let (geometry, palette, shot) = (scene.geometry, scene.palette, &scene.face.shot);
    let (x, y) = geometry.eye(side);
    let (half, (up, down)) = (geometry.eye_half_width, geometry.lids);
    let made_up = scene.has(Attribute::HeavyMakeup);
    let male = scene.has(Attribute::Male);
    let attractive = scene.has(Attribute::Attractive);
    let tilt = 1.2 * scene.face.person.eye_tilt;
    // u from -1 at the nose to 1 at the temple.
    let at = |u: f32, dy: f32| -> Pt { (x + side * u * half, y - tilt * u + dy) };

    // The socket, then shadow on the lid.
    canvas.glow(at(0.0, -6.0), (half + 4.0, 8.0), 0.0, palette.shade, if male { 0.5 } else { 0.3 }, scene.mask);
    if made_up {
        let colour = EYE_SHADOW[((shot.shadow * EYE_SHADOW.len() as f32) as usize).min(EYE_SHADOW.len() - 1)];
        let lid = blob(&[
            at(-1.0, 0.0),
            at(-0.5, -up - 4.5),
            at(0.2, -up - 6.5),
            at(0.95, -up - 3.5),
            at(1.3, -4.0),
            at(1.05, 0.5),
            at(0.0, 0.0),
        ]);
        canvas.fill(&lid, colour, 0.8, scene.mask);
        canvas.glow(at(0.35, -up - 3.0), (half + 3.0, 8.0), 0.0, colour, 0.5, scene.mask);
    }
    if scene.has(Attribute::BagsUnderEyes) {
        // Where an open eye ends: narrowing the eye leaves the bag where it is.
        let under = 5.0;
        let bag = blob(&[
            at(-0.95, under + 0.5),
            at(0.0, under + 2.5),
            at(1.0, under),
            at(0.85, under + 7.5),
            at(0.0, under + 11.0),
            at(-0.75, under + 8.0),
        ]);
        let bruise = palette.skin.scaled(0.55).mix(Colour::rgb(72, 40, 84), 0.35);
        canvas.fill(&bag, bruise, 0.55, scene.mask);
        canvas.stroke(
            &curve(&[at(-0.8, under + 6.5), at(0.0, under + 11.0), at(0.9, under + 6.0)]),
            1.9,
            bruise.scaled(0.6),
            0.85,
            scene.mask,
        );
    }

    let almond = blob(&[
        at(-1.0, 1.2),
        at(-0.5, -up * 0.8),
        at(0.05, -up),
        at(0.6, -up * 0.72),
        at(1.0, -0.6),
        at(0.5, down * 0.85),
        at(-0.1, down),
        at(-0.6, down * 0.75),
    ]);
    let white = if attractive { Colour::rgb(250, 250, 252) } else { Colour::rgb(222, 204, 192) };
    canvas.fill(&almond, white, 1.0, None);
    let inside = canvas.mask(&almond);
    let inside = inside.as_ref();
    let iris = (x + 2.4 * shot.gaze + 0.25 * scene.geometry.turned((0.0, 0.0), 1.0).0, y - 0.8);
    let radius = if attractive { 6.4 } else { 5.2 };
    let colour =
        if attractive { palette.iris.mix(WHITE, 0.12) } else { palette.iris.mix(Colour::rgb(90, 80, 74), 0.3) };
    canvas.fill(&ellipse(iris, (radius, radius)), colour.scaled(0.45), 1.0, inside);
    canvas.fill(&ellipse(iris, (radius - 1.1, radius - 1.1)), colour, 1.0, inside);
    canvas.fill(&ellipse(iris, (radius * 0.46, radius * 0.46)), BLACK, 1.0, inside);
    let glint = if attractive { 1.9 } else { 0.8 };
    canvas.fill(&ellipse((iris.0 - 1.9, iris.1 - 2.0), (glint, glint)), WHITE, 0.95, inside);
    // The upper lid throws a shadow on the eye.
    canvas.stroke(&curve(&[at(-1.0, 1.0), at(0.0, -up + 0.5), at(1.0, -0.6)]), 2.4, BLACK, 0.2, inside);

    let rim = if made_up { BLACK } else { palette.shade.scaled(0.35) };
    let width = match (made_up, male) {
        (true, _) => 3.2,
        (false, true) => 1.7,
        (false, false) => 2.1,
    };
    canvas.stroke(
        &curve(&[at(-1.02, 1.2), at(-0.5, -up * 0.8), at(0.05, -up), at(0.6, -up * 0.72), at(1.05, -0.8)]),
        width,
        rim,
        0.95,
        None,
    );
    canvas.stroke(
        &curve(&[at(-0.9, 1.6), at(-0.1, down), at(0.9, 0.8)]),
        if made_up { 1.8 } else { 1.0 },
        rim,
        if made_up { 0.9 } else { 0.5 },
        None,
    );
    if !made_up {
        canvas.stroke(
            &curve(&[at(-0.85, -up - 0.5), at(0.0, -up - 3.6), at(0.95, -up * 0.6 - 3.0)]),
            1.2,
            palette.shade.scaled(0.6),
            0.6,
            None,
        );
    }
    if made_up || !male {
        let reach = if made_up { 5.5 } else { 3.0 };
        let lash = |u: f32, lean: f32| {
            let root = at(u, -up * (1.0 - 0.55 * u * u));
            vec![root, (root.0 + side * lean * reach, root.1 - reach)]
        };
        let lashes = if made_up {
            vec![lash(-0.2, 0.1), lash(0.2, 0.3), lash(0.55, 0.6), lash(0.85, 0.9), lash(1.0, 1.2)]
        } else {
            vec![lash(0.85, 0.9), lash(1.0, 1.2)]
        };
        canvas.stroke(&curves(&lashes), 1.3, rim, 0.95, None);
    }
}

/// The brows: level or arched, thin or bushy.
pub(super) fn paint_brows(canvas: &mut Canvas, scene: &Scene<'_>) {
    let geometry = scene.geometry;
    let (arch, bushy, male) =
        (scene.has(Attribute::ArchedEyebrows), scene.has(Attribute::BushyEyebrows), scene.has(Attribute::Male));
    let thick = match (bushy, male) {
        (true, _) => 8.5,
        (false, true) => 4.2,
        (false, false) => 3.2,
    };
    let colour = scene.palette.brow;
    for side in SIDES {
        let at = |x: f32, dy: f32| {
            let (x, y) = geometry.turned((side * x, geometry.brow + dy), 1.0);
            (x, y + side * geometry.skew * 0.6)
        };
        // The lower edge from the nose outwards: (x, height above the brow line).
        let spine = if arch {
            [(8.5, -0.5), (17.0, -4.5), (25.0, -8.5), (31.0, -6.0), (38.0, 3.5)]
        } else {
            [(8.5, 0.5), (17.0, -0.6), (25.0, -1.0), (31.0, -0.4), (37.0, 1.4)]
        };
        let body = [1.0, 1.0, 0.9, 0.75, 0.2];
        let mut edge: Vec<Pt> = spine.iter().map(|&(x, y)| at(x, y + thick * 0.3)).collect();
        edge.extend(spine.iter().zip(body).rev().map(|(&(x, y), b)| at(x, y + thick * 0.3 - thick * b)));
        canvas.fill(&blob(&edge), colour, if bushy { 1.0 } else { 0.9 }, None);
        if bushy {
            let hairs: Vec<[Pt; 2]> = (0..11)
                .map(|i| {
                    let t = i as f32 / 10.0;
                    let (x, y) =
                        (8.0 + 29.0 * t, if arch { -8.0 * (1.0 - (2.2 * t - 1.3).powi(2)).max(-0.4) } else { -0.5 });
                    [at(x, y + thick * 0.35), at(x + 2.5, y - thick * (0.95 - 0.35 * t))]
                })
                .collect();
            canvas.stroke(&curves(&hairs), 1.5, colour, 1.0, None);
        }
    }
}
