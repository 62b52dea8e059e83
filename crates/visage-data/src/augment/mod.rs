//! Augmentation: random changes to training images.
//!
//! Each change is that of albumentations (<https://albumentations.ai>) on images with one byte a value.

mod colour;
mod geometry;
mod validate;

use std::fmt;

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use crate::size::Size;

/// Random changes to a prepared training image, before it is normalised. They are applied in the order of the fields.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Augmentation {
    /// Random crop, resized to the image.
    pub crop: Option<Crop>,
    /// The probability of a horizontal flip.
    pub flip: f32,
    /// Shift, scale and rotation.
    pub affine: Option<Affine>,
    /// Change of brightness and contrast.
    pub brightness_contrast: Option<BrightnessContrast>,
    /// Box blur.
    pub blur: Option<Blur>,
    /// Gaussian noise.
    pub noise: Option<Noise>,
    /// Random erasing: a black rectangle.
    pub erasing: Option<Erasing>,
}

/// albumentations' `RandomResizedCrop` (Szegedy et al., CVPR 2015): a crop of random area and aspect ratio, resized to the
/// size of the image (bilinear, as OpenCV's `INTER_LINEAR`).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crop {
    /// The probability that it is applied.
    pub probability: f32,
    /// The smallest and the largest area, as shares of the image's.
    pub scale: [f32; 2],
    /// The smallest and the largest aspect ratio (width over height), drawn uniformly in the logarithm.
    pub ratio: [f32; 2],
}

/// albumentations' `ShiftScaleRotate` with reflected edges (`BORDER_REFLECT_101`). Each of the four draws is uniform from minus
/// its limit to its limit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Affine {
    /// The probability that it is applied.
    pub probability: f32,
    /// The largest shift, horizontal and vertical, as a share of the width and the height.
    pub shift: f32,
    /// The largest change of scale: 0.1 means from 0.9 to 1.1.
    pub scale: f32,
    /// The largest rotation in degrees.
    pub rotate: f32,
}

/// albumentations' `RandomBrightnessContrast`: values times 1 + contrast, plus 255 times brightness. Each is drawn uniformly from
/// minus its limit to its limit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrightnessContrast {
    /// The probability that it is applied.
    pub probability: f32,
    /// The largest change of brightness, as a share of white.
    pub brightness: f32,
    /// The largest change of contrast.
    pub contrast: f32,
}

/// albumentations' `Blur`: the mean over a square with an odd number of pixels a side.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blur {
    /// The probability that it is applied.
    pub probability: f32,
    /// The smallest and the largest side of the square in pixels, both odd and at least 3.
    pub size: [usize; 2],
}

/// Gaussian noise of random strength, independent for every value of every pixel.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Noise {
    /// The probability that it is applied.
    pub probability: f32,
    /// The smallest and the largest variance, on the scale from 0 to 255; each image draws one uniformly.
    pub variance: [f32; 2],
}

/// albumentations' `Erasing` (Zhong et al., "Random Erasing Data Augmentation", AAAI 2020): a black rectangle of random
/// area and aspect ratio at a random position.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Erasing {
    /// The probability that it is applied.
    pub probability: f32,
    /// The smallest and the largest area, as shares of the image's.
    pub scale: [f32; 2],
    /// The smallest and the largest aspect ratio (width over height), drawn uniformly in the logarithm.
    pub ratio: [f32; 2],
}

impl Augmentation {
    /// Augments one image, shape `[H, W, 3]` of `size`, in place, with draws from `random`.
    ///
    /// The settings must be [valid](Self::validate). A change that is not set draws nothing.
    pub fn apply(&self, pixels: &mut [u8], size: Size, random: &mut impl Rng) {
        self.apply_and_tell(pixels, size, random, &mut |_| {});
    }

