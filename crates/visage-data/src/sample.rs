//! One image of a dataset and what is known about it.

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
