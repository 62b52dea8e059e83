//! Variation of training images.

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use crate::error::InvalidSetting;
use crate::size::Size;

/// Random changes to a prepared training image, before it is normalised.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augmentation {
    /// The probability of mirroring left and right.
    #[serde(default)]
    pub flip: f32,
    /// Gaussian noise, if any.
    #[serde(default)]
    pub noise: Option<Noise>,
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

impl Augmentation {
    /// Checks that the values make sense.
    ///
    /// # Errors
    ///
    /// Naming the first setting that does not.
    pub fn validate(&self) -> Result<(), InvalidSetting> {
        probability("flip", self.flip)?;
        if let Some(Noise { probability: of_noise, variance: [low, high] }) = self.noise {
            probability("noise probability", of_noise)?;
            if !(0.0 <= low && low <= high && high.is_finite()) {
                return Err(InvalidSetting::new(
                    "noise variance",
                    format!("is {low} to {high} and must be two finite numbers from 0 up, the lower first"),
                ));
            }
        }
        Ok(())
    }

    /// Changes one image, shape `[H, W, 3]` of `size`, in place, drawing from `random`.
    ///
    /// The settings must be [valid](Self::validate).
    pub fn apply(&self, pixels: &mut [u8], size: Size, random: &mut impl Rng) {
        if random.random::<f32>() < self.flip {
            flip(pixels, size);
        }
        if let Some(noise) = self.noise
            && random.random::<f32>() < noise.probability
        {
            let [low, high] = noise.variance;
            let deviation = (low + (high - low) * random.random::<f32>()).sqrt();
            for value in pixels {
                let draw: f32 = random.sample(StandardNormal);
                // The cast rounds towards zero and stops at 0 and 255.
                *value = (f32::from(*value) + deviation * draw).round() as u8;
            }
        }
    }
}

fn probability(setting: &'static str, value: f32) -> Result<(), InvalidSetting> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(InvalidSetting::new(setting, format!("is {value} and must be a probability, from 0 to 1")))
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
        let always = Augmentation { flip: 1.0, noise: None };
        let mut pixels = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
        always.apply(&mut pixels, Size { height: 2, width: 2 }, &mut stream(0, "augment", 0, 0));
        assert_eq!(pixels, [4, 5, 6, 1, 2, 3, 10, 11, 12, 7, 8, 9]);
        let never = Augmentation::default();
        let image: Vec<u8> = (0..SIZE.pixels() * 3).map(|index| (index % 251) as u8).collect();
        assert!((0..50).all(|sample| augment(&never, &image, sample) == image));
        let half = Augmentation { flip: 0.5, noise: None };
        let flipped = (0..1000).filter(|&sample| augment(&half, &image, sample) != image).count();
        assert!((430..570).contains(&flipped), "{flipped} of 1000");
    }

    #[test]
    fn noise_has_the_variance_asked_for_and_stays_in_range() {
        let variance = |low: f32, high: f32, grey: u8| {
            let noise = Noise { probability: 1.0, variance: [low, high] };
            let noisy = augment(&Augmentation { flip: 0.0, noise: Some(noise) }, &vec![grey; SIZE.pixels() * 3], 3);
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

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        let noise = |probability, variance| Augmentation { flip: 0.5, noise: Some(Noise { probability, variance }) };
        assert_eq!(noise(0.2, [10.0, 50.0]).validate(), Ok(()));
        for (wrong, setting) in [
            (Augmentation { flip: 1.5, noise: None }, "flip"),
            (Augmentation { flip: f32::NAN, noise: None }, "flip"),
            (noise(-0.1, [10.0, 50.0]), "noise probability"),
            (noise(0.2, [50.0, 10.0]), "noise variance"),
            (noise(0.2, [-1.0, 10.0]), "noise variance"),
            (noise(0.2, [0.0, f32::INFINITY]), "noise variance"),
        ] {
            assert_eq!(wrong.validate().unwrap_err().setting, setting);
        }
    }
}
