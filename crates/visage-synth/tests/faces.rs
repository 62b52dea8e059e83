//! The distribution of attributes, and their visibility.

use image::RgbImage;
use image::imageops::{FilterType, resize};
use visage_synth::{
    Attribute, Attributes, CELEBA_PREVALENCE, Face, HEIGHT, IMAGES_PER_IDENTITY, WIDTH, draw, written_labels,
};

const SEED: u64 = 20;

fn population(count: u64) -> impl Iterator<Item = Attributes> {
    (0..count).map(|index| Face::sample(SEED, index).attributes)
}

#[test]
fn prevalences_are_those_of_celeba() {
    const FACES: u64 = 40_000;
    let mut counts = [0u32; 40];
    for attributes in population(FACES) {
        for (count, &present) in counts.iter_mut().zip(attributes.as_array()) {
            *count += u32::from(present);
        }
    }
    for attribute in Attribute::ALL {
        let drawn = counts[attribute as usize] as f32 / FACES as f32;
        let celeba = CELEBA_PREVALENCE[attribute as usize];
        let close = (drawn - celeba).abs() < 0.015 && (drawn / celeba - 1.0).abs() < 0.2;
        assert!(close, "{}: {drawn} of the faces drawn, {celeba} of CelebA's", attribute.name());
    }
}

/// The rule that a face breaks, if any.
fn contradiction(face: &Attributes) -> Option<&'static str> {
    use Attribute::*;
    let beard = [FiveOClockShadow, Goatee, Mustache, Sideburns];
    let count = |of: &[Attribute]| of.iter().filter(|&&attribute| face.has(attribute)).count();
    let rules = [
        (face.has(NoBeard) == face.any(&beard), "No_Beard is what is left when there is no facial hair"),
        (count(&[BlackHair, BlondHair, BrownHair, GrayHair, Bald]) > 1, "one colour of hair, and none on the bald"),
        (count(&[StraightHair, WavyHair, Bald]) > 1, "straight or wavy, and neither on the bald"),
        (count(&[Bald, Bangs, RecedingHairline, WearingHat]) > 1, "one thing on top of the head"),
        (face.has(GrayHair) && face.has(Young), "grey hair is not young"),
    ];
    rules.into_iter().find_map(|(broken, rule)| broken.then_some(rule))
}

#[test]
fn no_face_contradicts_itself() {
    for (index, face) in population(20_000).enumerate() {
        assert_eq!(contradiction(&face), None, "face {index}");
        let manly = [
            Attribute::Bald,
            Attribute::WearingNecktie,
            Attribute::FiveOClockShadow,
            Attribute::Goatee,
            Attribute::Mustache,
            Attribute::Sideburns,
        ];
        assert!(face.has(Attribute::Male) || !face.any(&manly), "face {index}");
    }
}

#[test]
fn setting_an_attribute_leaves_a_possible_face_that_has_it() {
    for index in 0..200 {
        let face = Face::sample(SEED, index);
        for attribute in Attribute::ALL {
            for present in [false, true] {
                let changed = face.with(attribute, present);
                assert_eq!(changed.attributes.has(attribute), present, "{}", attribute.name());
                assert_eq!(contradiction(&changed.attributes), None, "{}", attribute.name());
            }
        }
    }
}

#[test]
fn attributes_go_together_as_they_do_on_real_faces() {
    use Attribute::*;
    let faces: Vec<Attributes> = population(20_000).collect();
    let rate = |of: Attribute, among: &dyn Fn(&Attributes) -> bool| {
        let chosen: Vec<_> = faces.iter().filter(|face| among(face)).collect();
        chosen.iter().filter(|face| face.has(of)).count() as f32 / chosen.len() as f32
    };
    for (of, given, ratio) in [
        (MouthSlightlyOpen, Smiling, 2.0),
        (HighCheekbones, Smiling, 2.5),
        (WearingLipstick, HeavyMakeup, 2.5),
        (DoubleChin, Chubby, 5.0),
        (Attractive, Young, 2.0),
        (Attractive, HeavyMakeup, 1.5),
    ] {
        let (with, without) = (rate(of, &|face| face.has(given)), rate(of, &|face| !face.has(given)));
        assert!(with > ratio * without, "{} {with} with {}, {without} without", of.name(), given.name());
    }
    for of in [WearingLipstick, HeavyMakeup, RosyCheeks, ArchedEyebrows, WearingEarrings] {
        let (women, men) = (rate(of, &|face| !face.has(Male)), rate(of, &|face| face.has(Male)));
        assert!(women > 4.0 * men, "{}: {women} of women, {men} of men", of.name());
    }
}

