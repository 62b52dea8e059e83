//! Eyeglasses.

use super::scene::{SIDES, Scene};
use crate::attribute::Attribute;
use crate::canvas::{BLACK, Canvas, Colour, WHITE, blob, curve, ellipse};

const FRAMES: [Colour; 5] = Colour::list([0x121214, 0x5C3018, 0x961824, 0x1E3678, 0x141418]);

pub(super) fn paint(canvas: &mut Canvas, scene: &Scene<'_>) {
    if !scene.has(Attribute::Eyeglasses) {
        return;
    }
    let (geometry, shot) = (scene.geometry, &scene.face.shot);
    let style = shot.glasses * FRAMES.len() as f32;
    let colour = FRAMES[(style as usize).min(FRAMES.len() - 1)];
    let round = style.fract() < 0.5;
    let width = 2.6 + 1.2 * style.fract();
    let (rx, ry) = if round { (17.0, 16.0) } else { (18.5, 13.0) };
    let centre = |side: f32| {
        let (x, _) = geometry.turned((side * (geometry.eye_x + 0.6), 0.0), 1.25);
        (x, 2.0)
    };
    for side in SIDES {
        let (x, y) = centre(side);
        let lens = if round {
            ellipse((x, y), (rx, ry))
        } else {
            blob(&[
                (x - rx, y - ry * 0.6),
                (x - rx * 0.7, y - ry),
                (x + rx * 0.7, y - ry),
                (x + rx, y - ry * 0.6),
                (x + rx * 0.9, y + ry * 0.7),
                (x + rx * 0.5, y + ry),
                (x - rx * 0.5, y + ry),
                (x - rx * 0.9, y + ry * 0.7),
            ])
        };
        canvas.fill(&lens, BLACK, 0.1, None);
        canvas.stroke(&curve(&[(x - 8.0, y + 5.0), (x + 1.0, y - 7.0)]), 2.2, WHITE, 0.4, None);
        canvas.stroke(&lens, width, colour, 1.0, None);
        let hinge = (x + side * rx, y - ry * 0.35);
        let ear = geometry.ear(side);
        canvas.stroke(&curve(&[hinge, (ear.0, hinge.1 + 1.5)]), width * 0.8, colour, 1.0, None);
    }
    let (left, right) = (centre(-1.0), centre(1.0));
    let bridge = [(left.0 + rx, left.1 - 3.0), ((left.0 + right.0) / 2.0, left.1 - 6.0), (right.0 - rx, right.1 - 3.0)];
    canvas.stroke(&curve(&bridge), width, colour, 1.0, None);
}
