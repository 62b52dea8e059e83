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
mod reliability;
mod roc;
mod schedule;
mod threshold_sweep;

use crate::curve::Answers;
use crate::drawing::{Dash, Ink};
use crate::figure::{Figure, file_part};
use crate::run::Run;
use crate::sheet::{Key, Sample};

/// How the runs trained. Figures for which no run has data are left out.
pub fn training(runs: &[Run]) -> Vec<Figure> {
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

/// What the runs are worth over all attributes.
pub fn judgement(runs: &[Run]) -> Vec<Figure> {
    prevalence::figure(runs).into_iter().chain(errors_together::figures(runs)).collect()
}

/// What calibration did to probabilities; none if no run was calibrated.
pub fn calibration(runs: &[Run]) -> Vec<Figure> {
    calibration::figures(runs)
}

/// What the runs are worth on one attribute; none if no run kept its predictions.
pub fn attribute(name: &str, runs: &[Run]) -> Vec<Figure> {
    let answers = Answers::of(name, runs);
    if answers.is_empty() {
        return Vec::new();
    }
    let part = file_part(name);
    let mut figures = vec![
        precision_recall::figure(name, &answers),
        roc::figure(name, &answers),
        threshold_sweep::figure(name, &answers),
        reliability::figure(name, &answers),
        histogram::figure(name, &answers),
    ];
    for figure in &mut figures {
        figure.file = format!("attributes/{part}-{}", figure.file);
    }
    figures
}

/// A legend that names the runs, each by its colour and dash; none for a single run.
fn run_keys<'a>(runs: impl Iterator<Item = (usize, &'a str)>) -> Vec<Key> {
    let keys: Vec<Key> =
        runs.map(|(run, name)| Key::new(name, Ink::Series(run), Sample::Line(Dash::of_run(run)))).collect();
    if keys.len() > 1 { keys } else { Vec::new() }
}

/// The runs with something in them, numbered.
fn numbered<T>(runs: &[Run], of: fn(&Run) -> &[T]) -> Vec<(usize, &Run)> {
    runs.iter().enumerate().filter(|(_, run)| !of(run).is_empty()).collect()
}

/// A sentence for each run, or one sentence that has them all: `what` begins it.
fn told<'a>(what: &str, each: impl Iterator<Item = (&'a str, String)>) -> String {
    let parts: Vec<(&str, String)> = each.collect();
    match parts.as_slice() {
        [(_, only)] => format!("{what} {only}."),
        several => {
            let several: Vec<String> = several.iter().map(|(name, text)| format!("{text} ({name})")).collect();
            format!("{what} {}.", several.join("; "))
        }
    }
}
