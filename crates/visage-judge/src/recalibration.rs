//! Recalibrating a model: a new calibration, new thresholds, and what both change.

use crate::{Calibration, CalibrationMethod, Error, Evaluation, Predictions, ThresholdRule, Thresholds};
use crate::{evaluate, probabilities};

/// How the calibration of a model changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CalibrationChange {
    /// A new one is fitted.
    Fit(CalibrationMethod),
    /// It is removed: probabilities are the sigmoid of the logits.
    Remove,
    /// It stays.
    Keep,
}

/// How the thresholds of a model are chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ThresholdChoice {
    /// Per attribute, by a rule.
    Rule(ThresholdRule),
    /// One for every attribute, from 0 to 1.
    Fixed(f32),
}

/// A new calibration and new thresholds, with their evaluation on the images they were chosen on.
#[derive(Clone, Debug, PartialEq)]
pub struct Recalibration {
    /// The calibration; `None` is the sigmoid.
    pub calibration: Option<Calibration>,
    /// The thresholds.
    pub thresholds: Thresholds,
    /// Attributes for which no threshold reaches what the rule demands.
    pub unreached: Vec<String>,
    /// Number of images.
    pub images: usize,
    /// The decisions of the new calibration and the new thresholds.
    pub decisions: Evaluation,
    /// The probabilities of the old calibration.
    pub before: Evaluation,
    /// The probabilities of the new calibration. One that was fitted is evaluated on held-out images, by cross-fitting: on the images
    /// it was fitted to its error is too small.
    pub after: Evaluation,
}

impl Recalibration {
    /// Recalibrates a model by its `logits` and the labels, row-major, `images x attributes`; `current` is its calibration. `targets`
    /// are the probabilities that labels are present: see [`Predictions::with_targets`].
    ///
    /// # Errors
    ///
    /// If labels and logits do not make [`Predictions`].
    pub fn new(
        attributes: &[String],
        labels: &[Option<bool>],
        targets: &[f32],
        logits: &[f32],
        current: Option<&Calibration>,
        change: CalibrationChange,
        thresholds: ThresholdChoice,
    ) -> Result<Self, Error> {
        let count = attributes.len();
        let predictions = |probabilities| {
            Predictions::new(attributes.to_vec(), labels.to_vec(), probabilities)?.with_targets(targets.to_vec())
        };
        let calibration = match change {
            CalibrationChange::Fit(method) => Some(Calibration::fit(method, count, labels, logits)),
            CalibrationChange::Remove => None,
            CalibrationChange::Keep => current.cloned(),
        };
        let calibrated = predictions(probabilities(calibration.as_ref(), logits))?;
        let (thresholds, unreached) = match thresholds {
            ThresholdChoice::Rule(rule) => {
                let chosen = Thresholds::choose(rule, &calibrated);
                (chosen.thresholds, chosen.unreached)
            }
            ThresholdChoice::Fixed(value) => (Thresholds::fixed(value, count), Vec::new()),
        };
        let decisions = evaluate(&calibrated, &thresholds)?;
        let after = match change {
            CalibrationChange::Fit(method) => {
                evaluate(&predictions(Calibration::cross_fitted(method, count, labels, logits))?, &thresholds)?
            }
            CalibrationChange::Remove | CalibrationChange::Keep => decisions.clone(),
        };
        let before = evaluate(&predictions(probabilities(current, logits))?, &thresholds)?;
        Ok(Self { calibration, thresholds, unreached, images: calibrated.images(), decisions, before, after })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_calibration_changes_thresholds_alone_and_a_removed_one_changes_probabilities() {
        let labels: Vec<Option<bool>> = (0..40).map(|image| Some(image % 3 == 0)).collect();
        // Not separable, or every calibration would be perfect.
        let logits: Vec<f32> = (0..40)
            .map(|image| if image % 3 == 0 { 0.8 } else { -0.8 } + (image * 7 % 11) as f32 * 0.3 - 1.5)
            .collect();
        let attributes = ["Smiling".to_owned()];
        let targets: Vec<f32> = labels.iter().map(|label| f32::from(u8::from(*label == Some(true)))).collect();
        let current = Calibration::Temperature { temperatures: vec![2.0] };
        let recalibrated = |change| {
            let thresholds = ThresholdChoice::Rule(ThresholdRule::BestF1);
            Recalibration::new(&attributes, &labels, &targets, &logits, Some(&current), change, thresholds).unwrap()
        };
        let kept = recalibrated(CalibrationChange::Keep);
        assert_eq!(kept.calibration.as_ref(), Some(&current));
        assert_eq!((&kept.before, &kept.after), (&kept.decisions, &kept.decisions));
        assert!(kept.decisions.attributes[0].scores.f1.is_some_and(|f1| (0.5..1.0).contains(&f1)));
        let removed = recalibrated(CalibrationChange::Remove);
        assert_eq!(removed.calibration, None);
        assert_ne!(removed.before.attributes[0].scores.ece, removed.after.attributes[0].scores.ece);
        let fitted = recalibrated(CalibrationChange::Fit(CalibrationMethod::Temperature));
        assert_ne!(fitted.after, fitted.decisions, "evaluated on held-out images");
    }
}
