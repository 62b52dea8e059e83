//! Reliability diagrams.

use visage_judge::{ReliabilityBin, reliability_bins};

use super::{reading_of_predictions, run_keys};
use crate::attribute_predictions::AttributePredictions;
use crate::axis::Axis;
use crate::drawing::{Dash, Ink, Plot, Tooltip};
use crate::figure::Figure;
use crate::number::{grouped, percent, short};
use crate::sheet::{LegendEntry, NARROW, Sheet, Swatch};

/// The standard normal quantile of a 95 % interval.
const Z: f64 = 1.96;

/// Observed frequency against predicted probability, in the bins of the expected calibration error.
pub fn figure(attribute: &str, predictions: &[AttributePredictions<'_>]) -> Figure {
    let mut keys = run_keys(predictions.iter().map(|each| (each.run, each.name)));
    if predictions.iter().any(|each| !each.before.is_empty()) {
        if keys.is_empty() {
            let solid = Swatch::Line(Dash::Solid);
            keys.extend(predictions.iter().map(|each| LegendEntry::new(each.name, Ink::Series(each.run), solid)));
        }
        keys.push(LegendEntry::new("before calibration", Ink::Muted, Swatch::Line(Dash::Dotted)));
    }
    let mut sheet = Sheet::new(NARROW, &keys);
    let x = Axis::share("Predicted probability (mean of the bin)");
    let plot = sheet.plot("", 210.0, x, Axis::share("Observed frequency (95 % interval)"));
    plot.reference([0.0, 0.0], [1.0, 1.0]);
    for each in predictions {
        let before = reliability_bins(&each.before);
        let points: Vec<[f64; 2]> = before.iter().map(|bin| [bin.probability, bin.frequency]).collect();
        plot.line(&points, Ink::Muted, 1.4, Dash::Dotted, Tooltip::Values(format!("{} before calibration", each.name)));
    }
    for each in predictions {
        let (name, bins) = (each.name, reliability_bins(&each.pairs));
        draw_bins(plot, &bins, Ink::Series(each.run), Dash::of_run(each.run), |images, probability, share| {
            format!("{name}: of {images} images predicted with probability {probability}, {share} have the attribute")
        });
    }
    let mut reading = reading_of_predictions("Predicted and observed:", predictions, in_words);
    reading += " On the dashed line both agree; below it probabilities are too high.";
    Figure::new("reliability", format!("{attribute}: reliability"), reading, sheet)
}

/// Draws the bins of a reliability diagram with their intervals. The words of a tooltip are made of the number of images, the mean
/// probability and the observed frequency.
pub fn draw_bins(
    plot: &mut Plot,
    bins: &[ReliabilityBin],
    ink: Ink,
    dash: Dash,
    words: impl Fn(String, String, String) -> String,
) {
    for bin in bins {
        let [low, high] = wilson(bin.frequency, bin.images as f64);
        plot.line(&[[bin.probability, low], [bin.probability, high]], ink, 1.0, Dash::Solid, Tooltip::Nothing);
    }
    let points: Vec<[f64; 2]> = bins.iter().map(|bin| [bin.probability, bin.frequency]).collect();
    plot.line(&points, ink, 1.4, dash, Tooltip::Nothing);
    for bin in bins {
        let words = words(grouped(bin.images as f64), percent(bin.probability), percent(bin.frequency));
        plot.dot([bin.probability, bin.frequency], 3.5, false, ink, Tooltip::Text(words));
    }
}

fn in_words(each: &AttributePredictions<'_>) -> String {
    let mean = each.pairs.iter().map(|(probability, _)| f64::from(*probability)).sum::<f64>() / each.pairs.len() as f64;
    match (each.metrics.scores.prevalence, each.metrics.scores.ece) {
        (Some(prevalence), Some(ece)) => {
            format!(
                "{} on average, observed {}; expected calibration error {}",
                percent(mean),
                percent(prevalence),
                short(ece)
            )
        }
        _ => "no label is known".to_owned(),
    }
}

/// The score interval of a share of `images`: Wilson, "Probable inference, the law of succession, and statistical
/// inference", Journal of the American Statistical Association 22 (1927).
fn wilson(share: f64, images: f64) -> [f64; 2] {
    let square = Z * Z / images;
    let middle = (share + square / 2.0) / (1.0 + square);
    let half = Z / (1.0 + square) * (share * (1.0 - share) / images + square / (4.0 * images)).sqrt();
    [middle - half, middle + half]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_wilsons() {
        let cases = crate::golden::of_figures("wilson");
        for case in cases.as_array().unwrap().iter().map(crate::golden::numbers) {
            let found = wilson(case[0] / case[1], case[1]);
            assert!(found.iter().zip(&case[2..]).all(|(a, b)| (a - b).abs() < 2e-5), "{found:?}, golden {case:?}");
        }
        assert_eq!(cases.as_array().unwrap().len(), 4);
    }
}
