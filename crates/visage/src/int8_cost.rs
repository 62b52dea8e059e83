//! What a model in int8 costs: judged beside the model in float, on the same images.

use std::path::Path;
use std::sync::Arc;

use visage_data::{Dataset, Split};
use visage_export::ExportError;
use visage_export::onnx::{Int8, PixelInput};
use visage_judge::{Evaluation, Metric, Predictions, ThresholdRule, Thresholds, evaluate};
use visage_model::{Model, Precision, Predictor};
use visage_run::predict::{Images, LabelledOutputs, predictions};

use crate::commands::evaluate::images;
use crate::compute::Compute;
use crate::error::CommandError;
use crate::progress::Progress;
use crate::table::{Columns, count, score};

/// Images that ranges are taken from: with more, they hardly change.
const CALIBRATION_IMAGES: usize = 256;
/// Images that are judged together.
const BATCH_SIZE: usize = 32;

/// A model in float and in int8, side by side.
pub struct Cost {
    calibrated_on: usize,
    split: Split,
    /// In float, in int8.
    evaluations: [Evaluation; 2],
    /// The difference of a probability on average, and at most.
    difference: [f64; 2],
}

/// `model` in int8, calibrated on the validation split of `dataset`, and its cost on the test split, or where there is none on the
/// validation split. `out` is where it is to be written.
///
/// # Errors
///
/// When the dataset has no such images, one cannot be read, or the graph does not answer as the model does.
pub fn measured(
    model: &Model,
    input: PixelInput,
    dataset: &Arc<Dataset>,
    out: &Path,
    compute: &Compute,
) -> Result<(Int8, Cost), CommandError> {
    let validation = images(dataset, Split::Validation)?;
    let some = CALIBRATION_IMAGES.min(validation.len());
    let mut pixels = Vec::new();
    for index in (0..some).map(|index| validation[index * validation.len() / some]) {
        pixels.extend(dataset.pixels(index, &model.card.preparation)?);
    }
    let int8 = Int8::new(model, input, &pixels, out, &compute.device)?;

    let split = if dataset.indices(Split::Test).is_empty() { Split::Validation } else { Split::Test };
    let indices = images(dataset, split)?;
    let mut progress = Progress::new(&format!("judging on {split}"), "images", 2 * indices.len() as u64);
    let mut told = |done: usize| progress.set(done as u64, String::new);
    let float = predictions(
        &Predictor::new(model, &compute.device, Precision::F32),
        dataset,
        indices.clone(),
        BATCH_SIZE,
        &mut told,
    )?;
    let ask = |pixels: &[u8], images: usize| {
        int8.probabilities(pixels, images).map_err(|error| CommandError::from(ExportError::from(error)))
    };
    let (done_before, card) = (indices.len(), &model.card);
    let images = Images {
        attributes: &card.attributes,
        preparation: &card.preparation,
        dataset,
        indices,
        batch_size: BATCH_SIZE,
    };
    let LabelledOutputs { labels, outputs } = images.outputs(ask, |done| told(done_before + done))?;
    let quantised = Predictions::new(card.attributes.clone(), labels, outputs)?;

    let pairs = float.probabilities().iter().zip(quantised.probabilities());
    let differences = pairs.map(|(a, b)| f64::from((a - b).abs()));
    let mean = differences.clone().sum::<f64>() / float.probabilities().len().max(1) as f64;
    let thresholds = Thresholds { rule: ThresholdRule::Fixed, values: model.card.thresholds.clone() };
    let cost = Cost {
        calibrated_on: some,
        split,
        evaluations: [evaluate(&float, &thresholds)?, evaluate(&quantised, &thresholds)?],
        difference: [mean, differences.fold(0.0, f64::max)],
    };
    Ok((int8, cost))
}

impl Cost {
    /// As a table.
    pub fn text(&self) -> String {
        let Self { calibrated_on, split, evaluations: [float, int8], difference: [mean, most] } = self;
        let mut table = Columns::new(1, &["Macro average", "float", "int8", "Difference"]);
        let metrics = [Metric::Accuracy, Metric::Precision, Metric::Recall, Metric::F1, Metric::AveragePrecision];
        for metric in metrics {
            let [before, after] = [float, int8].map(|evaluation| evaluation.macro_average.get(metric));
            let difference = before.zip(after).map_or_else(|| "-".to_owned(), |(a, b)| format!("{:+.4}", b - a));
            table.row([metric.heading().to_owned(), score(before), score(after), difference]);
        }
        format!(
            "in int8, calibrated on {} images of the validation split, judged on {} of the {split} split: a probability differs \
             by {mean:.4} on average and by {most:.3} at most\n\n{}",
            count(*calibrated_on as u64),
            count(float.images as u64),
            table.text()
        )
    }
}
