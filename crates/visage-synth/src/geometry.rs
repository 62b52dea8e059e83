//! The geometry of a face.
//!
//! The head's frame has its origin between the eyes, x to the right and y down, in pixels of an image of 178 by 218.
//! The body's frame is the same without the head's roll.

use crate::attribute::Attribute;
use crate::canvas::Pt;
use crate::face::{Face, Region};
use tiny_skia::{Point, Transform};

/// The width of CelebA's aligned images. All lengths here are in pixels of an image of this size.
pub const WIDTH: u32 = 178;
/// The height of CelebA's aligned images, see [`WIDTH`].
pub const HEIGHT: u32 = 218;

/// The position of the point between the eyes, before the pose.
const ORIGIN: Pt = (89.0, 98.0);

/// A kind of hat.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hat {
    /// A knitted cap with a turned-up edge and a bobble.
    Knitted,
    /// A cap with a peak.
    Peaked,
    /// A hat with a brim and a band.
    Brimmed,
}

/// The depth of a hat, as in [`Geometry::turned`].
pub(crate) const HAT_DEPTH: f32 = 0.2;

/// The positions and sizes that several parts of the drawing share.
pub(crate) struct Geometry {
    /// The horizontal shift by the face's turn, in pixels at the depth of the eyes.
    yaw: f32,
    /// Half the width of the face at the cheekbones, and at the jaw.
    pub cheek: f32,
    pub jaw: f32,
    /// The lowest point of the face, and the highest of the skull.
    pub chin: f32,
    pub crown: f32,
    pub eye_x: f32,
    pub eye_half_width: f32,
    /// The distances of the upper and the lower lid from the centre of the eye.
    pub lids: (f32, f32),
    pub brow: f32,
    pub nose_tip: f32,
    pub nose_half_width: f32,
    pub mouth: f32,
    pub mouth_half_width: f32,
    pub neck_half_width: f32,
    /// The kind of hat, half its width at the rim, the height of the rim, and the top of the tallest kind.
    pub hat: Hat,
    pub hat_half_width: f32,
    pub hat_rim: f32,
    pub hat_top: f32,
    /// How much lower one eye and one corner of the mouth are than the other.
    pub skew: f32,
    /// The outline of the face, clockwise from the top of the skull.
    pub outline: Vec<Pt>,
    shift: Pt,
    scale: f32,
    roll_degrees: f32,
}

impl Geometry {
    pub(crate) fn of(face: &Face) -> Self {
        use Attribute::*;
        let has = |attribute| face.attributes.has(attribute);
        let (person, shot) = (&face.person, &face.shot);
        let pick = |attribute, present: f32, absent: f32| if has(attribute) { present } else { absent };

        let heavy = pick(Chubby, 1.0, 0.0);
        let wide = 1.0 + 0.03 * person.face_width;
        let cheek = (pick(OvalFace, 42.0, 47.5) + 3.5 * heavy) * wide;
        let jaw = (pick(OvalFace, 30.5, 38.5) + pick(Male, 4.0, 0.0) + 8.0 * heavy) * wide;
        let chin_half = pick(OvalFace, 12.0, 19.0) + pick(Male, 4.5, 0.0) + 4.0 * heavy;
        let chin = pick(OvalFace, 77.0, 69.0) + pick(Male, 2.0, 0.0) + 2.0 * person.face_length;
        let crown = pick(OvalFace, -65.0, -61.0) - person.face_length;
        let yaw = 4.5 * shot.yaw;
        let outline = outline([cheek, jaw, chin_half], chin, crown, heavy, yaw);
        let lids = if has(NarrowEyes) { (2.4, 1.9) } else { (7.0, 4.9) };
        let eye_size = 1.0 + 0.07 * person.eye_size;
        Self {
            yaw,
            cheek,
            jaw,
            chin,
            crown,
            eye_x: 22.0 + 1.3 * person.eye_spacing,
            eye_half_width: 12.0 * eye_size,
            lids: (lids.0 * eye_size, lids.1 * eye_size),
            brow: -15.0 - 1.3 * person.brow_height + pick(Male, 2.0, 0.0),
            nose_tip: 24.0 + 1.8 * person.nose_length,
            nose_half_width: pick(BigNose, 15.0, 8.5) + pick(PointyNose, -1.0, 0.5),
            mouth: 46.0 + 1.2 * person.mouth_height,
            mouth_half_width: 17.0 + 1.3 * person.mouth_width + pick(Smiling, 4.5, 0.0),
            neck_half_width: pick(Male, 28.0, 20.0) + 1.5 * person.neck_width + 3.0 * heavy,
            hat: match (shot.hat * 3.0) as u32 {
                0 => Hat::Knitted,
                1 => Hat::Peaked,
                _ => Hat::Brimmed,
            },
            hat_half_width: cheek + 9.0,
            hat_rim: -29.0,
            hat_top: crown - 20.0,
            skew: pick(Attractive, 0.0, 3.6) * person.skew.signum() * (0.6 + 0.4 * person.skew.abs()),
            outline,
            shift: (4.0 * shot.shift.0, 4.0 * shot.shift.1),
            scale: 1.0 + 0.05 * shot.scale,
            roll_degrees: 6.0 * shot.roll,
        }
    }

