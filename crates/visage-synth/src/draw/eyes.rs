//! Eyes with their make-up, the bags under them and the brows.

use super::scene::{SIDES, Scene};
use crate::attribute::Attribute;
use crate::canvas::{BLACK, Canvas, Colour, Pt, WHITE, blob, curve, curves, ellipse};

const EYE_SHADOW: [Colour; 5] = Colour::list([0x703C96, 0x285CAA, 0xA0285A, 0x1E7C74, 0x462C38]);

pub(super) fn paint(canvas: &mut Canvas, scene: &Scene<'_>) {
    SIDES.into_iter().for_each(|side| paint_eye(canvas, scene, side));
}

/// One eye: the left (-1) or the right (1).
struct Eye {
    side: f32,
    centre: Pt,
    half_width: f32,
    /// How far the upper and the lower lid are from the centre.
    up: f32,
    down: f32,
    tilt: f32,
}

impl Eye {
    fn of(scene: &Scene<'_>, side: f32) -> Self {
        let geometry = scene.geometry;
        let (half_width, (up, down)) = (geometry.eye_half_width, geometry.lids);
        Eye { side, centre: geometry.eye(side), half_width, up, down, tilt: 1.2 * scene.face.person.eye_tilt }
    }

    /// The point at `u`, from -1 at the nose to 1 at the temple, `dy` below the axis of the eye.
    fn at(&self, u: f32, dy: f32) -> Pt {
        (self.centre.0 + self.side * u * self.half_width, self.centre.1 - self.tilt * u + dy)
    }
}

fn paint_eye(canvas: &mut Canvas, scene: &Scene<'_>, side: f32) {
    let eye = Eye::of(scene, side);
    // The socket, then shadow on the lid.
    let depth = if scene.has(Attribute::Male) { 0.5 } else { 0.3 };
    canvas.glow(eye.at(0.0, -6.0), (eye.half_width + 4.0, 8.0), 0.0, scene.palette.shade, depth, scene.mask);
    if scene.has(Attribute::HeavyMakeup) {
        paint_eye_shadow(canvas, scene, &eye);
    }
    if scene.has(Attribute::BagsUnderEyes) {
        paint_bag(canvas, scene, &eye);
    }
    paint_eyeball(canvas, scene, &eye);
    paint_lids(canvas, scene, &eye);
}

fn paint_eye_shadow(canvas: &mut Canvas, scene: &Scene<'_>, eye: &Eye) {
    let (at, up) = (|u, dy| eye.at(u, dy), eye.up);
    let colour = Colour::pick(&EYE_SHADOW, scene.face.shot.shadow);
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
    canvas.glow(at(0.35, -up - 3.0), (eye.half_width + 3.0, 8.0), 0.0, colour, 0.5, scene.mask);
}

fn paint_bag(canvas: &mut Canvas, scene: &Scene<'_>, eye: &Eye) {
    let at = |u, dy| eye.at(u, dy);
    // The edge of an open eye: a narrow eye has its bag at the same height.
    let under = 5.0;
    let bag = blob(&[
        at(-0.95, under + 0.5),
        at(0.0, under + 2.5),
        at(1.0, under),
        at(0.85, under + 7.5),
        at(0.0, under + 11.0),
        at(-0.75, under + 8.0),
    ]);
    let bruise = scene.palette.skin.scaled(0.55).mix(Colour::rgb(72, 40, 84), 0.35);
    canvas.fill(&bag, bruise, 0.55, scene.mask);
    let crease = curve(&[at(-0.8, under + 6.5), at(0.0, under + 11.0), at(0.9, under + 6.0)]);
    canvas.stroke(&crease, 1.9, bruise.scaled(0.6), 0.85, scene.mask);
}

fn paint_eyeball(canvas: &mut Canvas, scene: &Scene<'_>, eye: &Eye) {
    let (at, up, down) = (|u, dy| eye.at(u, dy), eye.up, eye.down);
    let palette = scene.palette;
    let attractive = scene.has(Attribute::Attractive);
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
    let (x, y) = eye.centre;
    let iris = (x + 2.4 * scene.face.shot.gaze + 0.25 * scene.geometry.turned((0.0, 0.0), 1.0).0, y - 0.8);
    let radius = if attractive { 6.4 } else { 5.2 };
    let colour =
        if attractive { palette.iris.mix(WHITE, 0.12) } else { palette.iris.mix(Colour::rgb(90, 80, 74), 0.3) };
    canvas.fill(&ellipse(iris, (radius, radius)), colour.scaled(0.45), 1.0, inside);
    canvas.fill(&ellipse(iris, (radius - 1.1, radius - 1.1)), colour, 1.0, inside);
    canvas.fill(&ellipse(iris, (radius * 0.46, radius * 0.46)), BLACK, 1.0, inside);
    let glint = if attractive { 1.9 } else { 0.8 };
    canvas.fill(&ellipse((iris.0 - 1.9, iris.1 - 2.0), (glint, glint)), WHITE, 0.95, inside);
    // The shadow of the upper lid on the eye.
    canvas.stroke(&curve(&[at(-1.0, 1.0), at(0.0, -up + 0.5), at(1.0, -0.6)]), 2.4, BLACK, 0.2, inside);
}

fn paint_lids(canvas: &mut Canvas, scene: &Scene<'_>, eye: &Eye) {
    let (at, up, down) = (|u, dy| eye.at(u, dy), eye.up, eye.down);
    let (made_up, male) = (scene.has(Attribute::HeavyMakeup), scene.has(Attribute::Male));
    let shade = scene.palette.shade;
    let rim = if made_up { BLACK } else { shade.scaled(0.35) };
    let width = match (made_up, male) {
        (true, _) => 3.2,
        (false, true) => 1.7,
        (false, false) => 2.1,
    };
    let upper = [at(-1.02, 1.2), at(-0.5, -up * 0.8), at(0.05, -up), at(0.6, -up * 0.72), at(1.05, -0.8)];
    canvas.stroke(&curve(&upper), width, rim, 0.95, None);
    let lower = [at(-0.9, 1.6), at(-0.1, down), at(0.9, 0.8)];
    let (width, alpha) = if made_up { (1.8, 0.9) } else { (1.0, 0.5) };
    canvas.stroke(&curve(&lower), width, rim, alpha, None);
    if !made_up {
        let crease = [at(-0.85, -up - 0.5), at(0.0, -up - 3.6), at(0.95, -up * 0.6 - 3.0)];
        canvas.stroke(&curve(&crease), 1.2, shade.scaled(0.6), 0.6, None);
    }
    if made_up || !male {
        let reach = if made_up { 5.5 } else { 3.0 };
        let lash = |u: f32, lean: f32| {
            let root = at(u, -up * (1.0 - 0.55 * u * u));
            vec![root, (root.0 + eye.side * lean * reach, root.1 - reach)]
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
