//! The page of an audit: labels that are likely wrong, duplicate images, attributes whose labels look random.

use visage_judge::AttributeAudit;
use visage_run::audit::{DatasetAudit, DuplicatePair};

use super::frame::{self, Section};
use super::sortable::{Column, Sortable};
use super::{paragraphs, value_and_interval};
use crate::audit_files::{self, AuditFiles};
use crate::error::ReportError;
use crate::number::{grouped, percent, short};
use crate::svg::escaped;
use crate::thumbnail::thumbnail;

/// Rows in each table: what a browser opens at once, and more than anyone reads.
const ROWS: usize = 2000;
/// Labels, and pairs of duplicates, with pictures in the gallery.
const PICTURES: usize = 60;

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
        "suspected: the opposite class is at least as probable as on average among images labelled so; cannot tell: the model is no \
         better than chance for the attribute",
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
///
/// # Errors
///
/// If a picture cannot be read.
pub fn html(files: &AuditFiles<'_>) -> Result<String, ReportError> {
    let audit = files.audit;
    // Pairs with contradictory labels first.
    let mut pairs: Vec<&DuplicatePair> = audit.duplicates.iter().collect();
    pairs.sort_by_key(|pair| std::cmp::Reverse(pair.contradicting.len()));
    pairs.truncate(ROWS);
    let sections = vec![
        Section::new("audit", "Scope", paragraphs("remark", &files.remarks) + &paragraphs("lead", &files.about)),
        Section::new("attributes", "Attributes", attributes(&audit.labels.attributes)),
        Section::new("labels", "Labels that are likely wrong", labels(audit)),
        Section::new("duplicates", "Duplicate images", duplicates(audit, &pairs)),
        Section::new("gallery", "Gallery", if files.gallery { gallery(audit, &pairs)? } else { String::new() }),
    ];
    let footer = format!(
        "A doubtful label is not necessarily wrong: look at the image before you change it. {} and {} beside this page hold the same as tables.",
        audit_files::LABELS,
        audit_files::DUPLICATES
    );
    Ok(frame::html(&format!("visage audit: {}", audit.dataset.name()), &files.made, sections, &footer))
}

fn attributes(attributes: &[AttributeAudit]) -> String {
    let help = "Where the interval of the ROC AUC reaches down to 0.5, the model cannot tell, and no label is suspected: the labels are \
                random or too few, the attribute is not visible, or the model has not learnt it. Small numbers are 95 % intervals.";
    let mut table = Sortable::new("found", &ATTRIBUTES, "chance share>2", help);
    for each in attributes {
        let share = |count: u64| count as f64 / each.labels.max(1) as f64;
        let finding = match each {
            AttributeAudit { too_few: true, cannot_tell: true, .. } => "cannot tell: too few labels",
            AttributeAudit { cannot_tell: true, .. } => "cannot tell: no better than chance",
            AttributeAudit { too_few: true, .. } => "too few labels",
            AttributeAudit { suspects: 0, .. } => "no suspects",
            _ => "suspects",
        };
        table.row([
            escaped(&each.attribute),
            finding.to_owned(),
            each.labels.to_string(),
            each.positives.to_string(),
            if each.cannot_tell { "\u{2013}".to_owned() } else { each.suspects.to_string() },
            if each.cannot_tell {
                "\u{2013}".to_owned()
            } else {
                format!("{:.2}\u{a0}%", 100.0 * share(each.suspects))
            },
            value_and_interval(each.roc_auc, each.interval),
            format!("{:.3}", share(each.positives.max(each.labels - each.positives))),
        ]);
    }
    table.finish()
}

