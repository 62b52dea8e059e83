//! Label counts of each attribute.

use serde::{Deserialize, Serialize};

use crate::dataset::Dataset;
use crate::label::Label;
use crate::split::Split;

/// The label counts of every attribute over one split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    /// The split that was counted.
    pub split: Split,
    /// The number of samples in it.
    pub samples: u64,
    /// One entry for each attribute, in the dataset's order.
    pub attributes: Vec<AttributeStatistics>,
    /// The accuracy, from 0 to 1, of always predicting each attribute's majority class *in this split*, averaged over the
    /// attributes with a known label; `None` where there are none. A model below it has learnt nothing.
    pub majority_accuracy: Option<f64>,
}

/// The label counts of one attribute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttributeStatistics {
    /// The attribute's name.
    pub name: String,
    /// The number of samples that have it.
    pub present: u64,
    /// The number of samples that do not.
    pub absent: u64,
    /// The number of samples without a label.
    pub unknown: u64,
    /// The share of `present` in the labelled samples, from 0 to 1; `None` where there are none.
    pub prevalence: Option<f64>,
}

impl AttributeStatistics {
    /// The number of labelled samples.
    #[must_use]
    pub fn known(&self) -> u64 {
        self.present + self.absent
    }

    /// Whether one of the two classes does not occur.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        self.present == 0 || self.absent == 0
    }
}

impl Statistics {
    /// Counts the labels of one split of a dataset.
    #[must_use]
    pub fn of(dataset: &Dataset, split: Split) -> Self {
        let rows = dataset.samples().iter().filter(|sample| sample.split == Some(split));
        Self::count(split, dataset.attributes(), rows.map(|sample| &*sample.labels))
    }

    /// The attributes of which no label, or labels of one kind only, are known in the split: nothing can be learnt about them. None if
    /// the split has no samples.
    pub fn constant(&self) -> impl Iterator<Item = &AttributeStatistics> {
        self.attributes.iter().filter(|attribute| self.samples > 0 && attribute.is_constant())
    }

    /// Counts the labels in rows with one label for each attribute.
    pub(crate) fn count<'a>(split: Split, attributes: &[String], rows: impl Iterator<Item = &'a [Label]>) -> Self {
        let mut samples = 0;
        let mut counts = vec![[0u64; 3]; attributes.len()];
        for row in rows {
            samples += 1;
            for (counts, &label) in counts.iter_mut().zip(row) {
                counts[label as usize] += 1;
            }
        }
        let attributes: Vec<_> = attributes
            .iter()
            .zip(counts)
            .map(|(name, counts)| {
                let [absent, present, unknown] = counts;
                let prevalence = ratio(present, present + absent);
                AttributeStatistics { name: name.clone(), present, absent, unknown, prevalence }
            })
            .collect();
        let majorities: Vec<f64> = attributes
            .iter()
            .filter_map(|attribute| ratio(attribute.present.max(attribute.absent), attribute.known()))
            .collect();
        let majority_accuracy =
            (!majorities.is_empty()).then(|| majorities.iter().sum::<f64>() / majorities.len() as f64);
        Statistics { split, samples, attributes, majority_accuracy }
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_labels_are_counted_and_unknown_ones_left_out() {
        use Label::{Absent, Present, Unknown};
        let names = ["A".to_owned(), "B".to_owned(), "C".to_owned()];
        let rows = [
            [Present, Absent, Unknown],
            [Absent, Absent, Unknown],
            [Absent, Unknown, Unknown],
            [Absent, Present, Unknown],
        ];
        let statistics = Statistics::count(Split::Train, &names, rows.iter().map(|row| &row[..]));
        assert_eq!(statistics.samples, 4);
        let counts: Vec<_> =
            statistics.attributes.iter().map(|a| (a.present, a.absent, a.unknown, a.prevalence)).collect();
        assert_eq!(counts, [(1, 3, 0, Some(0.25)), (1, 2, 1, Some(1.0 / 3.0)), (0, 0, 4, None)]);
        assert_eq!(statistics.constant().map(|attribute| attribute.name.as_str()).collect::<Vec<_>>(), ["C"]);
        let expected = (0.75 + 2.0 / 3.0) / 2.0;
        assert!((statistics.majority_accuracy.unwrap() - expected).abs() < 1e-12);

        let json = serde_json::to_string(&statistics).unwrap();
        assert_eq!(serde_json::from_str::<Statistics>(&json).unwrap(), statistics);
        assert_eq!(Statistics::count(Split::Test, &names, std::iter::empty()).majority_accuracy, None);
    }
}
