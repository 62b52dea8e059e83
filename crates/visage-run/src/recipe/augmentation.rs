//! `[augmentation]`.

use serde::{Deserialize, Serialize};
use visage_data::{Affine, Augmentation, Blur, BrightnessContrast, Crop, Erasing, Mixing, Noise};

use super::check::{Checks, list};

/// `[augmentation]`: random changes to training images. Absent: none.
///
/// Applied in this order: crop, flip, shift_scale_rotate, brightness_contrast, blur, noise, erasing, then mixup or
/// CutMix. Each is defined as in albumentations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AugmentationRecipe {
    /// Probability of a random resized crop.
    pub crop: f32,
    /// Smallest and largest area of the crop, as fractions of the image's area.
    pub crop_scale: [f32; 2],
    /// Smallest and largest aspect ratio of the crop, width over height.
    pub crop_ratio: [f32; 2],
    /// Probability of a horizontal flip.
    pub flip: f32,
    /// Probability of a shift, scaling and rotation.
    pub shift_scale_rotate: f32,
    /// Largest shift, as a fraction of width and height.
    pub shift: f32,
    /// Largest change of scale: 0.1 draws factors from 0.9 to 1.1.
    pub scale: f32,
    /// Largest rotation, in degrees.
    pub rotate: f32,
    /// Probability of a change of brightness and contrast.
    pub brightness_contrast: f32,
    /// Largest change of brightness, as a fraction of white.
    pub brightness: f32,
    /// Largest relative change of contrast.
    pub contrast: f32,
    /// Probability of a box blur.
    pub blur: f32,
    /// Smallest and largest side of the blur's kernel, in pixels; odd.
    pub blur_size: [usize; 2],
    /// Probability of Gaussian noise.
    pub noise: f32,
    /// Range of the noise's variance on the 0-255 scale, drawn uniformly.
    pub noise_variance: [f32; 2],
    /// Probability of erasing a rectangle to black.
    pub erasing: f32,
    /// Smallest and largest area of the rectangle, as fractions of the image's area.
    pub erasing_scale: [f32; 2],
    /// Smallest and largest aspect ratio of the rectangle, width over height.
    pub erasing_ratio: [f32; 2],
    /// Probability that a batch is mixed by mixup.
    pub mixup: f32,
    /// Parameter of the beta distribution of mixup's weights.
    pub mixup_alpha: f32,
    /// Probability that a batch is mixed by CutMix; at most 1 together with `mixup`.
    pub cutmix: f32,
    /// Parameter of the beta distribution of CutMix's areas.
    pub cutmix_alpha: f32,
}

impl Default for AugmentationRecipe {
    /// Every probability is 0. Strengths are albumentations' defaults, with a milder crop; the mixing is timm's.
    fn default() -> Self {
        Self {
            crop: 0.0,
            crop_scale: [0.7, 1.0],
            crop_ratio: [0.75, 4.0 / 3.0],
            flip: 0.0,
            shift_scale_rotate: 0.0,
            shift: 0.0625,
            scale: 0.1,
            rotate: 45.0,
            brightness_contrast: 0.0,
            brightness: 0.2,
            contrast: 0.2,
            blur: 0.0,
            blur_size: [3, 7],
            noise: 0.0,
            noise_variance: [10.0, 50.0],
            erasing: 0.0,
            erasing_scale: [0.02, 0.33],
            erasing_ratio: [0.3, 3.3],
            mixup: 0.0,
            mixup_alpha: 0.2,
            cutmix: 0.0,
            cutmix_alpha: 1.0,
        }
    }
}

