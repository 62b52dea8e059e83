//! Errors.

use std::fmt;

/// Invalid labels, probabilities, thresholds or evaluations.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// There are no attributes.
    #[error("there is no attribute to evaluate: name at least one")]
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
    /// Labels and soft labels differ in number.
    #[error("{targets} soft labels for {labels} labels: give one of each per image and attribute")]
    TargetCount {
        /// Number of soft labels given.
        targets: usize,
        /// Number of labels.
        labels: usize,
    },
    /// A soft label is not a number from 0 to 1.
    #[error(
        "row {row} (counting from 0), attribute {attribute:?}: the soft label {value} is not a probability from 0 to 1"
    )]
    BadTarget {
        /// Image, counting from 0.
        row: usize,
        /// Name of the attribute.
        attribute: String,
        /// The offending value.
        value: f32,
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
    /// Unknown attribute names were requested.
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
    /// Too many images to resample.
    #[error("{images} images are more than can be resampled (2^30): evaluate a part of them")]
    TooManyImages {
        /// Number of images.
        images: usize,
    },
    /// Tables with different numbers of images cannot share random draws.
    #[error("{first} images and {other} images: tables resampled together must hold the same images")]
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
    /// Two runs share no images or no attributes.
    #[error(
        "{first:?} and {other:?} have no {what} in common, so they cannot be compared: evaluate both on the same data"
    )]
    NothingInCommon {
        /// Name of the first run.
        first: String,
        /// Name of the other.
        other: String,
        /// What they do not share: image or attribute.
        what: &'static str,
    },
    /// Two runs have different labels of images of the same names.
    #[error(
        "{first:?} and {other:?} were evaluated on different labels: {differing} of the {compared} they share differ; either \
         the labels were changed or these are different images of the same names; evaluate both on the same data"
    )]
    DifferentLabels {
        /// Name of the first run.
        first: String,
        /// Name of the other.
        other: String,
        /// Number of labels that differ.
        differing: usize,
        /// Number of labels that both know.
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
    /// Evaluations of different attributes cannot be compared.
    #[error(
        "the evaluations are of different attributes, so their means cannot be compared; against {reference:?}: {}; \
         evaluate both on the same attributes",
        .mismatches.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    )]
    DifferentAttributes {
        /// Name of the first evaluation.
        reference: String,
        /// One entry per evaluation that does not match.
        mismatches: Vec<AttributeMismatch>,
    },
}

/// How the attributes of one evaluation differ from those of the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeMismatch {
    /// Name of the evaluation that differs.
    pub evaluation: String,
    /// Attributes of the first evaluation that this one lacks.
    pub missing: Vec<String>,
    /// Attributes of this evaluation that the first one lacks.
    pub surplus: Vec<String>,
}

impl fmt::Display for AttributeMismatch {
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