fn labels(audit: &DatasetAudit) -> String {
    let doubts = &audit.labels.doubts;
    if doubts.is_empty() {
        return String::new();
    }
    let help = format!(
        "The {} most doubtful of {} labels. Words match images, attributes and findings; <code>probability&gt;0.9</code> matches values. Click a \
         heading to sort.",
        grouped(doubts.len().min(ROWS) as f64),
        grouped(doubts.len() as f64)
    );
    let mut table = Sortable::new("doubts", &LABELS, "hair suspected confidence<0.1", &help);
    for (rank, doubt) in doubts.iter().take(ROWS).enumerate() {
        let confidence = if doubt.present { doubt.probability } else { 1.0 - doubt.probability };
        table.row([
            escaped(audit.image_name(doubt.image)),
            (rank + 1).to_string(),
            escaped(&audit.attributes[doubt.column]),
            in_words(doubt.present).to_owned(),
            format!("{:.3}", doubt.probability),
            format!("{confidence:.3}"),
            match (doubt.suspect, audit.labels.attributes[doubt.column].cannot_tell) {
                (true, _) => "suspected",
                (false, true) => "cannot tell",
                (false, false) => "doubtful",
            }
            .to_owned(),
        ]);
    }
    table.finish()
}

fn in_words(present: bool) -> &'static str {
    if present { "present" } else { "absent" }
}

fn duplicates(audit: &DatasetAudit, pairs: &[&DuplicatePair]) -> String {
    if pairs.is_empty() {
        return "<p class=\"lead\">No duplicate images were found.</p>\n".to_owned();
    }
    let all = audit.duplicates.len();
    let shown = if pairs.len() < all {
        let (shown, all) = (grouped(pairs.len() as f64), grouped(all as f64));
        format!("{shown} of {all} pairs, pairs with contradictory labels first.")
    } else {
        "Pairs with contradictory labels first.".to_owned()
    };
    let mut table = Sortable::new("pairs", &DUPLICATES, "contradictions>0", &shown);
    for DuplicatePair { images, difference, contradicting } in pairs {
        let [image, same_as] = images.map(|image| escaped(audit.image_name(image)));
        table.row([
            image,
            same_as,
            short(*difference),
            contradicting.len().to_string(),
            escaped(&contradicting.join(", ")),
        ]);
    }
    table.finish()
}

fn gallery(audit: &DatasetAudit, pairs: &[&DuplicatePair]) -> Result<String, ReportError> {
    let mut doubts = String::new();
    for doubt in audit.labels.doubts.iter().take(PICTURES) {
        let (label, probability) = (in_words(doubt.present), percent(f64::from(doubt.probability)));
        let cannot_tell = audit.labels.attributes[doubt.column].cannot_tell;
        let remark = if cannot_tell { "<br>the model cannot tell" } else { "" };
        let caption = format!("labelled {label}<br>probability {probability}{remark}");
        picture(&mut doubts, audit, doubt.image, &audit.attributes[doubt.column], &caption)?;
    }
    let mut duplicates = String::new();
    for DuplicatePair { images, contradicting, .. } in pairs.iter().take(PICTURES) {
        let caption = if contradicting.is_empty() { "same labels" } else { "different labels" };
        for image in *images {
            picture(&mut duplicates, audit, image, &contradicting.join(", "), caption)?;
        }
    }
    let part = |heading: &str, pictures: &str| match pictures {
        "" => String::new(),
        pictures => format!("<h3>{heading}</h3><div class=\"gallery\">{pictures}</div>\n"),
    };
    let body = part("The most doubtful labels", &doubts) + &part("Duplicate images, pair by pair", &duplicates);
    Ok(if body.is_empty() { body } else { format!("{REMARK}{body}") })
}

/// Adds one picture; `caption` is HTML.
fn picture(
    html: &mut String,
    audit: &DatasetAudit,
    image: usize,
    heading: &str,
    caption: &str,
) -> Result<(), ReportError> {
    let jpeg = thumbnail(&audit.dataset, audit.indices[image])?;
    let heading = escaped(heading);
    let caption = format!("<b>{heading}</b><br>{caption}");
    super::picture(html, &jpeg, audit.image_name(image), &heading, &caption);
    Ok(())
}
