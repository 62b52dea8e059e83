//! The contents of the page of an audit.

use visage_judge::AttributeAudit;

/// The result of an audit.
#[derive(Clone, Debug)]
pub struct AuditReport {
    /// Name of the dataset.
    pub dataset: String,
    /// When and by which program the page was made, in words.
    pub made: String,
    /// Scope and method, in words; a paragraph each.
    pub about: Vec<String>,
    /// Warnings; a paragraph each.
    pub remarks: Vec<String>,
    /// The audit of each attribute.
    pub attributes: Vec<AttributeAudit>,
    /// The most doubtful labels, the most doubtful first.
    pub doubts: Vec<DoubtfulLabel>,
    /// Number of labels ranked.
    pub labels: usize,
    /// Duplicate images, pairs with contradictory labels first.
    pub duplicates: Vec<DuplicatePair>,
    /// Number of pairs found.
    pub pairs: usize,
    /// Names of the tables beside the page: labels and duplicates.
    pub tables: [String; 2],
}

/// A label that is likely wrong.
#[derive(Clone, Debug)]
pub struct DoubtfulLabel {
    /// The image's name.
    pub image: String,
    /// The attribute.
    pub attribute: String,
    /// The label.
    pub present: bool,
    /// The probability of presence.
    pub probability: f32,
    /// Whether it is suspected to be wrong.
    pub suspect: bool,
    /// The image, as the bytes of a JPEG file, if it is to be shown.
    pub jpeg: Option<Vec<u8>>,
}

/// Two images with the same content.
#[derive(Clone, Debug)]
pub struct DuplicatePair {
    /// The names of both.
    pub images: [String; 2],
    /// Mean difference of grey values, 0 to 255.
    pub difference: f64,
    /// The attributes whose labels contradict each other.
    pub contradicting: Vec<String>,
    /// Both, as the bytes of JPEG files, if they are to be shown.
    pub jpegs: Option<[Vec<u8>; 2]>,
}
