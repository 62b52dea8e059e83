//! The page of an audit: labels that are likely wrong, duplicate images, attributes whose labels look random.

use std::fmt::Write;

use visage_judge::AttributeAudit;

use super::base64::base64;
use super::frame::{self, Section};
use super::sortable::{Column, Sortable};
use super::value_and_interval;
use crate::audit::{AuditReport, DoubtfulLabel, DuplicatePair};
use crate::number::{grouped, percent, short};
use crate::svg::escaped;

/// The remark above pictures.
const REMARK: &str = "<p class=\"remark\">These pictures are from the audited data. Consider the people on them before you \
    share this page.</p>\n";

const ATTRIBUTES: [Column<'_>; 8] = [
    Column::words("Attribute", "name of the attribute"),
    Column::words("Finding", "result for all labels of the attribute"),
    Column::numbers("Labels", "number of known labels"),
    Column::numbers("Present", "number of positive labels"),
    Column::numbers("Suspected", "number of labels suspected to be wrong"),
    Column::numbers("Share", "share of suspected labels, in percent"),
    Column::numbers("ROC AUC", "separation of positives and negatives by the model: 0.5 is chance"),
    Column::numbers("Majority", "share of the commoner class"),
];

const LABELS: [Column<'_>; 7] = [
    Column::words("Image", "name of the image"),
    Column::numbers("Rank", "1 is the most doubtful"),
    Column::words("Attribute", "name of the attribute"),
    Column::words("Label", "the label"),
    Column::numbers("Probability", "predicted probability of presence, by a model that was not trained on the image"),
    Column::numbers("Confidence", "predicted probability of the label"),
    Column::words(
        "Finding",
        "suspected: the opposite class is at least as probable as on average among images labelled so",
    ),
];

const DUPLICATES: [Column<'_>; 5] = [
    Column::words("Image", "name of the image"),
    Column::words("Same as", "name of the duplicate"),
    Column::numbers("Difference", "mean difference of grey values, 0 to 255"),
    Column::numbers("Contradictions", "number of attributes whose labels differ"),
    Column::words("Attributes", "attributes whose labels differ"),
];

/// The page.
pub fn html(audit: &AuditReport) -> String {
    let about: String = audit.about.iter().map(|text| format!("<p class=\"lead\">{}</p>\n", escaped(text))).collect();
    let sections = vec![
        Section::new("audit", "Scope", frame::remarks(&audit.remarks) + &about),
        Section::new("attributes", "Attributes", attributes(&audit.attributes)),
        Section::new("labels", "Labels that are likely wrong", labels(audit)),
        Section::new("duplicates", "Duplicate images", duplicates(audit)),
        Section::new("gallery", "Gallery", gallery(audit)),
    ];
    let [labels, duplicates] = &audit.tables;
    let footer = format!(
        "A doubtful label is not necessarily wrong: look at the image before you change it. {} and {} beside this page hold the same as tables.",
        escaped(labels),
        escaped(duplicates)
    );
    frame::html(&format!("visage audit: {}", audit.dataset), &audit.made, sections, &footer)
}

fn attributes(attributes: &[AttributeAudit]) -> String {
    let help = "Where the model is no better than chance, the labels are random, the attribute is not visible, or the model has not learnt \
                it. Small numbers are 95 % intervals.";
    let mut table = Sortable::new("found", &ATTRIBUTES, "chance share>2", help);
    for each in attributes {
        let share = |count: u64| count as f64 / each.labels.max(1) as f64;
        let finding = match each {
            AttributeAudit { too_few: true, .. } => "too few labels",
            AttributeAudit { looks_random: true, .. } => "no better than chance",
            AttributeAudit { suspects: 0, .. } => "no suspects",
            _ => "suspects",
        };
        table.row([
            escaped(&each.attribute),
            finding.to_owned(),
            each.labels.to_string(),
            each.positives.to_string(),
            each.suspects.to_string(),
            format!("{:.2}\u{a0}%", 100.0 * share(each.suspects)),
            value_and_interval(each.roc_auc, each.interval.map(|interval| [interval.low, interval.high]).as_ref()),
            format!("{:.3}", share(each.positives.max(each.labels - each.positives))),
        ]);
    }
    table.finish()
}

