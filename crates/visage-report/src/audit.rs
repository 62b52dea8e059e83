//! What a page of an audit is made of.

use visage_judge::AttributeAudit;

/// What an audit found.
#[derive(Clone, Debug)]
pub struct AuditReport {
    /// What was audited.
    pub dataset: String,
    /// When and by what the page was made, in words.
    pub made: String,
    /// What was looked at, and where the probabilities come from, in words; a paragraph each.
    pub about: Vec<String>,
    /// What a reader should beware of; a paragraph each.
    pub remarks: Vec<String>,
    /// What the labels of each attribute look like.
    pub attributes: Vec<AttributeAudit>,
    /// The most doubtful labels, the most doubtful first.
    pub doubts: Vec<Doubted>,
    /// How many labels were ranked.
    pub labels: usize,
    /// Images that show the same, those whose labels contradict each other first.
    pub duplicates: Vec<Twice>,
    /// How many pairs of them there are.
    pub pairs: usize,
    /// Name of the tables beside the page, for what it does not hold.
    pub tables: [String; 2],
}

/// A label that is likely wrong.
#[derive(Clone, Debug)]
pub struct Doubted {
    /// The image's name.
    pub image: String,
    /// The attribute.
    pub attribute: String,
    /// What the label says.
    pub present: bool,
    /// The probability of presence.
    pub probability: f32,
    /// Whether it is suspected to be wrong.
    pub suspect: bool,
    /// The image, as the bytes of a JPEG file, if it is to be shown.
    pub jpeg: Option<Vec<u8>>,
}

/// Two images that show the same.
#[derive(Clone, Debug)]
pub struct Twice {
    /// The names of both.
    pub images: [String; 2],
    /// The mean difference of their grey values, of 255.
    pub difference: f64,
    /// The attributes whose labels contradict each other.
    pub contradicting: Vec<String>,
    /// Both, as the bytes of JPEG files, if they are to be shown.
    pub jpegs: Option<[Vec<u8>; 2]>,
}