#[test]
fn a_person_keeps_their_features() {
    use Attribute::*;
    for person in 0..300 {
        let faces: Vec<Face> =
            (0..IMAGES_PER_IDENTITY).map(|i| Face::sample(SEED, person * IMAGES_PER_IDENTITY + i)).collect();
        for face in &faces {
            assert_eq!(face.identity, person);
            for lasting in
                [Male, Young, BigLips, BigNose, OvalFace, PointyNose, NarrowEyes, Chubby, DoubleChin, PaleSkin]
            {
                assert_eq!(face.attributes.has(lasting), faces[0].attributes.has(lasting), "{}", lasting.name());
            }
        }
        assert_ne!(draw(&faces[0], 32, 40), draw(&faces[1], 32, 40));
    }
}

/// Some faces that have `attribute`, and the same without it.
fn pairs(attribute: Attribute) -> Vec<[Face; 2]> {
    (0..)
        .map(|index| Face::sample(SEED, index))
        // In a blurry image other attributes are hard to see.
        .filter(|face| {
            face.attributes.has(attribute)
                && (attribute == Attribute::Blurry || !face.attributes.has(Attribute::Blurry))
        })
        .take(9)
        .map(|face| [face.with(attribute, true), face.with(attribute, false)])
        .collect()
}

/// The largest difference over the channels of each pixel.
fn differences(a: &RgbImage, b: &RgbImage) -> Vec<u8> {
    a.pixels().zip(b.pixels()).map(|(a, b)| (0..3).map(|c| a.0[c].abs_diff(b.0[c])).max().unwrap_or(0)).collect()
}

#[test]
fn every_attribute_shows_in_a_small_picture() {
    const SIDE: u32 = 64;
    let mut hidden = Vec::new();
    for attribute in Attribute::ALL {
        let mut changed: Vec<usize> = pairs(attribute)
            .iter()
            .map(|pair| {
                let [with, without] =
                    pair.each_ref().map(|face| resize(&draw(face, WIDTH, HEIGHT), SIDE, SIDE, FilterType::Triangle));
                differences(&with, &without).into_iter().filter(|&difference| difference > 16).count()
            })
            .collect();
        changed.sort_unstable();
        let median = changed[changed.len() / 2];
        println!("{:20} {median:5} pixels of {}, from {} on", attribute.name(), SIDE * SIDE, changed[0]);
        if median < 20 {
            hidden.push(attribute.name());
        }
    }
    assert_eq!(hidden, Vec::<&str>::new());
}

#[test]
fn what_an_attribute_changes_lies_in_its_region() {
    for attribute in Attribute::ALL {
        for [with, without] in pairs(attribute) {
            let regions = with.regions(attribute, WIDTH, HEIGHT);
            if regions.is_empty() {
                continue;
            }
            for region in &regions {
                assert!(region.left < region.right && region.top < region.bottom, "{}: {region:?}", attribute.name());
            }
            let (mut inside, mut all) = (0.0, 0.0);
            for (i, difference) in
                differences(&draw(&with, WIDTH, HEIGHT), &draw(&without, WIDTH, HEIGHT)).into_iter().enumerate()
            {
                let (x, y) = ((i as u32 % WIDTH) as f32, (i as u32 / WIDTH) as f32);
                all += f32::from(difference);
                if regions.iter().any(|region| region.contains(x, y)) {
                    inside += f32::from(difference);
                }
            }
            // A higher hairline also lays the strands below it anew.
            let share = if attribute == Attribute::RecedingHairline { 0.5 } else { 0.9 };
            assert!(inside > share * all, "{}: {} of the change is in its region", attribute.name(), inside / all);
        }
    }
}

#[test]
fn a_face_can_be_drawn_at_any_size() {
    let face = Face::sample(SEED, 3);
    for (width, height) in [(16, 16), (64, 64), (89, 109), (300, 200)] {
        assert_eq!(draw(&face, width, height).dimensions(), (width, height));
    }
    assert_eq!(draw(&face, 0, 10).dimensions(), (0, 0));
}

#[test]
fn label_noise_touches_only_what_people_disagree_on_and_rarely() {
    let mut flips = [0u32; 40];
    const FACES: u64 = 5_000;
    for index in 0..FACES {
        let face = Face::sample(SEED, index);
        let written = written_labels(&face, SEED, index);
        assert_eq!(written, written_labels(&face, SEED, index));
        for attribute in Attribute::ALL {
            flips[attribute as usize] += u32::from(written.has(attribute) != face.attributes.has(attribute));
        }
    }
    for attribute in Attribute::ALL {
        let rate = flips[attribute as usize] as f32 / FACES as f32;
        assert!(rate < 0.12, "{}: {rate}", attribute.name());
    }
    assert_eq!(
        flips[Attribute::Male as usize] + flips[Attribute::Eyeglasses as usize] + flips[Attribute::WearingHat as usize],
        0
    );
    assert!(flips[Attribute::BigLips as usize] > 0);
}
