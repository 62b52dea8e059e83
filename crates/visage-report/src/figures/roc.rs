//! The receiver operating characteristic.

use super::{per_run, run_keys};
use crate::attribute_predictions::AttributePredictions;
use crate::axis::Axis;
use crate::drawing::{Dash, Ink, Tooltip};
use crate::figure::Figure;
use crate::number::{percent, short};
use crate::sheet::{NARROW, Sheet};

/// The curve of an attribute, with the chosen threshold on it.
pub fn figure(attribute: &str, predictions: &[AttributePredictions<'_>]) -> Figure {
    let mut sheet = Sheet::new(NARROW, &run_keys(predictions.iter().map(|each| (each.run, each.name))));
    let x = Axis::share("False positive rate (share of negatives)");
    let plot = sheet.plot("", 210.0, x, Axis::share("Recall (true positive rate)"));
    plot.reference([0.0, 0.0], [1.0, 1.0]);
    for each in predictions.iter().filter(|each| each.both_classes()) {
        let begin = [[0.0, 0.0, 1.0]];
        let points: Vec<[f64; 3]> = begin
            .into_iter()
            .chain(each.thresholds().into_iter().map(|at| [at.false_positive_rate, at.recall, at.threshold]))
            .collect();
        plot.curve(&points, "threshold", Ink::Series(each.run), Dash::of_run(each.run), each.name);
        let counts = &each.metrics.confusion;
        if let Some(recall) = each.metrics.scores.recall {
            let rate = counts.false_positives as f64 / counts.negatives() as f64;
            let tooltip = format!(
                "{}, chosen threshold {}: false positive rate {}, recall {}",
                each.name,
                short(each.metrics.threshold.into()),
                short(rate),
                short(recall)
            );
            plot.dot([rate, recall], 5.0, true, Ink::Series(each.run), Tooltip::Text(tooltip));
        }
    }
    let in_words = |each: &AttributePredictions<'_>| {
        each.metrics.scores.roc_auc.map_or_else(|| "an unknown share".to_owned(), percent)
    };
    let reading = per_run(
        "A positive is ranked above a negative in",
        predictions.iter().map(|each| (each.name, format!("{} of pairs", in_words(each)))),
    );
    Figure {
        file: "roc".to_owned(),
        title: format!("{attribute}: ROC curve"),
        reading: format!("{reading} Chance has 50 % (dashed line)."),
        drawing: sheet.finish(),
    }
}
