//! Facts and means of the runs, side by side.

use std::fmt::Write;

use visage_judge::Metric;

use super::{run_name, value_and_interval};
use crate::run::{Judged, Run, first_occurrences};
use crate::svg::escaped;

/// A row per fact and per metric, a column per run.
pub fn html(runs: &[Run]) -> String {
    let mut table = String::from("<div class=\"scroll\"><table class=\"runs\"><thead><tr><td></td>");
    for (number, run) in runs.iter().enumerate() {
        let _ = write!(table, "<th scope=\"col\">{}</th>", run_name(number, &run.name));
    }
    table.push_str("</tr></thead><tbody>\n");
    for heading in first_occurrences(runs.iter().flat_map(|run| &run.facts).map(|(heading, _)| heading.as_str())) {
        let fact = |run: &Run| run.facts.iter().find(|fact| fact.0 == heading).map(|fact| escaped(&fact.1));
        row(&mut table, &escaped(heading), runs.iter().map(|run| fact(run).unwrap_or_default()));
    }
    if runs.iter().any(|run| run.judged.is_some()) {
        let of = |run: &Run, said: fn(&Judged) -> &str| {
            run.judged.as_ref().map_or_else(|| "\u{2013}".to_owned(), |judged| escaped(said(judged)))
        };
        row(&mut table, "Evaluated on", runs.iter().map(|run| of(run, |judged| &judged.on)));
        row(&mut table, "Thresholds", runs.iter().map(|run| of(run, |judged| &judged.thresholds)));
        means(&mut table, runs);
    }
    table + "</tbody></table></div>\n"
}

fn means(table: &mut String, runs: &[Run]) {
    let _ = writeln!(
        table,
        "</tbody><tbody><tr><th class=\"part\" colspan=\"{}\">Means over the attributes, with 95 % intervals where known</th></tr>",
        runs.len() + 1
    );
    for metric in Metric::ALL {
        let value = |run: &Run| run.judged.as_ref()?.evaluation.macro_average.get(metric);
        let known = runs.iter().filter_map(value);
        let (best, direction) = match metric.higher_is_better() {
            Some(true) => (known.max_by(f64::total_cmp), " <span title=\"higher is better\">\u{2191}</span>"),
            Some(false) => (known.min_by(f64::total_cmp), " <span title=\"lower is better\">\u{2193}</span>"),
            None => (None, ""),
        };
        let cells = runs.iter().map(|run| {
            let intervals = run.judged.as_ref().and_then(|judged| judged.intervals.as_ref());
            let interval = intervals.and_then(|all| all.macro_average.get(&metric).copied());
            let text = value_and_interval(value(run), interval);
            // With a single run there is no best.
            if runs.len() > 1 && best.is_some() && value(run) == best { format!("<b>{text}</b>") } else { text }
        });
        row(table, &format!("{metric}{direction}"), cells);
    }
}

fn row(table: &mut String, heading: &str, cells: impl Iterator<Item = String>) {
    let cells: String = cells.map(|cell| format!("<td>{cell}</td>")).collect();
    let _ = writeln!(table, "<tr><th scope=\"row\">{heading}</th>{cells}</tr>");
}
