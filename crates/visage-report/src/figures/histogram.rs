//! Histograms of probabilities by class.

use super::reading_of_predictions;
use crate::attribute_predictions::AttributePredictions;
use crate::axis::Axis;
use crate::drawing::{Ink, Tooltip};
use crate::figure::Figure;
use crate::number::{median, percent, short};
use crate::sheet::{LegendEntry, NARROW, Sheet, Swatch};

const BARS: usize = 25;

/// Histograms by class, a row per run: images with the attribute upwards, images without it downwards.
pub fn figure(attribute: &str, predictions: &[AttributePredictions<'_>]) -> Figure {
    let several = predictions.len() > 1;
    let ink = |run: usize| Ink::Series(run);
    let first = predictions.first().map_or(0, |each| each.run);
    let with_ink = if several { Ink::Text } else { ink(first) };
    let keys = [
        LegendEntry::new("with the attribute (upwards)", with_ink, Swatch::Fill(0.85)),
        LegendEntry::new("without it (downwards)", with_ink, Swatch::Fill(0.35)),
    ];
    let shares: Vec<[Vec<f64>; 2]> =
        predictions.iter().map(|each| [true, false].map(|class| shares(&each.pairs, class))).collect();
    let tallest = shares.iter().flatten().flatten().copied().fold(0.01, f64::max);
    let mut sheet = Sheet::new(NARROW, &keys);
    for (each, classes) in predictions.iter().zip(&shares) {
        let caption = if several { each.name } else { "" };
        let height = if several { 100.0 } else { 190.0 };
        let y = Axis::mirrored("Share of its class", 1.05 * tallest);
        let plot = sheet.plot(caption, height, Axis::share("Predicted probability"), y);
        for (class, shares) in classes.iter().enumerate() {
            let (sign, opacity, what) = if class == 0 { (1.0, 0.85, "with it") } else { (-1.0, 0.35, "without it") };
            for (bar, &share) in shares.iter().enumerate() {
                let edges = [bar, bar + 1].map(|edge| edge as f64 / BARS as f64);
                let [from, to] = edges.map(short);
                let words = format!("{}: {} of the images {what}, from {from} to {to}", each.name, percent(share));
                plot.bar([edges[0], 0.0], [edges[1], sign * share], ink(each.run), opacity, Tooltip::Text(words));
            }
        }
        let chosen = f64::from(each.metrics.threshold);
        plot.reference([chosen, plot.y.low], [chosen, plot.y.high]);
    }
    let in_words = |each: &AttributePredictions<'_>| {
        let middle =
            |class: bool| median(each.pairs.iter().filter(|pair| pair.1 == class).map(|pair| f64::from(pair.0)));
        match (middle(true), middle(false)) {
            (Some(with), Some(without)) => format!("{} with it and {} without", short(with), short(without)),
            _ => "unknown, as only one class occurs,".to_owned(),
        }
    };
    let mut reading = reading_of_predictions("The median probability is", predictions, in_words);
    reading += " The further apart the two histograms, the better the model separates the classes; the dashed line is the chosen threshold.";
    Figure::new("probabilities", format!("{attribute}: probabilities by class"), reading, sheet)
}

fn shares(pairs: &[(f32, bool)], class: bool) -> Vec<f64> {
    let mut counts = [0.0; BARS];
    let members = pairs.iter().filter(|pair| pair.1 == class);
    members.for_each(|pair| counts[((f64::from(pair.0) * BARS as f64) as usize).min(BARS - 1)] += 1.0);
    let all = f64::max(counts.iter().sum(), 1.0);
    counts.iter().map(|count| count / all).collect()
}
