//! Label noise.

use crate::attribute::{Attribute, Attributes};
use crate::face::Face;
use rand::RngExt;
use visage_data::random::stream;

/// The rate at which the label of an attribute is flipped.
///
/// These attributes are subjective or a matter of degree: annotators agree with CelebA, and with one another, on few of its
/// attributes (Wu et al., "Consistency and Accuracy of CelebA Attribute Values", arXiv:2210.07356). The rates are chosen, not
/// measured. They are low for rare attributes, where a few wrong labels would outnumber the correct ones.
const FLIP_RATE: [(Attribute, f32); 15] = [
    (Attribute::ArchedEyebrows, 0.08),
    (Attribute::Attractive, 0.08),
    (Attribute::BagsUnderEyes, 0.05),
    (Attribute::BigLips, 0.10),
    (Attribute::BigNose, 0.08),
    (Attribute::BrownHair, 0.04),
    (Attribute::BushyEyebrows, 0.03),
    (Attribute::Chubby, 0.02),
    (Attribute::HighCheekbones, 0.07),
    (Attribute::NarrowEyes, 0.05),
    (Attribute::OvalFace, 0.10),
    (Attribute::PointyNose, 0.10),
    (Attribute::StraightHair, 0.06),
    (Attribute::WavyHair, 0.06),
    (Attribute::Young, 0.03),
];

/// The labels written for `face`, which has the index `index` in the population of `seed`: its attributes, some of them flipped.
pub fn written_labels(face: &Face, seed: u64, index: u64) -> Attributes {
    let mut rng = stream(seed, "synth-label-noise", 0, index);
    let mut written = face.attributes;
    for (attribute, rate) in FLIP_RATE {
        if rng.random::<f32>() < rate {
            written.set(attribute, !written.has(attribute));
        }
    }
    written
}
