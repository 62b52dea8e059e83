//! Pictures of mistakes and uncertain predictions.

use std::fmt::Write;

use crate::gallery::{Picked, Picture};
use crate::number::short;
use crate::run::Run;
use crate::svg::escaped;

const REMARK: &str = "<p class=\"remark\">These pictures are from the evaluation data. Consider the people on them before \
    you share this page.</p>\n";

pub fn html(runs: &[Run]) -> String {
    let kinds =
        [(Picked::ConfidentMistake, "most confident mistakes"), (Picked::Uncertain, "least certain predictions")];
    let mut body = String::new();
    for run in runs.iter().filter(|run| !run.gallery.is_empty()) {
        for (kind, heading) in kinds {
            let _ = write!(body, "<h3>{}: {heading}</h3><div class=\"gallery\">", escaped(&run.name));
            run.gallery.iter().filter(|picture| picture.pick.picked == kind).for_each(|each| one(&mut body, each));
            body.push_str("</div>\n");
        }
    }
    if body.is_empty() { body } else { format!("{REMARK}{body}") }
}

fn one(body: &mut String, picture: &Picture) {
    let pick = &picture.pick;
    let label = match pick.label {
        Some(true) => "labelled present",
        Some(false) => "labelled absent",
        None => "not labelled",
    };
    let attribute = escaped(&pick.attribute);
    let (probability, threshold) = (short(pick.probability.into()), short(pick.threshold.into()));
    let description = format!("{attribute}, probability {probability}, {label}");
    let caption = format!("<b>{attribute}</b><br>{probability} at threshold {threshold}<br>{label}");
    super::picture(body, &picture.jpeg, &picture.name, &description, &caption);
}
