//! Neck, double chin, clothes and necktie.

use super::scene::{SIDES, Scene};
use crate::attribute::Attribute;
use crate::canvas::{BLACK, Canvas, Colour, WHITE, blob, curve, polygon};

const CLOTHES: [Colour; 9] =
    Colour::list([0x28365C, 0x7A1E2A, 0x2A5C4C, 0xD2A848, 0x565A64, 0xE8E2D8, 0x84528E, 0x468CB4, 0x1E1E22]);
const TIES: [Colour; 5] = Colour::list([0xA01422, 0x1C3E8C, 0x18623E, 0xD2961E, 0x68206E]);

/// The lower end of the shoulders, below the image.
const BELOW: f32 = 140.0;

pub(super) fn paint(canvas: &mut Canvas, scene: &Scene<'_>) {
    let (geometry, palette, shot) = (scene.geometry, scene.palette, &scene.face.shot);
    let neck = geometry.neck_half_width;
    let chin = geometry.chin;
    let base = 93.0;

    let broad = if scene.has(Attribute::Male) { 6.0 } else { 0.0 };
    let cloth = Colour::pick(&CLOTHES, shot.clothes_colour);
    let shoulders = blob(&[
        (-neck - 2.0, base - 4.0),
        (0.0, base + 3.0),
        (neck + 2.0, base - 4.0),
        (56.0 + broad, base + 11.0),
        (84.0 + broad, base + 30.0),
        (92.0 + broad, BELOW),
        (0.0, BELOW + 10.0),
        (-92.0 - broad, BELOW),
        (-84.0 - broad, base + 30.0),
        (-56.0 - broad, base + 11.0),
    ]);
    canvas.fill(&shoulders, cloth, 1.0, None);

    // The neck, darker under the chin.
    let trunk = polygon(&[(-neck, 30.0), (neck, 30.0), (neck + 1.0, base), (0.0, base + 17.0), (-neck - 1.0, base)]);
    let skin = palette.skin.mix(palette.shade, 0.3);
    canvas.fill_linear(&trunk, ((0.0, chin - 4.0), skin.mix(palette.shade, 0.9)), ((0.0, base + 4.0), skin));

    if scene.has(Attribute::WearingNecktie) {
        paint_tie(canvas, scene, neck, base);
    } else if shot.clothes < 0.3 {
        paint_collar(canvas, cloth.mix(WHITE, 0.25), neck, base);
    } else {
        let collar = curve(&[
            (-neck - 2.0, base - 3.0),
            (-neck * 0.5, base + 11.0),
            (0.0, base + 17.0),
            (neck * 0.5, base + 11.0),
            (neck + 2.0, base - 3.0),
        ]);
        canvas.stroke(&collar, 4.0, cloth.mix(BLACK, 0.25), 1.0, None);
    }

    if scene.has(Attribute::DoubleChin) {
        paint_double_chin(canvas, scene);
    }
}

/// A fold that bulges below the chin: skin-coloured, lit in the middle, with a dark crease under it.
fn paint_double_chin(canvas: &mut Canvas, scene: &Scene<'_>) {
    let (palette, neck, chin) = (scene.palette, scene.geometry.neck_half_width, scene.geometry.chin);
    let half = neck.max(26.0) + 3.0;
    let low = chin + 15.0;
    let fold = blob(&[
        (-half, chin - 22.0),
        (half, chin - 22.0),
        (half - 4.0, low - 9.0),
        (0.0, low),
        (-half + 4.0, low - 9.0),
    ]);
    canvas.fill(&fold, palette.skin.mix(palette.shade, 0.12), 1.0, None);
    canvas.glow((0.0, chin + 8.0), (half * 0.7, 7.0), 0.0, palette.light, 0.5, None);
    let crease = [
        (-half + 3.0, low - 10.0),
        (-half * 0.5, low - 2.0),
        (0.0, low),
        (half * 0.5, low - 2.0),
        (half - 3.0, low - 10.0),
    ];
    canvas.stroke(&curve(&crease), 2.6, palette.shade.scaled(0.7), 0.9, None);
}

fn paint_collar(canvas: &mut Canvas, colour: Colour, neck: f32, base: f32) {
    for side in SIDES {
        let flap = polygon(&[
            (side * (neck + 3.0), base - 9.0),
            (side * 2.0, base + 15.0),
            (side * 13.0, base + 26.0),
            (side * (neck + 11.0), base + 6.0),
        ]);
        canvas.fill(&flap, colour, 1.0, None);
        canvas.stroke(&flap, 1.2, colour.scaled(0.6), 0.8, None);
    }
}

fn paint_tie(canvas: &mut Canvas, scene: &Scene<'_>, neck: f32, base: f32) {
    let shirt = Colour::rgb(240, 242, 246);
    let front = polygon(&[(-neck - 3.0, base - 6.0), (neck + 3.0, base - 6.0), (20.0, BELOW), (-20.0, BELOW)]);
    canvas.fill(&front, shirt, 1.0, None);
    let throat = polygon(&[(-neck + 3.0, base - 8.0), (neck - 3.0, base - 8.0), (0.0, base + 7.0)]);
    canvas.fill(&throat, scene.palette.shade, 1.0, None);
    let shot = &scene.face.shot;
    let colour = Colour::pick(&TIES, shot.tie);
    let blade = polygon(&[(-6.0, base + 11.0), (6.0, base + 11.0), (14.0, BELOW), (-14.0, BELOW)]);
    canvas.fill(&blade, colour, 1.0, None);
    if shot.clothes < 0.5 {
        for stripe in 0..3 {
            let y = base + 16.0 + 9.0 * stripe as f32;
            canvas.stroke(&curve(&[(-8.0, y + 4.0), (8.0, y - 4.0)]), 2.2, colour.mix(WHITE, 0.6), 1.0, None);
        }
    }
    let knot = polygon(&[(-8.0, base + 1.0), (8.0, base + 1.0), (5.5, base + 12.0), (-5.5, base + 12.0)]);
    canvas.fill(&knot, colour.scaled(0.78), 1.0, None);
    paint_collar(canvas, shirt, neck, base);
}
