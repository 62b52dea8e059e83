//! The labels and probabilities of a split.

use std::collections::{HashMap, HashSet};

use crate::error::Error;

/// Labels and probabilities of some images, validated once. Both tables are row-major, `images x attributes`.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    attributes: Vec<String>,
    labels: Vec<Option<bool>>,
    probabilities: Vec<f32>,
    /// The probability that each label is present; `None` if it is 0 or 1 for all known labels.
    targets: Option<Vec<f32>>,
}

impl Predictions {
    /// Takes the labels (`None` where unknown) and the probabilities of presence, row-major, `images x attributes`.
    /// Without images every metric is undefined.
    ///
    /// # Errors
    ///
    /// No attribute, a repeated attribute name, tables of the wrong length, or a probability that is NaN or outside
    /// 0 to 1, also under an unknown label: it means that the model is broken.
    pub fn new(attributes: Vec<String>, labels: Vec<Option<bool>>, mut probabilities: Vec<f32>) -> Result<Self, Error> {
        if attributes.is_empty() {
            return Err(Error::NoAttributes);
        }
        refuse_duplicates(attributes.iter().map(String::as_str))?;
        if !labels.len().is_multiple_of(attributes.len()) {
            return Err(Error::RaggedLabels { labels: labels.len(), attributes: attributes.len() });
        }
        if labels.len() != probabilities.len() {
            return Err(Error::LengthMismatch { labels: labels.len(), probabilities: probabilities.len() });
        }
        for (index, probability) in probabilities.iter_mut().enumerate() {
            if !(0.0..=1.0).contains(probability) {
                return Err(Error::BadProbability {
                    row: index / attributes.len(),
                    attribute: attributes[index % attributes.len()].clone(),
                    value: *probability,
                });
            }
            // Turns -0 into 0, so that the total order used for ranking is the numeric one.
            *probability = probability.abs();
        }
        Ok(Self { attributes, labels, probabilities, targets: None })
    }

    /// The same with soft labels: for each label the probability that it is present, as the share of annotators who say so. The
    /// log loss is measured against them; all other metrics against the labels. Those of unknown labels do not matter.
    ///
    /// # Errors
    ///
    /// Not one for each label, or one of a known label that is NaN or outside 0 to 1.
    pub fn with_targets(mut self, targets: Vec<f32>) -> Result<Self, Error> {
        if targets.len() != self.labels.len() {
            return Err(Error::TargetCount { targets: targets.len(), labels: self.labels.len() });
        }
        let known = || self.labels.iter().zip(&targets).enumerate().filter(|(_, (label, _))| label.is_some());
        if let Some((cell, (_, &value))) = known().find(|(_, (_, target))| !(0.0..=1.0).contains(*target)) {
            let (row, column) = (cell / self.attributes.len(), cell % self.attributes.len());
            return Err(Error::BadTarget { row, attribute: self.attributes[column].clone(), value });
        }
        let is_soft =
            known().any(|(_, (label, &target))| label.map(|present| f32::from(u8::from(present))) != Some(target));
        self.targets = is_soft.then_some(targets);
        Ok(self)
    }

    /// Names of the attributes, in column order.
    pub fn attributes(&self) -> &[String] {
        &self.attributes
    }

    /// Number of images.
    pub fn images(&self) -> usize {
        self.labels.len() / self.attributes.len()
    }

    /// Labels, row-major, `images x attributes`.
    pub fn labels(&self) -> &[Option<bool>] {
        &self.labels
    }

    /// Probabilities of presence, row-major, `images x attributes`.
    pub fn probabilities(&self) -> &[f32] {
        &self.probabilities
    }

    /// The soft labels, row-major, `images x attributes`; `None` if no known label is one.
    pub fn targets(&self) -> Option<&[f32]> {
        self.targets.as_deref()
    }

    /// The probability and the label of every image whose label of this attribute is known, in image order.
    ///
    /// # Errors
    ///
    /// There is no such attribute.
    pub fn column(&self, attribute: &str) -> Result<Vec<(f32, bool)>, Error> {
        match self.attributes.iter().position(|name| name == attribute) {
            Some(column) => Ok(self.known(column).collect()),
            None => Err(Error::UnknownAttributes { names: vec![attribute.to_owned()] }),
        }
    }

    /// The same images with these attributes only, in this order.
    ///
    /// # Errors
    ///
    /// No attribute, unknown attributes (all of them are named), or one named twice.
    pub fn select(&self, attributes: &[&str]) -> Result<Self, Error> {
        if attributes.is_empty() {
            return Err(Error::NoAttributes);
        }
        refuse_duplicates(attributes.iter().copied())?;
        let position: HashMap<&str, usize> =
            self.attributes.iter().enumerate().map(|(column, name)| (name.as_str(), column)).collect();
        let missing: Vec<String> =
            attributes.iter().filter(|name| !position.contains_key(*name)).map(ToString::to_string).collect();
        if !missing.is_empty() {
            return Err(Error::UnknownAttributes { names: missing });
        }
        let columns: Vec<usize> = attributes.iter().map(|name| position[name]).collect();
        let width = self.attributes.len();
        let cells = || (0..self.images()).flat_map(|row| columns.iter().map(move |column| row * width + column));
        Ok(Self {
            attributes: attributes.iter().map(ToString::to_string).collect(),
            labels: cells().map(|cell| self.labels[cell]).collect(),
            probabilities: cells().map(|cell| self.probabilities[cell]).collect(),
            targets: self.targets.as_ref().map(|targets| cells().map(|cell| targets[cell]).collect()),
        })
    }

