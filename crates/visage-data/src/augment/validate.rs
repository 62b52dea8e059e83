//! Checking the settings of an augmentation.

use super::{Affine, Augmentation, Blur, BrightnessContrast, Crop, Erasing, Noise};
use crate::error::InvalidSetting;

/// The largest blur: far more than leaves anything to see.
const MAX_BLUR: usize = 99;

impl Augmentation {
    /// Checks the values.
    ///
    /// # Errors
    ///
    /// Names the first invalid setting.
    pub fn validate(&self) -> Result<(), InvalidSetting> {
        let Augmentation { crop, flip, affine, brightness_contrast, blur, noise, erasing } = *self;
        probability("flip", flip)?;
        if let Some(Crop { probability: of_crop, scale, ratio }) = crop {
            probability("crop probability", of_crop)?;
            shares("crop scale", scale)?;
            ratios("crop ratio", ratio)?;
        }
        if let Some(Affine { probability: of_affine, shift, scale, rotate }) = affine {
            probability("shift_scale_rotate probability", of_affine)?;
            limit("shift", shift, 1.0)?;
            limit("scale", scale, 0.99)?;
            limit("rotate", rotate, 180.0)?;
        }
        if let Some(BrightnessContrast { probability: of_change, brightness, contrast }) = brightness_contrast {
            probability("brightness_contrast probability", of_change)?;
            limit("brightness", brightness, 1.0)?;
            limit("contrast", contrast, 1.0)?;
        }
        if let Some(Blur { probability: of_blur, size: [low, high] }) = blur {
            probability("blur probability", of_blur)?;
            let is_valid = 3 <= low && low <= high && high <= MAX_BLUR && low % 2 == 1 && high % 2 == 1;
            let allowed = format!("two odd numbers from 3 to {MAX_BLUR}, the lower first");
            range("blur size", [low, high], is_valid, &allowed)?;
        }
        if let Some(Noise { probability: of_noise, variance: [low, high] }) = noise {
            probability("noise probability", of_noise)?;
            let is_valid = 0.0 <= low && low <= high && high.is_finite();
            range("noise variance", [low, high], is_valid, "two finite numbers from 0 up, the lower first")?;
        }
        if let Some(Erasing { probability: of_erasing, scale, ratio }) = erasing {
            probability("erasing probability", of_erasing)?;
            shares("erasing scale", scale)?;
            ratios("erasing ratio", ratio)?;
        }
        Ok(())
    }
}

fn probability(setting: &'static str, value: f32) -> Result<(), InvalidSetting> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(InvalidSetting::new(setting, format!("is {value} and must be a probability, from 0 to 1")))
}

fn limit(setting: &'static str, value: f32, largest: f32) -> Result<(), InvalidSetting> {
    if (0.0..=largest).contains(&value) {
        return Ok(());
    }
    Err(InvalidSetting::new(setting, format!("is {value} and must be from 0 to {largest}")))
}

fn shares(setting: &'static str, [low, high]: [f32; 2]) -> Result<(), InvalidSetting> {
    let is_valid = 0.0 < low && low <= high && high <= 1.0;
    range(setting, [low, high], is_valid, "two shares above 0 and up to 1, the lower first")
}

fn ratios(setting: &'static str, [low, high]: [f32; 2]) -> Result<(), InvalidSetting> {
    let is_valid = 0.0 < low && low <= high && high.is_finite();
    range(setting, [low, high], is_valid, "two numbers above 0, the lower first")
}

fn range<T: std::fmt::Display>(
    setting: &'static str,
    [low, high]: [T; 2],
    is_valid: bool,
    allowed: &str,
) -> Result<(), InvalidSetting> {
    if is_valid {
        return Ok(());
    }
    Err(InvalidSetting::new(setting, format!("is {low} to {high} and must be {allowed}")))
}
