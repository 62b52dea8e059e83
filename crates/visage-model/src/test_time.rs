//! Test-time augmentation: a model predicts several views of an image, and the mean of their logits counts.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::engine::Prepared;
use crate::heat_map::HeatMap;

/// The views of an image that a model predicts. Its logits are their mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TestTime {
    /// The image alone.
    #[default]
    None,
    /// The image and its mirror image. This takes twice the time.
    Flip,
}

impl TestTime {
    /// Both choices.
    pub const ALL: [TestTime; 2] = [TestTime::None, TestTime::Flip];

    /// The name on the command line and in cards.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            TestTime::None => "none",
            TestTime::Flip => "flip",
        }
    }

    /// The number of views.
    #[must_use]
    pub fn views(self) -> usize {
        match self {
            TestTime::None => 1,
            TestTime::Flip => 2,
        }
    }

    /// Whether an image is predicted alone.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == TestTime::None
    }
}

impl fmt::Display for TestTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that is not the name of a test-time augmentation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown test-time augmentation {0:?}: write `none` or `flip`")]
pub struct UnknownTestTime(String);

impl FromStr for TestTime {
    type Err = UnknownTestTime;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|choice| choice.name() == name).ok_or_else(|| UnknownTestTime(name.to_owned()))
    }
}

/// Mirror images of prepared images.
#[derive(Debug)]
pub(crate) enum Mirrored {
    Pixels(Vec<u8>),
    Normalised(Vec<f32>),
}

impl Mirrored {
    /// Of images that are `width` pixels wide.
    pub(crate) fn new(images: Prepared<'_>, width: usize) -> Self {
        match images {
            Prepared::Pixels(pixels) => Self::Pixels(mirrored::<_, 3>(pixels, width)),
            Prepared::Normalised(values) => Self::Normalised(mirrored::<_, 3>(values, width)),
        }
    }

    pub(crate) fn prepared(&self) -> Prepared<'_> {
        match self {
            Self::Pixels(pixels) => Prepared::Pixels(pixels),
            Self::Normalised(values) => Prepared::Normalised(values),
        }
    }
}

/// A heat map of a mirror image, as one of the image.
pub(crate) fn mirrored_map(map: &HeatMap) -> Vec<f32> {
    mirrored::<_, 1>(&map.values, map.size.width)
}

/// Rows of `width` pixels of `CHANNELS` values, each from right to left.
fn mirrored<T: Copy, const CHANNELS: usize>(values: &[T], width: usize) -> Vec<T> {
    let rows = values.chunks(CHANNELS * width);
    rows.flat_map(|row| row.as_chunks::<CHANNELS>().0.iter().rev().flatten().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_mirrored_pixel_by_pixel() {
        let pixels = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
        assert_eq!(mirrored::<_, 3>(&pixels, 2), [4, 5, 6, 1, 2, 3, 10, 11, 12, 7, 8, 9]);
        assert_eq!(mirrored::<_, 1>(&pixels, 4), [4, 3, 2, 1, 8, 7, 6, 5, 12, 11, 10, 9]);
    }

    #[test]
    fn names_round_trip() {
        for choice in TestTime::ALL {
            assert_eq!(choice.to_string().parse(), Ok(choice));
            assert_eq!(serde_json::to_string(&choice).unwrap(), format!("{:?}", choice.name()));
        }
        assert!("mirror".parse::<TestTime>().is_err());
    }
}
