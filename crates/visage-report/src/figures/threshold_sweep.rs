//! What every threshold would give.

use super::told;
use crate::axis::Axis;
use crate::curve::{Answers, AtThreshold};
use crate::drawing::{Dash, Ink, Told};
use crate::figure::Figure;
use crate::number::short;
use crate::sheet::{Key, NARROW, Sample, Sheet};

/// A metric that a threshold changes, and how it is drawn.
type Line = (&'static str, Dash, f64, fn(&AtThreshold) -> f64);

/// The metrics shown.
const LINES: [Line; 3] = [
    ("F1", Dash::Solid, 2.2, |at| at.f1),
    ("precision", Dash::Broken, 1.4, |at| at.precision),
    ("recall", Dash::Dotted, 1.4, |at| at.recall),
];

/// Precision, recall and F1 over the thresholds, a row a run, with the chosen threshold.
pub fn figure(attribute: &str, answers: &[Answers<'_>]) -> Figure {
    let mut keys: Vec<Key> =
        LINES.iter().map(|(name, dash, ..)| Key::new(*name, Ink::Muted, Sample::Line(*dash))).collect();
    keys.push(Key::new("chosen", Ink::Text, Sample::Ring));
    let mut sheet = Sheet::new(NARROW, &keys);
    let several = answers.len() > 1;
    for each in answers {
        let caption = if several { each.name } else { "" };
        let height = if several { 100.0 } else { 190.0 };
        let plot = sheet.plot(caption, height, Axis::share("Threshold (probability)"), Axis::share("Metric (share)"));
        let thresholds = each.thresholds();
        for (name, dash, width, of) in LINES {
            let points: Vec<[f64; 2]> = thresholds.iter().map(|at| [at.threshold, of(at)]).collect();
            let told = Told::Values(format!("{}, {name}", each.name));
            plot.line(&points, Ink::Series(each.run), width, dash, told);
        }
        let chosen = f64::from(each.metrics.threshold);
        plot.reference([chosen, 0.0], [chosen, 1.0]);
        if let Some(f1) = each.metrics.scores.f1 {
            let told = format!("{}, chosen threshold {}: F1 {}", each.name, short(chosen), short(f1));
            plot.dot([chosen, f1], 5.0, true, Ink::Text, Told::Words(told));
        }
    }
    Figure {
        file: "threshold".to_owned(),
        title: format!("{attribute}: every threshold"),
        reading: told("The chosen threshold", answers.iter().map(|each| (each.name, in_words(each)))),
        drawing: sheet.finish(),
    }
}

fn in_words(each: &Answers<'_>) -> String {
    let chosen = short(each.metrics.threshold.into());
    let thresholds = each.thresholds();
    let best = thresholds.iter().max_by(|a, b| a.f1.total_cmp(&b.f1));
    match (each.metrics.scores.f1, best) {
        (Some(f1), Some(best)) if each.both_classes() => format!(
            "{chosen} gives an F1 of {}; the best on these very images would be {} at {}",
            short(f1),
            short(best.f1),
            short(best.threshold)
        ),
        _ => format!("{chosen} cannot be judged, as only one class occurs"),
    }
}
