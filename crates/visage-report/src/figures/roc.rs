//! The receiver operating characteristic.

use super::{reading_of_predictions, sheet_of_predictions};
use crate::attribute_predictions::AttributePredictions;
use crate::axis::Axis;
use crate::drawing::{Dash, Ink, Tooltip};
use crate::figure::Figure;
use crate::number::{percent, short};

/// The curve of an attribute, with the chosen threshold on it.
pub fn figure(attribute: &str, predictions: &[AttributePredictions<'_>]) -> Figure {
    let mut sheet = sheet_of_predictions(predictions);
    let x = Axis::share("False positive rate (share of negatives)");
    let plot = sheet.plot("", 210.0, x, Axis::share("Recall (true positive rate)"));
    plot.reference([0.0, 0.0], [1.0, 1.0]);
    for each in predictions.iter().filter(|each| each.both_classes()) {
        let mut points = vec![[0.0, 0.0, 1.0]];
        points.extend(each.thresholds().iter().map(|at| [at.false_positive_rate, at.recall, at.threshold]));
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
    let mut reading = reading_of_predictions("A positive is ranked above a negative in", predictions, |each| {
        let share = each.metrics.scores.roc_auc.map_or_else(|| "an unknown share".to_owned(), percent);
        format!("{share} of pairs")
    });
    reading += " Chance has 50 % (dashed line).";
    Figure::new("roc", format!("{attribute}: ROC curve"), reading, sheet)
}
