//! The differences between the runs, and findings in words.

use std::fmt::Write;

use visage_judge::{Compared, ComparedRow, Comparison};

use super::{number_or_dash, run_name};
use crate::report::Report;
use crate::svg::escaped;

/// The table of differences and the findings; empty if there are none.
pub fn html(report: &Report) -> String {
    let table = report.comparison.as_ref().map_or_else(String::new, differences);
    table + &super::findings(&report.findings.iter().map(|text| escaped(text)).collect::<Vec<_>>())
}

/// A row per metric of the macro average: the value of the first run, then value and difference of each later run.
fn differences(comparison: &Comparison) -> String {
    let runs: Vec<String> =
        comparison.evaluations.iter().enumerate().map(|(number, name)| run_name(number, name)).collect();
    let row = &comparison.macro_average;
    let intervals = if row.accuracy.intervals.is_empty() {
        ""
    } else {
        ", with paired 95\u{a0}% bootstrap intervals; bold where the interval excludes 0"
    };
    let mut table = format!(
        "<p class=\"lead\">Means over the attributes, on the images that all runs share. Differences are relative to {}{intervals}.</p>\n\
         <div class=\"scroll\"><table class=\"plain\" id=\"differences\"><thead><tr><th scope=\"col\" class=\"w\">Macro average</th>",
        runs[0]
    );
    for (number, run) in runs.iter().enumerate() {
        let difference = if number > 0 { "<th scope=\"col\">Difference</th>" } else { "" };
        let _ = write!(table, "<th scope=\"col\">{run}</th>{difference}");
    }
    table.push_str("</tr></thead><tbody>\n");
    for metric in ComparedRow::METRICS {
        let Some(compared) = row.get(metric) else { continue };
        let _ = write!(table, "<tr><th scope=\"row\">{metric}</th>");
        for (number, value) in compared.values.iter().enumerate() {
            let _ = write!(table, "<td>{}</td>", number_or_dash(*value));
            if let Some(later) = number.checked_sub(1) {
                let _ = write!(table, "<td>{}</td>", difference(compared, later));
            }
        }
        table.push_str("</tr>\n");
    }
    table + "</tbody></table></div>\n"
}

/// The difference of later run number `later`, counted from 0, with its interval in small print.
fn difference(compared: &Compared, later: usize) -> String {
    let Some(difference) = compared.differences.get(later).copied().flatten() else { return number_or_dash(None) };
    let difference = format!("{difference:+.4}");
    match compared.intervals.get(later).copied().flatten() {
        Some(interval) => {
            let text = format!("{difference} <small>{:+.4} to {:+.4}</small>", interval.low, interval.high);
            if interval.contains(0.0) { text } else { format!("<b>{text}</b>") }
        }
        None => difference,
    }
}
