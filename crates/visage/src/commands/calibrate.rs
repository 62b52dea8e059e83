//! `visage calibrate`.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use visage_data::Split;
use visage_judge::{
    Calibration, ChosenThresholds, Metric, Predictions, ThresholdRule, Thresholds, evaluate, probabilities,
};
use visage_run::predict::{LabelledOutputs, logits};

use super::evaluate::{BATCH_SIZE, images, open};
use super::read_predictor;
use crate::cli::{CalibrateArgs, Method, ThresholdChoice};
use crate::compute::Compute;
use crate::error::CommandError;
use crate::output;
use crate::progress::Progress;
use crate::shell;
use crate::table::{Columns, counted, score};

/// What calibrating gave.
#[derive(Debug, Serialize)]
struct Calibrated {
    /// Where the model was written.
    model: PathBuf,
    split: Split,
    images: usize,
    calibration: Option<String>,
    thresholds: ThresholdRule,
    attributes: Vec<Attribute>,
    /// The mean over the attributes.
    ece_before: Option<f64>,
    ece_after: Option<f64>,
    /// Attributes of which no threshold has the precision wanted.
    unreached: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Attribute {
    attribute: String,
    threshold: f32,
    precision: Option<f64>,
    recall: Option<f64>,
    f1: Option<f64>,
    ece_before: Option<f64>,
    ece_after: Option<f64>,
}

/// Fits a model's calibration and thresholds, and writes it anew.
pub fn run(args: &CalibrateArgs) -> Result<(), CommandError> {
    let compute = Compute::for_asking(&args.ask)?;
    let (model, file) = read_predictor(&args.model, &compute)?;
    let dataset = Arc::new(open(&args.source, model.card())?);
    let indices = images(&dataset, args.split)?;
    let mut progress = Progress::new(&format!("calibrating on {}", args.split), "images", indices.len() as u64);
    let LabelledOutputs { labels, outputs: logits } = logits(&model, &dataset, indices, BATCH_SIZE, |done| {
        progress.set(done as u64, String::new);
    })?;
    drop(progress);

    let mut card = model.card().clone();
    let count = card.attributes.len();
    let predictions = |probabilities| Predictions::new(card.attributes.clone(), labels.clone(), probabilities);
    let calibration = match args.method {
        Method::Fit(method) => Some(Calibration::fit(method, count, &labels, &logits)),
        Method::Remove => None,
        Method::Keep => card.calibration.clone(),
    };
    let calibrated = predictions(probabilities(calibration.as_ref(), &logits))?;
    let ChosenThresholds { thresholds, unreached } = match args.thresholds {
        ThresholdChoice::Rule(rule) => Thresholds::choose(rule, &calibrated),
        ThresholdChoice::Fixed(value) => {
            ChosenThresholds { thresholds: Thresholds::fixed(value, count), unreached: Vec::new() }
        }
    };
    let before = evaluate(&predictions(probabilities(card.calibration.as_ref(), &logits))?, &thresholds)?;
    // On the images it was fitted to, a calibration flatters.
    let unseen = match args.method {
        Method::Fit(method) => predictions(Calibration::cross_fitted(method, count, &labels, &logits))?,
        Method::Remove | Method::Keep => calibrated.clone(),
    };
    let after = evaluate(&unseen, &thresholds)?;
    let decided = evaluate(&calibrated, &thresholds)?;

    let rule = thresholds.rule.on(args.split.name());
    let told = Calibrated {
        model: args.out.clone().unwrap_or_else(|| file.clone()),
        split: args.split,
        images: calibrated.images(),
        calibration: calibration.as_ref().map(|calibration| calibration.method().to_string()),
        thresholds: thresholds.rule,
        attributes: (0..count)
            .map(|column| Attribute {
                attribute: card.attributes[column].clone(),
                threshold: thresholds.values[column],
                precision: decided.attributes[column].scores.precision,
                recall: decided.attributes[column].scores.recall,
                f1: decided.attributes[column].scores.f1,
                ece_before: before.attributes[column].scores.ece,
                ece_after: after.attributes[column].scores.ece,
            })
            .collect(),
        ece_before: before.macro_average.get(Metric::Ece),
        ece_after: after.macro_average.get(Metric::Ece),
        unreached,
    };
    card.set_calibration(calibration, thresholds.values, rule);
    card.replace_in(&file, &told.model)?;
    if args.json {
        output::json(&told)?;
    } else {
        output::result(&report(&told))?;
    }
    output::note(&format!("wrote {}", told.model.display()));
    let (model, data) = (args.out.as_ref().unwrap_or(&args.model), shell::path(&args.source.data));
    output::note(&format!("next: visage evaluate {} --data {data}", shell::path(model)));
    Ok(())
}

fn report(told: &Calibrated) -> String {
    let mut table =
        Columns::new(1, &["Attribute", "Threshold", "Precision", "Recall", "F1", "ECE before", "ECE after"]);
    for attribute in &told.attributes {
        table.row([
            attribute.attribute.clone(),
            score(Some(f64::from(attribute.threshold))),
            score(attribute.precision),
            score(attribute.recall),
            score(attribute.f1),
            score(attribute.ece_before),
            score(attribute.ece_after),
        ]);
    }
    let mut text = format!(
        "on {} of the {} split; thresholds: {}; calibration: {}\n\n{}\nexpected calibration error, mean of the attributes: \
         {} before, {} after",
        counted(told.images as u64, "image"),
        told.split,
        told.thresholds,
        told.calibration.as_deref().unwrap_or("none"),
        table.text(),
        score(told.ece_before),
        score(told.ece_after),
    );
    text += if told.calibration.is_some() {
        " (a fitted calibration is measured on images left out when it was fitted, in five parts)\n"
    } else {
        "\n"
    };
    if !told.unreached.is_empty() {
        text += &format!(
            "no threshold has the precision wanted; the most precise was taken: {}\n",
            told.unreached.join(", ")
        );
    }
    text
}