fn labels(audit: &AuditReport) -> String {
    if audit.doubts.is_empty() {
        return String::new();
    }
    let help = format!(
        "The {} most doubtful of {} labels. Words match images, attributes and findings; <code>probability&gt;0.9</code> matches values. Click a \
         heading to sort.",
        grouped(audit.doubts.len() as f64),
        grouped(audit.labels as f64)
    );
    let mut table = Sortable::new("doubts", &LABELS, "hair suspected confidence<0.1", &help);
    for (rank, doubt) in audit.doubts.iter().enumerate() {
        let confidence = if doubt.present { doubt.probability } else { 1.0 - doubt.probability };
        table.row([
            escaped(&doubt.image),
            (rank + 1).to_string(),
            escaped(&doubt.attribute),
            in_words(doubt.present).to_owned(),
            format!("{:.3}", doubt.probability),
            format!("{confidence:.3}"),
            if doubt.suspect { "suspected" } else { "doubtful" }.to_owned(),
        ]);
    }
    table.finish()
}

fn in_words(present: bool) -> &'static str {
    if present { "present" } else { "absent" }
}

fn duplicates(audit: &AuditReport) -> String {
    if audit.duplicates.is_empty() {
        return "<p class=\"lead\">No duplicate images were found.</p>\n".to_owned();
    }
    let shown = if audit.duplicates.len() < audit.pairs {
        format!(
            "{} of {} pairs, pairs with contradictory labels first.",
            grouped(audit.duplicates.len() as f64),
            grouped(audit.pairs as f64)
        )
    } else {
        "Pairs with contradictory labels first.".to_owned()
    };
    let mut table = Sortable::new("pairs", &DUPLICATES, "contradictions>0", &shown);
    for DuplicatePair { images: [image, same_as], difference, contradicting, .. } in &audit.duplicates {
        table.row([
            escaped(image),
            escaped(same_as),
            short(*difference),
            contradicting.len().to_string(),
            escaped(&contradicting.join(", ")),
        ]);
    }
    table.finish()
}

/// The pictures; empty if there are none.
fn gallery(audit: &AuditReport) -> String {
    let mut doubts = String::new();
    for doubt in &audit.doubts {
        let DoubtfulLabel { image, attribute, present, probability, jpeg: Some(jpeg), .. } = doubt else { continue };
        let caption = format!("labelled {}<br>probability {}", in_words(*present), percent(f64::from(*probability)));
        picture(&mut doubts, jpeg, image, attribute, &caption);
    }
    let mut pairs = String::new();
    for DuplicatePair { images, contradicting, jpegs, .. } in &audit.duplicates {
        for (image, jpeg) in images.iter().zip(jpegs.iter().flatten()) {
            let caption = if contradicting.is_empty() { "same labels" } else { "different labels" };
            picture(&mut pairs, jpeg, image, &contradicting.join(", "), caption);
        }
    }
    let part = |heading: &str, pictures: &str| match pictures {
        "" => String::new(),
        pictures => format!("<h3>{heading}</h3><div class=\"gallery\">{pictures}</div>\n"),
    };
    let body = part("The most doubtful labels", &doubts) + &part("Duplicate images, pair by pair", &pairs);
    if body.is_empty() { body } else { format!("{REMARK}{body}") }
}

/// One picture; `caption` is HTML.
fn picture(html: &mut String, jpeg: &[u8], image: &str, heading: &str, caption: &str) {
    let (image, heading) = (escaped(image), escaped(heading));
    let _ = write!(
        html,
        "<figure><img loading=\"lazy\" src=\"data:image/jpeg;base64,{}\" alt=\"{image}: {heading}\">\
         <figcaption><b>{heading}</b><br>{caption}<br><span class=\"m\">{image}</span></figcaption></figure>",
        base64(jpeg)
    );
}
