//! One image of a dataset and what is known about it.

use std::collections::BTreeMap;

use crate::label::Label;
use crate::split::Split;

/// One row of a dataset: the name of an image and its labels, not its pixels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The image's name as the table spells it, unique within the dataset.
    pub image: String,
    /// The part of the dataset it belongs to; `None` where the table does not say.
    pub split: Option<Split>,
    /// One label for each of the dataset's attributes, in their order.
    pub labels: Box<[Label]>,
    /// Who is shown, where the table says: images of one person belong in one split.
    pub identity: Option<String>,
    /// What each of the dataset's columns of words says, in their order; `None` where it is blank.
    pub categories: Box<[Option<String>]>,
    /// Left eye, right eye, nose, left and right corner of the mouth, each as x and y in pixels of the image, where the
    /// dataset says.
    pub landmarks: Option<[[i32; 2]; 5]>,
    /// Left, top, width and height of the face in pixels, where the dataset says. CelebA's are of the pictures before
    /// alignment.
    pub face_box: Option<[i32; 4]>,
}

/// The numbers of the samples that show one person, for each of them; a sample that says nobody is alone. Such samples belong in
/// one split. In an order that does not depend on that of the rows.
pub(crate) fn of_one_identity(samples: &[Sample]) -> Vec<Vec<usize>> {
    let mut groups: BTreeMap<(bool, &str), Vec<usize>> = BTreeMap::new();
    for (index, sample) in samples.iter().enumerate() {
        // An image and a person may have the same name; the flag keeps them apart.
        let key = sample.identity.as_deref().map_or((false, sample.image.as_str()), |identity| (true, identity));
        groups.entry(key).or_default().push(index);
    }
    groups.into_values().collect()
}
