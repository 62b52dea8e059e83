//! Making probabilities mean what they say.
//!
//! A network trained on a weighted or focal loss ranks images well and still says 0.7 where half are present. A
//! calibration, fitted on images the network was not trained on, maps each attribute's logit to a probability whose
//! frequency is what it says.

use std::fmt;
use std::str::FromStr;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Parts that [`Calibration::cross_fitted`] leaves out in turn.
const FOLDS: usize = 5;

/// Temperatures are sought from e^-4 to e^4.
const LOG_TEMPERATURES: [f64; 2] = [-4.0, 4.0];

/// Halvings of that range: to less than the spacing of single precision.
const HALVINGS: usize = 40;

/// A map from logit to probability for each attribute, in the order of the attributes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case", deny_unknown_fields)]
pub enum Calibration {
    /// The sigmoid of the logit divided by a temperature (Guo et al., 2017, arXiv 1706.04599, here one an attribute): the
    /// order of images stays, and so does what a probability of one half means.
    Temperature {
        /// One above 0 for each attribute.
        temperatures: Vec<f32>,
    },
    /// The rising curve nearest to the labels (Zadrozny and Elkan, 2002): corrects any shift, and may tie images.
    Isotonic {
        /// One for each attribute.
        curves: Vec<Curve>,
    },
}

/// A curve through points, on straight lines between them and level beyond them. Without points, the sigmoid.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Curve {
    /// Where the points are, ascending.
    pub logits: Vec<f32>,
    /// How high they are, 0 to 1, never falling.
    pub probabilities: Vec<f32>,
}

/// A way to calibrate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CalibrationMethod {
    /// [`Calibration::Temperature`].
    Temperature,
    /// [`Calibration::Isotonic`].
    Isotonic,
}

impl fmt::Display for CalibrationMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Temperature => "temperature",
            Self::Isotonic => "isotonic",
        })
    }
}

impl FromStr for CalibrationMethod {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "temperature" => Ok(Self::Temperature),
            "isotonic" => Ok(Self::Isotonic),
            _ => Err("write `temperature` or `isotonic`".to_owned()),
        }
    }
}

impl Calibration {
    /// Fits a calibration for each of `attributes` attributes to labels and logits, both row-major,
    /// `images x attributes`. An attribute of which both presence and absence are not known stays as it is.
    #[must_use]
    pub fn fit(method: CalibrationMethod, attributes: usize, labels: &[Option<bool>], logits: &[f32]) -> Self {
        Self::fit_rows(method, attributes, labels, logits, |_| true)
    }

    /// Probabilities of the same images by calibrations that were fitted without them, in five parts: what a calibration
    /// fitted on all of them does on images it has not seen.
    #[must_use]
    pub fn cross_fitted(
        method: CalibrationMethod,
        attributes: usize,
        labels: &[Option<bool>],
        logits: &[f32],
    ) -> Vec<f32> {
        let fold = |fold: usize| Self::fit_rows(method, attributes, labels, logits, |row| row % FOLDS != fold);
        let folds: Vec<Self> = (0..FOLDS).map(fold).collect();
        let cells = logits.iter().enumerate();
        cells.map(|(cell, &logit)| folds[cell / attributes % FOLDS].probability(cell % attributes, logit)).collect()
    }

    fn fit_rows(
        method: CalibrationMethod,
        attributes: usize,
        labels: &[Option<bool>],
        logits: &[f32],
        used: impl Fn(usize) -> bool + Sync,
    ) -> Self {
        let column = |column: usize| -> Vec<(f32, bool)> {
            let cells =
                (column..labels.len().min(logits.len())).step_by(attributes).filter(|cell| used(cell / attributes));
            cells.filter_map(|cell| Some((logits[cell], labels[cell]?))).collect()
        };
        let columns = (0..attributes).into_par_iter().map(column);
        match method {
            CalibrationMethod::Temperature => {
                Self::Temperature { temperatures: columns.map(|pairs| temperature(&pairs)).collect() }
            }
            CalibrationMethod::Isotonic => Self::Isotonic { curves: columns.map(Curve::fit).collect() },
        }
    }

