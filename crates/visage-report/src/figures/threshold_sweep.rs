//! Metrics at every threshold.

use super::reading_of_predictions;
use crate::attribute_predictions::{AtThreshold, AttributePredictions};
use crate::axis::Axis;
use crate::drawing::{Dash, Ink, Tooltip};
use crate::figure::Figure;
use crate::number::short;
use crate::sheet::{LegendEntry, NARROW, Sheet, Swatch};

/// A metric that depends on the threshold, and its line style.
type Line = (&'static str, Dash, f64, fn(&AtThreshold) -> f64);

const LINES: [Line; 3] = [
    ("F1", Dash::Solid, 2.2, |at| at.f1),
    ("precision", Dash::Dashed, 1.4, |at| at.precision),
    ("recall", Dash::Dotted, 1.4, |at| at.recall),
];

/// Precision, recall and F1 over the thresholds, a row per run, with the chosen threshold.
pub fn figure(attribute: &str, predictions: &[AttributePredictions<'_>]) -> Figure {
    let mut keys: Vec<LegendEntry> =
        LINES.iter().map(|(name, dash, ..)| LegendEntry::new(*name, Ink::Muted, Swatch::Line(*dash))).collect();
    keys.push(LegendEntry::new("chosen", Ink::Text, Swatch::Ring));
    let mut sheet = Sheet::new(NARROW, &keys);
    let several = predictions.len() > 1;
    for each in predictions {
        let caption = if several { each.name } else { "" };
        let height = if several { 100.0 } else { 190.0 };
        let plot = sheet.plot(caption, height, Axis::share("Threshold (probability)"), Axis::share("Metric (share)"));
        let thresholds = each.thresholds();
        for (name, dash, width, of) in LINES {
            let points: Vec<[f64; 2]> = thresholds.iter().map(|at| [at.threshold, of(at)]).collect();
            let tooltip = Tooltip::Values(format!("{}, {name}", each.name));
            plot.line(&points, Ink::Series(each.run), width, dash, tooltip);
        }
        let chosen = f64::from(each.metrics.threshold);
        plot.reference([chosen, 0.0], [chosen, 1.0]);
        if let Some(f1) = each.metrics.scores.f1 {
            let tooltip = format!("{}, chosen threshold {}: F1 {}", each.name, short(chosen), short(f1));
            plot.dot([chosen, f1], 5.0, true, Ink::Text, Tooltip::Text(tooltip));
        }
    }
    let reading = reading_of_predictions("The chosen threshold", predictions, in_words);
    Figure::new("threshold", format!("{attribute}: metrics by threshold"), reading, sheet)
}

fn in_words(each: &AttributePredictions<'_>) -> String {
    let chosen = short(each.metrics.threshold.into());
    let thresholds = each.thresholds();
    let best = thresholds.iter().max_by(|a, b| a.f1.total_cmp(&b.f1));
    match (each.metrics.scores.f1, best) {
        (Some(f1), Some(best)) if each.both_classes() => format!(
            "{chosen} has an F1 of {}; the best on these images is {} at {}",
            short(f1),
            short(best.f1),
            short(best.threshold)
        ),
        _ => format!("{chosen} cannot be evaluated, because only one class occurs"),
    }
}
