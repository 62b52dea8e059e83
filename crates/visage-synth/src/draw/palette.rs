//! The colours of one person in one picture.

use crate::attribute::Attribute;
use crate::canvas::{Colour, WHITE};
use crate::face::Face;

/// Skin from light to dark, independent of every attribute except Pale_Skin.
const SKIN: [Colour; 6] = Colour::list([0xF0C6A4, 0xE4B28A, 0xCF976E, 0xB47C56, 0x946142, 0x704731]);
const PALE: [Colour; 2] = [Colour::rgb(250, 231, 222), Colour::rgb(241, 220, 212)];

const BLACK_HAIR: [Colour; 2] = [Colour::rgb(16, 14, 18), Colour::rgb(34, 28, 30)];
const BROWN_HAIR: [Colour; 2] = [Colour::rgb(78, 48, 28), Colour::rgb(122, 80, 48)];
const BLOND_HAIR: [Colour; 2] = [Colour::rgb(222, 184, 104), Colour::rgb(246, 222, 150)];
const GRAY_HAIR: [Colour; 2] = [Colour::rgb(150, 152, 158), Colour::rgb(214, 214, 218)];
/// Hair of none of the four named colours: red, then dyed.
const OTHER_HAIR: [Colour; 9] =
    Colour::list([0xA83E1C, 0xBE5422, 0x92281E, 0xCC6230, 0x801E2C, 0xB24628, 0x9A3818, 0x704A96, 0x3C808C]);

const IRIS: [Colour; 6] = Colour::list([0x3A2214, 0x5C381C, 0x7E5C2E, 0x547446, 0x4E7EA8, 0x6C8092]);

const LIPSTICK: [Colour; 5] = Colour::list([0xC8122C, 0xE22860, 0xA00E3C, 0xE83E3E, 0xBA1878]);

pub(super) struct Palette {
    pub skin: Colour,
    /// Skin in shade, and its lines.
    pub shade: Colour,
    /// Skin in full light.
    pub light: Colour,
    pub hair: Colour,
    /// The colour of brows and beard: a darker shade of the hair's.
    pub brow: Colour,
    pub iris: Colour,
    pub lips: Colour,
}

impl Palette {
    pub(super) fn of(face: &Face) -> Self {
        let has = |attribute| face.attributes.has(attribute);
        let person = &face.person;
        let skin = if has(Attribute::PaleSkin) {
            Colour::along(&PALE, person.skin)
        } else {
            let warmth = 0.03 * person.undertone;
            let Colour(r, g, b) = Colour::along(&SKIN, person.skin);
            Colour(r * (1.0 + 0.3 * warmth), g, b * (1.0 - warmth))
        };
        let red_brown = Colour::rgb(96, 36, 24);
        // Dark skin needs a deeper shade for the same contrast.
        let shade = match has(Attribute::PaleSkin) {
            true => skin.scaled(0.7).mix(red_brown, 0.06),
            false => skin.scaled(0.68 - 0.16 * person.skin).mix(red_brown, 0.15),
        };
        let hair = if has(Attribute::BlackHair) {
            Colour::along(&BLACK_HAIR, person.hair_shade)
        } else if has(Attribute::BrownHair) {
            Colour::along(&BROWN_HAIR, person.hair_shade)
        } else if has(Attribute::BlondHair) {
            Colour::along(&BLOND_HAIR, person.hair_shade)
        } else if has(Attribute::GrayHair) {
            Colour::along(&GRAY_HAIR, person.hair_shade)
        } else {
            Colour::pick(&OTHER_HAIR, person.hair_shade)
        };
        let dark_brown = Colour::rgb(52, 34, 24);
        let grown = if has(Attribute::Bald) { dark_brown } else { hair };
        let mut brow = if has(Attribute::GrayHair) { grown.scaled(0.72) } else { grown.mix(dark_brown, 0.5) };
        // A brow as bright as the skin would be invisible.
        if (brow.luma() - skin.luma()).abs() < 0.12 {
            brow = brow.scaled(0.45);
        }
        let natural = skin.mix(Colour::rgb(176, 62, 66), 0.58);
        let lips = if has(Attribute::WearingLipstick) {
            Colour::pick(&LIPSTICK, face.shot.lips)
        } else {
            natural.scaled(0.92)
        };
        Self {
            skin,
            shade,
            light: skin.mix(WHITE, 0.22 + 0.28 * skin.luma()),
            hair,
            brow,
            iris: Colour::along(&IRIS, person.eye_colour),
            lips,
        }
    }
}
