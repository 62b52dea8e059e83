//! One face: whose it is, what it shows, and everything else that varies and means nothing.

use crate::attribute::{Attribute, Attributes};
use crate::geometry::Geometry;
use crate::population;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use visage_data::random::stream;

/// How many pictures in a row show the same person.
pub const IMAGES_PER_IDENTITY: u64 = 4;

/// A face before it is drawn: a pure function of a seed and an index.
///
/// Its attributes decide what [`draw`](crate::draw) shows; the rest of it (the person's own proportions and colours,
/// the pose, the light, the background, the noise) is independent of them, so that two faces which differ in one
/// attribute differ in that attribute's pixels only.
#[derive(Clone, Debug, PartialEq)]
pub struct Face {
    /// Whose face it is, from 0.
    pub identity: u64,
    /// What it truly shows.
    pub attributes: Attributes,
    pub(crate) person: Person,
    pub(crate) shot: Shot,
}

/// A rectangle of a picture, in pixels: `left` and `top` inside, `right` and `bottom` beyond.
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
    /// Whether the point `x`, `y` lies inside.
    #[must_use]
    pub fn contains(&self, x: f32, y: f32) -> bool {
        (self.left..self.right).contains(&x) && (self.top..self.bottom).contains(&y)
    }
}

impl Face {
    /// Draws face `index` of the population that `seed` names.
    #[must_use]
    pub fn sample(seed: u64, index: u64) -> Self {
        let identity = index / IMAGES_PER_IDENTITY;
        let mut of_person = stream(seed, "synth-person", 0, identity);
        let mut of_picture = stream(seed, "synth-picture", 0, index);
        let attributes = population::sample(&mut of_person, &mut of_picture);
        Self { identity, attributes, person: Person::sample(&mut of_person), shot: Shot::sample(&mut of_picture) }
    }

    /// The same face with one attribute set, and with whatever that makes impossible taken away: a goatee
    /// ends No_Beard, a hat hides bangs, brown hair is no longer black.
    #[must_use]
    pub fn with(&self, attribute: Attribute, present: bool) -> Self {
        let mut face = self.clone();
        population::set_possible(&mut face.attributes, attribute, present);
        face
    }

    /// Where `attribute` shows, in a picture of `width` by `height` pixels: boxes that hold the attribute's own pixels, of
    /// which two may overlap. None for an attribute that shows all over the face or the picture.
    #[must_use]
    pub fn regions(&self, attribute: Attribute, width: u32, height: u32) -> Vec<Region> {
        Geometry::of(self).regions(attribute, width, height)
    }
}

/// What stays the same from one picture of a person to the next. Every number is in [-1, 1] unless it says otherwise.
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
    /// In [0, 1), along the palette of irises.
    pub eye_colour: f32,
    pub brow_height: f32,
    pub nose_length: f32,
    pub mouth_width: f32,
    pub mouth_height: f32,
    pub neck_width: f32,
    /// Which way an unsymmetrical face leans.
    pub skew: f32,
    /// In [0, 1): shade within the hair's colour.
    pub hair_shade: f32,
    /// In [0, 1): from short to long.
    pub hair_length: f32,
    /// In [0, 1): how far the hair stands off.
    pub hair_volume: f32,
    /// Where the hair parts.
    pub parting: f32,
    /// Seeds the blemishes.
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

/// What belongs to one picture. Numbers are in [-1, 1] unless they say otherwise.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shot {
    pub shift: (f32, f32),
    pub scale: f32,
    pub roll: f32,
    pub yaw: f32,
    pub gaze: f32,
    /// Which side the light comes from, and how strong the shadow on the other side is, in [0, 1).
    pub light_side: f32,
    pub light_contrast: f32,
    pub exposure: f32,
    pub contrast: f32,
    pub warmth: f32,
    /// How far the mouth opens or the smile goes, in [0, 1), once it does.
    pub expression: f32,
    pub smile: f32,
    /// How strong the noise of the sensor is, in [0, 1).
    pub noise: f32,
    /// How far out of focus a blurry picture is, in [0, 1).
    pub defocus: f32,
    /// In [0, 1) each: which background, clothes, and accessories. A style that is not worn is not looked at.
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
    /// Seeds the fine detail: strands, stipple, shapes in the background, noise.
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
