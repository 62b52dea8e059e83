//! The page.

mod base64;
mod gallery;
mod metrics_table;
mod runs_table;

use std::fmt::Write;

use crate::figure::Figure;
use crate::font;
use crate::palette::{DARK, LIGHT, SERIES};
use crate::svg::{escaped, inline};
use crate::write::{FIGURES, Figures, Report};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// The whole of it, as one file that asks for no other.
pub fn html(report: &Report, figures: &Figures) -> String {
    let names: Vec<&str> = report.runs.iter().map(|run| run.name.as_str()).collect();
    let title = escaped(&format!("visage report: {}", names.join(", ")));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
         script-src 'unsafe-inline'; img-src data:; font-src data:\">\
         <title>{title}</title>\n<style>{}:root{{{}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{}}}}}\n\
         {STYLE}</style></head>\n<body>\n",
        font_faces(),
        LIGHT.properties(),
        DARK.properties(),
    );
    let sections = sections(report, figures);
    let _ = write!(page, "<header><h1>{title}</h1><p class=\"m\">{}</p><nav>", escaped(&report.made));
    for Section { id, heading, .. } in &sections {
        let _ = write!(page, "<a href=\"#{id}\">{heading}</a> ");
    }
    page.push_str("</nav></header>\n<main>\n");
    for Section { id, heading, body } in &sections {
        let _ = write!(page, "<section id=\"{id}\"><h2>{heading}</h2>\n{body}</section>\n");
    }
    let _ = write!(
        page,
        "</main>\n<footer class=\"m\">Point at a figure, or touch it, to read its values. Each figure is also a file beside \
         this page, as SVG and as PNG, in the folder {FIGURES}.</footer>\n\
         <div id=\"tip\" role=\"status\" hidden></div>\n<script>{SCRIPT}</script>\n</body></html>\n"
    );
    page
}

/// The fonts of the figures, so that words take the room they were given on any machine.
fn font_faces() -> String {
    let face = |weight: u32, file: &[u8]| {
        format!(
            "@font-face{{font-family:Figures;font-weight:{weight};src:url(data:font/ttf;base64,{}) format('truetype')}}\n",
            base64::base64(file)
        )
    };
    face(400, font::REGULAR_FILE) + &face(500, font::MEDIUM_FILE)
}

struct Section {
    id: &'static str,
    heading: &'static str,
    body: String,
}

/// The sections that have something in them.
fn sections(report: &Report, figures: &Figures) -> Vec<Section> {
    let remark = |text: &String| format!("<p class=\"remark\">{}</p>\n", escaped(text));
    let remarks: String = report.remarks.iter().map(remark).collect();
    let said: String = report.comparison.iter().map(|text| format!("<li>{}</li>\n", escaped(text))).collect();
    let comparison = if said.is_empty() { said } else { format!("<ul class=\"said\">\n{said}</ul>\n") };
    let all = [
        ("runs", "Runs", remarks + &runs_table::html(&report.runs)),
        ("comparison", "Comparison", comparison),
        ("training", "Training", together(&figures.training)),
        ("judgement", "All attributes", together(&figures.judgement)),
        ("metrics", "Every metric", metrics_table::html(&report.runs)),
        ("attributes", "Attribute by attribute", attributes(report, figures)),
        ("gallery", "Gallery", gallery::html(&report.runs)),
    ];
    let sections = all.into_iter().map(|(id, heading, body)| Section { id, heading, body });
    sections.filter(|section| !section.body.is_empty()).collect()
}

/// Figures side by side where there is room.
fn together(figures: &[Figure]) -> String {
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

/// The figures of each attribute, folded away but for the first.
fn attributes(report: &Report, figures: &Figures) -> String {
    if figures.attributes.is_empty() {
        return String::new();
    }
    let mut body = String::from(
        "<p class=\"tools\"><button type=\"button\" data-open=\"1\">Open all</button> \
         <button type=\"button\" data-open=\"\">Close all</button> <span class=\"m\">What is open is printed.</span></p>\n",
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
        let _ = write!(body, "</span></summary>\n{}</details>\n", together(figures));
    }
    body
}

/// The place in the page of an attribute's figures.
fn anchor(escaped_name: &str) -> String {
    let letter = |letter: char| if letter.is_whitespace() { '_' } else { letter };
    format!("a-{}", escaped_name.chars().map(letter).collect::<String>())
}

/// A value to three digits; a dash where it is undefined.
fn number_or_dash(value: Option<f64>) -> String {
    value.map_or_else(|| "\u{2013}".to_owned(), |value| format!("{value:.3}"))
}

/// The same, its interval small behind it.
fn value_and_interval(value: Option<f64>, interval: Option<&[f64; 2]>) -> String {
    let interval = interval.map_or_else(String::new, |[low, high]| {
        let between = if *low < 0.0 { " to " } else { "\u{2013}" };
        format!(" <small>{low:.3}{between}{high:.3}</small>")
    });
    number_or_dash(value) + &interval
}
