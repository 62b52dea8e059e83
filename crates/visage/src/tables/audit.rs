//! The audit of a dataset.

use visage_judge::AttributeAudit;
use visage_run::audit::DatasetAudit;

use super::{Table, count, counted, percent, score};

/// How many of the most doubtful labels are shown.
const SHOWN: usize = 20;

/// How many labels are suspected to be wrong, and for how many attributes the model cannot tell.
pub fn headline(audit: &DatasetAudit) -> String {
    let suspects = audit.suspects() as u64;
    let undecided = audit.labels.attributes.iter().filter(|attribute| attribute.cannot_tell).count() as u64;
    let not_judged = match undecided {
        0 => String::new(),
        _ => format!("; the model cannot tell for {}, of which none is suspected", counted(undecided, "attribute")),
    };
    format!(
        "{} labels of {}; {} {} suspected to be wrong{not_judged}",
        count(audit.labels.doubts.len() as u64),
        counted(audit.indices.len() as u64, "image"),
        count(suspects),
        if suspects == 1 { "is" } else { "are" },
    )
}

/// The attributes, the most doubtful labels, and the number of duplicates.
pub fn text(audit: &DatasetAudit) -> String {
    let mut text = attributes(audit);
    if audit.labels.judged().next().is_some() {
        text += &format!("\nthe most doubtful labels\n\n{}", doubtful(audit));
    }
    let names = |which: fn(&AttributeAudit) -> bool| -> Vec<&str> {
        let attributes = audit.labels.attributes.iter().filter(|attribute| which(attribute));
        attributes.map(|attribute| attribute.attribute.as_str()).collect()
    };
    let random = names(|attribute| attribute.looks_random);
    if !random.is_empty() {
        text += &format!(
            "\nthe model cannot tell, it is no better than chance (the interval of the AUC reaches down to 0.5): the labels look random, \
             or the model has not learnt them: {}\n",
            random.join(", ")
        );
    }
    let rare = names(|attribute| attribute.too_few);
    if !rare.is_empty() {
        text += &format!("\ntoo rare to say anything about their labels as a whole: {}\n", rare.join(", "));
    }
    text += &match audit.duplicates.len() {
        0 => "\nno duplicate images found\n".to_owned(),
        duplicates => format!(
            "\n{} of duplicate images, {} with labels that contradict each other\n",
            counted(duplicates as u64, "pair"),
            count(audit.contradicting_duplicates() as u64)
        ),
    };
    text
}

fn attributes(audit: &DatasetAudit) -> String {
    let mut table = Table::new(1, &["Attribute", "Labels", "Present", "Suspected", "Share", "AUC", "95 % interval"]);
    for attribute in &audit.labels.attributes {
        let is_judged = attribute.labels > 0 && !attribute.cannot_tell;
        let share = is_judged.then(|| attribute.suspects as f64 / attribute.labels as f64);
        let interval = attribute.interval;
        table.row([
            attribute.attribute.clone(),
            count(attribute.labels),
            count(attribute.positives),
            if attribute.cannot_tell { "cannot tell".to_owned() } else { count(attribute.suspects) },
            percent(share),
            score(attribute.roc_auc),
            interval.map_or_else(String::new, |interval| format!("{:.4} to {:.4}", interval.low, interval.high)),
        ]);
    }
    table.text()
}

fn doubtful(audit: &DatasetAudit) -> String {
    let mut table = Table::new(2, &["Image", "Attribute", "Label", "Probability"]);
    for doubt in audit.labels.judged().take(SHOWN) {
        table.row([
            audit.image_name(doubt.image).to_owned(),
            audit.attributes[doubt.column].clone(),
            if doubt.present { "present" } else { "absent" }.to_owned(),
            score(Some(doubt.probability.into())),
        ]);
    }
    table.text()
}