    /// The same attributes of the images whose index satisfies `member`.
    #[must_use]
    pub fn rows(&self, member: impl Fn(usize) -> bool) -> Self {
        let width = self.attributes.len();
        let members: Vec<usize> = (0..self.images()).filter(|&image| member(image)).collect();
        let cells = || members.iter().flat_map(|&image| image * width..(image + 1) * width);
        Self {
            attributes: self.attributes.clone(),
            labels: cells().map(|cell| self.labels[cell]).collect(),
            probabilities: cells().map(|cell| self.probabilities[cell]).collect(),
            targets: self.targets.as_ref().map(|targets| cells().map(|cell| targets[cell]).collect()),
        }
    }

    /// The known (probability, label) pairs of column `column`, which must be one of this table's.
    pub(crate) fn known(&self, column: usize) -> impl Iterator<Item = (f32, bool)> + '_ {
        self.known_cells(column).map(|(cell, present)| (self.probabilities[cell], present))
    }

    /// The known labels of column `column`, which must be one of this table's, and their places in the table.
    pub(crate) fn known_cells(&self, column: usize) -> impl Iterator<Item = (usize, bool)> + '_ {
        let cells = (column..self.labels.len()).step_by(self.attributes.len());
        cells.filter_map(|cell| self.labels[cell].map(|present| (cell, present)))
    }

    /// The probability that the known label `present` in a place of the table is present.
    pub(crate) fn target(&self, cell: usize, present: bool) -> f64 {
        self.targets.as_ref().map_or(f64::from(u8::from(present)), |targets| f64::from(targets[cell]))
    }
}

pub(crate) fn refuse_duplicates<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<(), Error> {
    let mut seen = HashSet::new();
    match names.into_iter().find(|name| !seen.insert(*name)) {
        Some(name) => Err(Error::DuplicateAttribute { name: name.to_owned() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn invalid_tables_are_refused() {
        let known = |n: usize| vec![Some(true); n];
        let two = || names(&["Smiling", "Male"]);
        let cases = [
            (Predictions::new(vec![], vec![], vec![]), "there is no attribute to evaluate"),
            (Predictions::new(names(&["Male", "Male"]), known(2), vec![0.5; 2]), "\"Male\" is named twice"),
            (Predictions::new(two(), known(3), vec![0.5; 3]), "3 labels do not fill whole rows of 2"),
            (Predictions::new(two(), known(4), vec![0.5; 2]), "4 labels but 2 probabilities"),
            (
                Predictions::new(two(), known(4), vec![0.5, 0.5, 0.5, 1.5]),
                "row 1 (counting from 0), attribute \"Male\": 1.5",
            ),
            (
                Predictions::new(two(), known(2), vec![-0.1, 0.5]),
                "row 0 (counting from 0), attribute \"Smiling\": -0.1",
            ),
            (Predictions::new(two(), vec![None; 2], vec![f32::NAN, 0.5]), "attribute \"Smiling\": NaN"),
        ];
        for (result, message) in cases {
            let found = result.unwrap_err().to_string();
            assert!(found.contains(message), "{found:?} should say {message:?}");
        }
    }

    #[test]
    fn selects_by_name_in_the_given_order() {
        let labels = vec![Some(true), Some(false), None, Some(false), Some(true), Some(true)];
        let all = Predictions::new(names(&["a", "b", "c"]), labels, vec![0.1, 0.2, 0.3, 0.4, 0.5, 0.6]).unwrap();
        let some = all.select(&["c", "a"]).unwrap();
        assert_eq!(some.attributes(), ["c", "a"]);
        assert_eq!(some.images(), 2);
        assert_eq!(some.labels(), [None, Some(true), Some(true), Some(false)]);
        assert_eq!(some.probabilities(), [0.3, 0.1, 0.6, 0.4]);
        assert_eq!(some.column("c").unwrap(), [(0.6, true)]);

        assert_eq!(all.select(&["d", "a", "e"]), Err(Error::UnknownAttributes { names: names(&["d", "e"]) }));
        assert_eq!(all.select(&["a", "a"]), Err(Error::DuplicateAttribute { name: "a".into() }));
        assert_eq!(all.select(&[]), Err(Error::NoAttributes));
        assert_eq!(all.column("d"), Err(Error::UnknownAttributes { names: names(&["d"]) }));
    }

    #[test]
    fn a_negative_zero_ranks_as_zero() {
        let labels = vec![Some(true), Some(false)];
        let predictions = Predictions::new(names(&["a"]), labels, vec![-0.0, 0.0]).unwrap();
        assert!(predictions.probabilities().iter().all(|p| p.is_sign_positive()));
    }
}