    /// The position of a point of the face after its turn. `depth` is 1 for the eyes and 1.7 for the tip of the nose.
    pub(crate) fn turned(&self, (x, y): Pt, depth: f32) -> Pt {
        // The side that turns away from the viewer gets narrower.
        (x * (1.0 - 0.01 * self.yaw * x.signum()) + self.yaw * depth, y)
    }

    /// The centre of the left (-1) or the right (1) eye.
    pub(crate) fn eye(&self, side: f32) -> Pt {
        let (x, y) = self.turned((side * self.eye_x, 0.0), 1.0);
        (x, y + side * self.skew * 0.5)
    }

    /// The centre of the left (-1) or the right (1) ear.
    pub(crate) fn ear(&self, side: f32) -> Pt {
        self.turned((side * (self.cheek + 2.0), 9.0), -0.3)
    }

    /// Maps the head's frame to the pixels of an image of `width` by `height`.
    pub(crate) fn head_frame(&self, width: u32, height: u32) -> Transform {
        Transform::from_rotate(self.roll_degrees).post_concat(self.body_frame(width, height))
    }

    /// Maps the body's frame to the pixels of an image of `width` by `height`.
    pub(crate) fn body_frame(&self, width: u32, height: u32) -> Transform {
        Transform::from_scale(self.scale, self.scale)
            .post_translate(ORIGIN.0 + self.shift.0, ORIGIN.1 + self.shift.1)
            .post_concat(picture_frame(width, height))
    }

    /// See [`Face::regions`].
    pub(crate) fn regions(&self, attribute: Attribute, width: u32, height: u32) -> Vec<Region> {
        let frame = self.head_frame(width, height);
        let place = |(left, top, right, bottom): Bounds| {
            let mut corners =
                [(left, top), (right, top), (left, bottom), (right, bottom)].map(|(x, y)| Point::from_xy(x, y));
            frame.map_points(&mut corners);
            let [xs, ys] = [corners.map(|p| p.x / width as f32), corners.map(|p| p.y / height as f32)];
            let least = |of: [f32; 4], side: u32| of.into_iter().fold(1.0, f32::min).max(0.0) * side as f32;
            let most = |of: [f32; 4], side: u32| of.into_iter().fold(0.0, f32::max).min(1.0) * side as f32;
            Region { left: least(xs, width), top: least(ys, height), right: most(xs, width), bottom: most(ys, height) }
        };
        self.boxes(attribute).into_iter().map(place).collect()
    }

