//! Every metric of every attribute and run, to sort and to filter.

use std::fmt::Write;

use visage_judge::Metric;

use super::{anchor, value_and_interval};
use crate::palette::SERIES;
use crate::run::Run;
use crate::svg::escaped;
use crate::write::attributes;

/// What stands above the table.
const TOOLS: &str = "<p class=\"tools\"><label>Filter <input id=\"filter\" type=\"search\" placeholder=\"hair recall&lt;0.5\" \
    autocomplete=\"off\" spellcheck=\"false\"></label> <output id=\"shown\" class=\"m\"></output><br>\
    <span class=\"m\">Words match attributes and runs; <code>recall&lt;0.5</code> and <code>f1&gt;0.8</code> match values. \
    A heading sorts; an attribute leads to its figures. Small numbers are 95 % intervals.</span></p>\n";

/// What a metric is, for whoever points at its heading.
fn meaning(metric: Metric) -> &'static str {
    match metric {
        Metric::Accuracy => "share of right answers; compare it with Always commoner",
        Metric::BalancedAccuracy => "mean of the recalls of both classes",
        Metric::Precision => "share of the finds that are right",
        Metric::Recall => "share of those with the attribute that are found",
        Metric::F1 => "harmonic mean of precision and recall",
        Metric::Mcc => "Matthews correlation coefficient, -1 to 1",
        Metric::AveragePrecision => "precision over all thresholds, weighted by the recall gained",
        Metric::RocAuc => "chance that one with the attribute is ranked above one without",
        Metric::Brier => "mean squared distance of probability and outcome; less is better",
        Metric::LogLoss => "mean negative log likelihood in nats; less is better",
        Metric::Ece => "expected calibration error; less is better",
        Metric::PredictedPositiveRate => "share of images called present; compare it with Prevalence",
        Metric::Prevalence => "share of images that have the attribute",
        Metric::CommonerClassAccuracy => "accuracy of always answering the commoner class",
    }
}

/// The table, with a box to filter it; nothing if no run was judged.
pub fn html(runs: &[Run]) -> String {
    let names = attributes(runs);
    if names.is_empty() {
        return String::new();
    }
    let several = runs.len() > 1;
    let mut table = format!("{TOOLS}<div class=\"scroll tall\"><table id=\"table\"><thead><tr>");
    heading(&mut table, "Attribute", "name of the attribute");
    if several {
        heading(&mut table, "Run", "name of the run");
    }
    heading(&mut table, "Images", "images whose label is known");
    heading(&mut table, "Positives", "images that have the attribute");
    heading(&mut table, "Threshold", "a probability at or above it is called present");
    for metric in Metric::ALL {
        heading(&mut table, metric.heading(), meaning(metric));
    }
    table.push_str("</tr></thead><tbody>\n");
    for name in names {
        for (number, run) in runs.iter().enumerate() {
            row(&mut table, name, number, run, several);
        }
    }
    table + "</tbody></table></div>\n"
}

/// A column's heading; its key in a filter is its name in small letters without blanks.
fn heading(table: &mut String, name: &str, meaning: &str) {
    let key = name.to_lowercase().replace(' ', "");
    let _ = write!(
        table,
        "<th scope=\"col\" data-k=\"{key}\" title=\"{meaning}\"><button type=\"button\">{name}</button></th>"
    );
}

/// The row of an attribute and a run, if the run was judged on it.
fn row(table: &mut String, name: &str, number: usize, run: &Run, several: bool) {
    let Some(judged) = &run.judged else { return };
    let attributes = &judged.evaluation.attributes;
    let Some((at, metrics)) = attributes.iter().enumerate().find(|(_, metrics)| metrics.attribute == name) else {
        return;
    };
    let name = escaped(name);
    let place = anchor(&name);
    let name = if judged.predictions.is_some() { format!("<a href=\"#{place}\">{name}</a>") } else { name };
    let _ = write!(table, "<tr><th scope=\"row\">{name}</th>");
    if several {
        let _ = write!(table, "<td><span class=\"run s{}\">{}</span></td>", number % SERIES, escaped(&run.name));
    }
    let _ =
        write!(table, "<td>{}</td><td>{}</td><td>{:.3}</td>", metrics.support, metrics.positives, metrics.threshold);
    for metric in Metric::ALL {
        let interval = judged.attribute_intervals.get(at).and_then(|intervals| intervals.get(&metric));
        let _ = write!(table, "<td>{}</td>", value_and_interval(metrics.scores.get(metric), interval));
    }
    table.push_str("</tr>\n");
}
