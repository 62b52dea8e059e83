//! A table that lists images: one column names the image, one may name the split, one may name the person; a column of words
//! parts the images into groups; every other column is an attribute.

use std::collections::HashMap;

use csv::ByteRecord;

use super::faults::Faults;
use super::rows::{Rows, rows};
use super::spelling::Column;
use super::words::Words;
use super::{split_of_name, text};
use crate::error::{DataError, TableFault};
use crate::files::Files;
use crate::label::Label;
use crate::sample::Sample;
use crate::split::Split;

/// Names of the image column, the most telling first: those of CelebA's copies, of pandas users and of Hugging Face.
/// Without any of them it is the first column.
pub(super) const IMAGE_COLUMNS: [&str; 9] =
    ["image", "image_id", "filename", "file_name", "image_path", "file", "filepath", "path", "img"];
/// Names of the column that assigns a split.
pub(super) const SPLIT_COLUMNS: [&str; 2] = ["split", "partition"];
/// Names of the column that says who is shown.
pub(super) const IDENTITY_COLUMNS: [&str; 5] = ["identity", "identity_id", "celeb_id", "person_id", "subject_id"];

/// What a table lists.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// How messages name it.
    pub(super) file: String,
    pub(super) attributes: Vec<String>,
    /// The columns of words.
    pub(super) categories: Vec<String>,
    pub(super) samples: Vec<Sample>,
    /// The line of each sample.
    pub(super) lines: Vec<u64>,
    /// The sample of each image name.
    pub(super) by_image: HashMap<String, usize>,
    /// What should be known of it.
    pub(super) notes: Vec<String>,
}

impl Table {
    /// Reads the table `name`.
    pub(super) fn read(files: &Files, name: &str, faults: &mut Faults) -> Result<Self, DataError> {
        let bytes = files.read_table(name)?;
        let file = files.describe(name);
        let fatal = |(line, fault)| DataError::Table { file: file.clone(), line, fault };
        let mut rows = rows(name, &bytes).map_err(fatal)?;
        let expected = "a header that names the columns";
        let (line, header) = rows.next().ok_or((1, TableFault::Ended { expected })).map_err(fatal)?;
        let mut header = header.and_then(Header::read).map_err(|fault| fatal((line, fault)))?;
        header.find_categories(&mut *self::rows(name, &bytes).map_err(fatal)?).map_err(|fault| fatal((line, fault)))?;
        let mut table = Table::of(file.clone(), &header);
        let mut columns = vec![Column::default(); header.attributes.len()];
        let mut found = 0;
        let mut last_line = line;
        while let Some((line, row)) = rows.next() {
            found += 1;
            last_line = line;
            let sample = row.and_then(|row| header.sample(row, line, &mut columns));
            if let Err(fault) = sample.and_then(|sample| table.add(sample, line)) {
                faults.take(&file, line, fault)?;
            }
        }
        if found == 0 {
            let expected = "a row for each image";
            return Err(fatal((last_line + 1, TableFault::Ended { expected })));
        }
        if let Some(stated) = rows.stated()
            && stated != found
        {
            table.notes.push(format!(
                "{file} states {stated} images on its first line and lists {found}: {}",
                if stated > found { "it may be cut short" } else { "it was added to, or joined from others" }
            ));
        }
        if header.split.is_none()
            && let Some(split) = split_of_name(name)
        {
            table.samples.iter_mut().for_each(|sample| sample.split = Some(split));
        }
        Ok(table)
    }

    /// A table without rows.
    pub(super) fn of(file: String, header: &Header) -> Self {
        let names = |columns: &[(usize, String)]| columns.iter().map(|(_, name)| name.clone()).collect();
        Table { file, attributes: names(&header.attributes), categories: names(&header.categories), ..Table::default() }
    }

    /// Adds a row.
    pub(super) fn add(&mut self, sample: Sample, line: u64) -> Result<(), TableFault> {
        if let Some(&first) = self.by_image.get(&sample.image) {
            return Err(TableFault::RepeatedImage { image: sample.image, first_line: self.lines[first] });
        }
        self.by_image.insert(sample.image.clone(), self.samples.len());
        self.samples.push(sample);
        self.lines.push(line);
        Ok(())
    }

    /// Adds the rows of another part of the same table, whose columns may be in another order. `None` when they are
    /// others.
    pub(super) fn append(&mut self, other: Table, faults: &mut Faults) -> Option<Result<(), DataError>> {
        let labels = order(&self.attributes, &other.attributes)?;
        let words = order(&self.categories, &other.categories)?;
        for (mut sample, line) in other.samples.into_iter().zip(other.lines) {
            sample.labels = labels.iter().map(|&column| sample.labels[column]).collect();
            sample.categories = words.iter().map(|&column| sample.categories[column].clone()).collect();
            if let Some(&first) = self.by_image.get(&sample.image) {
                let fault = TableFault::RepeatedElsewhere {
                    image: sample.image,
                    first: self.file.clone(),
                    first_line: self.lines[first],
                };
                if let Err(error) = faults.take(&other.file, line, fault) {
                    return Some(Err(error));
                }
                continue;
            }
            self.by_image.insert(sample.image.clone(), self.samples.len());
            self.samples.push(sample);
            self.lines.push(line);
        }
        self.notes.extend(other.notes);
        Some(Ok(()))
    }
}