impl AugmentationRecipe {
    /// The augmentation of single training images.
    #[must_use]
    pub fn augmentation(&self) -> Augmentation {
        let enabled = |probability: f32| (probability > 0.0).then_some(probability);
        Augmentation {
            crop: enabled(self.crop).map(|probability| Crop {
                probability,
                scale: self.crop_scale,
                ratio: self.crop_ratio,
            }),
            flip: self.flip,
            affine: enabled(self.shift_scale_rotate).map(|probability| Affine {
                probability,
                shift: self.shift,
                scale: self.scale,
                rotate: self.rotate,
            }),
            brightness_contrast: enabled(self.brightness_contrast).map(|probability| BrightnessContrast {
                probability,
                brightness: self.brightness,
                contrast: self.contrast,
            }),
            blur: enabled(self.blur).map(|probability| Blur { probability, size: self.blur_size }),
            noise: enabled(self.noise).map(|probability| Noise { probability, variance: self.noise_variance }),
            erasing: enabled(self.erasing).map(|probability| Erasing {
                probability,
                scale: self.erasing_scale,
                ratio: self.erasing_ratio,
            }),
        }
    }

    /// The mixing of the images of a batch, if any.
    #[must_use]
    pub fn mixing(&self) -> Option<Mixing> {
        let Self { mixup, mixup_alpha, cutmix, cutmix_alpha, .. } = *self;
        (mixup + cutmix > 0.0).then_some(Mixing { mixup, mixup_alpha, cutmix, cutmix_alpha })
    }

    pub(super) fn check(&self, checks: &mut Checks) {
        for (key, probability) in [
            ("augmentation.flip", self.flip),
            ("augmentation.crop", self.crop),
            ("augmentation.shift_scale_rotate", self.shift_scale_rotate),
            ("augmentation.brightness_contrast", self.brightness_contrast),
            ("augmentation.blur", self.blur),
            ("augmentation.noise", self.noise),
            ("augmentation.erasing", self.erasing),
            ("augmentation.mixup", self.mixup),
            ("augmentation.cutmix", self.cutmix),
        ] {
            checks.probability(key, probability);
        }
        let together = self.mixup + self.cutmix;
        checks.require(together <= 1.0, "augmentation.cutmix", self.cutmix, "at most 1 together with mixup");
        self.check_ranges(checks);
        for (key, limit, most, allowed) in [
            ("augmentation.shift", self.shift, 1.0, "from 0 to 1"),
            ("augmentation.scale", self.scale, 0.99, "from 0 to 0.99"),
            ("augmentation.rotate", self.rotate, 180.0, "from 0 to 180"),
            ("augmentation.brightness", self.brightness, 1.0, "from 0 to 1"),
            ("augmentation.contrast", self.contrast, 1.0, "from 0 to 1"),
        ] {
            checks.require((0.0..=most).contains(&limit), key, limit, allowed);
        }
        checks.above_0("augmentation.mixup_alpha", self.mixup_alpha);
        checks.above_0("augmentation.cutmix_alpha", self.cutmix_alpha);
    }

    /// The keys that are a smallest and a largest value.
    fn check_ranges(&self, checks: &mut Checks) {
        for (key, [low, high]) in
            [("augmentation.crop_scale", self.crop_scale), ("augmentation.erasing_scale", self.erasing_scale)]
        {
            let fractions = 0.0 < low && low <= high && high <= 1.0;
            checks.require(fractions, key, list(&[low, high]), "[smallest, largest], above 0 and at most 1");
        }
        for (key, [low, high]) in
            [("augmentation.crop_ratio", self.crop_ratio), ("augmentation.erasing_ratio", self.erasing_ratio)]
        {
            let ratios = 0.0 < low && low <= high && high.is_finite();
            checks.require(ratios, key, list(&[low, high]), "[smallest, largest], above 0");
        }
        let [low, high] = self.blur_size;
        let sides = 3 <= low && low <= high && high <= 99 && low % 2 == 1 && high % 2 == 1;
        let allowed = "[smallest, largest], odd and from 3 to 99";
        checks.require(sides, "augmentation.blur_size", list(&[low, high]), allowed);
        let [low, high] = self.noise_variance;
        let ordered = 0.0 <= low && low <= high && high.is_finite();
        let allowed = "[lowest, highest], neither below 0";
        checks.require(ordered, "augmentation.noise_variance", list(&[low, high]), allowed);
    }
}
