//! How often labels and predictions violate rules between attributes.

use std::fmt::Write;

use super::{findings, judged, number_or_dash, run_name};
use crate::number::{grouped, percent};
use crate::run::{Judged, Run, first_occurrences};
use crate::svg::escaped;

/// Each rule, with the images that violate it; empty if no run was evaluated by rules.
pub fn html(runs: &[Run]) -> String {
    let with = judged(runs, |judged| judged.consistency.is_some());
    if with.is_empty() {
        return String::new();
    }
    let rules = with.iter().flat_map(|(_, _, judged)| &judged.consistency).flat_map(|found| &found.rules);
    let names = first_occurrences(rules.map(|rule| rule.rule.as_str()));
    let mut table = String::from(
        "<p class=\"lead\">Images whose labels, and images whose predictions, violate a rule between attributes. \
         <code>visage predict --consistent</code> predicts without violations.</p>\n\
         <div class=\"scroll\"><table class=\"plain\"><thead><tr><th scope=\"col\" class=\"w\">Rule</th>\
         <th scope=\"col\">Labels</th>",
    );
    for (number, run, _) in &with {
        let answers = if runs.len() > 1 { run_name(*number, &run.name) } else { "Predictions".to_owned() };
        let _ = write!(table, "<th scope=\"col\">{answers}</th>");
    }
    table.push_str("</tr></thead><tbody>\n");
    let mut row = |heading: &str, found: &dyn Fn(&Judged) -> Option<[u64; 2]>| {
        let cell = |judged: &Judged, count: Option<u64>| match count {
            Some(count) => {
                let share = percent(count as f64 / judged.evaluation.images.max(1) as f64);
                format!("<td>{} <small>{share}</small></td>", grouped(count as f64))
            }
            None => "<td>\u{2013}</td>".to_owned(),
        };
        let _ = write!(table, "<tr><th scope=\"row\">{heading}</th>");
        // The labels are the same for all runs, unless a remark says that the data differ.
        let labels = with.iter().find_map(|(_, _, judged)| Some((judged, found(judged)?[0])));
        table.push_str(&labels.map_or_else(String::new, |(judged, labels)| cell(judged, Some(labels))));
        with.iter().for_each(|(_, _, judged)| table.push_str(&cell(judged, found(judged).map(|[_, answers]| answers))));
        table.push_str("</tr>\n");
    };
    for name in names {
        row(&escaped(name), &|judged| {
            let rule = judged.consistency.as_ref()?.rules.iter().find(|rule| rule.rule == name)?;
            Some([rule.labels, rule.predictions])
        });
    }
    row("<b>any rule</b>", &|judged| judged.consistency.as_ref().map(|found| [found.labels, found.predictions]));
    table.push_str("</tbody></table></div>\n");
    table + &consistent_predictions(&with, runs.len() > 1)
}

/// The metrics of consistent predictions, compared with the plain ones.
fn consistent_predictions(runs: &[(usize, &Run, &Judged)], several: bool) -> String {
    let mut items = Vec::new();
    for (number, run, judged) in runs {
        let Some(consistent) = &judged.consistent else { continue };
        let name = if several { format!("{}: ", run_name(*number, &run.name)) } else { String::new() };
        let plain = &judged.evaluation.macro_average;
        let pair = |plain: Option<f64>, consistent: Option<f64>| {
            format!("{} instead of {}", number_or_dash(consistent), number_or_dash(plain))
        };
        items.push(format!(
            "{name}consistent predictions change {} decisions on {} images; the macro average accuracy is {}, precision {}, recall {}, \
             F1 {}",
            grouped(consistent.answers_changed as f64),
            grouped(consistent.images_changed as f64),
            pair(plain.accuracy, consistent.macro_average.accuracy),
            pair(plain.precision, consistent.macro_average.precision),
            pair(plain.recall, consistent.macro_average.recall),
            pair(plain.f1, consistent.macro_average.f1),
        ));
    }
    findings(&items)
}