/// Where each name of `names` is in `others`, if they are the same names.
fn order(names: &[String], others: &[String]) -> Option<Vec<usize>> {
    let place = |name: &String| others.iter().position(|other| other == name);
    names.iter().map(place).collect::<Option<Vec<_>>>().filter(|order| order.len() == others.len())
}

/// Which column is what.
pub(super) struct Header {
    fields: usize,
    image: usize,
    split: Option<usize>,
    identity: Option<usize>,
    /// The column and the name of each attribute.
    attributes: Vec<(usize, String)>,
    /// The same of the columns of words.
    categories: Vec<(usize, String)>,
}

impl Header {
    /// Tells the columns apart by their names.
    pub(super) fn read(record: &ByteRecord) -> Result<Self, TableFault> {
        let names = record.iter().map(text).collect::<Result<Vec<_>, _>>()?;
        for (index, name) in names.iter().enumerate() {
            if name.is_empty() {
                return Err(TableFault::UnnamedColumn { number: index + 1 });
            }
            if names[..index].contains(name) {
                return Err(TableFault::RepeatedColumn { column: (*name).to_owned() });
            }
        }
        let image = find(&names, &IMAGE_COLUMNS).unwrap_or(0);
        Self::with_image(&names, image)
    }

    /// Tells the columns apart, of which the one numbered `image` names the image.
    pub(super) fn with_image<S: AsRef<str>>(names: &[S], image: usize) -> Result<Self, TableFault> {
        let split = find(names, &SPLIT_COLUMNS);
        let identity = find(names, &IDENTITY_COLUMNS);
        let attributes: Vec<_> = names
            .iter()
            .enumerate()
            .filter(|&(index, _)| index != image && Some(index) != split && Some(index) != identity)
            .map(|(index, name)| (index, name.as_ref().to_owned()))
            .collect();
        if attributes.is_empty() {
            return Err(TableFault::NoAttributes);
        }
        Ok(Header { fields: names.len(), image, split, identity, attributes, categories: Vec::new() })
    }

    /// Takes columns of words out of the attributes, after a look at the rows, the first of which is the header.
    fn find_categories(&mut self, rows: &mut dyn Rows) -> Result<(), TableFault> {
        rows.next();
        let mut words = self.words();
        // A row that cannot be read is told when it is read for good.
        while rows.next().is_some_and(|(_, row)| row.map_or(true, |record| words.see(record))) {}
        self.set_categories(&words.columns().collect::<Vec<_>>())
    }

    /// Any attribute may be a column of words.
    pub(super) fn words(&self) -> Words {
        Words::new(self.attributes.iter().map(|(column, _)| *column))
    }

    /// Takes the columns of words, by their numbers, out of the attributes.
    pub(super) fn set_categories(&mut self, words: &[usize]) -> Result<(), TableFault> {
        (self.categories, self.attributes) =
            std::mem::take(&mut self.attributes).into_iter().partition(|(column, _)| words.contains(column));
        if self.attributes.is_empty() { Err(TableFault::NoAttributes) } else { Ok(()) }
    }

    /// Whether a column assigns splits.
    pub(super) fn has_split(&self) -> bool {
        self.split.is_some()
    }

    /// What a row says.
    pub(super) fn sample(&self, record: &ByteRecord, line: u64, columns: &mut [Column]) -> Result<Sample, TableFault> {
        if record.len() != self.fields {
            return Err(TableFault::FieldCount { found: record.len(), expected: self.fields });
        }
        let filled = |column: Option<usize>| -> Result<Option<&str>, TableFault> {
            let field = column.map_or(Ok(""), |column| text(&record[column]))?;
            Ok(Some(field).filter(|field| !field.is_empty()))
        };
        let image = filled(Some(self.image))?.ok_or(TableFault::BlankImage)?.to_owned();
        let split = filled(self.split)?.map(split_value).transpose()?;
        let identity = filled(self.identity)?.map(str::to_owned);
        let labels = columns
            .iter_mut()
            .zip(&self.attributes)
            .map(|(column, (index, name))| column.read(&record[*index], line, name))
            .collect::<Result<Box<[Label]>, _>>()?;
        let categories = self
            .categories
            .iter()
            .map(|(index, _)| Ok(filled(Some(*index))?.map(str::to_owned)))
            .collect::<Result<Box<[_]>, TableFault>>()?;
        Ok(Sample { image, split, labels, identity, categories, landmarks: None, face_box: None })
    }
}

/// The first column with one of the wanted names.
fn find<S: AsRef<str>>(names: &[S], wanted: &[&str]) -> Option<usize> {
    wanted.iter().find_map(|wanted| names.iter().position(|name| name.as_ref().eq_ignore_ascii_case(wanted)))
}

/// A split by name or by CelebA's number, which pandas may have made a fraction.
pub(super) fn split_value(field: &str) -> Result<Split, TableFault> {
    Ok(field.strip_suffix(".0").unwrap_or(field).parse()?)
}
