//! Variation of training images.
//!
//! Each change means what it does in albumentations (<https://albumentations.ai>), on images of one byte a value.

mod colour;
mod geometry;

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use crate::error::InvalidSetting;
use crate::size::Size;

/// Random changes to a prepared training image, before it is normalised. They are made in the order of the fields.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Augmentation {
    /// A part of the image in its place, if any.
    pub crop: Option<Crop>,
    /// The probability of mirroring left and right.
    pub flip: f32,
    /// Moving, growing and turning, if any.
    pub affine: Option<Affine>,
    /// Other brightness and contrast, if any.
    pub brightness_contrast: Option<BrightnessContrast>,
    /// Blur, if any.
    pub blur: Option<Blur>,
    /// Gaussian noise, if any.
    pub noise: Option<Noise>,
    /// A black rectangle, if any.
    pub erasing: Option<Erasing>,
}

/// albumentations' `RandomResizedCrop` (Szegedy et al., CVPR 2015): a part of random area and aspect, resized to the
/// whole (bilinear, as OpenCV's `INTER_LINEAR`).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crop {
    /// The probability that it is done.
    pub probability: f32,
    /// The smallest and the largest area, as parts of the image's.
    pub scale: [f32; 2],
    /// The smallest and the largest width for a height of 1, drawn evenly in the logarithm.
    pub ratio: [f32; 2],
}

/// albumentations' `ShiftScaleRotate`, its edges mirrored (`BORDER_REFLECT_101`). Each of the four draws is even within
/// its limit on either side.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Affine {
    /// The probability that it is done.
    pub probability: f32,
    /// The farthest shift, across and down, as a part of the width and the height.
    pub shift: f32,
    /// The most it grows or shrinks: 0.1 is from 0.9 to 1.1 times.
    pub scale: f32,
    /// The most it turns, in degrees.
    pub rotate: f32,
}

/// albumentations' `RandomBrightnessContrast`: values times 1 + contrast, plus 255 times brightness, each even within its limit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrightnessContrast {
    /// The probability that it is done.
    pub probability: f32,
    /// The most brightness that is added or taken, as a part of white.
    pub brightness: f32,
    /// The most contrast that is added or taken.
    pub contrast: f32,
}

/// albumentations' `Blur`: the mean over a square of an odd number of pixels a side.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blur {
    /// The probability that it is done.
    pub probability: f32,
    /// The smallest and the largest side of the square in pixels, both odd and at least 3.
    pub size: [usize; 2],
}

/// Gaussian noise of a random strength, independent in every value of every pixel.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Noise {
    /// The probability that an image gets any.
    pub probability: f32,
    /// The lowest and the highest variance, on the 0 to 255 scale; each image draws one between them.
    pub variance: [f32; 2],
}

/// albumentations' `Erasing` (Zhong et al., "Random Erasing Data Augmentation", AAAI 2020): a black rectangle of random
/// area and aspect in a random place.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Erasing {
    /// The probability that it is done.
    pub probability: f32,
    /// The smallest and the largest area, as parts of the image's.
    pub scale: [f32; 2],
    /// The smallest and the largest width for a height of 1, drawn evenly in the logarithm.
    pub ratio: [f32; 2],
}

impl Augmentation {
    /// Checks that the values make sense.
    ///
    /// # Errors
    ///
    /// Naming the first setting that does not.
    pub fn validate(&self) -> Result<(), InvalidSetting> {
        probability("flip", self.flip)?;
        if let Some(Crop { probability: of, scale, ratio }) = self.crop {
            probability("crop probability", of)?;
            parts("crop scale", scale)?;
            ratios("crop ratio", ratio)?;
        }
        if let Some(Affine { probability: of, shift, scale, rotate }) = self.affine {
            probability("shift_scale_rotate probability", of)?;
            limit("shift", shift, 1.0)?;
            limit("scale", scale, 0.99)?;
            limit("rotate", rotate, 180.0)?;
        }
        if let Some(BrightnessContrast { probability: of, brightness, contrast }) = self.brightness_contrast {
            probability("brightness_contrast probability", of)?;
            limit("brightness", brightness, 1.0)?;
            limit("contrast", contrast, 1.0)?;
        }
        if let Some(Blur { probability: of, size: [low, high] }) = self.blur {
            probability("blur probability", of)?;
            if !(3 <= low && low <= high && high <= MAX_BLUR && low % 2 == 1 && high % 2 == 1) {
                let problem =
                    format!("is {low} to {high} and must be two odd numbers from 3 to {MAX_BLUR}, the lower first");
                return Err(InvalidSetting::new("blur size", problem));
            }
        }
        if let Some(Noise { probability: of_noise, variance: [low, high] }) = self.noise {
            probability("noise probability", of_noise)?;
            if !(0.0 <= low && low <= high && high.is_finite()) {
                return Err(InvalidSetting::new(
                    "noise variance",
                    format!("is {low} to {high} and must be two finite numbers from 0 up, the lower first"),
                ));
            }
        }
        if let Some(Erasing { probability: of, scale, ratio }) = self.erasing {
            probability("erasing probability", of)?;
            parts("erasing scale", scale)?;
            ratios("erasing ratio", ratio)?;
        }
        Ok(())
    }

