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
    #[must_use]
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
    /// The position of the parting.
    pub parting: f32,
    /// The seed of the blemishes.
    pub marks: u64,
}

impl Person {
    fn sample(rng: &mut ChaCha8Rng) -> Self {
        let mut signed = || rng.random_range(-1.0f32..1.0);
        let [undertone, face_width, face_length, eye_spacing, eye_size, eye_tilt] = std::array::from_fn(|_| signed());
        let [brow_height, nose_length, mouth_width, mouth_height, neck_width, skew] = std::array::from_fn(|_| signed());
        let parting = signed();
        let [skin, eye_colour, hair_shade, hair_length, hair_volume]: [f32; 5] = std::array::from_fn(|_| rng.random());
        Self {
            skin,
            undertone,
            face_width,
            face_length,
            eye_spacing,
            eye_size,
            eye_tilt,
            eye_colour,
            brow_height,
            nose_length,
            mouth_width,
            mouth_height,
            neck_width,
            skew,
            hair_shade,
            hair_length,
            hair_volume,
            parting,
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
    fn sample(rng: &mut ChaCha8Rng) -> Self {
        let mut signed = || rng.random_range(-1.0f32..1.0);
        let [shift_x, shift_y, scale, roll, yaw, gaze] = std::array::from_fn(|_| signed());
        let [light_side, exposure, contrast, warmth] = std::array::from_fn(|_| signed());
        let [light_contrast, expression, smile, noise, defocus]: [f32; 5] = std::array::from_fn(|_| rng.random());
        let [background, clothes, clothes_colour, glasses, hat, hat_colour]: [f32; 6] =
            std::array::from_fn(|_| rng.random());
        let [earrings, necklace, tie, lips, shadow, bangs]: [f32; 6] = std::array::from_fn(|_| rng.random());
        Self {
            shift: (shift_x, shift_y),
            scale,
            roll,
            yaw,
            gaze,
            light_side,
            light_contrast,
            exposure,
            contrast,
            warmth,
            expression,
            smile,
            noise,
            defocus,
            background,
            clothes,
            clothes_colour,
            glasses,
            hat,
            hat_colour,
            earrings,
            necklace,
            tie,
            lips,
            shadow,
            bangs,
            detail: rng.random(),
        }
    }
}
