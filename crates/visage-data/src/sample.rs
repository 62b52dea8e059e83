//! One image of a dataset with its labels.

use std::collections::BTreeMap;

use crate::alignment::{Landmarks, Point, Similarity};
use crate::label::Label;
use crate::split::Split;

/// One row of a dataset: the name of an image and its labels, without its pixels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// The image's name as the table spells it, unique within the dataset.
    pub image: String,
    /// The split it belongs to; `None` where the table assigns none.
    pub split: Option<Split>,
    /// One label for each of the dataset's attributes, in their order.
    pub labels: Box<[Label]>,
    /// The probability that each attribute is present, in [0, 1], where the table holds probabilities; NaN for unknown labels. A
    /// label is present from 0.5.
    pub soft: Option<Box<[f32]>>,
    /// The person, if the table names one. Images of one person belong in one split.
    pub identity: Option<String>,
    /// One value for each of the dataset's categories, in their order; `None` where it is blank.
    pub categories: Box<[Option<String>]>,
    /// Left eye, right eye, nose, left and right corner of the mouth, each as x and y in pixels of the image (the first pixel is 0), if
    /// the dataset has them. The nose is NaN where it has only the others.
    pub landmarks: Option<[Point; 5]>,
    /// Left, top, width and height of the face in pixels, if the dataset has them. CelebA's refer to the original photographs.
    pub face_box: Option<[f64; 4]>,
    /// What aligns the face when the image is read; `None` uses the image as it is.
    pub aligning: Option<Similarity>,
}

impl Sample {
    /// Eyes and mouth by the centres of pixels, if the dataset has them.
    #[must_use]
    pub fn eyes_and_mouth(&self) -> Option<Landmarks> {
        let points = self.landmarks?.map(|point| point.map(|coordinate| coordinate + 0.5));
        let [left_eye, right_eye, _, left_mouth, right_mouth] = points;
        Some(Landmarks { left_eye, right_eye, left_mouth, right_mouth })
    }

    /// The probability that an attribute is present, by its index: 0 or 1 unless the table holds probabilities; NaN for an unknown
    /// label.
    #[must_use]
    pub fn probability(&self, attribute: usize) -> f32 {
        match (&self.soft, self.labels[attribute].known()) {
            (Some(soft), _) => soft[attribute],
            (None, Some(present)) => f32::from(u8::from(present)),
            (None, None) => f32::NAN,
        }
    }
}

/// Groups the indices of samples by person; a sample without a person is a group of its own. A group belongs in one split. The
/// order of the groups does not depend on that of the rows.
pub(crate) fn groups_by_identity(samples: &[Sample]) -> Vec<Vec<usize>> {
    let mut groups: BTreeMap<(bool, &str), Vec<usize>> = BTreeMap::new();
    for (index, sample) in samples.iter().enumerate() {
        // The flag distinguishes an image from a person of the same name.
        let key = sample.identity.as_deref().map_or((false, sample.image.as_str()), |identity| (true, identity));
        groups.entry(key).or_default().push(index);
    }
    groups.into_values().collect()
}
