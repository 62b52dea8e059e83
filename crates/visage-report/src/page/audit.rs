//! The page of an audit: labels that are likely wrong, images that are there twice, attributes whose labels look random.

use std::fmt::Write;

use visage_judge::AttributeAudit;

use super::base64::base64;
use super::frame::{self, Section};
use super::sortable::{Column, Sortable};
use super::value_and_interval;
use crate::audit::{AuditReport, Doubted, Twice};
use crate::number::{grouped, percent, short};
use crate::svg::escaped;

/// What stands above pictures.
const REMARK: &str = "<p class=\"remark\">These pictures are from the data that was audited. Think of who is on them before \
    you pass this page on.</p>\n";

const ATTRIBUTES: [Column<'_>; 8] = [
    Column::words("Attribute", "name of the attribute"),
    Column::words("Finding", "what its labels look like as a whole"),
    Column::numbers("Labels", "known labels"),
    Column::numbers("Present", "labels that say present"),
    Column::numbers("Suspected", "labels that are suspected to be wrong"),
    Column::numbers("Share", "of the labels that are suspected, in percent"),
    Column::numbers("ROC AUC", "how well the model tells the labels apart: 0.5 is chance"),
    Column::numbers("Commoner", "share of the commoner label"),
];

const LABELS: [Column<'_>; 7] = [
    Column::words("Image", "name of the image"),
    Column::numbers("Rank", "the most doubtful first"),
    Column::words("Attribute", "name of the attribute"),
    Column::words("Label", "what the label says"),
    Column::numbers("Probability", "of presence, by a model that was not trained on the image"),
    Column::numbers("Confidence", "the probability of what the label says"),
    Column::words("Finding", "whether the model is as sure of the opposite as it usually is where that is the label"),
];

const TWICE: [Column<'_>; 5] = [
    Column::words("Image", "name of the image"),
    Column::words("Same as", "name of the other"),
    Column::numbers("Difference", "mean difference of the grey values of both, of 255"),
    Column::numbers("Contradictions", "attributes whose labels differ"),
    Column::words("Attributes", "those whose labels differ"),
];

/// The page.
pub fn html(audit: &AuditReport) -> String {
    let about: String = audit.about.iter().map(|text| format!("<p class=\"lead\">{}</p>\n", escaped(text))).collect();
    let sections = vec![
        Section::new("audit", "What was looked at", frame::remarks(&audit.remarks) + &about),
        Section::new("attributes", "Attribute by attribute", attributes(&audit.attributes)),
        Section::new("labels", "Labels that are likely wrong", labels(audit)),
        Section::new("twice", "Images that are there twice", duplicates(audit)),
        Section::new("gallery", "Gallery", gallery(audit)),
    ];
    let [labels, duplicates] = &audit.tables;
    let footer = format!(
        "A doubt is no proof: look at the image before you change its label. {} and {} beside this page hold the same as tables.",
        escaped(labels),
        escaped(duplicates)
    );
    frame::html(&format!("visage audit: {}", audit.dataset), &audit.made, sections, &footer)
}

fn attributes(attributes: &[AttributeAudit]) -> String {
    let help = "An attribute whose labels a model cannot tell apart better than chance has random labels, or is not to be seen in the \
                pictures, or the model has not learnt it. Small numbers are 95 % intervals.";
    let mut table = Sortable::new("found", &ATTRIBUTES, "chance share>2", help);
    for each in attributes {
        let share = |count: u64| count as f64 / each.labels.max(1) as f64;
        let finding = match each {
            AttributeAudit { too_few: true, .. } => "too rare to tell",
            AttributeAudit { looks_random: true, .. } => "no better than chance",
            AttributeAudit { suspects: 0, .. } => "nothing suspected",
            _ => "told apart",
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
        "The {} most doubtful of {} labels. Words match images, attributes and findings; <code>probability&gt;0.9</code> matches values. A \
         heading sorts.",
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
        return "<p class=\"lead\">No two of the images show the same.</p>\n".to_owned();
    }
    let shown = if audit.duplicates.len() < audit.pairs {
        format!(
            "{} of {} pairs, those that contradict each other first.",
            grouped(audit.duplicates.len() as f64),
            grouped(audit.pairs as f64)
        )
    } else {
        "Pairs whose labels contradict each other first.".to_owned()
    };
    let mut table = Sortable::new("pairs", &TWICE, "contradictions>0", &shown);
    for Twice { images: [image, same_as], difference, contradicting, .. } in &audit.duplicates {
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

/// The pictures; nothing if none are to be shown.
fn gallery(audit: &AuditReport) -> String {
    let mut doubts = String::new();
    for doubt in &audit.doubts {
        let Doubted { image, attribute, present, probability, jpeg: Some(jpeg), .. } = doubt else { continue };
        let told = format!("labelled {}<br>{} probable", in_words(*present), percent(f64::from(*probability)));
        picture(&mut doubts, jpeg, image, attribute, &told);
    }
    let mut pairs = String::new();
    for Twice { images, contradicting, jpegs, .. } in &audit.duplicates {
        for (image, jpeg) in images.iter().zip(jpegs.iter().flatten()) {
            let told = if contradicting.is_empty() { "labelled alike" } else { "labelled otherwise" };
            picture(&mut pairs, jpeg, image, &contradicting.join(", "), told);
        }
    }
    let part = |heading: &str, pictures: &str| match pictures {
        "" => String::new(),
        pictures => format!("<h3>{heading}</h3><div class=\"gallery\">{pictures}</div>\n"),
    };
    let body = part("The most doubtful labels", &doubts) + &part("Images that are there twice, pair by pair", &pairs);
    if body.is_empty() { body } else { format!("{REMARK}{body}") }
}

/// One picture; `told` is HTML.
fn picture(html: &mut String, jpeg: &[u8], image: &str, heading: &str, told: &str) {
    let (image, heading) = (escaped(image), escaped(heading));
    let _ = write!(
        html,
        "<figure><img loading=\"lazy\" src=\"data:image/jpeg;base64,{}\" alt=\"{image}: {heading}\">\
         <figcaption><b>{heading}</b><br>{told}<br><span class=\"m\">{image}</span></figcaption></figure>",
        base64(jpeg)
    );
}
