//! The regions of an image in which attributes are visible.

use crate::attribute::Attribute;
use crate::canvas::Pt;
use crate::face::Face;
use crate::geometry::{Geometry, HAT_DEPTH, Hat};
use tiny_skia::Point;

/// A rectangle of an image in pixels: `left` and `top` are inclusive, `right` and `bottom` exclusive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Region {
    /// The smallest x.
    pub left: f32,
    /// The smallest y.
    pub top: f32,
    /// The largest x.
    pub right: f32,
    /// The largest y.
    pub bottom: f32,
}

impl Region {
    /// Whether the point `x`, `y` is inside.
    pub fn contains(&self, x: f32, y: f32) -> bool {
        (self.left..self.right).contains(&x) && (self.top..self.bottom).contains(&y)
    }
}

impl Face {
    /// The rectangles with the pixels of `attribute` in an image of `width` by `height` pixels; they may overlap. None for an
    /// attribute of the whole face or image.
    pub fn regions(&self, attribute: Attribute, width: u32, height: u32) -> Vec<Region> {
        let geometry = Geometry::of(self);
        let frame = geometry.head_frame(width, height);
        let place = |(left, top, right, bottom): Bounds| {
            let mut corners =
                [(left, top), (right, top), (left, bottom), (right, bottom)].map(|(x, y)| Point::from_xy(x, y));
            frame.map_points(&mut corners);
            let [xs, ys] = [corners.map(|p| p.x / width as f32), corners.map(|p| p.y / height as f32)];
            let least = |of: [f32; 4], side: u32| of.into_iter().fold(1.0, f32::min).max(0.0) * side as f32;
            let most = |of: [f32; 4], side: u32| of.into_iter().fold(0.0, f32::max).min(1.0) * side as f32;
            Region { left: least(xs, width), top: least(ys, height), right: most(xs, width), bottom: most(ys, height) }
        };
        boxes(&geometry, attribute).into_iter().map(place).collect()
    }
}

fn boxes(geometry: &Geometry, attribute: Attribute) -> Vec<Bounds> {
    use Attribute::*;
    let side = geometry.cheek + 16.0;
    let eyes = geometry.eye_x + geometry.eye_half_width;
    let (left, top, right, bottom) = match attribute {
        WearingHat => return hat_boxes(geometry),
        WearingEarrings => {
            let [left, right] = [-1.0, 1.0].map(|side| geometry.ear(side));
            return vec![around(left, (-12.0, 6.0, 10.0, 36.0)), around(right, (-10.0, 6.0, 12.0, 36.0))];
        }
        ArchedEyebrows | BushyEyebrows => (-eyes - 8.0, geometry.brow - 14.0, eyes + 8.0, geometry.brow + 9.0),
        NarrowEyes => (-eyes - 9.0, -22.0, eyes + 9.0, 11.0),
        BagsUnderEyes => (-eyes - 6.0, 3.0, eyes + 6.0, 22.0),
        Eyeglasses => (-side, -22.0, side, 22.0),
        BigNose | PointyNose => (-22.0, -14.0, 22.0, geometry.nose_tip + 14.0),
        BigLips | MouthSlightlyOpen | WearingLipstick => (-32.0, geometry.mouth - 17.0, 32.0, geometry.mouth + 21.0),
        Smiling => (-40.0, geometry.nose_tip - 10.0, 40.0, geometry.mouth + 21.0),
        Mustache => (-34.0, geometry.nose_tip - 2.0, 34.0, geometry.mouth + 10.0),
        Goatee => (-26.0, geometry.mouth + 2.0, 26.0, geometry.chin + 12.0),
        DoubleChin => (-46.0, geometry.chin - 14.0, 46.0, geometry.chin + 24.0),
        Bangs => (-side, geometry.crown - 14.0, side, geometry.brow + 14.0),
        RecedingHairline => (-side, geometry.crown - 14.0, side, -24.0),
        WearingNecklace | WearingNecktie => (-46.0, geometry.chin - 2.0, 46.0, 130.0),
        RosyCheeks | HighCheekbones => (-geometry.cheek - 2.0, -2.0, geometry.cheek + 2.0, 50.0),
        _ => return Vec::new(),
    };
    vec![(left + geometry.yaw, top, right + geometry.yaw, bottom)]
}

fn hat_boxes(geometry: &Geometry) -> Vec<Bounds> {
    let (half, rim, top) = (geometry.hat_half_width, geometry.hat_rim, geometry.hat_top);
    let at = geometry.turned((0.0, 0.0), HAT_DEPTH);
    match geometry.hat {
        Hat::Knitted => vec![around(at, (-half - 4.0, top - 14.0, half + 4.0, rim + 10.0))],
        Hat::Peaked => vec![around(at, (-half - 2.0, top + 3.0, half + 2.0, rim + 14.0))],
        Hat::Brimmed => vec![
            around(at, (-half - 2.0, top - 1.0, half + 2.0, rim - 8.0)),
            around(at, (-half - 25.0, rim - 8.0, half + 25.0, rim + 11.0)),
        ],
    }
}

/// Left, top, right and bottom in the head's frame.
type Bounds = (f32, f32, f32, f32);

/// A box relative to a point.
fn around((x, y): Pt, (left, top, right, bottom): Bounds) -> Bounds {
    (x + left, y + top, x + right, y + bottom)
}
