//! Draws contact sheets of faces: `contact_sheet OUT.png [faces|toggles|ATTRIBUTE] [SEED]`.
//!
//! `faces` is a grid of people. `toggles` shows a pair for every attribute, absent and present on the same face, in CelebA's
//! order. The name of an attribute shows such pairs on many faces.

use image::{GenericImage, RgbImage};
use visage_synth::{Attribute, Face, HEIGHT, IMAGES_PER_IDENTITY, WIDTH, draw};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let out = arguments.next().ok_or("usage: contact_sheet OUT.png [faces|toggles|ATTRIBUTE] [SEED]")?;
    let what = arguments.next().unwrap_or_else(|| "faces".to_owned());
    let seed: u64 = arguments.next().map_or(Ok(7), |seed| seed.parse())?;
    let person = |i: u64| Face::sample(seed, i * IMAGES_PER_IDENTITY);
    let faces: Vec<Face> = match what.as_str() {
        "faces" => (0..40).map(person).collect(),
        "toggles" => Attribute::ALL
            .into_iter()
            .flat_map(|attribute| pair(&suitable(attribute, seed, 40 * attribute as u64), attribute))
            .collect(),
        name => {
            let attribute =
                Attribute::ALL.into_iter().find(|a| a.name() == name).ok_or(format!("no attribute {name}"))?;
            (0..20).flat_map(|i| pair(&suitable(attribute, seed, 100 * i), attribute)).collect()
        }
    };
    const COLUMNS: u32 = 10;
    let mut sheet = RgbImage::new(COLUMNS * WIDTH, (faces.len() as u32).div_ceil(COLUMNS) * HEIGHT);
    for (i, face) in faces.iter().enumerate() {
        let i = i as u32;
        sheet.copy_from(&draw(face, WIDTH, HEIGHT), i % COLUMNS * WIDTH, i / COLUMNS * HEIGHT)?;
    }
    sheet.save(out)?;
    Ok(())
}

fn pair(face: &Face, attribute: Attribute) -> [Face; 2] {
    [face.with(attribute, false), face.with(attribute, true)]
}

/// The first face from `start` on that has the attribute.
fn suitable(attribute: Attribute, seed: u64, start: u64) -> Face {
    (start..)
        .map(|i| Face::sample(seed, i))
        .find(|face| face.attributes.has(attribute))
        .expect("every attribute occurs")
}
