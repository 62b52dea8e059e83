//! Mixup and CutMix: mixing the images of a training batch with one another.

use rand::RngExt;
use rand_distr::{Beta, Distribution};
use serde::{Deserialize, Serialize};

use crate::error::InvalidSetting;
use crate::random::{shuffle, stream};
use crate::size::Size;

/// The probabilities and parameters of mixup and CutMix. At most one of them is applied to a batch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mixing {
    /// The probability of mixup (Zhang et al., ICLR 2018): every image becomes a weighted mean of itself and another.
    pub mixup: f32,
    /// Both parameters of the beta distribution of mixup's weight.
    pub mixup_alpha: f32,
    /// The probability of CutMix (Yun et al., ICCV 2019): a rectangle of every image is replaced by that of another.
    pub cutmix: f32,
    /// Both parameters of the beta distribution of the share outside CutMix's rectangle.
    pub cutmix_alpha: f32,
}

/// How a batch was mixed.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixed {
    /// For each image, the position in the batch of the image mixed into it.
    pub partners: Vec<usize>,
    /// The share of each image that is its own, from 0 to 1. Its own labels have this weight in the loss, its partner's labels
    /// the rest.
    pub share: f32,
}

impl Mixed {
    /// The targets of the partners, from the images' own `targets`; both have the shape `[N, attributes]`.
    #[must_use]
    pub fn partner_targets(&self, targets: &[f32]) -> Vec<f32> {
        let width = targets.len() / self.partners.len().max(1);
        self.partners
            .iter()
            .flat_map(|&partner| targets[partner * width..(partner + 1) * width].iter().copied())
            .collect()
    }
}

impl Mixing {
    /// Checks the values.
    ///
    /// # Errors
    ///
    /// Names the first invalid setting.
    pub fn validate(&self) -> Result<(), InvalidSetting> {
        let Mixing { mixup, mixup_alpha, cutmix, cutmix_alpha } = *self;
        if !((0.0..=1.0).contains(&mixup) && (0.0..=1.0).contains(&cutmix) && mixup + cutmix <= 1.0) {
            let problem =
                format!("and cutmix are {mixup} and {cutmix} and must be probabilities of at most 1 together");
            return Err(InvalidSetting::new("mixup", problem));
        }
        for (setting, alpha) in [("mixup alpha", mixup_alpha), ("cutmix alpha", cutmix_alpha)] {
            if !(alpha.is_normal() && alpha > 0.0) {
                return Err(InvalidSetting::new(setting, format!("is {alpha} and must be above 0")));
            }
        }
        Ok(())
    }

