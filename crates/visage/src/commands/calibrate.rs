//! `visage calibrate`.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;
use visage_data::Split;
use visage_judge::{CalibrationChange, Metric, Recalibration, ThresholdChoice, ThresholdRule};
use visage_model::Predictor;
use visage_run::predict::LabelledOutputs;
use visage_run::shell;

use super::{read_model, split_logits};
use crate::compute::{Compute, InferenceArgs, TestTimeArgs};
use crate::dataset::{DatasetArgs, warn_of_truncated};
use crate::error::CommandError;
use crate::extension;
use crate::faces::LabelledFacesArgs;
use crate::{output, tables};

/// Options of `visage calibrate`.
#[derive(Debug, Args)]
pub struct CalibrateArgs {
    /// A model file, or a run folder, whose best checkpoint is calibrated.
    pub model: PathBuf,
    #[command(flatten)]
    pub dataset: DatasetArgs,
    #[command(flatten)]
    pub faces: LabelledFacesArgs,
    /// The split to calibrate on: neither the training split nor the one to evaluate on.
    #[arg(long, default_value_t = Split::Validation)]
    pub split: Split,
    /// How logits become probabilities: `temperature` keeps the order of images; `isotonic` also corrects the bias of a weighted
    /// loss; `none` is the plain sigmoid; `keep` leaves the model's calibration as it is.
    #[arg(long, value_name = "temperature|isotonic|none|keep", default_value = "keep", value_parser = calibration_change)]
    pub method: CalibrationChange,
    /// What thresholds are chosen for, per attribute: the best F1, also smoothed over the attributes; the best F1 + W x accuracy,
    /// smoothed alike, W being 1 if left out; as many predicted positives as positives; the highest recall at a precision of at
    /// least P; the highest precision at a recall of at least R; or one number for all.
    #[arg(
        long,
        value_name = "best-f1|smooth-f1|balanced[=W]|prevalence|precision=P|recall=R|NUMBER",
        default_value = "best-f1",
        value_parser = threshold_choice
    )]
    pub thresholds: ThresholdChoice,
    /// Where to write the model [default: the file it was read from].
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print JSON instead of a table.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub test_time: TestTimeArgs,
    #[command(flatten)]
    pub inference: InferenceArgs,
}

fn calibration_change(text: &str) -> Result<CalibrationChange, String> {
    match text {
        "none" => Ok(CalibrationChange::Remove),
        "keep" => Ok(CalibrationChange::Keep),
        _ => {
            let method = text.parse().map_err(|_| "write `temperature`, `isotonic`, `none` or `keep`");
            Ok(CalibrationChange::Fit(method?))
        }
    }
}

fn threshold_choice(text: &str) -> Result<ThresholdChoice, String> {
    let level = |text: &str| text.parse().ok().filter(|level: &f64| *level > 0.0 && *level <= 1.0);
    let weight = |text: &str| text.parse().ok().filter(|weight: &f64| *weight >= 0.0 && weight.is_finite());
    let rule = match text.split_once('=') {
        None => match text {
            "best-f1" => Some(ThresholdRule::BestF1),
            "smooth-f1" => Some(ThresholdRule::SmoothF1),
            "balanced" => Some(ThresholdRule::Balanced(ThresholdRule::ACCURACY_WEIGHT)),
            "prevalence" => Some(ThresholdRule::Prevalence),
            _ => {
                let number = text.parse().ok().filter(|value| (0.0..=1.0).contains(value));
                return number.map(ThresholdChoice::Fixed).ok_or_else(expected_thresholds);
            }
        },
        Some(("balanced", of_accuracy)) => weight(of_accuracy).map(ThresholdRule::Balanced),
        Some(("precision", wanted)) => level(wanted).map(ThresholdRule::Precision),
        Some(("recall", wanted)) => level(wanted).map(ThresholdRule::Recall),
        Some(_) => None,
    };
    rule.map(ThresholdChoice::Rule).ok_or_else(expected_thresholds)
}

fn expected_thresholds() -> String {
    "write `best-f1`, `smooth-f1`, `balanced`, `balanced=4`, `prevalence`, `precision=0.8`, `recall=0.9` or a number from 0 to 1"
        .to_owned()
}

/// A calibrated model.
#[derive(Debug, Serialize)]
pub struct Calibrated {
    /// The file it was written to.
    pub model: PathBuf,
    /// The split it was calibrated on.
    pub split: Split,
    /// Images of the split.
    pub images: usize,
    /// The calibration method, if any.
    pub calibration: Option<String>,
    /// The rule for the thresholds.
    pub thresholds: ThresholdRule,
    /// The attributes.
    pub attributes: Vec<CalibratedAttribute>,
    /// Expected calibration error before, mean over the attributes.
    pub ece_before: Option<f64>,
    /// Expected calibration error after, mean over the attributes.
    pub ece_after: Option<f64>,
    /// Attributes for which no threshold reaches the demanded precision.
    pub unreached: Vec<String>,
}

