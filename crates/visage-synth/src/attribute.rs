//! The 40 attributes.

use visage_data::CELEBA_ATTRIBUTES;

/// Declares [`Attribute`] in CelebA's order, each variant with a description of its drawing.
macro_rules! attributes {
    ($($variant:ident: $mark:literal,)*) => {
        /// One of CelebA's 40 attributes, in the order of [`CELEBA_ATTRIBUTES`], with a description of its drawing.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Attribute {
            $(#[doc = $mark] $variant,)*
        }

        impl Attribute {
            /// Every attribute, in CelebA's order.
            pub const ALL: [Attribute; 40] = [$(Attribute::$variant,)*];
        }
    };
}

attributes! {
    FiveOClockShadow: "A grey-blue, stippled tint over jaw and upper lip.",
    ArchedEyebrows: "Brows that rise to a peak; otherwise they are nearly level.",
    Attractive: "Clear skin, symmetry and bright eyes; otherwise blemishes, a skew face and dull eyes.",
    BagsUnderEyes: "A dark puffed crescent under each eye.",
    Bald: "A bare head with a highlight.",
    Bangs: "A fringe that reaches down to the brows.",
    BigLips: "Lips nearly twice as full.",
    BigNose: "A nose nearly twice as wide.",
    BlackHair: "Black hair.",
    BlondHair: "Blond hair.",
    Blurry: "The whole image is out of focus.",
    BrownHair: "Brown hair. Hair of none of the four colours is red or dyed.",
    BushyEyebrows: "Thick, ragged brows.",
    Chubby: "Full cheeks and a wide lower face.",
    DoubleChin: "A second fold under the chin.",
    Eyeglasses: "A frame with lenses.",
    Goatee: "Hair on the chin.",
    GrayHair: "Grey hair.",
    HeavyMakeup: "Coloured eye shadow, eyeliner and long lashes.",
    HighCheekbones: "A highlight on the cheekbone above a shaded hollow.",
    Male: "A broad jaw and neck, low brows and mostly short hair.",
    MouthSlightlyOpen: "A gap between the lips, with teeth in it.",
    Mustache: "Hair on the upper lip.",
    NarrowEyes: "Half-closed lids.",
    NoBeard: "None of shadow, goatee, mustache and sideburns.",
    OvalFace: "A long outline that tapers evenly; otherwise it is wide and angular.",
    PaleSkin: "Skin nearly without colour.",
    PointyNose: "A narrow bridge that ends in a sharp tip; otherwise the tip is round.",
    RecedingHairline: "A high, M-shaped hairline.",
    RosyCheeks: "Pink cheeks.",
    Sideburns: "Strips of hair down in front of the ears.",
    Smiling: "The corners of the mouth go up and the cheeks fold.",
    StraightHair: "Hair drawn in straight strands.",
    WavyHair: "Hair with a wavy outline and wavy strands.",
    WearingEarrings: "A ring, drop or stud at each ear.",
    WearingHat: "A beanie, cap or brimmed hat over the top of the hair.",
    WearingLipstick: "Lips in a strong colour.",
    WearingNecklace: "A chain or beads around the neck.",
    WearingNecktie: "A tie on a white shirt.",
    Young: "Smooth skin; otherwise lines on forehead, eyes and cheeks.",
}

impl Attribute {
    /// The name in CelebA's files.
    #[must_use]
    pub fn name(self) -> &'static str {
        CELEBA_ATTRIBUTES[self as usize]
    }
}

/// The presence or absence of each of the 40 attributes in a face.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Attributes([bool; 40]);

impl Default for Attributes {
    /// None is present.
    fn default() -> Self {
        Self([false; 40])
    }
}

impl Attributes {
    /// Whether `attribute` is present.
    #[must_use]
    pub fn has(&self, attribute: Attribute) -> bool {
        self.0[attribute as usize]
    }

    /// Whether any of `attributes` is present.
    #[must_use]
    pub fn any(&self, attributes: &[Attribute]) -> bool {
        attributes.iter().any(|&attribute| self.has(attribute))
    }

    /// Sets one attribute and no other. The result may be contradictory, such as a goatee with No_Beard;
    /// [`Face::with`](crate::Face::with) avoids that.
    pub fn set(&mut self, attribute: Attribute, present: bool) {
        self.0[attribute as usize] = present;
    }

    /// All 40 in CelebA's order.
    #[must_use]
    pub fn as_array(&self) -> &[bool; 40] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_and_names_have_the_same_order() {
        for attribute in Attribute::ALL {
            let variant = format!("{attribute:?}").replace("Five", "5");
            assert_eq!(variant.to_lowercase(), attribute.name().replace('_', "").to_lowercase());
        }
    }
}
