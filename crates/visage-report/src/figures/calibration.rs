//! What calibration did: probabilities before and after.

use visage_judge::{Evaluation, Predictions, evaluate, reliability_bins};

use super::reliability::wilson;
use super::told;
use crate::axis::Axis;
use crate::drawing::{Dash, Ink, Told};
use crate::figure::{Figure, file_part};
use crate::number::{grouped, percent, short};
use crate::run::{Judged, Run};
use crate::sheet::{BROAD, Key, NARROW, Sample, Sheet};

/// A run that was judged before its calibration and after it.
struct Both<'a> {
    number: usize,
    name: &'a str,
    judged: &'a Judged,
    calibrated: &'a Predictions,
    uncalibrated: &'a Predictions,
    before: Evaluation,
}

/// An attribute's errors before and after, and its name.
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

    /// Those of each attribute.
    fn errors(&self) -> Vec<Errors<'_>> {
        let pairs = self.before.attributes.iter().zip(&self.judged.evaluation.attributes);
        pairs
            .filter_map(|(before, after)| Some(([before.scores.ece?, after.scores.ece?], after.attribute.as_str())))
            .collect()
    }
}

/// The calibration error of every attribute before and after, then each run's reliability before and after; none if no
/// run was calibrated.
pub fn figures(runs: &[Run]) -> Vec<Figure> {
    let both = Both::of(runs);
    errors(&both).into_iter().chain(both.iter().map(|each| reliability(each, runs.len() > 1))).collect()
}

fn errors(both: &[Both<'_>]) -> Option<Figure> {
    let errors: Vec<(&Both<'_>, Vec<Errors<'_>>)> = both.iter().map(|each| (each, each.errors())).collect();
    let all = || errors.iter().flat_map(|(_, errors)| errors.iter().flat_map(|(pair, _)| *pair));
    all().next()?;
    let keys: Vec<Key> = match both {
        [_] => Vec::new(),
        several => several.iter().map(|each| Key::new(each.name, Ink::Series(each.number), Sample::Dot)).collect(),
    };
    let mut sheet = Sheet::new(BROAD, &keys);
    let x = Axis::from_zero("Error before calibration (ECE)", all());
    let y = Axis { label: "Error after (ECE)".to_owned(), ..x.clone() };
    let plot = sheet.plot("", 260.0, x, y);
    plot.reference([0.0, 0.0], [plot.x.high, plot.x.high]);
    for (each, errors) in &errors {
        for (pair, attribute) in errors {
            let words = format!("{attribute} ({}): {} before, {} after", each.name, short(pair[0]), short(pair[1]));
            plot.dot(*pair, 4.0, false, Ink::Series(each.number), Told::Words(words));
        }
    }
    let in_words = |each: &Both<'_>, errors: &[Errors<'_>]| {
        let better = errors.iter().filter(|([before, after], _)| after < before).count();
        let mean = |evaluation: &Evaluation| evaluation.macro_average.ece.map_or_else(String::new, short);
        format!(
            "for {better} of {} attributes, and on average from {} to {}",
            errors.len(),
            mean(&each.before),
            mean(&each.judged.evaluation)
        )
    };
    let reading = told(
        "Calibration made the expected calibration error smaller",
        errors.iter().map(|(each, errors)| (each.name, in_words(each, errors))),
    );
    Some(Figure {
        file: "calibration-error".to_owned(),
        title: "Calibration error before and after".to_owned(),
        reading: reading + " Dots below the dashed line got better.",
        drawing: sheet.finish(),
    })
}

/// All known labels of a run as one pile.
fn reliability(each: &Both<'_>, several: bool) -> Figure {
    let parts = [
        ("before calibration", each.uncalibrated, Ink::Muted, Dash::Broken),
        ("after", each.calibrated, Ink::Series(each.number), Dash::Solid),
    ];
    let keys = parts.map(|(name, _, ink, dash)| Key::new(name, ink, Sample::Line(dash)));
    let mut sheet = Sheet::new(NARROW, &keys);
    let x = Axis::share("Predicted probability (mean of the bin)");
    let plot = sheet.plot("", 260.0, x, Axis::share("Share that has it (95 % interval)"));
    plot.reference([0.0, 0.0], [1.0, 1.0]);
    for (name, predictions, ink, dash) in parts {
        let cells = predictions.probabilities().iter().zip(predictions.labels());
        let pairs: Vec<(f32, bool)> =
            cells.filter_map(|(&probability, label)| Some((probability, (*label)?))).collect();
        let bins = reliability_bins(&pairs);
        for bin in &bins {
            let [low, high] = wilson(bin.frequency, bin.images as f64);
            plot.line(&[[bin.probability, low], [bin.probability, high]], ink, 1.0, Dash::Solid, Told::Nothing);
        }
        let points: Vec<[f64; 2]> = bins.iter().map(|bin| [bin.probability, bin.frequency]).collect();
        plot.line(&points, ink, 1.4, dash, Told::Nothing);
        for bin in &bins {
            let words = format!(
                "{name}: of {} answers of {} probability, {} are right",
                grouped(bin.images as f64),
                percent(bin.probability),
                percent(bin.frequency)
            );
            plot.dot([bin.probability, bin.frequency], 3.5, false, ink, Told::Words(words));
        }
    }
    let error = |evaluation: &Evaluation| evaluation.micro_average.ece.map_or_else(|| "undefined".to_owned(), short);
    let (file, title) = if several {
        (
            format!("calibration-reliability-{}", file_part(each.name)),
            format!("Reliability of all answers: {}", each.name),
        )
    } else {
        ("calibration-reliability".to_owned(), "Reliability of all answers".to_owned())
    };
    Figure {
        file,
        title,
        reading: format!(
            "Of all attributes together, the expected calibration error was {} before calibration and is {} after. On the \
             dashed line probabilities mean what they say; below it they are too high.",
            error(&each.before),
            error(&each.judged.evaluation)
        ),
        drawing: sheet.finish(),
    }
}
