//! The page of a search: its trials, what mattered, accuracy against F1.

use std::fmt::Write;

use super::frame::{self, Section};
use super::sortable::{Column, Sortable};
use super::{number_or_dash, paragraphs, side_by_side};
use crate::figures;
use crate::number::percent;
use crate::svg::escaped;
use crate::tuning::{TunedTrial, Tuning};

const REMARK: &str = "The share of the metric's variance between the trials that a parameter explains by itself: a range is cut into three \
    parts with as many trials each. It is a first-order effect: what only two parameters do together is not in it. With few trials \
    a parameter without any effect seems to explain something too, as much as the column by chance says on average.";

const FOOTER: &str = "All scores are on the validation split, after the best epoch of a trial: the best of many trials is better there than \
    on other images. Evaluate it on the test split. Point at a dot, or tap it, to read values.";

pub fn html(tuning: &Tuning) -> String {
    let sections = vec![
        Section::new("search", "The search", paragraphs("lead", &tuning.about)),
        Section::new("figure", "Accuracy and F1", side_by_side(figures::trials(tuning).as_slice())),
        Section::new("importance", "What mattered", importance(tuning)),
        Section::new("trials", "Trials", trials(tuning)),
    ];
    frame::html(&format!("visage tune: {}", tuning.recipe), &tuning.made, sections, FOOTER)
}

fn importance(tuning: &Tuning) -> String {
    if tuning.importance.is_empty() {
        return String::new();
    }
    let mut ordered = tuning.importance.clone();
    ordered.sort_by(|(_, a, _), (_, b, _)| b.total_cmp(a));
    let about =
        format!("From the {} trials of the first rung, by {}. {REMARK}", tuning.important_trials, tuning.metric);
    let mut html = paragraphs("remark", &[about]);
    html.push_str(
        "<div class=\"scroll\"><table class=\"runs\"><thead><tr><th scope=\"col\">Parameter</th><th scope=\"col\">Explains</th>\
         <th scope=\"col\">By chance</th></tr></thead><tbody>\n",
    );
    for (key, share, by_chance) in ordered {
        let (key, share, by_chance) = (escaped(&key), percent(share), percent(by_chance));
        let _ = writeln!(html, "<tr><th scope=\"row\">{key}</th><td>{share}</td><td>{by_chance}</td></tr>");
    }
    html + "</tbody></table></div>\n"
}

fn trials(tuning: &Tuning) -> String {
    let metric = format!("by which trials are judged: {}", tuning.metric);
    let mut columns = vec![
        Column::words("Trial", "its number; the best is marked"),
        Column::numbers("Epochs", "trained"),
        Column::numbers("Metric", &metric),
        Column::numbers("Accuracy", "macro average"),
        Column::numbers("F1", "macro average"),
    ];
    columns.extend(tuning.parameters.iter().map(|key| Column::words(key, "a parameter")));
    let help = "Click a heading to sort.";
    let mut table = Sortable::new("all-trials", &columns, "epochs>1", help);
    for trial in &tuning.trials {
        let TunedTrial { number, values, epochs, diverged, best, value, accuracy, f1 } = trial;
        let number = if *best { format!("<b>{number} best</b>") } else { number.to_string() };
        let value = if *diverged { "diverged".to_owned() } else { number_or_dash(*value) };
        let scores = [number_or_dash(*accuracy), number_or_dash(*f1)];
        let cells = [number, epochs.to_string(), value].into_iter().chain(scores);
        table.row(cells.chain(values.iter().map(|value| escaped(value))));
    }
    table.finish()
}
