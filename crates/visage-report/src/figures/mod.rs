//! The figures: of training, of all attributes, of one attribute.

mod batch_loss;
mod calibration;
mod errors_together;
mod gradient;
mod histogram;
mod loss;
mod pace;
mod precision_recall;
mod prevalence;
mod range_test;
mod reliability;
mod roc;
mod schedule;
mod threshold_rules;
mod threshold_sweep;
mod trials;

use rayon::prelude::*;

pub use self::range_test::figure as range_test;
pub use self::trials::figure as trials;

use crate::attribute_predictions::AttributePredictions;
use crate::drawing::{Dash, Ink};
use crate::figure::Figure;
use crate::run::{Run, attributes};
use crate::sheet::{LegendEntry, NARROW, Sheet, Swatch};
use visage_run::file_name::file_part;

pub struct Figures {
    pub training: Vec<Figure>,
    pub evaluation: Vec<Figure>,
    pub calibration: Vec<Figure>,
    /// The figures of each attribute, with its name.
    pub attributes: Vec<(String, Vec<Figure>)>,
}

impl Figures {
    pub fn of(runs: &[Run]) -> Self {
        Self {
            training: training(runs),
            evaluation: [prevalence::figure(runs), threshold_rules::figure(runs)]
                .into_iter()
                .flatten()
                .chain(errors_together::figures(runs))
                .collect(),
            calibration: calibration::figures(runs),
            attributes: attributes(runs)
                .into_par_iter()
                .map(|name| (name.to_owned(), attribute(name, runs)))
                .filter(|(_, figures)| !figures.is_empty())
                .collect(),
        }
    }

    pub fn all(&self) -> Vec<&Figure> {
        let attributes = self.attributes.iter().flat_map(|(_, figures)| figures);
        self.training.iter().chain(&self.evaluation).chain(&self.calibration).chain(attributes).collect()
    }
}

/// Figures of training. Figures for which no run has data are left out.
fn training(runs: &[Run]) -> Vec<Figure> {
    let one = [
        loss::figure(runs),
        schedule::figure(runs),
        gradient::figure(runs),
        pace::seconds(runs),
        pace::images_per_second(runs),
        batch_loss::overall(runs),
    ];
    one.into_iter().flatten().chain(batch_loss::by_epoch(runs)).collect()
}

/// Figures of one attribute; none if no run kept its predictions.
fn attribute(name: &str, runs: &[Run]) -> Vec<Figure> {
    let predictions = AttributePredictions::of(name, runs);
    if predictions.is_empty() {
        return Vec::new();
    }
    let part = file_part(name);
    let mut figures = vec![
        precision_recall::figure(name, &predictions),
        roc::figure(name, &predictions),
        threshold_sweep::figure(name, &predictions),
        reliability::figure(name, &predictions),
        histogram::figure(name, &predictions),
    ];
    for figure in &mut figures {
        figure.file = format!("attributes/{part}-{}", figure.file);
    }
    figures
}

/// A legend of the runs with their colours and dashes; none for a single run.
fn run_keys<'a>(runs: impl Iterator<Item = (usize, &'a str)>) -> Vec<LegendEntry> {
    let keys: Vec<LegendEntry> =
        runs.map(|(run, name)| LegendEntry::new(name, Ink::Series(run), Swatch::Line(Dash::of_run(run)))).collect();
    if keys.len() > 1 { keys } else { Vec::new() }
}

/// A narrow sheet with a legend of the runs.
fn sheet_of_runs(runs: &[(usize, &Run)]) -> Sheet {
    Sheet::new(NARROW, &run_keys(runs.iter().map(|(number, run)| (*number, run.name.as_str()))))
}

/// The same of the predictions of an attribute.
fn sheet_of_predictions(predictions: &[AttributePredictions<'_>]) -> Sheet {
    Sheet::new(NARROW, &run_keys(predictions.iter().map(|each| (each.run, each.name))))
}

/// The runs that have data, with their indices.
fn numbered<T>(runs: &[Run], of: fn(&Run) -> &[T]) -> Vec<(usize, &Run)> {
    runs.iter().enumerate().filter(|(_, run)| !of(run).is_empty()).collect()
}

/// As [`per_run`], in these words about each run.
fn reading_of_runs(what: &str, runs: &[(usize, &Run)], words: impl Fn(&Run) -> String) -> String {
    per_run(what, runs.iter().map(|(_, run)| (run.name.as_str(), words(run))))
}

/// As [`per_run`], in these words about the predictions of each run.
fn reading_of_predictions(
    what: &str,
    predictions: &[AttributePredictions<'_>],
    words: impl Fn(&AttributePredictions<'_>) -> String,
) -> String {
    per_run(what, predictions.iter().map(|each| (each.name, words(each))))
}

/// A sentence that begins with `what` and has a part for each run, named if there are several.
fn per_run<'a>(what: &str, each: impl Iterator<Item = (&'a str, String)>) -> String {
    let parts: Vec<(&str, String)> = each.collect();
    match parts.as_slice() {
        [(_, only)] => format!("{what} {only}."),
        several => {
            let several: Vec<String> = several.iter().map(|(name, text)| format!("{text} ({name})")).collect();
            format!("{what} {}.", several.join("; "))
        }
    }
}