    /// Mixes batch `number` of an epoch in place, `[N, H, W, 3]`, or leaves it unchanged. The draws depend only on `seed`,
    /// `epoch` and `number`.
    pub fn apply(&self, pixels: &mut [u8], size: Size, seed: u64, epoch: u64, number: u64) -> Option<Mixed> {
        let mut random = stream(seed, "mix", epoch, number);
        let draw: f32 = random.random();
        let is_mixup = draw < self.mixup;
        if !is_mixup && draw >= self.mixup + self.cutmix {
            return None;
        }
        let image = size.pixels() * 3;
        let images = pixels.len() / image;
        let alpha = if is_mixup { self.mixup_alpha } else { self.cutmix_alpha };
        let share = Beta::new(alpha, alpha).ok()?.sample(&mut random);
        let mut partners: Vec<usize> = (0..images).collect();
        shuffle(&mut partners, &mut random);
        let source = pixels.to_vec();
        let of_partners = partners.iter().map(|&partner| &source[partner * image..(partner + 1) * image]);
        if is_mixup {
            for (pixels, other) in pixels.chunks_exact_mut(image).zip(of_partners) {
                for (value, other) in pixels.iter_mut().zip(other) {
                    *value = (f32::from(*value) * share + f32::from(*other) * (1.0 - share)).round() as u8;
                }
            }
            return Some(Mixed { partners, share });
        }
        // As in the paper: a rectangle of the image's aspect ratio with its centre anywhere in the image, clipped at the edges.
        let side = (1.0 - share).sqrt();
        let span = |length: usize, centre: usize| {
            let half = (side * length as f32) as usize / 2;
            centre.saturating_sub(half)..(centre + half).min(length)
        };
        let rows = span(size.height, random.random_range(0..size.height));
        let columns = span(size.width, random.random_range(0..size.width));
        for (pixels, other) in pixels.chunks_exact_mut(image).zip(of_partners) {
            for row in rows.clone() {
                let part = (row * size.width + columns.start) * 3..(row * size.width + columns.end) * 3;
                pixels[part.clone()].copy_from_slice(&other[part]);
            }
        }
        let share = 1.0 - (rows.len() * columns.len()) as f32 / size.pixels() as f32;
        Some(Mixed { partners, share })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { height: 12, width: 10 };

    fn mixing(mixup: f32, cutmix: f32) -> Mixing {
        Mixing { mixup, mixup_alpha: 0.4, cutmix, cutmix_alpha: 1.0 }
    }

    /// Four plain images of 0, 60, 120 and 180.
    fn batch() -> Vec<u8> {
        (0..4u8).flat_map(|image| vec![image * 60; SIZE.pixels() * 3]).collect()
    }

    #[test]
    fn mixup_is_a_weighted_mean_of_two_images() {
        for number in 0..20 {
            let mut pixels = batch();
            let Mixed { partners, share } = mixing(1.0, 0.0).apply(&mut pixels, SIZE, 3, 1, number).unwrap();
            for (image, partner) in partners.iter().enumerate() {
                let expected = (image as f32 * 60.0 * share + *partner as f32 * 60.0 * (1.0 - share)).round() as u8;
                let found = &pixels[image * SIZE.pixels() * 3..(image + 1) * SIZE.pixels() * 3];
                assert!(found.iter().all(|&value| value.abs_diff(expected) <= 1));
            }
            let mut again = batch();
            mixing(1.0, 0.0).apply(&mut again, SIZE, 3, 1, number);
            assert_eq!(pixels, again);
        }
    }

    #[test]
    fn cutmix_shares_are_areas() {
        for number in 0..20 {
            let mut pixels = batch();
            let Mixed { partners, share } = mixing(0.0, 1.0).apply(&mut pixels, SIZE, 3, 1, number).unwrap();
            for (image, &partner) in partners.iter().enumerate().filter(|(image, partner)| *image != **partner) {
                let found = &pixels[image * SIZE.pixels() * 3..(image + 1) * SIZE.pixels() * 3];
                let own = found.iter().filter(|&&value| value == image as u8 * 60).count() as f32;
                let others = found.iter().filter(|&&value| value == partner as u8 * 60).count() as f32;
                assert_eq!(own + others, (SIZE.pixels() * 3) as f32);
                assert!((own / (own + others) - share).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn batches_are_mixed_with_the_given_probabilities() {
        let kinds: Vec<bool> =
            (0..1000).map(|number| mixing(0.3, 0.2).apply(&mut batch(), SIZE, 3, 1, number).is_some()).collect();
        let mixed = kinds.iter().filter(|mixed| **mixed).count();
        assert!((440..560).contains(&mixed), "{mixed} of 1000");
        assert_eq!(mixing(0.6, 0.5).validate().unwrap_err().setting, "mixup");
        assert_eq!(Mixing { mixup_alpha: 0.0, ..mixing(0.5, 0.5) }.validate().unwrap_err().setting, "mixup alpha");
        let targets = [1.0, 0.0, 0.25, 1.0];
        let mixed = Mixed { partners: vec![1, 0], share: 0.5 };
        assert_eq!(mixed.partner_targets(&targets), [0.25, 1.0, 1.0, 0.0]);
    }
}
