//! Columns that become attributes.

use csv::ByteRecord;

use super::label_list::ListForm;
use super::label_spelling::{LabelColumn, LabelRules};
use super::rows::text;
use crate::error::TableFault;
use crate::label::Label;

/// Columns that become one or more attributes.
#[derive(Clone, Debug)]
pub(super) enum AttributeColumn {
    /// A label in each row.
    Label { column: usize, name: String },
    /// One attribute for each value.
    OneHot { column: usize, name: String, values: Vec<String> },
    /// Lists of the labels that are present, or one label a row.
    List { column: usize, name: String, form: ListForm, labels: Vec<String>, is_closed: bool, value: Option<usize> },
}

/// The labels of a row.
#[derive(Default)]
pub(super) struct Targets {
    pub(super) labels: Vec<Label>,
    /// The probabilities of some of them, by index.
    soft: Vec<(usize, f32)>,
}

impl Targets {
    fn push(&mut self, label: Label) {
        self.labels.push(label);
    }

    /// The probability of each label, if any is neither 0 nor 1; NaN for unknown labels.
    pub(super) fn probabilities(&self) -> Option<Box<[f32]>> {
        if self.soft.is_empty() {
            return None;
        }
        let hard = |label: &Label| label.known().map_or(f32::NAN, |present| f32::from(u8::from(present)));
        let mut probabilities: Box<[f32]> = self.labels.iter().map(hard).collect();
        self.soft.iter().for_each(|&(index, probability)| probabilities[index] = probability);
        Some(probabilities)
    }
}

impl AttributeColumn {
    pub(super) fn attribute_names(&self) -> Vec<String> {
        match self {
            AttributeColumn::Label { name, .. } => vec![name.clone()],
            AttributeColumn::OneHot { name, values, .. } => {
                values.iter().map(|value| format!("{name}={value}")).collect()
            }
            AttributeColumn::List { labels, .. } => labels.clone(),
        }
    }

    pub(super) fn read(
        &self,
        record: &ByteRecord,
        line: u64,
        spelling: &mut LabelColumn,
        rules: LabelRules,
        targets: &mut Targets,
    ) -> Result<(), TableFault> {
        match self {
            AttributeColumn::Label { column, name } => {
                let (label, probability) = spelling.read(&record[*column], line, name, rules)?;
                targets.soft.extend(probability.map(|probability| (targets.labels.len(), probability)));
                targets.push(label);
            }
            AttributeColumn::OneHot { column, values, .. } => {
                let field = text(&record[*column])?;
                let label = |value: &String| if field.is_empty() { Label::Unknown } else { (value == field).into() };
                values.iter().for_each(|value| targets.push(label(value)));
            }
            AttributeColumn::List { column, name, form, labels, is_closed, value } => {
                let field = text(&record[*column])?;
                let listed = form.labels(field);
                let unknown = listed.iter().find(|label| *is_closed && !labels.iter().any(|known| known == *label));
                if let Some(label) = unknown {
                    return Err(TableFault::UnknownLabel { column: name.clone(), label: label.to_string() });
                }
                let (present, probability) = match value {
                    None => (Label::Present, None),
                    Some(value) => spelling.read(&record[*value], line, name, rules)?,
                };
                let others = match value {
                    None if field.is_empty() => Label::Unknown,
                    None => Label::Absent,
                    // A table of single answers says nothing about the labels it does not name.
                    Some(_) => Label::Unknown,
                };
                for known in labels {
                    let is_listed = listed.iter().any(|label| label == known);
                    if is_listed {
                        targets.soft.extend(probability.map(|probability| (targets.labels.len(), probability)));
                    }
                    targets.push(if is_listed { present } else { others });
                }
            }
        }
        Ok(())
    }
}