    /// Changes one image, shape `[H, W, 3]` of `size`, in place, drawing from `random`.
    ///
    /// The settings must be [valid](Self::validate). What is not asked for draws nothing.
    pub fn apply(&self, pixels: &mut [u8], size: Size, random: &mut impl Rng) {
        if let Some(Crop { probability, scale, ratio }) = self.crop
            && random.random::<f32>() < probability
        {
            let part =
                geometry::random_part(size, scale, ratio, random).unwrap_or_else(|| geometry::centre(size, ratio));
            geometry::resize_part(pixels, size, part);
        }
        if random.random::<f32>() < self.flip {
            flip(pixels, size);
        }
        if let Some(Affine { probability, shift, scale, rotate }) = self.affine
            && random.random::<f32>() < probability
        {
            let [across, down, grow, turn] = [shift, shift, scale, rotate].map(|limit| within(limit, random));
            geometry::shift_scale_rotate(pixels, size, [across, down], 1.0 + grow, turn);
        }
        if let Some(BrightnessContrast { probability, brightness, contrast }) = self.brightness_contrast
            && random.random::<f32>() < probability
        {
            let [contrast, brightness] = [contrast, brightness].map(|limit| within(limit, random));
            colour::brightness_contrast(pixels, brightness, contrast);
        }
        if let Some(Blur { probability, size: [low, high] }) = self.blur
            && random.random::<f32>() < probability
        {
            let side = low + 2 * random.random_range(0..=(high - low) / 2);
            colour::blur(pixels, size, side);
        }
        if let Some(noise) = self.noise
            && random.random::<f32>() < noise.probability
        {
            let [low, high] = noise.variance;
            let deviation = (low + (high - low) * random.random::<f32>()).sqrt();
            for value in pixels.iter_mut() {
                let draw: f32 = random.sample(StandardNormal);
                // The cast rounds towards zero and stops at 0 and 255.
                *value = (f32::from(*value) + deviation * draw).round() as u8;
            }
        }
        if let Some(Erasing { probability, scale, ratio }) = self.erasing
            && random.random::<f32>() < probability
            && let Some(part) = geometry::random_part(size, scale, ratio, random)
        {
            geometry::erase(pixels, size, part);
        }
    }
}

/// The widest blur: far more than leaves anything to see.
const MAX_BLUR: usize = 99;

/// A draw from -`limit` to `limit`.
fn within(limit: f32, random: &mut impl Rng) -> f32 {
    limit * (2.0 * random.random::<f32>() - 1.0)
}

fn probability(setting: &'static str, value: f32) -> Result<(), InvalidSetting> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(InvalidSetting::new(setting, format!("is {value} and must be a probability, from 0 to 1")))
}

fn limit(setting: &'static str, value: f32, most: f32) -> Result<(), InvalidSetting> {
    if (0.0..=most).contains(&value) {
        return Ok(());
    }
    Err(InvalidSetting::new(setting, format!("is {value} and must be from 0 to {most}")))
}

fn parts(setting: &'static str, [low, high]: [f32; 2]) -> Result<(), InvalidSetting> {
    if 0.0 < low && low <= high && high <= 1.0 {
        return Ok(());
    }
    Err(InvalidSetting::new(
        setting,
        format!("is {low} to {high} and must be two parts above 0 and up to 1, the lower first"),
    ))
}

fn ratios(setting: &'static str, [low, high]: [f32; 2]) -> Result<(), InvalidSetting> {
    if 0.0 < low && low <= high && high.is_finite() {
        return Ok(());
    }
    Err(InvalidSetting::new(setting, format!("is {low} to {high} and must be two numbers above 0, the lower first")))
}

