//! The 40 attributes.

use visage_data::CELEBA_ATTRIBUTES;

/// Declares [`Attribute`] in CelebA's order, each variant with its prevalence and a description of its drawing.
macro_rules! attributes {
    ($($variant:ident $prevalence:literal: $mark:literal,)*) => {
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

        /// The prevalence of each attribute on CelebA's test split, in CelebA's order.
        ///
        /// From an accuracy `a`, precision `p` and recall `r` on that split the prevalence is
        /// `(1 - a) / ((1 - r) + r (1/p - 1))`; these come from the published per-attribute results of a ResNet-18
        /// (C. Garusinghe, "Optimizing Facial Attribute Classification Models", 2024).
        pub const CELEBA_PREVALENCE: [f32; 40] = [$($prevalence,)*];
    };
}

attributes! {
    FiveOClockShadow 0.0999: "A grey-blue, stippled tint over jaw and upper lip.",
    ArchedEyebrows 0.2844: "Brows that rise to a peak; otherwise they are nearly level.",
    Attractive 0.4958: "Clear skin, symmetry and bright eyes; otherwise blemishes, a skew face and dull eyes.",
    BagsUnderEyes 0.2026: "A dark puffed crescent under each eye.",
    Bald 0.0212: "A bare head with a highlight.",
    Bangs 0.1558: "A fringe that reaches down to the brows.",
    BigLips 0.3270: "Lips nearly twice as full.",
    BigNose 0.2120: "A nose nearly twice as wide.",
    BlackHair 0.2716: "Black hair.",
    BlondHair 0.1333: "Blond hair.",
    Blurry 0.0506: "The whole image is out of focus.",
    BrownHair 0.1797: "Brown hair. Hair of none of the four colours is red or dyed.",
    BushyEyebrows 0.1295: "Thick, ragged brows.",
    Chubby 0.0530: "Full cheeks and a wide lower face.",
    DoubleChin 0.0457: "A second fold under the chin.",
    Eyeglasses 0.0646: "A frame with lenses.",
    Goatee 0.0458: "Hair on the chin.",
    GrayHair 0.0319: "Grey hair.",
    HeavyMakeup 0.4050: "Coloured eye shadow, eyeliner and long lashes.",
    HighCheekbones 0.4818: "A highlight on the cheekbone above a shaded hollow.",
    Male 0.3864: "A broad jaw and neck, low brows and mostly short hair.",
    MouthSlightlyOpen 0.4951: "A gap between the lips, with teeth in it.",
    Mustache 0.0387: "Hair on the upper lip.",
    NarrowEyes 0.1487: "Half-closed lids.",
    NoBeard 0.8537: "None of shadow, goatee, mustache and sideburns.",
    OvalFace 0.2956: "A long outline that tapers evenly; otherwise it is wide and angular.",
    PaleSkin 0.0421: "Skin nearly without colour.",
    PointyNose 0.2857: "A narrow bridge that ends in a sharp tip; otherwise the tip is round.",
    RecedingHairline 0.0849: "A high, M-shaped hairline.",
    RosyCheeks 0.0717: "Pink cheeks.",
    Sideburns 0.0464: "Strips of hair down in front of the ears.",
    Smiling 0.5003: "The corners of the mouth go up and the cheeks fold.",
    StraightHair 0.2099: "Hair drawn in straight strands.",
    WavyHair 0.3640: "Hair with a wavy outline and wavy strands.",
    WearingEarrings 0.2066: "A ring, drop or stud at each ear.",
    WearingHat 0.0420: "A beanie, cap or brimmed hat over the top of the hair.",
    WearingLipstick 0.5219: "Lips in a strong colour.",
    WearingNecklace 0.1379: "A chain or beads around the neck.",
    WearingNecktie 0.0701: "A tie on a white shirt.",
    Young 0.7571: "Smooth skin; otherwise lines on forehead, eyes and cheeks.",
}

impl Attribute {
    /// The name in CelebA's files.
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
    pub fn has(&self, attribute: Attribute) -> bool {
        self.0[attribute as usize]
    }

    /// Whether any of `attributes` is present.
    pub fn any(&self, attributes: &[Attribute]) -> bool {
        attributes.iter().any(|&attribute| self.has(attribute))
    }

    /// Sets one attribute and no other. The result may be contradictory, such as a goatee with No_Beard;
    /// [`Face::with`](crate::Face::with) avoids that.
    pub fn set(&mut self, attribute: Attribute, present: bool) {
        self.0[attribute as usize] = present;
    }

    /// All 40 in CelebA's order.
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
