//! One face: the person, the attributes, and the variation that is independent of them.

use crate::attribute::{Attribute, Attributes};
use crate::population;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use visage_data::random::stream;

/// The number of consecutive images of the same person.
pub const IMAGES_PER_IDENTITY: u64 = 4;

/// A face before it is drawn: a pure function of a seed and an index.
///
/// The rest of it (the person's proportions and colours, the pose, the light, the background, the noise) is independent of the
/// attributes, so that two faces which differ in one attribute differ only in the pixels of that attribute.
#[derive(Clone, Debug, PartialEq)]
pub struct Face {
    /// The number of the person, from 0.
    pub identity: u64,
    /// The true attributes.
    pub attributes: Attributes,
    pub(crate) person: Person,
    pub(crate) shot: Shot,
}

impl Face {
    /// Face number `index` of the population with this `seed`.
    pub fn sample(seed: u64, index: u64) -> Self {
        let identity = index / IMAGES_PER_IDENTITY;
        let mut of_person = stream(seed, "synth-person", 0, identity);
        let mut of_picture = stream(seed, "synth-picture", 0, index);
        let attributes = population::sample(&mut of_person, &mut of_picture);
        Self { identity, attributes, person: Person::sample(&mut of_person), shot: Shot::sample(&mut of_picture) }
    }

    /// The same face with one attribute set, and with contradicting attributes changed: a goatee removes No_Beard, a hat removes
    /// bangs, brown hair replaces black hair.
    #[must_use]
    pub fn with(&self, attribute: Attribute, present: bool) -> Self {
        let mut face = self.clone();
        population::set_possible(&mut face.attributes, attribute, present);
        face
    }
}

/// The properties of a person, equal in all images. Numbers are in [-1, 1] unless stated otherwise.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Person {
    /// From light (0) to dark (1).
    pub skin: f32,
    /// From cool to warm.
    pub undertone: f32,
    pub face_width: f32,
    pub face_length: f32,
    pub eye_spacing: f32,
    pub eye_size: f32,
    pub eye_tilt: f32,
    /// In [0, 1): position in the palette of irises.
    pub eye_colour: f32,
    pub brow_height: f32,
    pub nose_length: f32,
    pub mouth_width: f32,
    pub mouth_height: f32,
    pub neck_width: f32,
    /// The direction of an asymmetric face.
    pub skew: f32,
    /// In [0, 1): shade of the hair's colour.
    pub hair_shade: f32,
    /// In [0, 1): from short to long.
    pub hair_length: f32,
    /// In [0, 1): volume of the hair.
    pub hair_volume: f32,
    pub parting: f32,
    pub marks: u64,
}

impl Person {
    // The fields are drawn in this order.
    fn sample(rng: &mut ChaCha8Rng) -> Self {
        Self {
            undertone: signed(rng),
            face_width: signed(rng),
            face_length: signed(rng),
            eye_spacing: signed(rng),
            eye_size: signed(rng),
            eye_tilt: signed(rng),
            brow_height: signed(rng),
            nose_length: signed(rng),
            mouth_width: signed(rng),
            mouth_height: signed(rng),
            neck_width: signed(rng),
            skew: signed(rng),
            parting: signed(rng),
            skin: rng.random(),
            eye_colour: rng.random(),
            hair_shade: rng.random(),
            hair_length: rng.random(),
            hair_volume: rng.random(),
            marks: rng.random(),
        }
    }
}

/// The properties of one image. Numbers are in [-1, 1] unless stated otherwise.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shot {
    pub shift: (f32, f32),
    pub scale: f32,
    pub roll: f32,
    pub yaw: f32,
    pub gaze: f32,
    /// The side of the light.
    pub light_side: f32,
    /// In [0, 1): strength of the shadow on the other side.
    pub light_contrast: f32,
    pub exposure: f32,
    pub contrast: f32,
    pub warmth: f32,
    /// In [0, 1): how far an open mouth opens.
    pub expression: f32,
    /// In [0, 1): strength of a smile.
    pub smile: f32,
    /// In [0, 1): strength of the sensor noise.
    pub noise: f32,
    /// In [0, 1): defocus of a blurry image.
    pub defocus: f32,
    /// In [0, 1) each: styles of the background, the clothes and the accessories. Those of absent accessories are unused.
    pub background: f32,
    pub clothes: f32,
    pub clothes_colour: f32,
    pub glasses: f32,
    pub hat: f32,
    pub hat_colour: f32,
    pub earrings: f32,
    pub necklace: f32,
    pub tie: f32,
    pub lips: f32,
    pub shadow: f32,
    pub bangs: f32,
    /// The seed of the fine detail: strands, stubble, shapes in the background, noise.
    pub detail: u64,
}

impl Shot {
    // The fields are drawn in this order.
    fn sample(rng: &mut ChaCha8Rng) -> Self {
        Self {
            shift: (signed(rng), signed(rng)),
            scale: signed(rng),
            roll: signed(rng),
            yaw: signed(rng),
            gaze: signed(rng),
            light_side: signed(rng),
            exposure: signed(rng),
            contrast: signed(rng),
            warmth: signed(rng),
            light_contrast: rng.random(),
            expression: rng.random(),
            smile: rng.random(),
            noise: rng.random(),
            defocus: rng.random(),
            background: rng.random(),
            clothes: rng.random(),
            clothes_colour: rng.random(),
            glasses: rng.random(),
            hat: rng.random(),
            hat_colour: rng.random(),
            earrings: rng.random(),
            necklace: rng.random(),
            tie: rng.random(),
            lips: rng.random(),
            shadow: rng.random(),
            bangs: rng.random(),
            detail: rng.random(),
        }
    }
}

fn signed(rng: &mut ChaCha8Rng) -> f32 {
    rng.random_range(-1.0..1.0)
}