    /// The same; `tell` is called with each change that is made, in words such as `flipped`.
    pub(crate) fn apply_and_tell(
        &self,
        pixels: &mut [u8],
        size: Size,
        random: &mut impl Rng,
        tell: &mut impl FnMut(fmt::Arguments<'_>),
    ) {
        if let Some(crop) = &self.crop {
            crop.apply(pixels, size, random, tell);
        }
        if random.random::<f32>() < self.flip {
            flip(pixels, size);
            tell(format_args!("flipped"));
        }
        if let Some(affine) = &self.affine {
            affine.apply(pixels, size, random, tell);
        }
        if let Some(brightness_contrast) = &self.brightness_contrast {
            brightness_contrast.apply(pixels, random, tell);
        }
        if let Some(blur) = &self.blur {
            blur.apply(pixels, size, random, tell);
        }
        if let Some(noise) = &self.noise {
            noise.apply(pixels, random, tell);
        }
        if let Some(erasing) = &self.erasing {
            erasing.apply(pixels, size, random, tell);
        }
    }
}

impl Crop {
    fn apply(&self, pixels: &mut [u8], size: Size, random: &mut impl Rng, tell: &mut impl FnMut(fmt::Arguments<'_>)) {
        if random.random::<f32>() < self.probability {
            let crop = geometry::random_rectangle(size, self.scale, self.ratio, random);
            let crop = crop.unwrap_or_else(|| geometry::central_rectangle(size, self.ratio));
            geometry::resize_crop(pixels, size, crop);
            tell(format_args!("cropped to {} at row {}, column {}", crop.size, crop.top, crop.left));
        }
    }
}

impl Affine {
    fn apply(&self, pixels: &mut [u8], size: Size, random: &mut impl Rng, tell: &mut impl FnMut(fmt::Arguments<'_>)) {
        if random.random::<f32>() < self.probability {
            let limits = [self.shift, self.shift, self.scale, self.rotate];
            let [right, down, scale, degrees] = limits.map(|limit| symmetric(limit, random));
            geometry::shift_scale_rotate(pixels, size, [right, down], 1.0 + scale, degrees);
            let [right, down] = [right, down].map(|share| 100.0 * share);
            tell(format_args!(
                "shifted by {right:+.0} % across and {down:+.0} % down, scaled by {:.2}, rotated by {degrees:+.0}\u{b0}",
                1.0 + scale
            ));
        }
    }
}

impl BrightnessContrast {
    fn apply(&self, pixels: &mut [u8], random: &mut impl Rng, tell: &mut impl FnMut(fmt::Arguments<'_>)) {
        if random.random::<f32>() < self.probability {
            let [contrast, brightness] = [self.contrast, self.brightness].map(|limit| symmetric(limit, random));
            colour::brightness_contrast(pixels, brightness, contrast);
            tell(format_args!("brightness {:+.0} %, contrast {:+.0} %", 100.0 * brightness, 100.0 * contrast));
        }
    }
}

impl Blur {
    fn apply(&self, pixels: &mut [u8], size: Size, random: &mut impl Rng, tell: &mut impl FnMut(fmt::Arguments<'_>)) {
        if random.random::<f32>() < self.probability {
            let [low, high] = self.size;
            let side = low + 2 * random.random_range(0..=(high - low) / 2);
            colour::blur(pixels, size, side);
            tell(format_args!("blurred over {side}x{side} pixels"));
        }
    }
}

impl Noise {
    fn apply(&self, pixels: &mut [u8], random: &mut impl Rng, tell: &mut impl FnMut(fmt::Arguments<'_>)) {
        if random.random::<f32>() < self.probability {
            let [low, high] = self.variance;
            let deviation = (low + (high - low) * random.random::<f32>()).sqrt();
            for value in pixels {
                let draw: f32 = random.sample(StandardNormal);
                // The cast saturates at 0 and 255.
                *value = (f32::from(*value) + deviation * draw).round() as u8;
            }
            tell(format_args!("noise of standard deviation {deviation:.1}"));
        }
    }
}

impl Erasing {
    fn apply(&self, pixels: &mut [u8], size: Size, random: &mut impl Rng, tell: &mut impl FnMut(fmt::Arguments<'_>)) {
        if random.random::<f32>() < self.probability
            && let Some(rectangle) = geometry::random_rectangle(size, self.scale, self.ratio, random)
        {
            geometry::erase(pixels, size, rectangle);
            tell(format_args!("erased {} at row {}, column {}", rectangle.size, rectangle.top, rectangle.left));
        }
    }
}

/// A uniform draw from -`limit` to `limit`.
fn symmetric(limit: f32, random: &mut impl Rng) -> f32 {
    limit * (2.0 * random.random::<f32>() - 1.0)
}

fn flip(pixels: &mut [u8], size: Size) {
    let (pixels, _) = pixels.as_chunks_mut::<3>();
    for row in pixels.chunks_exact_mut(size.width) {
        row.reverse();
    }
}

#[cfg(test)]
mod tests;
