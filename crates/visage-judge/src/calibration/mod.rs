//! Calibration: maps from logits to probabilities that match observed frequencies.
//!
//! A network trained on a weighted or focal loss may rank images well and still predict 0.7 where half are present. A
//! calibration map is fitted on images the network was not trained on.

mod isotonic;
mod temperature;

use std::fmt;
use std::str::FromStr;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use self::isotonic::Curve;

const FOLDS: usize = 5;

/// A map from logit to probability for each attribute, in the order of the attributes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case", deny_unknown_fields)]
pub enum Calibration {
    /// Temperature scaling: the sigmoid of the logit divided by a temperature (Guo et al., 2017, arXiv 1706.04599; here one
    /// per attribute). It keeps the order of images and the decisions at a threshold of one half.
    Temperature {
        /// One above 0 per attribute.
        temperatures: Vec<f32>,
    },
    /// Isotonic regression (Zadrozny and Elkan, 2002): the non-decreasing curve of the least squared error. It corrects any
    /// monotone distortion, and may tie images.
    Isotonic {
        /// One per attribute.
        curves: Vec<Curve>,
    },
}

/// A method of calibration.
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
    /// Fits a map per attribute to labels and logits, both row-major, `images x attributes`. An attribute without known
    /// positives or without known negatives keeps the sigmoid.
    pub fn fit(method: CalibrationMethod, attributes: usize, labels: &[Option<bool>], logits: &[f32]) -> Self {
        Self::fit_rows(method, attributes, labels, logits, |_| true)
    }

    /// Probabilities of the images by 5-fold cross-fitting: each fold's by a calibration fitted on the other four. They
    /// estimate what a calibration fitted on all the images does on unseen ones.
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
            let cells = (column..labels.len().min(logits.len())).step_by(attributes);
            let used = cells.filter(|cell| used(cell / attributes));
            used.filter_map(|cell| Some((logits[cell], labels[cell]?))).collect()
        };
        let columns = (0..attributes).into_par_iter().map(column);
        match method {
            CalibrationMethod::Temperature => {
                Self::Temperature { temperatures: columns.map(|pairs| temperature::fit(&pairs)).collect() }
            }
            CalibrationMethod::Isotonic => Self::Isotonic { curves: columns.map(Curve::fit).collect() },
        }
    }

    /// The method it was fitted by.
    pub fn method(&self) -> CalibrationMethod {
        match self {
            Self::Temperature { .. } => CalibrationMethod::Temperature,
            Self::Isotonic { .. } => CalibrationMethod::Isotonic,
        }
    }

    fn attributes(&self) -> usize {
        match self {
            Self::Temperature { temperatures } => temperatures.len(),
            Self::Isotonic { curves } => curves.len(),
        }
    }

    fn probability(&self, attribute: usize, logit: f32) -> f32 {
        match self {
            Self::Temperature { temperatures } => sigmoid(logit / temperatures[attribute]),
            Self::Isotonic { curves } => curves[attribute].at(logit),
        }
    }

    /// Validates a calibration read from a file.
    ///
    /// # Errors
    ///
    /// The number of attributes differs, or the values are invalid.
    pub fn check(&self, attributes: usize) -> Result<(), String> {
        let valid = match self {
            Self::Temperature { temperatures } => {
                temperatures.iter().all(|temperature| temperature.is_normal() && *temperature > 0.0)
            }
            Self::Isotonic { curves } => curves.iter().all(Curve::is_valid),
        };
        let count = self.attributes();
        if count != attributes {
            return Err(format!("a calibration of {count} attributes for {attributes} attributes"));
        }
        if valid { Ok(()) } else { Err(format!("the values of a {} calibration are invalid", self.method())) }
    }
}

/// Converts logits, row-major `images x attributes`, to probabilities: through `calibration`, which must be of the same
/// attributes, or through the sigmoid if there is none.
pub fn probabilities(calibration: Option<&Calibration>, logits: &[f32]) -> Vec<f32> {
    let Some(calibration) = calibration else {
        return logits.iter().map(|&logit| sigmoid(logit)).collect();
    };
    let attributes = calibration.attributes();
    logits.iter().enumerate().map(|(cell, &logit)| calibration.probability(cell % attributes, logit)).collect()
}

/// The logistic function, by the formula of Burn's CPU backend: equal bits wherever it is computed, so that a threshold equal
/// to an image's probability decides that image alike.
pub fn sigmoid(logit: f32) -> f32 {
    if logit >= 0.0 {
        1.0 / (1.0 + (-logit).exp())
    } else {
        let odds = logit.exp();
        odds / (1.0 + odds)
    }
}

/// Whether both classes occur among (logit, label) pairs: without both there is nothing to fit.
fn both_classes(pairs: &[(f32, bool)]) -> bool {
    pairs.iter().any(|pair| pair.1) && pairs.iter().any(|pair| !pair.1)
}

#[cfg(test)]
mod tests;
