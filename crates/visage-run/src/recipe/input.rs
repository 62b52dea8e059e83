//! `[input]`.

use serde::{Deserialize, Serialize};
use visage_data::{Alignment, Dataset, Preparation, Resize, Size};

use super::check::{Checks, list};

/// The smallest side that the networks accept: they halve their input five times.
const SMALLEST_SIDE: usize = 32;

/// `[input]`: how an image becomes the network's input, in training, evaluation and prediction alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputRecipe {
    /// Height x width of the network's input, in pixels: `"218x178"`, or `"128"` for a square.
    pub size: Size,
    /// Resizes the shorter side to this many pixels, keeping the aspect ratio, then crops `size` from the centre. Absent:
    /// resizes to `size` without keeping the aspect ratio.
    pub shorter_side: Option<usize>,
    /// How the faces lie in the images: `"celeba"` finds the faces in photographs and aligns them, in training and wherever the model
    /// is used; `"already"` says that they are aligned as CelebA's; `"none"` uses images as they are. Absent: as the dataset looks.
    pub align: Option<Align>,
    /// Subtracted from each channel (red, green, blue) after scaling to 0..=1.
    #[serde(default = "half")]
    pub mean: [f32; 3],
    /// Divides each channel after the mean was subtracted.
    #[serde(default = "half")]
    pub std: [f32; 3],
}

/// How the faces lie in the images that a model is trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Align {
    /// Photographs, whose faces are found and aligned as CelebA's.
    Celeba,
    /// Images that are aligned as CelebA's.
    Already,
    /// Images that are used as they are.
    None,
}

impl Align {
    /// What a model trained so expects.
    #[must_use]
    pub fn alignment(self) -> Alignment {
        match self {
            Align::Celeba | Align::Already => Alignment::Celeba,
            Align::None => Alignment::None,
        }
    }
}

pub(super) fn half() -> [f32; 3] {
    [0.5; 3]
}

impl InputRecipe {
    /// The preparation that training uses and the model file stores.
    #[must_use]
    pub fn preparation(&self) -> Preparation {
        let (resize, crop) = match self.shorter_side {
            Some(side) => (Resize::ShorterSide(side), Some(self.size)),
            None => (Resize::Exact(self.size), None),
        };
        let alignment = self.align.map(Align::alignment);
        Preparation { resize, crop, mean: self.mean, std: self.std, alignment, ..Preparation::exact(self.size) }
    }

    /// The preparation for a dataset. Where the recipe does not say how the faces lie, they lie as they do in the dataset.
    #[must_use]
    pub fn preparation_for(&self, dataset: &Dataset) -> Preparation {
        let preparation = self.preparation();
        let alignment = preparation.alignment.or_else(|| dataset.alignment()).unwrap_or(Alignment::None);
        Preparation { alignment: Some(alignment), ..preparation }
    }

    pub(super) fn check(&self, checks: &mut Checks) {
        let Size { height, width } = self.size;
        checks.require(height.min(width) >= SMALLEST_SIDE, "input.size", self.size, "at least 32 pixels a side");
        if let Some(side) = self.shorter_side {
            let fits = (height.max(width)..=Size::MAX_SIDE).contains(&side);
            let allowed = "at least the longer side of input.size and at most 8192";
            checks.require(fits, "input.shorter_side", side, allowed);
        }
        let finite = self.mean.iter().all(|mean| mean.is_finite());
        checks.require(finite, "input.mean", list(&self.mean), "finite numbers");
        let divisible = self.std.iter().all(|std| std.is_normal() && *std > 0.0);
        checks.require(divisible, "input.std", list(&self.std), "finite numbers above 0");
    }
}
