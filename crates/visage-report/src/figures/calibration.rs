//! Calibration: probabilities before and after.

use visage_judge::{Evaluation, Predictions, evaluate, reliability_bins};

use super::per_run;
use super::reliability::draw_bins;
use crate::axis::Axis;
use crate::drawing::{Dash, Ink, Tooltip};
use crate::figure::Figure;
use crate::number::short;
use crate::run::{Judged, Run};
use crate::sheet::{LegendEntry, NARROW, Sheet, Swatch, WIDE};

/// A run with evaluations before and after calibration.
struct Both<'a> {
    number: usize,
    name: &'a str,
    judged: &'a Judged,
    calibrated: &'a Predictions,
    uncalibrated: &'a Predictions,
    before: Evaluation,
}

/// An attribute's calibration errors before and after, and its name.
type Errors<'a> = ([f64; 2], &'a str);

impl<'a> Both<'a> {
    fn of(runs: &'a [Run]) -> Vec<Self> {
        let both = runs.iter().enumerate().filter_map(|(number, run)| {
            let judged = run.judged.as_ref()?;
            let (calibrated, uncalibrated) = (judged.predictions.as_ref()?, judged.uncalibrated.as_ref()?);
            let before = evaluate(uncalibrated, &judged.evaluation.thresholds()).ok()?;
            Some(Self { number, name: &run.name, judged, calibrated, uncalibrated, before })
        });
        both.collect()
    }

    fn errors(&self) -> Vec<Errors<'_>> {
        let pairs = self.before.attributes.iter().zip(&self.judged.evaluation.attributes);
        pairs
            .filter_map(|(before, after)| Some(([before.scores.ece?, after.scores.ece?], after.attribute.as_str())))
            .collect()
    }
}

/// The calibration error of every attribute before and after, then the reliability diagrams of each run; none if no run was
/// calibrated.
pub fn figures(runs: &[Run]) -> Vec<Figure> {
    let both = Both::of(runs);
    errors(&both).into_iter().chain(both.iter().map(|each| reliability(each, runs.len() > 1))).collect()
}

fn errors(both: &[Both<'_>]) -> Option<Figure> {
    let errors: Vec<(&Both<'_>, Vec<Errors<'_>>)> = both.iter().map(|each| (each, each.errors())).collect();
    let all = || errors.iter().flat_map(|(_, errors)| errors.iter().flat_map(|(pair, _)| *pair));
    all().next()?;
    let key = |each: &Both<'_>| LegendEntry::new(each.name, Ink::Series(each.number), Swatch::Dot);
    let keys: Vec<LegendEntry> = if both.len() > 1 { both.iter().map(key).collect() } else { Vec::new() };
    let mut sheet = Sheet::new(WIDE, &keys);
    let x = Axis::from_zero("Error before calibration (ECE)", all());
    let y = Axis { label: "Error after (ECE)".to_owned(), ..x.clone() };
    let plot = sheet.plot("", 260.0, x, y);
    plot.reference([0.0, 0.0], [plot.x.high, plot.x.high]);
    for (each, errors) in &errors {
        for (pair, attribute) in errors {
            let words = format!("{attribute} ({}): {} before, {} after", each.name, short(pair[0]), short(pair[1]));
            plot.dot(*pair, 4.0, false, Ink::Series(each.number), Tooltip::Text(words));
        }
    }
    let in_words = |each: &Both<'_>, errors: &[Errors<'_>]| {
        let better = errors.iter().filter(|([before, after], _)| after < before).count();
        let mean = |evaluation: &Evaluation| evaluation.macro_average.ece.map_or_else(String::new, short);
        format!(
            "for {better} of {} attributes, from {} to {} on average",
            errors.len(),
            mean(&each.before),
            mean(&each.judged.evaluation)
        )
    };
    let reading = per_run(
        "Calibration lowered the expected calibration error",
        errors.iter().map(|(each, errors)| (each.name, in_words(each, errors))),
    );
    let reading = reading + " Dots below the dashed line improved.";
    Some(Figure::new("calibration-error", "Calibration error before and after", reading, sheet))
}

/// The reliability diagram of all known labels of a run.
fn reliability(each: &Both<'_>, several: bool) -> Figure {
    let parts = [
        ("before calibration", each.uncalibrated, Ink::Muted, Dash::Dashed),
        ("after", each.calibrated, Ink::Series(each.number), Dash::Solid),
    ];
    let keys = parts.map(|(name, _, ink, dash)| LegendEntry::new(name, ink, Swatch::Line(dash)));
    let mut sheet = Sheet::new(NARROW, &keys);
    let x = Axis::share("Predicted probability (mean of the bin)");
    let plot = sheet.plot("", 260.0, x, Axis::share("Observed frequency (95 % interval)"));
    plot.reference([0.0, 0.0], [1.0, 1.0]);
    for (name, predictions, ink, dash) in parts {
        let cells = predictions.probabilities().iter().zip(predictions.labels());
        let pairs: Vec<(f32, bool)> =
            cells.filter_map(|(&probability, label)| Some((probability, (*label)?))).collect();
        draw_bins(plot, &reliability_bins(&pairs), ink, dash, |labels, probability, share| {
            format!("{name}: of {labels} labels predicted with probability {probability}, {share} are positive")
        });
    }
    let error = |evaluation: &Evaluation| evaluation.micro_average.ece.map_or_else(|| "undefined".to_owned(), short);
    let reading = format!(
        "Over all attributes the expected calibration error was {} before calibration and is {} after. On the dashed \
         line probabilities match observed frequencies; below it they are too high.",
        error(&each.before),
        error(&each.judged.evaluation)
    );
    let name = several.then_some(each.name);
    Figure::of_run("calibration-reliability", "Reliability over all attributes", name, reading, sheet)
}
