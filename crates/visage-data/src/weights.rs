//! Class weights: how much the presence and the absence of each attribute count in the loss.

use serde::{Deserialize, Serialize};

use crate::split::Split;
use crate::statistics::{AttributeStatistics, Statistics};

/// Weights closer to 1 than this have no effect.
const INDISTINCT: f64 = 1e-6;

/// A rule that computes the weights of an attribute's two classes from their counts.
///
/// Below, P and N are the numbers of training samples that have the attribute and that do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Weighting {
    /// 1 for both classes.
    #[default]
    None,
    /// N / P for presence, 1 for absence: `pos_weight` of PyTorch's `BCEWithLogitsLoss`. Both classes then have the same total
    /// weight.
    PosWeight,
    /// (P + N) / (2 P) for presence, (P + N) / (2 N) for absence: `class_weight="balanced"` of scikit-learn, after King
    /// and Zeng, "Logistic Regression in Rare Events Data", 2001. The mean weight of a sample is 1.
    InverseFrequency,
    /// (1 - beta) / (1 - beta^n) for a class of n samples, scaled so that the two weights add up to 2: Cui et al.,
    /// "Class-Balanced Loss Based on Effective Number of Samples", CVPR 2019. `beta` from 0 (no weighting) to just below
    /// 1 (inverse frequency). It has an effect only where 1 / (1 - beta) is not far below the class sizes.
    EffectiveNumber {
        /// From 0 inclusive to 1 exclusive; the paper uses 0.9, 0.99, 0.999 and 0.9999.
        beta: f64,
    },
}

impl Weighting {
    /// The weights of presence and absence for one attribute; not finite or not positive where a class is empty.
    fn weigh(self, attribute: &AttributeStatistics) -> (f64, f64) {
        let (present, absent) = (attribute.present as f64, attribute.absent as f64);
        match self {
            Weighting::None => (1.0, 1.0),
            Weighting::PosWeight => (absent / present, 1.0),
            Weighting::InverseFrequency => {
                let half = (present + absent) / 2.0;
                (half / present, half / absent)
            }
            Weighting::EffectiveNumber { beta } => {
                // 1 - beta^n without the cancellation near beta = 1; the factor 1 - beta drops out in the scaling.
                let inverse = |n: f64| 1.0 / -(n * beta.ln()).exp_m1();
                let (positive, negative) = (inverse(present), inverse(absent));
                let scale = 2.0 / (positive + negative);
                (positive * scale, negative * scale)
            }
        }
    }
}

/// The weights of every attribute's two classes, in the dataset's order; each is finite and above 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttributeWeights {
    /// The weight of a sample that has the attribute.
    pub positive: Vec<f32>,
    /// The weight of a sample that does not have it.
    pub negative: Vec<f32>,
}

/// Why there are no usable weights.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WeightError {
    /// `beta` is out of range.
    #[error(
        "beta is {beta}: the effective number of samples needs a beta from 0 inclusive to 1 exclusive, such as 0.999"
    )]
    Beta {
        /// The value.
        beta: f64,
    },
    /// The statistics are not of the training split.
    #[error("weights must be counted on the train split, not on the {split} split")]
    NotTraining {
        /// Their split.
        split: Split,
    },
    /// Some classes have no samples, so that their weights are zero or infinite.
    #[error(
        "no usable weight for {}: the training split needs images with and without each attribute; add such images, remove the attributes, or train without weighting",
        attributes.join(", ")
    )]
    EmptyClass {
        /// The attributes, each with its counts.
        attributes: Vec<String>,
    },
    /// All weights are 1 although the classes are imbalanced.
    #[error(
        "every weight is 1 although the classes are imbalanced ({}): this weighting has no effect here; raise beta towards 1, or use pos_weight or inverse_frequency",
        attributes.join(", ")
    )]
    Uniform {
        /// The attributes with imbalanced classes, each with its counts.
        attributes: Vec<String>,
    },
}

impl Statistics {
    /// The weights of these attributes by the rule `weighting`.
    ///
    /// # Errors
    ///
    /// When these are not statistics of the training split; when a class of some attribute is empty, so that a weight would
    /// be zero, infinite or undefined; and when all weights are 1 although the classes are imbalanced, a sign that the
    /// counts or `beta` are wrong.
    pub fn weights(&self, weighting: &Weighting) -> Result<AttributeWeights, WeightError> {
        if let Weighting::EffectiveNumber { beta } = *weighting
            && !(0.0..1.0).contains(&beta)
        {
            return Err(WeightError::Beta { beta });
        }
        if self.split != Split::Train {
            return Err(WeightError::NotTraining { split: self.split });
        }
        let weights: Vec<(f64, f64)> = self.attributes.iter().map(|attribute| weighting.weigh(attribute)).collect();
        let usable = |weight: f64| (weight as f32).is_finite() && weight as f32 > 0.0;
        let unusable = self.counts(|index, _| !usable(weights[index].0) || !usable(weights[index].1));
        if !unusable.is_empty() {
            return Err(WeightError::EmptyClass { attributes: unusable });
        }
        let distinct = |&(positive, negative): &(f64, f64)| {
            (positive - 1.0).abs() > INDISTINCT || (negative - 1.0).abs() > INDISTINCT
        };
        let uneven = self.counts(|_, attribute| attribute.present != attribute.absent);
        if *weighting != Weighting::None && !uneven.is_empty() && !weights.iter().any(distinct) {
            return Err(WeightError::Uniform { attributes: uneven });
        }
        let (positive, negative) =
            weights.iter().map(|&(positive, negative)| (positive as f32, negative as f32)).unzip();
        Ok(AttributeWeights { positive, negative })
    }

