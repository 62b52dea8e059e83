//! Published results on CelebA. The files in `published/` name their sources.

use std::collections::HashMap;

use super::{Comparison, EvaluationColumn};
use crate::scores::{Metric, Scores};

const ORIGINAL: &str = include_str!("../../published/original.csv");
const MEANS: &str = include_str!("../../published/means.csv");

/// Number of images in CelebA's test split, on which the published results were measured.
pub const ORIGINAL_TEST_IMAGES: usize = 19_962;

/// The two models of `original.csv`, and the first column of each.
const MODELS: [(&str, usize); 2] = [("original ResNet-18 (published)", 1), ("original EfficientNet-B0 (published)", 4)];

/// A published mean over CelebA's 40 attributes.
#[derive(Debug, Clone, PartialEq)]
pub struct PublishedMean {
    /// The method.
    pub name: String,
    /// Mean accuracy.
    pub accuracy: f64,
    /// The split it was measured on.
    pub split: String,
    /// The publication.
    pub source: String,
}

/// The published means.
pub fn published_means() -> Vec<PublishedMean> {
    let row = |line: &str| {
        let mut fields = line.splitn(4, ',');
        Some(PublishedMean {
            name: fields.next()?.to_owned(),
            accuracy: fields.next()?.parse().ok()?,
            split: fields.next()?.to_owned(),
            source: fields.next()?.trim_matches('"').to_owned(),
        })
    };
    MEANS.lines().skip(1).filter_map(row).collect()
}

/// Published accuracy, precision and recall, and the metrics that follow from them.
fn scores(accuracy: f64, precision: f64, recall: f64) -> Scores {
    // Errors per positive: the positives missed, and the false alarms that the precision implies. One minus the accuracy is
    // that times the prevalence.
    let errors = 1.0 - recall + if recall > 0.0 { recall * (1.0 / precision - 1.0) } else { 0.0 };
    let prevalence = (errors > 0.0).then(|| (1.0 - accuracy) / errors);
    Scores {
        accuracy: Some(accuracy),
        // The publication counts an undefined precision as 0.
        precision: (recall > 0.0).then_some(precision),
        recall: Some(recall),
        f1: Some(if recall > 0.0 { 2.0 * precision * recall / (precision + recall) } else { 0.0 }),
        prevalence,
        predicted_positive_rate: prevalence.map(|share| if recall > 0.0 { share * recall / precision } else { 0.0 }),
        ..Scores::default()
    }
}

/// The scores, by attribute, of the model whose first column is `first`.
fn model(first: usize) -> HashMap<String, Scores> {
    let row = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        let value = |column: usize| fields.get(column)?.parse().ok();
        Some((fields[0].to_owned(), scores(value(first)?, value(first + 1)?, value(first + 2)?)))
    };
    ORIGINAL.lines().skip(1).filter_map(row).collect()
}

impl Comparison {
    /// Appends the two published models of C. Garusinghe, "Optimizing Facial Attribute Classification Models" (2024), on the
    /// attributes compared. They have no predictions per image, so no intervals and no tests. Returns false if they share no
    /// attribute.
    pub fn add_published(&mut self) -> bool {
        let attributes: Vec<String> = self.attributes.iter().map(|row| row.name.clone()).collect();
        let column = |(name, first): (&str, usize)| {
            let mut scores = model(first);
            scores.retain(|name, _| attributes.contains(name));
            let ordered: Vec<Scores> = attributes.iter().filter_map(|name| scores.get(name).copied()).collect();
            let as_zero = |metric| {
                ordered.iter().map(|scores| scores.get(metric).unwrap_or(0.0)).sum::<f64>() / ordered.len() as f64
            };
            EvaluationColumn {
                name: name.to_owned(),
                attributes: attributes.clone(),
                labels: HashMap::new(),
                macro_average: Scores { prevalence: None, ..Scores::mean_where_defined(ordered.iter()) },
                micro_average: Scores::default(),
                original: Scores {
                    accuracy: Some(as_zero(Metric::Accuracy)),
                    precision: Some(as_zero(Metric::Precision)),
                    recall: Some(as_zero(Metric::Recall)),
                    f1: Some(as_zero(Metric::F1)),
                    ..Scores::default()
                },
                scores,
            }
        };
        let published = MODELS.map(column);
        if published[0].scores.is_empty() {
            return false;
        }
        let added = Self::of(&published);
        self.evaluations.extend(added.evaluations);
        let rows = [&mut self.macro_average, &mut self.micro_average, &mut self.original];
        let averages = [&added.macro_average, &added.micro_average, &added.original];
        let attributes = self.attributes.iter_mut().zip(&added.attributes);
        rows.into_iter().zip(averages).chain(attributes).for_each(|(row, added)| row.append(added));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Flag, Predictions, Thresholds, evaluate};

    fn comparison(attributes: &[String]) -> Comparison {
        let count = attributes.len();
        let predictions = Predictions::new(attributes.to_vec(), vec![Some(true); count], vec![0.9; count]).unwrap();
        let evaluation = evaluate(&predictions, &Thresholds::fixed(0.5, count)).unwrap();
        Comparison::new(&[("ours", &evaluation), ("again", &evaluation)]).unwrap()
    }

    #[test]
    fn the_means_are_the_published_ones() {
        let mut attributes: Vec<String> = model(1).into_keys().collect();
        attributes.sort();
        assert_eq!(attributes.len(), 40);
        let mut comparison = comparison(&attributes);
        assert!(comparison.add_published());
        let original = &comparison.original;
        let published = |model: usize| {
            [&original.accuracy, &original.precision, &original.recall, &original.f1]
                .map(|of| of.values[2 + model].unwrap())
        };
        for (found, expected) in
            [(published(0), [0.8814, 0.6753, 0.6450, 0.6339]), (published(1), [0.8892, 0.8560, 0.3908, 0.4740])]
        {
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 6e-5, "{found}, published {expected}");
            }
        }
        // Relative to the first run, which is always right.
        assert!((original.accuracy.differences[2].unwrap() - (0.8892 - 1.0)).abs() < 6e-5);
        let row = |name: &str| comparison.attributes.iter().find(|row| row.name == name).unwrap();
        // The prevalence derived from published accuracy, precision and recall is that of CelebA's test split.
        let male = row("Male").flags.clone();
        assert!(male.is_empty(), "{male:?}");
        let collapses =
            row("Mustache").flags.iter().filter(|flag| matches!(flag, Flag::Collapse { evaluation: 3, .. }));
        assert_eq!(collapses.count(), 1);
        assert_eq!(row("Wearing_Necklace").precision.values[3], None);
        assert_eq!(published_means().len(), 5);
        assert!((published_means()[1].accuracy - 0.9094).abs() < 1e-12);
        assert!(published_means().iter().all(|mean| mean.source.len() > 10 && !mean.source.contains('"')));
    }

    #[test]
    fn unpublished_attributes_add_nothing() {
        assert!(!comparison(&["Tall".to_owned()]).add_published());
        let mut some = comparison(&["Tall".to_owned(), "Male".to_owned()]);
        assert!(some.add_published());
        assert_eq!(some.attributes[0].accuracy.values, [Some(1.0), Some(1.0), None, None]);
    }
}