/// An attribute of a calibrated model.
#[derive(Debug, Serialize)]
pub struct CalibratedAttribute {
    /// Its name.
    pub attribute: String,
    /// Its threshold.
    pub threshold: f32,
    /// The precision at this threshold.
    pub precision: Option<f64>,
    /// The recall at this threshold.
    pub recall: Option<f64>,
    /// The F1 at this threshold.
    pub f1: Option<f64>,
    /// Expected calibration error before.
    pub ece_before: Option<f64>,
    /// Expected calibration error after.
    pub ece_after: Option<f64>,
}

/// Fits a calibration, chooses thresholds, and writes the model with both.
pub fn run(args: &CalibrateArgs) -> Result<(), CommandError> {
    args.out.iter().try_for_each(|path| extension::check("--out", path, &["safetensors"]))?;
    let compute = Compute::for_inference(&args.inference)?;
    let (mut model, file) = read_model(&args.model, &compute)?;
    args.test_time.apply(&mut model);
    let predictor = Predictor::new(&model, &compute.device, compute.precision);
    let dataset = Arc::new(args.dataset.open_for(predictor.card(), args.faces)?);
    let activity = format!("calibrating on {}", args.split);
    let LabelledOutputs { labels, targets, outputs } = split_logits(&predictor, &dataset, args.split, &activity)?;
    warn_of_truncated(&dataset);

    let mut card = predictor.card().clone();
    let current = card.calibration.as_ref();
    let (method, thresholds) = (args.method, args.thresholds);
    let recalibration = Recalibration::new(&card.attributes, &labels, &targets, &outputs, current, method, thresholds)?;
    let result = calibrated(&recalibration, args.out.as_ref().unwrap_or(&file).clone(), args.split);
    let Recalibration { calibration, thresholds, .. } = recalibration;
    card.set_calibration(calibration, thresholds.values, thresholds.rule.on(args.split.name()));
    card.replace_in(&file, &result.model)?;
    output::json_or(args.json, &result, tables::calibration::text)?;
    output::note(&format!("wrote {}", result.model.display()));
    if dataset.indices(Split::Test).is_empty() {
        output::note("there is no test split: judge the model on images that it was neither trained nor calibrated on");
    } else {
        let model = args.out.as_ref().unwrap_or(&args.model);
        let (data, options) = (shell::path(&args.dataset.data), args.dataset.repeated());
        output::note(&format!("next: visage evaluate {} --data {data}{options}", shell::path(model)));
    }
    Ok(())
}

fn calibrated(recalibration: &Recalibration, model: PathBuf, split: Split) -> Calibrated {
    let Recalibration { calibration, thresholds, unreached, images, decisions, before, after } = recalibration;
    let evaluations = decisions.attributes.iter().zip(&before.attributes).zip(&after.attributes);
    let attributes =
        evaluations.zip(&thresholds.values).map(|(((decided, before), after), &threshold)| CalibratedAttribute {
            attribute: decided.attribute.clone(),
            threshold,
            precision: decided.scores.precision,
            recall: decided.scores.recall,
            f1: decided.scores.f1,
            ece_before: before.scores.ece,
            ece_after: after.scores.ece,
        });
    Calibrated {
        model,
        split,
        images: *images,
        calibration: calibration.as_ref().map(|calibration| calibration.method().to_string()),
        thresholds: thresholds.rule,
        attributes: attributes.collect(),
        ece_before: before.macro_average.get(Metric::Ece),
        ece_after: after.macro_average.get(Metric::Ece),
        unreached: unreached.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_chosen_by_a_rule_or_given() {
        let rule = |rule| Ok(ThresholdChoice::Rule(rule));
        assert_eq!(threshold_choice("best-f1"), rule(ThresholdRule::BestF1));
        assert_eq!(threshold_choice("smooth-f1"), rule(ThresholdRule::SmoothF1));
        assert_eq!(threshold_choice("prevalence"), rule(ThresholdRule::Prevalence));
        assert_eq!(threshold_choice("balanced"), rule(ThresholdRule::Balanced(1.0)));
        assert_eq!(threshold_choice("balanced=0"), rule(ThresholdRule::Balanced(0.0)));
        assert_eq!(threshold_choice("precision=0.8"), rule(ThresholdRule::Precision(0.8)));
        assert_eq!(threshold_choice("recall=1"), rule(ThresholdRule::Recall(1.0)));
        assert_eq!(threshold_choice("0.4"), Ok(ThresholdChoice::Fixed(0.4)));
        let weights = ["balanced=", "balanced=-1", "balanced=inf", "balanced=nan", "prevalence=1", "smooth-f1=2"];
        for wrong in weights {
            assert!(threshold_choice(wrong).is_err(), "{wrong}");
        }
        for wrong in ["precision=0", "recall=1.1", "recall=", "accuracy=0.9", "NaN", "1.5", ""] {
            assert!(threshold_choice(wrong).is_err(), "{wrong}");
        }
    }
}
