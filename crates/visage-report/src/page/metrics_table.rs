//! Every metric of every attribute and run, in a table to sort and filter.

use visage_judge::Metric;

use super::sortable::{Column, Sortable};
use super::{anchor, run_name, value_and_interval};
use crate::run::{Run, attributes};
use crate::svg::escaped;

const HELP: &str = "Words match attributes and runs; <code>recall&lt;0.5</code> and <code>f1&gt;0.8</code> match values. Click \
    a heading to sort, or an attribute to see its figures. Small numbers are 95 % intervals.";

fn meaning(metric: Metric) -> &'static str {
    match metric {
        Metric::Accuracy => "share of correct decisions; compare it with Always commoner",
        Metric::BalancedAccuracy => "mean of the recalls of both classes",
        Metric::Precision => "share of positive predictions that are right",
        Metric::Recall => "share of positives that are predicted positive",
        Metric::F1 => "harmonic mean of precision and recall",
        Metric::Mcc => "Matthews correlation coefficient, -1 to 1",
        Metric::AveragePrecision => "precision over all thresholds, weighted by the recall gained",
        Metric::RocAuc => "probability that a positive is ranked above a negative",
        Metric::Brier => "mean squared distance of probability and outcome; lower is better",
        Metric::LogLoss => "mean negative log likelihood in nats; lower is better",
        Metric::Ece => "expected calibration error; lower is better",
        Metric::PredictedPositiveRate => "share of images predicted positive; compare it with Prevalence",
        Metric::Prevalence => "share of images that have the attribute",
        Metric::CommonerClassAccuracy => "accuracy of always predicting the commoner class",
    }
}

pub fn html(runs: &[Run]) -> String {
    let names = attributes(runs);
    if names.is_empty() {
        return String::new();
    }
    let several = runs.len() > 1;
    let mut columns = vec![Column::words("Attribute", "name of the attribute")];
    columns.extend(several.then(|| Column::words("Run", "name of the run")));
    columns.extend([
        Column::numbers("Images", "images whose label is known"),
        Column::numbers("Positives", "images that have the attribute"),
        Column::numbers("Threshold", "a probability at or above it is predicted positive"),
    ]);
    columns.extend(Metric::ALL.map(|metric| Column::numbers(metric.heading(), meaning(metric))));
    let mut table = Sortable::new("table", &columns, "hair recall<0.5", HELP);
    for name in names {
        for (number, run) in runs.iter().enumerate() {
            if let Some(cells) = row(name, number, run, several) {
                table.row(cells);
            }
        }
    }
    table.finish()
}

/// The row of an attribute and a run, if the run was evaluated on it.
fn row(name: &str, number: usize, run: &Run, several: bool) -> Option<Vec<String>> {
    let judged = run.judged.as_ref()?;
    let attributes = &judged.evaluation.attributes;
    let (at, metrics) = attributes.iter().enumerate().find(|(_, metrics)| metrics.attribute == name)?;
    let name = escaped(name);
    let place = anchor(&name);
    let mut cells = vec![if judged.predictions.is_some() { format!("<a href=\"#{place}\">{name}</a>") } else { name }];
    cells.extend(several.then(|| run_name(number, &run.name)));
    cells.extend([metrics.support.to_string(), metrics.positives.to_string(), format!("{:.3}", metrics.threshold)]);
    cells.extend(Metric::ALL.map(|metric| {
        let interval = judged.intervals.as_ref().and_then(|all| all.attributes.get(at)?.get(&metric).copied());
        value_and_interval(metrics.scores.get(metric), interval)
    }));
    Some(cells)
}
