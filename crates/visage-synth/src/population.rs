//! Sampling attributes at CelebA's prevalences, with plausible correlations.
//!
//! Sex and age are drawn first. Within each of the four groups an attribute is present when a standard normal number exceeds
//! the quantile of the group's rate, so that every rate is met exactly. The numbers share a few common factors, which
//! correlates the attributes (a Gaussian copula). Mutually exclusive attributes are drawn as one choice. One part of each
//! number belongs to the person and one to the image: the nose stays the same, the smile changes.

use crate::attribute::{Attribute, Attributes};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// The rate of an attribute in each of the four groups: young women, older women, young men, older men.
type Rates = [f32; 4];

/// The share of each group, in the order of [`Rates`].
const GROUP_SHARE: Rates = [0.518, 0.096, 0.239, 0.147];

/// The number of common factors. The order of [`Trait::loads`] is mood, glamour, weight.
const FACTORS: usize = 3;
/// The mood in the image: smiling, open mouth, raised cheeks.
const MOOD: usize = 0;
/// The person's interest in make-up and accessories.
const GLAMOUR: usize = 1;
const WEIGHT: usize = 2;

struct Trait {
    attribute: Attribute,
    /// Its rate in each group. The overall rate is in [`crate::CELEBA_PREVALENCE`].
    rates: Rates,
    /// Its correlation with each common factor.
    loads: [f32; FACTORS],
    /// The share of the unexplained variance that belongs to the person: 1 never changes between images of a person, 0 is
    /// independent in each image.
    lasting: f32,
}

const fn plain(attribute: Attribute, rates: Rates, loads: [f32; FACTORS], lasting: f32) -> Trait {
    Trait { attribute, rates, loads, lasting }
}

/// Every attribute that excludes no other.
const TRAITS: [Trait; 23] = [
    plain(Attribute::ArchedEyebrows, [0.44, 0.38, 0.07, 0.03], [0.0, 0.4, 0.0], 0.7),
    plain(Attribute::Attractive, [0.71, 0.32, 0.37, 0.06], [0.0, 0.6, -0.3], 1.0),
    plain(Attribute::BagsUnderEyes, [0.10, 0.15, 0.30, 0.45], [0.1, -0.3, 0.2], 0.7),
    plain(Attribute::BigLips, [0.39, 0.38, 0.27, 0.16], [0.0, 0.0, 0.0], 1.0),
    plain(Attribute::BigNose, [0.09, 0.19, 0.30, 0.51], [0.0, 0.0, 0.35], 1.0),
    plain(Attribute::Blurry, [0.04, 0.09, 0.05, 0.07], [0.0, 0.0, 0.0], 0.0),
    plain(Attribute::BushyEyebrows, [0.08, 0.02, 0.31, 0.10], [0.0, 0.0, 0.0], 0.9),
    plain(Attribute::Chubby, [0.01, 0.05, 0.04, 0.24], [0.0, 0.0, 0.9], 1.0),
    plain(Attribute::DoubleChin, [0.005, 0.04, 0.03, 0.22], [0.0, 0.0, 0.85], 1.0),
    plain(Attribute::Eyeglasses, [0.015, 0.09, 0.07, 0.22], [0.0, -0.2, 0.0], 0.6),
    plain(Attribute::HeavyMakeup, [0.68, 0.54, 0.004, 0.002], [0.0, 0.85, 0.0], 0.3),
    plain(Attribute::HighCheekbones, [0.57, 0.73, 0.29, 0.34], [0.85, 0.2, 0.0], 0.8),
    plain(Attribute::MouthSlightlyOpen, [0.53, 0.62, 0.42, 0.42], [0.75, 0.0, 0.0], 0.0),
    plain(Attribute::NarrowEyes, [0.15, 0.16, 0.13, 0.16], [0.0, 0.0, 0.0], 1.0),
    plain(Attribute::OvalFace, [0.35, 0.24, 0.25, 0.22], [0.0, 0.0, -0.3], 1.0),
    plain(Attribute::PaleSkin, [0.056, 0.045, 0.027, 0.013], [0.0, 0.0, 0.0], 1.0),
    plain(Attribute::PointyNose, [0.38, 0.29, 0.17, 0.14], [0.0, 0.25, 0.0], 1.0),
    plain(Attribute::RosyCheeks, [0.115, 0.12, 0.001, 0.002], [0.4, 0.4, 0.0], 0.3),
    plain(Attribute::Smiling, [0.54, 0.68, 0.40, 0.40], [0.95, 0.0, 0.0], 0.2),
    plain(Attribute::WearingEarrings, [0.29, 0.50, 0.03, 0.01], [0.2, 0.3, 0.0], 0.2),
    plain(Attribute::WearingLipstick, [0.86, 0.785, 0.008, 0.002], [0.0, 0.85, 0.0], 0.3),
    plain(Attribute::WearingNecklace, [0.19, 0.33, 0.02, 0.01], [0.1, 0.2, 0.0], 0.1),
    plain(Attribute::WearingNecktie, [0.0, 0.0, 0.10, 0.31], [0.0, 0.0, 0.0], 0.3),
];

