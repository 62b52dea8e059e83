//! From rows to samples.

use std::collections::HashMap;

use csv::ByteRecord;

use super::columns::Columns;
use super::faults::Faults;
use super::label_spelling::LabelColumn;
use crate::error::{DataError, TableFault};
use crate::sample::Sample;
use crate::split::Split;

/// The samples of a table.
#[derive(Debug)]
pub(super) struct Table {
    /// Its path, for messages.
    pub(super) file: String,
    pub(super) attributes: Vec<String>,
    pub(super) categories: Vec<String>,
    pub(super) samples: Vec<Sample>,
    /// The line of each sample.
    pub(super) lines: Vec<u64>,
    /// The index of the sample of each image.
    pub(super) by_image: HashMap<String, usize>,
    /// Remarks that are not faults.
    pub(super) notes: Vec<String>,
}

impl Table {
    fn add(&mut self, sample: Sample, line: u64) {
        self.by_image.insert(sample.image.clone(), self.samples.len());
        self.samples.push(sample);
        self.lines.push(line);
    }

    /// Appends the rows of another part of the same table, whose columns may be in another order. Returns whether it is one: if
    /// its columns differ, nothing is appended.
    fn append(&mut self, other: Table, faults: &mut Faults) -> Result<bool, DataError> {
        let (Some(labels), Some(categories)) =
            (order(&self.attributes, &other.attributes), order(&self.categories, &other.categories))
        else {
            return Ok(false);
        };
        for (mut sample, line) in other.samples.into_iter().zip(other.lines) {
            sample.labels = labels.iter().map(|&column| sample.labels[column]).collect();
            sample.categories = categories.iter().map(|&column| sample.categories[column].clone()).collect();
            match self.by_image.get(&sample.image) {
                None => self.add(sample, line),
                Some(&first) => {
                    let (image, first, first_line) = (sample.image, self.file.clone(), self.lines[first]);
                    faults.report(&other.file, line, TableFault::RepeatedElsewhere { image, first, first_line })?;
                }
            }
        }
        self.notes.extend(other.notes);
        Ok(true)
    }
}

/// The position of each name in `others`, if they are the same names.
fn order(names: &[String], others: &[String]) -> Option<Vec<usize>> {
    let position = |name: &String| others.iter().position(|other| other == name);
    names.iter().map(position).collect::<Option<Vec<_>>>().filter(|order| order.len() == others.len())
}

/// Appends `part` to the parts of a table read so far. Returns whether it is one: if its columns differ, nothing is appended.
pub(super) fn append(whole: &mut Option<Table>, part: Table, faults: &mut Faults) -> Result<bool, DataError> {
    match whole {
        Some(whole) => whole.append(part, faults),
        None => {
            *whole = Some(part);
            Ok(true)
        }
    }
}

/// Builds a table from rows.
pub(super) struct TableBuilder {
    columns: Columns,
    labels: Vec<LabelColumn>,
    table: Table,
}

impl TableBuilder {
    /// A table without rows; messages call it `file`.
    pub(super) fn new(file: String, columns: Columns) -> Self {
        let table = Table {
            file,
            attributes: columns.attribute_names(),
            categories: columns.category_names(),
            samples: Vec::new(),
            lines: Vec::new(),
            by_image: HashMap::new(),
            notes: Vec::new(),
        };
        TableBuilder { labels: vec![LabelColumn::default(); table.attributes.len()], columns, table }
    }

    /// Adds a row. It belongs to `split` if no column assigns the split.
    pub(super) fn add(&mut self, record: &ByteRecord, line: u64, split: Option<Split>) -> Result<(), TableFault> {
        let mut sample = self.columns.sample(record, line, &mut self.labels)?;
        if !self.columns.has_split() {
            sample.split = split;
        }
        if let Some(&first) = self.table.by_image.get(&sample.image) {
            return Err(TableFault::RepeatedImage { image: sample.image, first_line: self.table.lines[first] });
        }
        self.table.add(sample, line);
        Ok(())
    }

    pub(super) fn has_image(&self, image: &str) -> bool {
        self.table.by_image.contains_key(image)
    }

    pub(super) fn note(&mut self, note: String) {
        self.table.notes.push(note);
    }

    pub(super) fn finish(self) -> Table {
        self.table
    }
}