/// Mirrors left and right.
fn flip(pixels: &mut [u8], size: Size) {
    let (pixels, _) = pixels.as_chunks_mut::<3>();
    for row in pixels.chunks_exact_mut(size.width) {
        row.reverse();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::stream;

    const SIZE: Size = Size { height: 40, width: 50 };

    fn augment(augmentation: &Augmentation, pixels: &[u8], sample: u64) -> Vec<u8> {
        let mut pixels = pixels.to_vec();
        augmentation.apply(&mut pixels, SIZE, &mut stream(7, "augment", 1, sample));
        pixels
    }

    #[test]
    fn flipping_mirrors_rows_and_keeps_colours() {
        let always = Augmentation { flip: 1.0, ..Augmentation::default() };
        let mut pixels = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
        always.apply(&mut pixels, Size { height: 2, width: 2 }, &mut stream(0, "augment", 0, 0));
        assert_eq!(pixels, [4, 5, 6, 1, 2, 3, 10, 11, 12, 7, 8, 9]);
        let never = Augmentation::default();
        let image: Vec<u8> = (0..SIZE.pixels() * 3).map(|index| (index % 251) as u8).collect();
        assert!((0..50).all(|sample| augment(&never, &image, sample) == image));
        let half = Augmentation { flip: 0.5, ..Augmentation::default() };
        let flipped = (0..1000).filter(|&sample| augment(&half, &image, sample) != image).count();
        assert!((430..570).contains(&flipped), "{flipped} of 1000");
    }

    #[test]
    fn noise_has_the_variance_asked_for_and_stays_in_range() {
        let variance = |low: f32, high: f32, grey: u8| {
            let noise = Noise { probability: 1.0, variance: [low, high] };
            let noisy = augment(
                &Augmentation { noise: Some(noise), ..Augmentation::default() },
                &vec![grey; SIZE.pixels() * 3],
                3,
            );
            let offsets: Vec<f64> = noisy.iter().map(|&value| f64::from(value) - f64::from(grey)).collect();
            let mean = offsets.iter().sum::<f64>() / offsets.len() as f64;
            let variance = offsets.iter().map(|offset| (offset - mean).powi(2)).sum::<f64>() / offsets.len() as f64;
            (mean, variance)
        };
        let (mean, fixed) = variance(30.0, 30.0, 128);
        // Rounding to whole values adds a variance of 1/12.
        assert!(mean.abs() < 0.2 && (fixed - 30.0 - 1.0 / 12.0).abs() < 2.0, "{mean} {fixed}");
        let (_, ranged) = variance(10.0, 50.0, 128);
        assert!((8.0..54.0).contains(&ranged), "{ranged}");
        let (mean, _) = variance(50.0, 50.0, 255);
        assert!((-4.0..-2.0).contains(&mean), "half of the noise is cut off at white: {mean}");
        assert_eq!(variance(0.0, 0.0, 9), (0.0, 0.0));
    }

    /// Every change, always.
    fn everything() -> Augmentation {
        let probability = 1.0;
        Augmentation {
            crop: Some(Crop { probability, scale: [0.3, 1.0], ratio: [0.75, 4.0 / 3.0] }),
            flip: 0.5,
            affine: Some(Affine { probability, shift: 0.0625, scale: 0.1, rotate: 45.0 }),
            brightness_contrast: Some(BrightnessContrast { probability, brightness: 0.2, contrast: 0.2 }),
            blur: Some(Blur { probability, size: [3, 7] }),
            noise: Some(Noise { probability, variance: [10.0, 50.0] }),
            erasing: Some(Erasing { probability, scale: [0.02, 0.33], ratio: [0.3, 3.3] }),
        }
    }

    #[test]
    fn every_change_is_reproducible_and_differs_from_image_to_image() {
        let image: Vec<u8> = (0..SIZE.pixels() * 3).map(|index| (index * 7 % 251) as u8).collect();
        let all = everything();
        let alone = [
            Augmentation { crop: all.crop, ..Augmentation::default() },
            Augmentation { affine: all.affine, ..Augmentation::default() },
            Augmentation { brightness_contrast: all.brightness_contrast, ..Augmentation::default() },
            Augmentation { erasing: all.erasing, ..Augmentation::default() },
            all,
        ];
        for augmentation in alone {
            assert_eq!(augment(&augmentation, &image, 1), augment(&augmentation, &image, 1));
            assert_ne!(augment(&augmentation, &image, 1), image, "{augmentation:?}");
            assert_ne!(augment(&augmentation, &image, 1), augment(&augmentation, &image, 2), "{augmentation:?}");
        }
    }

    #[test]
    fn images_of_any_size_can_be_changed() {
        for (height, width) in [(1, 1), (1, 9), (7, 1), (2, 2), (33, 5)] {
            let size = Size { height, width };
            for sample in 0..50 {
                let mut pixels = vec![200; size.pixels() * 3];
                everything().apply(&mut pixels, size, &mut stream(7, "augment", 0, sample));
            }
        }
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        let noise = |probability, variance| Augmentation {
            flip: 0.5,
            noise: Some(Noise { probability, variance }),
            ..Augmentation::default()
        };
        let with_crop = |scale, ratio| Augmentation {
            crop: Some(Crop { probability: 0.5, scale, ratio }),
            ..Augmentation::default()
        };
        let with_blur = |size| Augmentation { blur: Some(Blur { probability: 0.5, size }), ..Augmentation::default() };
        assert_eq!(noise(0.2, [10.0, 50.0]).validate(), Ok(()));
        assert_eq!(everything().validate(), Ok(()));
        for (wrong, setting) in [
            (Augmentation { flip: 1.5, ..Augmentation::default() }, "flip"),
            (Augmentation { flip: f32::NAN, ..Augmentation::default() }, "flip"),
            (noise(-0.1, [10.0, 50.0]), "noise probability"),
            (noise(0.2, [50.0, 10.0]), "noise variance"),
            (noise(0.2, [-1.0, 10.0]), "noise variance"),
            (noise(0.2, [0.0, f32::INFINITY]), "noise variance"),
            (with_crop([0.0, 1.0], [1.0, 1.0]), "crop scale"),
            (with_crop([0.5, 1.5], [1.0, 1.0]), "crop scale"),
            (with_crop([0.5, 1.0], [2.0, 1.0]), "crop ratio"),
            (with_blur([3, 4]), "blur size"),
            (with_blur([7, 3]), "blur size"),
        ] {
            assert_eq!(wrong.validate().unwrap_err().setting, setting);
        }
    }
}
