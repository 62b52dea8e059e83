//! Precision against recall.

use super::{reading_of_predictions, sheet_of_predictions};
use crate::attribute_predictions::AttributePredictions;
use crate::axis::Axis;
use crate::drawing::{Dash, Ink, Tooltip};
use crate::figure::Figure;
use crate::number::{percent, short};

/// The curve of an attribute, with the chosen threshold on it.
pub fn figure(attribute: &str, predictions: &[AttributePredictions<'_>]) -> Figure {
    let mut sheet = sheet_of_predictions(predictions);
    let x = Axis::share("Recall (share of positives predicted positive)");
    let plot = sheet.plot("", 210.0, x, Axis::share("Precision (share of positive predictions that are right)"));
    if let Some(prevalence) = predictions.first().and_then(|each| each.metrics.scores.prevalence) {
        plot.reference([0.0, prevalence], [1.0, prevalence]);
    }
    for each in predictions.iter().filter(|each| each.ranking.positives() > 0) {
        // No interpolation between thresholds: steps as average precision sums them.
        let mut points = Vec::new();
        let mut recall = 0.0;
        for at in each.thresholds() {
            points.push([recall, at.precision, at.threshold]);
            points.push([at.recall, at.precision, at.threshold]);
            recall = at.recall;
        }
        plot.curve(&points, "threshold", Ink::Series(each.run), Dash::of_run(each.run), each.name);
        let scores = &each.metrics.scores;
        if let (Some(recall), Some(precision)) = (scores.recall, scores.precision) {
            let tooltip = format!(
                "{}, chosen threshold {}: precision {}, recall {}",
                each.name,
                short(each.metrics.threshold.into()),
                short(precision),
                short(recall)
            );
            plot.dot([recall, precision], 5.0, true, Ink::Series(each.run), Tooltip::Text(tooltip));
        }
    }
    Figure::new("precision-recall", format!("{attribute}: precision and recall"), reading(predictions), sheet)
}

fn reading(predictions: &[AttributePredictions<'_>]) -> String {
    let in_words = |each: &AttributePredictions<'_>| {
        let scores = &each.metrics.scores;
        match (scores.recall, scores.precision, scores.average_precision) {
            (Some(recall), Some(precision), Some(average)) => format!(
                "recall is {} and precision {}; average precision {}",
                percent(recall),
                percent(precision),
                short(average)
            ),
            (Some(_), None, Some(average)) => {
                format!("nothing is predicted positive; average precision {}", short(average))
            }
            _ => "not defined, because no image has the attribute".to_owned(),
        }
    };
    let mut text = reading_of_predictions("At the chosen threshold (ring)", predictions, in_words);
    if let Some(prevalence) = predictions.first().and_then(|each| each.metrics.scores.prevalence) {
        text += &format!(" Chance has an average precision of {} (dashed line).", short(prevalence));
    }
    text
}
