//! The geometry of a face.
//!
//! The head's frame has its origin between the eyes, x to the right and y down, in pixels of an image of 178 by 218.
//! The body's frame is the same without the head's roll.

use crate::attribute::Attribute;
use crate::canvas::Pt;
use crate::face::Face;
use tiny_skia::Transform;

/// The width of CelebA's aligned images. All lengths here are in pixels of an image of this size.
pub const WIDTH: u32 = 178;
/// The height of CelebA's aligned images, see [`WIDTH`].
pub const HEIGHT: u32 = 218;

/// The position of the point between the eyes, before the pose.
const ORIGIN: Pt = (89.0, 98.0);

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hat {
    Knitted,
    Peaked,
    Brimmed,
}

/// The depth of a hat, as in [`Geometry::turned`].
pub(crate) const HAT_DEPTH: f32 = 0.2;

/// The positions and sizes that several parts of the drawing share.
pub(crate) struct Geometry {
    /// The horizontal shift by the face's turn, in pixels at the depth of the eyes.
    pub yaw: f32,
    /// Half the width of the face at the cheekbones, and at the jaw.
    pub cheek: f32,
    pub jaw: f32,
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

/// Maps an image of [`WIDTH`] by [`HEIGHT`] to one of `width` by `height`.
pub(crate) fn picture_frame(width: u32, height: u32) -> Transform {
    Transform::from_scale(width as f32 / WIDTH as f32, height as f32 / HEIGHT as f32)
}