    /// How it was made.
    #[must_use]
    pub fn method(&self) -> CalibrationMethod {
        match self {
            Self::Temperature { .. } => CalibrationMethod::Temperature,
            Self::Isotonic { .. } => CalibrationMethod::Isotonic,
        }
    }

    /// The number of attributes it maps.
    fn attributes(&self) -> usize {
        match self {
            Self::Temperature { temperatures } => temperatures.len(),
            Self::Isotonic { curves } => curves.len(),
        }
    }

    /// The probability that attribute number `attribute`, which must be one of this calibration's, is present.
    #[must_use]
    pub fn probability(&self, attribute: usize, logit: f32) -> f32 {
        match self {
            Self::Temperature { temperatures } => sigmoid(logit / temperatures[attribute]),
            Self::Isotonic { curves } => curves[attribute].at(logit),
        }
    }

    /// Checks values from a file: they are as many as the attributes and make sense.
    ///
    /// # Errors
    ///
    /// What is wrong.
    pub fn check(&self, attributes: usize) -> Result<(), String> {
        let sound = match self {
            Self::Temperature { temperatures } => {
                temperatures.iter().all(|temperature| temperature.is_normal() && *temperature > 0.0)
            }
            Self::Isotonic { curves } => curves.iter().all(Curve::is_sound),
        };
        let count = self.attributes();
        if count != attributes {
            return Err(format!("a calibration of {count} attributes for {attributes}"));
        }
        if sound { Ok(()) } else { Err(format!("a {} calibration that makes no sense", self.method())) }
    }
}

/// Converts logits, row-major `images x attributes`, to probabilities: through `calibration`, which must be of the same
/// attributes, or through the sigmoid if there is none.
#[must_use]
pub fn probabilities(calibration: Option<&Calibration>, logits: &[f32]) -> Vec<f32> {
    let Some(calibration) = calibration else {
        return logits.iter().map(|&logit| sigmoid(logit)).collect();
    };
    let attributes = calibration.attributes();
    logits.iter().enumerate().map(|(cell, &logit)| calibration.probability(cell % attributes, logit)).collect()
}

/// The logistic function, by the formula of Burn's CPU backend: a threshold that is one image's probability must decide that
/// image alike wherever it is computed.
#[must_use]
pub fn sigmoid(logit: f32) -> f32 {
    if logit >= 0.0 {
        1.0 / (1.0 + (-logit).exp())
    } else {
        let odds = logit.exp();
        odds / (1.0 + odds)
    }
}

/// The temperature of the smallest log loss; 1 where there is nothing to go by.
fn temperature(pairs: &[(f32, bool)]) -> f32 {
    if !both_classes(pairs) {
        return 1.0;
    }
    // The derivative of the loss by 1 / T, which rises with 1 / T: the loss is convex.
    let slope = |log_temperature: f64| -> f64 {
        let scale = (-log_temperature).exp();
        let terms = pairs.iter().map(|&(logit, present)| {
            let logit = f64::from(logit);
            logit * (1.0 / (1.0 + (-scale * logit).exp()) - f64::from(u8::from(present)))
        });
        terms.sum()
    };
    let [mut low, mut high] = LOG_TEMPERATURES;
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if slope(middle) > 0.0 { low = middle } else { high = middle }
    }
    f64::midpoint(low, high).exp() as f32
}

fn both_classes(pairs: &[(f32, bool)]) -> bool {
    pairs.iter().any(|pair| pair.1) && pairs.iter().any(|pair| !pair.1)
}

impl Curve {
    /// Isotonic regression by pooling adjacent violators, with the points that scikit-learn's `IsotonicRegression` keeps.
    fn fit(mut pairs: Vec<(f32, bool)>) -> Self {
        /// Neighbouring logits of one height.
        struct Block {
            first: f32,
            last: f32,
            present: u64,
            all: u64,
        }

        if !both_classes(&pairs) {
            return Self::default();
        }
        pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let mut blocks: Vec<Block> = Vec::new();
        for tied in pairs.chunk_by(|a, b| a.0 == b.0) {
            let present = tied.iter().filter(|pair| pair.1).count() as u64;
            let mut block = Block { first: tied[0].0, last: tied[0].0, present, all: tied.len() as u64 };
            // Compared as fractions of integers, so that equal is equal.
            while let Some(before) = blocks.pop_if(|before| before.present * block.all >= block.present * before.all) {
                block = Block {
                    first: before.first,
                    last: block.last,
                    present: before.present + block.present,
                    all: before.all + block.all,
                };
            }
            blocks.push(block);
        }
        let mut curve = Self::default();
        for block in blocks {
            let probability = (block.present as f64 / block.all as f64) as f32;
            curve.logits.push(block.first);
            curve.probabilities.push(probability);
            if block.last > block.first {
                curve.logits.push(block.last);
                curve.probabilities.push(probability);
            }
        }
        curve
    }

