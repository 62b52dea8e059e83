//! The contents of a dataset.

use visage_data::{Alignment, AttributePair, Split};

use super::{Table, count, counted, percent};
use crate::commands::data::inspect::{
    AttributeContents, ClassWeights, Contents, SplitContents, TextColumn, WEIGHTINGS,
};

/// The strongest correlations that are shown.
const STRONGEST: usize = 10;
/// The values of a text column that are shown.
const VALUES: usize = 20;

/// Splits, attributes, correlations and text columns.
pub fn text(contents: &Contents) -> String {
    let Contents { dataset, images, fingerprint, attributes, understood, .. } = contents;
    let understood = if understood.is_empty() { String::new() } else { format!("Read as: {understood}\n") };
    let alignment = match contents.alignment {
        Some(Alignment::Celeba) => "Faces: they look aligned as CelebA's, by the shape of the images\n",
        Some(Alignment::None) => {
            "Faces: not aligned, by the sizes of the images; input.align = \"celeba\" in a recipe aligns them\n"
        }
        None => "",
    };
    format!(
        "{dataset}: {}, {}, fingerprint {fingerprint:.12}\n{understood}{alignment}\n{}\n\
         Prevalence by split, and weights of present / absent from the training split\n\n{}{}{}",
        counted(*images as u64, "image"),
        counted(attributes.len() as u64, "attribute"),
        splits(contents),
        attributes_table(attributes),
        correlations(contents),
        text_columns(&contents.text_columns),
    )
}

fn splits(contents: &Contents) -> String {
    let mut table = Table::new(1, &["Split", "Images", "Majority-class accuracy"]);
    for split in Split::ALL {
        let SplitContents { images, majority_accuracy } = &contents.splits[split.name()];
        table.row([split.to_string(), count(*images), percent(*majority_accuracy)]);
    }
    if contents.images_without_split > 0 {
        table.row(["(none)".to_owned(), count(contents.images_without_split as u64), String::new()]);
    }
    table.text()
}

fn attributes_table(attributes: &[AttributeContents]) -> String {
    let mut headings = vec!["Attribute", "Present", "Absent", "Unknown"];
    headings.extend(Split::ALL.map(Split::name));
    headings.extend(WEIGHTINGS.map(|(name, _)| name));
    let mut table = Table::new(1, &headings);
    for AttributeContents { name, present, absent, unknown, prevalence, weights } in attributes {
        let mut cells = vec![name.clone(), count(*present), count(*absent), count(*unknown)];
        cells.extend(Split::ALL.map(|split| percent(prevalence[split.name()])));
        cells.extend(WEIGHTINGS.map(|(rule, _)| match weights.get(rule) {
            Some(ClassWeights { present, absent }) => format!("{present:.3} / {absent:.3}"),
            None => "-".to_owned(),
        }));
        table.row(cells);
    }
    table.text()
}

fn correlations(contents: &Contents) -> String {
    let pairs = contents.associations.as_ref().map(|associations| associations.pairs.as_slice()).unwrap_or_default();
    if pairs.is_empty() {
        return String::new();
    }
    let mut table = Table::new(2, &["Attributes", "", "Correlation", "Have both"]);
    for AttributePair { first, second, correlation, both } in pairs.iter().take(STRONGEST) {
        table.row([first.clone(), second.clone(), format!("{correlation:+.3}"), count(*both)]);
    }
    format!("\nStrongest correlations\n\n{}", table.text())
}

fn text_columns(columns: &[TextColumn]) -> String {
    if columns.is_empty() {
        return String::new();
    }
    let mut table = Table::new(2, &["Text column", "Value", "Images"]);
    for TextColumn { name, values } in columns {
        let shown = values.iter().take(VALUES);
        shown.for_each(|(value, images)| table.row([name.clone(), value.clone(), count(*images)]));
        if values.len() > VALUES {
            table.row([name.clone(), format!("and {} more", values.len() - VALUES), String::new()]);
        }
    }
    format!("\nText columns, for `visage evaluate --group-by`\n\n{}", table.text())
}