/// One choice among mutually exclusive sets of attributes, each with its rate in each group. The rest of the probability is for
/// none of them.
struct Choice {
    options: &'static [(&'static [Attribute], Rates)],
    lasting: f32,
}

/// The top of the head. A hat hides the hairline, so that it excludes attributes that would be invisible under it.
const CROWN: Choice = Choice {
    options: &[
        (&[Attribute::Bald], [0.0, 0.0, 0.012, 0.125]),
        (&[Attribute::RecedingHairline], [0.06, 0.05, 0.055, 0.25]),
        (&[Attribute::Bangs], [0.18, 0.385, 0.09, 0.03]),
        (&[Attribute::WearingHat], [0.025, 0.012, 0.072, 0.074]),
    ],
    lasting: 0.8,
};

/// The colour of the hair. The rates include the bald.
const HAIR_COLOUR: Choice = Choice {
    options: &[
        (&[Attribute::BlackHair], [0.255, 0.13, 0.415, 0.19]),
        (&[Attribute::BrownHair], [0.218, 0.21, 0.162, 0.056]),
        (&[Attribute::BlondHair], [0.19, 0.27, 0.025, 0.02]),
        (&[Attribute::GrayHair], [0.0, 0.055, 0.0, 0.18]),
    ],
    lasting: 0.9,
};

/// The texture of the hair. The rates include the bald.
const HAIR_TEXTURE: Choice = Choice {
    options: &[
        (&[Attribute::StraightHair], [0.195, 0.095, 0.28, 0.225]),
        (&[Attribute::WavyHair], [0.483, 0.56, 0.19, 0.10]),
    ],
    lasting: 0.6,
};

/// The facial hair of men. The rest of the probability is for No_Beard.
const FACIAL_HAIR: Choice = {
    use Attribute::{FiveOClockShadow as Shadow, Goatee, Mustache, Sideburns};
    Choice {
        options: &[
            (&[Shadow], [0.0, 0.0, 0.225, 0.073]),
            (&[Shadow, Sideburns], [0.0, 0.0, 0.040, 0.015]),
            (&[Shadow, Mustache], [0.0, 0.0, 0.010, 0.010]),
            (&[Shadow, Goatee], [0.0, 0.0, 0.020, 0.010]),
            (&[Shadow, Goatee, Sideburns], [0.0, 0.0, 0.015, 0.010]),
            (&[Shadow, Goatee, Mustache, Sideburns], [0.0, 0.0, 0.030, 0.015]),
            (&[Goatee, Mustache, Sideburns], [0.0, 0.0, 0.020, 0.020]),
            (&[Goatee, Sideburns], [0.0, 0.0, 0.0, 0.010]),
            (&[Goatee, Mustache], [0.0, 0.0, 0.016, 0.020]),
            (&[Mustache, Sideburns], [0.0, 0.0, 0.0, 0.015]),
            (&[Goatee], [0.0, 0.0, 0.013, 0.042]),
            (&[Mustache], [0.0, 0.0, 0.008, 0.046]),
            (&[Sideburns], [0.0, 0.0, 0.011, 0.042]),
        ],
        lasting: 0.7,
    }
};

pub(crate) const BEARD: [Attribute; 4] =
    [Attribute::FiveOClockShadow, Attribute::Goatee, Attribute::Mustache, Attribute::Sideburns];

