//! What can be wrong with the input of a judgement.

use std::fmt;

/// Why labels, probabilities, thresholds or evaluations were refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// There is no attribute to judge.
    #[error("there is no attribute to judge: name at least one")]
    NoAttributes,
    /// Two columns have the same name, so matching by name would be ambiguous.
    #[error("attribute {name:?} is named twice: attribute names must differ")]
    DuplicateAttribute {
        /// The repeated name.
        name: String,
    },
    /// The labels do not fill whole rows.
    #[error(
        "{labels} labels do not fill whole rows of {attributes} attributes: give one label per image and attribute"
    )]
    RaggedLabels {
        /// Number of labels given.
        labels: usize,
        /// Number of attributes, which is the length of a row.
        attributes: usize,
    },
    /// Labels and probabilities differ in number.
    #[error("{labels} labels but {probabilities} probabilities: give one of each per image and attribute")]
    LengthMismatch {
        /// Number of labels given.
        labels: usize,
        /// Number of probabilities given.
        probabilities: usize,
    },
    /// A probability is not a number from 0 to 1.
    #[error(
        "row {row} (counting from 0), attribute {attribute:?}: {value} is not a probability from 0 to 1; \
         logits need a sigmoid first, and NaN means that the model diverged"
    )]
    BadProbability {
        /// Image, counting from 0.
        row: usize,
        /// Name of the attribute.
        attribute: String,
        /// The offending value.
        value: f32,
    },
    /// Attributes were asked for by name that are not there.
    #[error("no such attributes: {}", .names.join(", "))]
    UnknownAttributes {
        /// The names that were not found.
        names: Vec<String>,
    },
    /// The number of thresholds is not the number of attributes.
    #[error("{thresholds} thresholds for {attributes} attributes: give one per attribute, in the same order")]
    ThresholdCount {
        /// Number of thresholds given.
        thresholds: usize,
        /// Number of attributes.
        attributes: usize,
    },
    /// A threshold is infinite or not a number.
    #[error("the threshold of attribute {attribute:?} is {value}: it must be a finite number")]
    BadThreshold {
        /// Name of the attribute.
        attribute: String,
        /// The offending value.
        value: f32,
    },
    /// More images than can be resampled.
    #[error("{images} images are more than can be resampled (2^30): judge a part of them")]
    TooManyImages {
        /// Number of images.
        images: usize,
    },
    /// Tables of different images cannot share random draws.
    #[error("{first} images and {other} images: what is resampled together must be of the same images")]
    DifferentImages {
        /// Images of the first table.
        first: usize,
        /// Images of another.
        other: usize,
    },
    /// Labels and image names differ in number.
    #[error("{names} image names for {images} images: give one per image, in the same order")]
    ImageCount {
        /// Number of names given.
        names: usize,
        /// Number of images.
        images: usize,
    },
    /// Two runs have nothing in common to compare on.
    #[error(
        "{first:?} and {other:?} have no {what} in common, so they cannot be compared: evaluate both on the same data"
    )]
    NothingInCommon {
        /// Name of the first run.
        first: String,
        /// Name of the other.
        other: String,
        /// What they do not share: images or attributes.
        what: &'static str,
    },
    /// Two runs were judged by other labels of images called the same.
    #[error(
        "{first:?} and {other:?} were judged on other labels: {differing} of the {compared} they share differ; either the \
         labels were changed or these are other images of the same names; evaluate both on the same data"
    )]
    OtherLabels {
        /// Name of the first run.
        first: String,
        /// Name of the other.
        other: String,
        /// Known labels that differ.
        differing: usize,
        /// Labels that both know.
        compared: usize,
    },
    /// No label is known.
    #[error("no label is known: there is nothing to audit")]
    NoLabels,
    /// A comparison needs at least two evaluations.
    #[error("{found} evaluation(s) given: a comparison needs at least two")]
    NothingToCompare {
        /// Number of evaluations given.
        found: usize,
    },
    /// Evaluations of different attributes cannot stand side by side.
    #[error(
        "the evaluations judge different attributes, so their means cannot be compared; against {reference:?}: {}; \
         evaluate both on the same attributes",
        .mismatches.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    )]
    AttributeMismatch {
        /// Name of the first evaluation, which the others are matched against.
        reference: String,
        /// One entry per evaluation that does not match.
        mismatches: Vec<Mismatch>,
    },
}

/// How the attributes of one evaluation differ from those of the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Name of the evaluation that differs.
    pub evaluation: String,
    /// Attributes of the first evaluation that this one lacks.
    pub missing: Vec<String>,
    /// Attributes of this evaluation that the first one lacks.
    pub surplus: Vec<String>,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.evaluation)?;
        if !self.missing.is_empty() {
            write!(f, " lacks {}", self.missing.join(", "))?;
        }
        if !self.surplus.is_empty() {
            let joint = if self.missing.is_empty() { "" } else { " and" };
            write!(f, "{joint} adds {}", self.surplus.join(", "))?;
        }
        Ok(())
    }
}