    /// The attributes for which `wanted` holds, each as a name with its counts.
    fn counts(&self, wanted: impl Fn(usize, &AttributeStatistics) -> bool) -> Vec<String> {
        let chosen = self.attributes.iter().enumerate().filter(|&(index, attribute)| wanted(index, attribute));
        chosen
            .map(|(_, attribute)| {
                format!("{} ({} present, {} absent)", attribute.name, attribute.present, attribute.absent)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statistics(counts: &[(u64, u64)]) -> Statistics {
        let attributes = counts
            .iter()
            .enumerate()
            .map(|(index, &(present, absent))| AttributeStatistics {
                name: format!("Attribute_{index}"),
                present,
                absent,
                unknown: 5,
                prevalence: None,
            })
            .collect();
        Statistics { split: Split::Train, samples: 0, attributes, majority_accuracy: None }
    }

    fn close(found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() <= 1e-6 * expected.abs(), "{found} is not {expected}");
        }
    }

    #[test]
    fn each_rule_follows_its_formula() {
        let statistics = statistics(&[(10, 90), (80, 20)]);
        let none = statistics.weights(&Weighting::None).unwrap();
        close(&none.positive, &[1.0, 1.0]);
        let pos_weight = statistics.weights(&Weighting::PosWeight).unwrap();
        close(&pos_weight.positive, &[9.0, 0.25]);
        close(&pos_weight.negative, &[1.0, 1.0]);
        let inverse = statistics.weights(&Weighting::InverseFrequency).unwrap();
        close(&inverse.positive, &[5.0, 0.625]);
        close(&inverse.negative, &[100.0 / 180.0, 2.5]);
        // The formula as the paper writes it, w = (1 - b) / (1 - b^n), scaled afterwards.
        let effective = statistics.weights(&Weighting::EffectiveNumber { beta: 0.99 }).unwrap();
        let expected = |n: f64, other: f64| {
            let (w, v) = (0.01 / (1.0 - 0.99f64.powf(n)), 0.01 / (1.0 - 0.99f64.powf(other)));
            (2.0 * w / (w + v)) as f32
        };
        close(&effective.positive, &[expected(10.0, 90.0), expected(80.0, 20.0)]);
        close(&effective.negative, &[expected(90.0, 10.0), expected(20.0, 80.0)]);
    }

    #[test]
    fn effective_number_near_one_is_inverse_frequency() {
        let statistics = statistics(&[(100, 900)]);
        let effective = statistics.weights(&Weighting::EffectiveNumber { beta: 1.0 - 1e-12 }).unwrap();
        close(&effective.positive, &[1.8]);
        close(&effective.negative, &[0.2]);
    }

    #[test]
    fn an_empty_class_is_an_error_that_names_the_attribute() {
        let rules = [Weighting::PosWeight, Weighting::InverseFrequency, Weighting::EffectiveNumber { beta: 0.999 }];
        for counts in [(0, 50), (50, 0), (0, 0)] {
            for rule in rules {
                let error = statistics(&[(10, 20), counts]).weights(&rule).unwrap_err();
                let WeightError::EmptyClass { attributes } = &error else { panic!("{error}") };
                assert_eq!(attributes.len(), 1, "{error}");
                assert!(attributes[0].starts_with("Attribute_1"), "{error}");
            }
            assert!(statistics(&[counts]).weights(&Weighting::None).is_ok());
        }
    }

    #[test]
    fn weights_that_do_nothing_on_uneven_classes_are_an_error() {
        let uneven = statistics(&[(1000, 9000), (500, 500)]);
        for beta in [0.0, 0.9] {
            let error = uneven.weights(&Weighting::EffectiveNumber { beta }).unwrap_err();
            assert!(matches!(&error, WeightError::Uniform { attributes } if attributes.len() == 1), "{error}");
            assert!(error.to_string().contains("Attribute_0 (1000 present, 9000 absent)"), "{error}");
        }
        let even = statistics(&[(500, 500)]);
        close(&even.weights(&Weighting::PosWeight).unwrap().positive, &[1.0]);
        assert!(even.weights(&Weighting::EffectiveNumber { beta: 0.9 }).is_ok());
    }

    #[test]
    fn weights_come_from_the_training_split_and_a_valid_beta() {
        let mut other = statistics(&[(10, 20)]);
        for beta in [1.0, -0.1, f64::NAN] {
            assert!(matches!(other.weights(&Weighting::EffectiveNumber { beta }), Err(WeightError::Beta { .. })));
        }
        other.split = Split::Validation;
        assert_eq!(other.weights(&Weighting::PosWeight), Err(WeightError::NotTraining { split: Split::Validation }));
    }

    #[test]
    fn rules_are_written_in_snake_case() {
        let json = |rule: Weighting| serde_json::to_string(&rule).unwrap();
        assert_eq!(json(Weighting::PosWeight), "\"pos_weight\"");
        assert_eq!(json(Weighting::EffectiveNumber { beta: 0.5 }), "{\"effective_number\":{\"beta\":0.5}}");
        assert!(serde_json::from_str::<Weighting>("{\"effective_number\":{\"beta\":0.5,\"gamma\":1}}").is_err());
    }
}