    fn at(&self, logit: f32) -> f32 {
        let above = self.logits.partition_point(|&point| point < logit);
        let (Some(&first), Some(&last)) = (self.probabilities.first(), self.probabilities.last()) else {
            return sigmoid(logit);
        };
        match above {
            0 => first,
            _ if above == self.logits.len() => last,
            _ => {
                let part = (logit - self.logits[above - 1]) / (self.logits[above] - self.logits[above - 1]);
                let (low, high) = (self.probabilities[above - 1], self.probabilities[above]);
                // Rounding must not carry it past the higher point.
                (low + (high - low) * part).min(high)
            }
        }
    }

    fn is_sound(&self) -> bool {
        self.logits.len() == self.probabilities.len()
            && self.logits.iter().all(|logit| logit.is_finite())
            && self.logits.is_sorted_by(|a, b| a < b)
            && self.probabilities.iter().all(|probability| (0.0..=1.0).contains(probability))
            && self.probabilities.is_sorted()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_class_or_none_stays_as_it_is() {
        let labels = [Some(true), None, Some(true), None];
        let logits = [3.0, -1.0, 0.5, 2.0];
        for method in [CalibrationMethod::Temperature, CalibrationMethod::Isotonic] {
            let calibration = Calibration::fit(method, 2, &labels, &logits);
            assert_eq!(probabilities(Some(&calibration), &logits), probabilities(None, &logits), "{method}");
            assert_eq!(calibration.check(2), Ok(()));
            assert!(calibration.check(3).is_err());
            let json = serde_json::to_string(&calibration).unwrap();
            assert_eq!(serde_json::from_str::<Calibration>(&json).unwrap(), calibration);
        }
    }

    #[test]
    fn each_column_is_mapped_by_its_own_attribute() {
        let calibration = Calibration::Temperature { temperatures: vec![1.0, 2.0] };
        let [one, two] = [1.0, 2.0].map(sigmoid);
        assert_eq!(probabilities(Some(&calibration), &[1.0, 2.0, 2.0, 4.0]), [one, one, two, two]);
        assert_eq!(probabilities(None, &[1.0, 2.0]), [one, two]);
    }

    #[test]
    fn values_that_make_no_sense_are_refused() {
        let curve = |logits: &[f32], probabilities: &[f32]| Calibration::Isotonic {
            curves: vec![Curve { logits: logits.to_vec(), probabilities: probabilities.to_vec() }],
        };
        assert_eq!(curve(&[0.0, 1.0], &[0.25, 0.25]).check(1), Ok(()));
        for wrong in [
            curve(&[0.0, 1.0], &[0.5, 0.25]),
            curve(&[0.0, 0.0], &[0.25, 0.5]),
            curve(&[0.0], &[0.25, 0.5]),
            curve(&[0.0], &[1.5]),
            curve(&[f32::NAN], &[0.5]),
            Calibration::Temperature { temperatures: vec![0.0] },
            Calibration::Temperature { temperatures: vec![f32::INFINITY] },
        ] {
            assert!(wrong.check(1).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn cross_fitting_does_not_see_the_image_it_judges() {
        // Labels that nothing explains: fitted on themselves they look perfectly calibrated, on others not.
        let labels: Vec<Option<bool>> = (0..40_u32).map(|i| Some(i.wrapping_mul(2_654_435_761) >> 31 == 1)).collect();
        let logits: Vec<f32> = (0..40_u8).map(f32::from).collect();
        let fitted = Calibration::fit(CalibrationMethod::Isotonic, 1, &labels, &logits);
        let cross = Calibration::cross_fitted(CalibrationMethod::Isotonic, 1, &labels, &logits);
        assert_ne!(probabilities(Some(&fitted), &logits), cross);
    }
}