/// Draws the attributes of one image of a person. Each stream is read in a fixed order.
pub(crate) fn sample(person: &mut ChaCha8Rng, picture: &mut ChaCha8Rng) -> Attributes {
    let group = pick(person.random(), GROUP_SHARE);
    let factors: [f32; FACTORS] =
        [picture.sample(StandardNormal), person.sample(StandardNormal), person.sample(StandardNormal)];
    let mut own = |lasting: f32| -> f32 {
        let (stays, changes): (f32, f32) = (person.sample(StandardNormal), picture.sample(StandardNormal));
        lasting.sqrt() * stays + (1.0 - lasting).sqrt() * changes
    };
    let mut attributes = Attributes::default();
    attributes.set(Attribute::Male, group >= 2);
    attributes.set(Attribute::Young, group.is_multiple_of(2));
    for Trait { attribute, rates, loads, lasting } in &TRAITS {
        let explained: f32 = loads.iter().map(|load| load * load).sum();
        let common = loads[MOOD] * factors[MOOD] + loads[GLAMOUR] * factors[GLAMOUR] + loads[WEIGHT] * factors[WEIGHT];
        let score = common + (1.0 - explained).sqrt() * own(*lasting);
        // A high score means that the attribute is present: the upper tail of the normal distribution counts.
        attributes.set(*attribute, normal_cdf(-score) < rates[group]);
    }
    let mut choose = |choice: &Choice, of: f32, attributes: &mut Attributes| {
        let at = normal_cdf(own(choice.lasting)) * of;
        let mut sum = 0.0;
        for (option, rates) in choice.options {
            sum += rates[group];
            if at < sum {
                option.iter().for_each(|&attribute| attributes.set(attribute, true));
                return;
            }
        }
    };
    choose(&CROWN, 1.0, &mut attributes);
    let hairy = 1.0 - CROWN.options[0].1[group];
    let mut hair = attributes;
    choose(&HAIR_COLOUR, hairy, &mut hair);
    choose(&HAIR_TEXTURE, hairy, &mut hair);
    if !attributes.has(Attribute::Bald) {
        attributes = hair;
    }
    choose(&FACIAL_HAIR, 1.0, &mut attributes);
    attributes.set(Attribute::NoBeard, !attributes.any(&BEARD));
    attributes
}

/// Sets `attribute` and changes only those others that would contradict it.
pub(crate) fn set_possible(attributes: &mut Attributes, attribute: Attribute, present: bool) {
    use Attribute::*;
    attributes.set(attribute, present);
    let cleared: &[Attribute] = match (attribute, present) {
        (NoBeard, true) => &BEARD,
        (NoBeard, false) => {
            // A full beard is the clearest case of not having No_Beard.
            [Goatee, Mustache, Sideburns].into_iter().for_each(|hair| attributes.set(hair, true));
            &[]
        }
        (BlackHair, true) => &[BrownHair, BlondHair, GrayHair, Bald],
        (BrownHair, true) => &[BlackHair, BlondHair, GrayHair, Bald],
        (BlondHair, true) => &[BlackHair, BrownHair, GrayHair, Bald],
        (GrayHair, true) => &[BlackHair, BrownHair, BlondHair, Bald, Young],
        (Young, true) => &[GrayHair],
        (StraightHair, true) => &[WavyHair, Bald],
        (WavyHair, true) => &[StraightHair, Bald],
        (Bald, true) => {
            &[BlackHair, BrownHair, BlondHair, GrayHair, StraightHair, WavyHair, Bangs, RecedingHairline, WearingHat]
        }
        (Bangs, true) => &[Bald, RecedingHairline, WearingHat],
        (RecedingHairline, true) => &[Bald, Bangs, WearingHat],
        (WearingHat, true) => &[Bald, Bangs, RecedingHairline],
        _ => &[],
    };
    cleared.iter().for_each(|&other| attributes.set(other, false));
    attributes.set(NoBeard, !attributes.any(&BEARD));
}

/// The group whose interval contains `at`, in [0, 1) divided by `shares`.
fn pick(at: f32, shares: Rates) -> usize {
    let mut sum = 0.0;
    for (group, share) in shares.into_iter().enumerate() {
        sum += share;
        if at < sum {
            return group;
        }
    }
    shares.len() - 1
}

/// The standard normal distribution function, within 1e-7 (Abramowitz and Stegun, 7.1.26).
fn normal_cdf(z: f32) -> f32 {
    let x = f64::from(z) / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x.abs());
    let poly =
        t * (0.254_829_592 + t * (-0.284_496_736 + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    let erf = (1.0 - poly * (-x * x).exp()).copysign(x);
    (0.5 * (1.0 + erf)) as f32
}
