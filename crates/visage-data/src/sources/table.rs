//! From rows to samples.

use std::collections::HashMap;

use csv::ByteRecord;

use super::columns::Columns;
use super::combination::Combination;
use super::label_spelling::LabelColumn;
use crate::error::TableFault;
use crate::sample::Sample;
use crate::split::Split;
use crate::table_options::Combine;

/// The samples of a table, which may have several parts.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// The paths of its parts, for messages.
    pub(super) files: Vec<String>,
    pub(super) attributes: Vec<String>,
    pub(super) categories: Vec<String>,
    pub(super) samples: Vec<Sample>,
    /// The part and the line of each sample.
    pub(super) places: Vec<(usize, u64)>,
    /// The index of the sample of each image.
    pub(super) by_image: HashMap<String, usize>,
    /// How the columns were understood.
    pub(super) understood: String,
    /// Remarks that are not faults.
    pub(super) notes: Vec<String>,
}

impl Table {
    /// The file and the line of a sample.
    pub(super) fn place(&self, sample: usize) -> (&str, u64) {
        let (part, line) = self.places[sample];
        (&self.files[part], line)
    }
}

/// Adds the rows of one part after another.
pub(super) struct TableBuilder {
    table: Table,
    combination: Option<Combination>,
}

/// The part that rows are added from.
pub(super) struct PartRows<'a> {
    columns: &'a Columns,
    /// For each of the table's attributes, its index in the part; likewise for the categories. `None` where the order is the same.
    order: Option<[Vec<usize>; 2]>,
    labels: Vec<LabelColumn>,
    /// The split of rows to which no column assigns one.
    split: Option<Split>,
    /// Stands before the names of images.
    prefix: &'a str,
}

impl TableBuilder {
    pub(super) fn new(combine: Option<Combine>) -> Self {
        TableBuilder { table: Table::default(), combination: combine.map(Combination::new) }
    }

    /// Begins the part that messages call `file`. `None` if its attributes or categories are not those of the parts before.
    pub(super) fn part<'a>(
        &mut self,
        file: String,
        columns: &'a Columns,
        split: Option<Split>,
        prefix: &'a str,
    ) -> Option<PartRows<'a>> {
        let (attributes, categories) = (columns.attribute_names(), columns.category_names());
        if self.table.files.is_empty() {
            (self.table.attributes, self.table.categories) = (attributes.clone(), categories.clone());
        }
        let order = [order(&self.table.attributes, &attributes)?, order(&self.table.categories, &categories)?];
        let is_same = order.iter().all(|order| order.is_sorted());
        self.table.files.push(file);
        let labels = vec![LabelColumn::default(); columns.attributes.len()];
        Some(PartRows { columns, order: (!is_same).then_some(order), labels, split, prefix })
    }

    /// Adds a row of the last part. `row_name` is the name of its image if no column has it.
    pub(super) fn add(
        &mut self,
        part: &mut PartRows<'_>,
        record: &ByteRecord,
        line: u64,
        row_name: &str,
    ) -> Result<(), TableFault> {
        let columns = part.columns;
        let mut sample = columns.sample(record, line, row_name, &mut part.labels)?;
        if columns.split.columns().is_empty() {
            sample.split = part.split;
        }
        sample.image.insert_str(0, part.prefix);
        if let Some([labels, categories]) = &part.order {
            sample.labels = labels.iter().map(|&column| sample.labels[column]).collect();
            sample.soft = sample.soft.map(|soft| labels.iter().map(|&column| soft[column]).collect());
            sample.categories = categories.iter().map(|&column| sample.categories[column].clone()).collect();
        }
        let number = self.table.files.len() - 1;
        let Some(&known) = self.table.by_image.get(&sample.image) else {
            self.table.by_image.insert(sample.image.clone(), self.table.samples.len());
            self.table.samples.push(sample);
            self.table.places.push((number, line));
            return Ok(());
        };
        let (first_part, first_line) = self.table.places[known];
        let image = sample.image.clone();
        match &mut self.combination {
            Some(combination) if sample.split == self.table.samples[known].split => {
                combination.add(known, &mut self.table.samples[known], sample);
                Ok(())
            }
            Some(_) => Err(TableFault::RepeatedInSplits { image, first_line }),
            None if first_part == number => Err(TableFault::RepeatedImage { image, first_line }),
            None => {
                let first = self.table.files[first_part].clone();
                Err(TableFault::RepeatedElsewhere { image, first, first_line })
            }
        }
    }

    pub(super) fn note(&mut self, note: String) {
        self.table.notes.push(note);
    }

    pub(super) fn finish(mut self, understood: String) -> Table {
        self.table.understood = understood;
        if let Some(combination) = self.combination {
            self.table.understood += &combination.finish(&mut self.table.samples);
        }
        self.table
    }
}

/// The position of each name in `others`, if they are the same names.
fn order(names: &[String], others: &[String]) -> Option<Vec<usize>> {
    let position = |name: &String| others.iter().position(|other| other == name);
    names.iter().map(position).collect::<Option<Vec<_>>>().filter(|order| order.len() == others.len())
}