    /// The regions in the head's frame.
    fn boxes(&self, attribute: Attribute) -> Vec<Bounds> {
        use Attribute::*;
        let side = self.cheek + 16.0;
        let eyes = self.eye_x + self.eye_half_width;
        let (left, top, right, bottom) = match attribute {
            WearingHat => return self.hat_boxes(),
            WearingEarrings => {
                let [left, right] = [-1.0, 1.0].map(|side| self.ear(side));
                return vec![around(left, (-12.0, 6.0, 10.0, 36.0)), around(right, (-10.0, 6.0, 12.0, 36.0))];
            }
            ArchedEyebrows | BushyEyebrows => (-eyes - 8.0, self.brow - 14.0, eyes + 8.0, self.brow + 9.0),
            NarrowEyes => (-eyes - 9.0, -22.0, eyes + 9.0, 11.0),
            BagsUnderEyes => (-eyes - 6.0, 3.0, eyes + 6.0, 22.0),
            Eyeglasses => (-side, -22.0, side, 22.0),
            BigNose | PointyNose => (-22.0, -14.0, 22.0, self.nose_tip + 14.0),
            BigLips | MouthSlightlyOpen | WearingLipstick => (-32.0, self.mouth - 17.0, 32.0, self.mouth + 21.0),
            Smiling => (-40.0, self.nose_tip - 10.0, 40.0, self.mouth + 21.0),
            Mustache => (-34.0, self.nose_tip - 2.0, 34.0, self.mouth + 10.0),
            Goatee => (-26.0, self.mouth + 2.0, 26.0, self.chin + 12.0),
            DoubleChin => (-46.0, self.chin - 14.0, 46.0, self.chin + 24.0),
            Bangs => (-side, self.crown - 14.0, side, self.brow + 14.0),
            RecedingHairline => (-side, self.crown - 14.0, side, -24.0),
            WearingNecklace | WearingNecktie => (-46.0, self.chin - 2.0, 46.0, 130.0),
            RosyCheeks | HighCheekbones => (-self.cheek - 2.0, -2.0, self.cheek + 2.0, 50.0),
            _ => return Vec::new(),
        };
        vec![(left + self.yaw, top, right + self.yaw, bottom)]
    }

    /// The crown of a hat with its edge or peak, and its brim.
    fn hat_boxes(&self) -> Vec<Bounds> {
        let (half, rim, top) = (self.hat_half_width, self.hat_rim, self.hat_top);
        let at = self.turned((0.0, 0.0), HAT_DEPTH);
        match self.hat {
            Hat::Knitted => vec![around(at, (-half - 4.0, top - 14.0, half + 4.0, rim + 10.0))],
            Hat::Peaked => vec![around(at, (-half - 2.0, top + 3.0, half + 2.0, rim + 14.0))],
            Hat::Brimmed => vec![
                around(at, (-half - 2.0, top - 1.0, half + 2.0, rim - 8.0)),
                around(at, (-half - 25.0, rim - 8.0, half + 25.0, rim + 11.0)),
            ],
        }
    }
}

/// The outline of the face, clockwise from the top of the skull. The half widths are those of the cheekbones, the jaw and the
/// chin.
fn outline([cheek, jaw, chin_half]: [f32; 3], chin: f32, crown: f32, heavy: f32, yaw: f32) -> Vec<Pt> {
    let half = [
        (24.0, crown + 3.0),
        (cheek - 7.5, -41.0),
        (cheek - 2.0, -16.0),
        (cheek, 6.0),
        (cheek - 2.5 + 4.0 * heavy, 26.0),
        (jaw, 46.0),
        (chin_half, chin - 6.0),
    ];
    let mut outline = vec![(0.0, crown)];
    outline.extend(half);
    outline.push((0.0, chin));
    outline.extend(half.iter().rev().map(|&(x, y)| (-x, y)));
    for point in &mut outline {
        point.0 += 0.2 * yaw;
    }
    outline
}

/// Left, top, right and bottom in the head's frame.
type Bounds = (f32, f32, f32, f32);

/// A box relative to a point.
fn around((x, y): Pt, (left, top, right, bottom): Bounds) -> Bounds {
    (x + left, y + top, x + right, y + bottom)
}

/// Maps an image of [`WIDTH`] by [`HEIGHT`] to one of `width` by `height`.
pub(crate) fn picture_frame(width: u32, height: u32) -> Transform {
    Transform::from_scale(width as f32 / WIDTH as f32, height as f32 / HEIGHT as f32)
}
