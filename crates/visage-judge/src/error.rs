//! Errors.

use std::fmt;

/// Invalid labels, probabilities, thresholds or evaluations.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages explain the variants and their fields")]
pub enum Error {
    #[error("there is no attribute to evaluate: name at least one")]
    NoAttributes,
    #[error("attribute {name:?} is named twice: attribute names must differ")]
    DuplicateAttribute { name: String },
    #[error(
        "{labels} labels do not fill whole rows of {attributes} attributes: give one label per image and attribute"
    )]
    RaggedLabels { labels: usize, attributes: usize },
    #[error("{labels} labels but {probabilities} probabilities: give one of each per image and attribute")]
    LengthMismatch { labels: usize, probabilities: usize },
    #[error(
        "row {row} (counting from 0), attribute {attribute:?}: {value} is not a probability from 0 to 1; \
         logits need a sigmoid first, and NaN means that the model diverged"
    )]
    BadProbability { row: usize, attribute: String, value: f32 },
    #[error("no such attributes: {}", .names.join(", "))]
    UnknownAttributes { names: Vec<String> },
    #[error("{thresholds} thresholds for {attributes} attributes: give one per attribute, in the same order")]
    ThresholdCount { thresholds: usize, attributes: usize },
    #[error("the threshold of attribute {attribute:?} is {value}: it must be a finite number")]
    BadThreshold { attribute: String, value: f32 },
    #[error("{images} images are more than can be resampled (2^30): evaluate a part of them")]
    TooManyImages { images: usize },
    #[error("{first} images and {other} images: tables resampled together must hold the same images")]
    DifferentImages { first: usize, other: usize },
    #[error("{names} image names for {images} images: give one per image, in the same order")]
    ImageCount { names: usize, images: usize },
    #[error(
        "{first:?} and {other:?} have no {what} in common, so they cannot be compared: evaluate both on the same data"
    )]
    NothingInCommon { first: String, other: String, what: &'static str },
    #[error(
        "{first:?} and {other:?} were evaluated on different labels: {differing} of the {compared} they share differ; either \
         the labels were changed or these are different images of the same names; evaluate both on the same data"
    )]
    DifferentLabels { first: String, other: String, differing: usize, compared: usize },
    #[error("no label is known: there is nothing to audit")]
    NoLabels,
    #[error("{found} evaluation(s) given: a comparison needs at least two")]
    NothingToCompare { found: usize },
    #[error(
        "the evaluations are of different attributes, so their means cannot be compared; against {reference:?}: {}; \
         evaluate both on the same attributes",
        .mismatches.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    )]
    DifferentAttributes { reference: String, mismatches: Vec<AttributeMismatch> },
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
