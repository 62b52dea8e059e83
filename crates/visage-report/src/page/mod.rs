//! The pages.

mod audit;
mod comparison;
mod explanation;
mod few_positives;
mod frame;
mod gallery;
mod groups;
mod metrics_table;
mod rules_table;
mod runs_table;
mod sortable;
mod tuning;

use std::fmt::Write;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use visage_judge::Interval;

use self::frame::Section;
use crate::figure::Figure;
use crate::figures::Figures;
use crate::palette::SERIES;
use crate::report::{FIGURES, Report};
use crate::run::{Judged, Run};
use crate::svg::{escaped, inline};

pub use self::audit::html as audit;
pub use self::explanation::html as explanation;
pub use self::tuning::html as tuning;

pub fn report(report: &Report, figures: &Figures) -> String {
    let names: Vec<&str> = report.runs.iter().map(|run| run.name.as_str()).collect();
    let footer = format!(
        "Point at a figure, or tap it, to read values. Each figure is also an SVG and a PNG file in the folder {FIGURES} beside this \
         page."
    );
    frame::html(&format!("visage report: {}", names.join(", ")), &report.made, sections(report, figures), &footer)
}

fn sections(report: &Report, figures: &Figures) -> Vec<Section> {
    let runs = paragraphs("remark", &report.remarks) + &runs_table::html(&report.runs);
    vec![
        Section::new("runs", "Runs", runs),
        Section::new("comparison", "Comparison", comparison::html(report)),
        Section::new("training", "Training", side_by_side(&figures.training)),
        Section::new("evaluation", "All attributes", side_by_side(&figures.evaluation)),
        Section::new("calibration", "Calibration", side_by_side(&figures.calibration)),
        Section::new("groups", "Groups", groups::html(&report.runs)),
        Section::new("consistency", "Consistency", rules_table::html(&report.runs)),
        Section::new("metrics", "All metrics", metrics_table::html(&report.runs)),
        Section::new("few", "Too few positives to judge", few_positives::html(&report.runs)),
        Section::new("attributes", "Figures per attribute", attributes(report, figures)),
        Section::new("gallery", "Gallery", gallery::html(&report.runs)),
    ]
}

fn side_by_side(figures: &[Figure]) -> String {
    if figures.is_empty() {
        return String::new();
    }
    let mut body = String::from("<div class=\"figures\">\n");
    for figure in figures {
        let _ = writeln!(
            body,
            "<figure style=\"--w:{}px\"><figcaption>{}</figcaption><div class=\"drawing\">{}</div><p>{}</p></figure>",
            figure.drawing.width,
            escaped(&figure.title),
            inline(figure),
            escaped(&figure.reading),
        );
    }
    body + "</div>\n"
}

/// The figures of each attribute, collapsed except for the first.
fn attributes(report: &Report, figures: &Figures) -> String {
    if figures.attributes.is_empty() {
        return String::new();
    }
    let mut body = String::from(
        "<p class=\"tools\"><button type=\"button\" data-open=\"1\">Open all</button> \
         <button type=\"button\" data-open=\"\">Close all</button> <span class=\"m\">Only open attributes are printed.</span></p>\n",
    );
    for (number, (name, figures)) in figures.attributes.iter().enumerate() {
        let open = if number == 0 { " open" } else { "" };
        let name = escaped(name);
        let _ = write!(body, "<details id=\"{}\"{open}><summary><b>{name}</b> <span class=\"m\">F1", anchor(&name));
        for (run, each) in report.runs.iter().enumerate() {
            let attributes = each.judged.iter().flat_map(|judged| &judged.evaluation.attributes);
            for metrics in attributes.filter(|metrics| escaped(&metrics.attribute) == name) {
                let f1 = number_or_dash(metrics.scores.f1);
                let _ = write!(body, " <span class=\"run s{}\">{f1}</span>", run % SERIES);
            }
        }
        let _ = write!(body, "</span></summary>\n{}</details>\n", side_by_side(figures));
    }
    body
}

fn anchor(escaped_name: &str) -> String {
    let letter = |letter: char| if letter.is_whitespace() { '_' } else { letter };
    format!("a-{}", escaped_name.chars().map(letter).collect::<String>())
}

/// A value to three digits; a dash where it is undefined.
fn number_or_dash(value: Option<f64>) -> String {
    value.map_or_else(|| "\u{2013}".to_owned(), |value| format!("{value:.3}"))
}

/// A value followed by its interval in small print.
fn value_and_interval(value: Option<f64>, interval: Option<Interval>) -> String {
    let interval = interval.map_or_else(String::new, |Interval { low, high }| {
        let between = if low < 0.0 { " to " } else { "\u{2013}" };
        format!(" <small>{low:.3}{between}{high:.3}</small>")
    });
    number_or_dash(value) + &interval
}

/// The name of run `number` with its colour.
fn run_name(number: usize, name: &str) -> String {
    format!("<span class=\"run s{}\">{}</span>", number % SERIES, escaped(name))
}

/// The evaluated runs that `shown` selects, with their numbers.
fn judged(runs: &[Run], shown: impl Fn(&Judged) -> bool) -> Vec<(usize, &Run, &Judged)> {
    let judged = runs.iter().enumerate().filter_map(|(number, run)| Some((number, run, run.judged.as_ref()?)));
    judged.filter(|(_, _, judged)| shown(judged)).collect()
}

fn paragraphs(class: &str, texts: &[String]) -> String {
    texts.iter().map(|text| format!("<p class=\"{class}\">{}</p>\n", escaped(text))).collect()
}

/// A list of findings, each HTML; empty if there are none.
fn findings(items: &[String]) -> String {
    let items: String = items.iter().map(|text| format!("<li>{text}</li>\n")).collect();
    if items.is_empty() { items } else { format!("<ul class=\"said\">\n{items}</ul>\n") }
}

/// A picture of a gallery; `description` and `caption` are HTML.
fn picture(html: &mut String, jpeg: &[u8], name: &str, description: &str, caption: &str) {
    let name = escaped(name);
    let _ = write!(
        html,
        "<figure><img loading=\"lazy\" src=\"data:image/jpeg;base64,{}\" alt=\"{name}: {description}\">\
         <figcaption>{caption}<br><span class=\"m\">{name}</span></figcaption></figure>",
        BASE64_STANDARD.encode(jpeg)
    );
}
