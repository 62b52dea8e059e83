//! A CSV file beside, or in an archive with, the images it lists.
//!
//! One column names the image, one may name the split, one may name the person; a column of words parts the images into
//! groups; every other column is an attribute.

use std::collections::HashMap;

use csv::ByteRecord;

use super::spelling::Column;
use super::words::Words;
use super::{Contents, Images, text, without_byte_order_mark};
use crate::error::{DataError, TableFault};
use crate::files::Files;
use crate::sample::Sample;

/// Names of the image column, the most telling first. Without any of them it is the first column.
const IMAGE_COLUMNS: [&str; 5] = ["image", "image_id", "filename", "file", "path"];
/// Names of the column that assigns a split.
const SPLIT_COLUMNS: [&str; 2] = ["split", "partition"];
/// The name of the column that says who is shown.
const IDENTITY_COLUMNS: [&str; 1] = ["identity"];

/// Reads the CSV file `name`; its images lie beside it.
pub(super) fn read(files: Files, name: &str) -> Result<Contents, DataError> {
    let bytes = files.read_table(name)?;
    let Rows { attributes, categories, samples } = read_rows(without_byte_order_mark(&bytes))
        .map_err(|(line, fault)| DataError::Table { file: files.describe(name), line, fault })?;
    let prefix = name.rfind('/').map_or("", |slash| &name[..=slash]).to_owned();
    Ok(Contents { attributes, categories, samples, images: Images { files, prefix } })
}

struct Rows {
    attributes: Vec<String>,
    categories: Vec<String>,
    samples: Vec<Sample>,
}

fn read_rows(bytes: &[u8]) -> Result<Rows, (u64, TableFault)> {
    let mut records = Records::new(bytes);
    let (line, record) =
        records.next().ok_or((1, TableFault::Ended { expected: "a header that names the columns" }))?;
    let mut header = Header::read(record).map_err(|fault| (line, fault))?;
    header.find_categories(Records::new(bytes)).map_err(|fault| (line, fault))?;
    let mut columns = vec![Column::default(); header.attributes.len()];
    let mut samples: Vec<Sample> = Vec::new();
    let mut lines: HashMap<String, u64> = HashMap::new();
    while let Some((line, record)) = records.next() {
        let sample = header.sample(record, line, &mut columns).map_err(|fault| (line, fault))?;
        if let Some(first_line) = lines.insert(sample.image.clone(), line) {
            return Err((line, TableFault::RepeatedImage { image: sample.image, first_line }));
        }
        samples.push(sample);
    }
    if samples.is_empty() {
        return Err((line + 1, TableFault::Ended { expected: "a row for each image" }));
    }
    let names = |columns: Vec<(usize, String)>| columns.into_iter().map(|(_, name)| name).collect();
    Ok(Rows { attributes: names(header.attributes), categories: names(header.categories), samples })
}

/// The rows of a table with their line numbers. Rows of nothing but blanks are left out.
struct Records<'a> {
    bytes: &'a [u8],
    reader: csv::Reader<&'a [u8]>,
    record: ByteRecord,
    /// How far lines have been counted: a place in `bytes`, and its line.
    counted: (usize, u64),
}

impl<'a> Records<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        // Flexible, because the reader's own message about a row's length does not say what to do.
        let reader =
            csv::ReaderBuilder::new().has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(bytes);
        Records { bytes, reader, record: ByteRecord::new(), counted: (0, 1) }
    }

    fn next(&mut self) -> Option<(u64, &ByteRecord)> {
        loop {
            // As bytes, from memory and of any length, a record cannot fail.
            if !self.reader.read_byte_record(&mut self.record).unwrap_or(false) {
                return None;
            }
            if self.record.len() > 1 || !self.record[0].is_empty() {
                return Some((self.line(), &self.record));
            }
        }
    }

    /// The line of the current record. The reader's own count is of the line before, where blank lines or carriage
    /// returns come between.
    fn line(&mut self) -> u64 {
        let (from, line) = self.counted;
        let end_of_last = self.record.position().map_or(from, |position| position.byte() as usize);
        let is_break = |byte: &&u8| matches!(byte, b'\r' | b'\n');
        let start = end_of_last + self.bytes[end_of_last..].iter().take_while(is_break).count();
        let breaks = self.bytes[from..start].iter().filter(|&&byte| byte == b'\n').count();
        self.counted = (start, line + breaks as u64);
        self.counted.1
    }
}

/// Which column is what.
struct Header {
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
    fn read(record: &ByteRecord) -> Result<Self, TableFault> {
        let names = record.iter().map(text).collect::<Result<Vec<_>, _>>()?;
        for (index, name) in names.iter().enumerate() {
            if name.is_empty() {
                return Err(TableFault::UnnamedColumn { number: index + 1 });
            }
            if names[..index].contains(name) {
                return Err(TableFault::RepeatedColumn { column: (*name).to_owned() });
            }
        }
        let find = |wanted: &[&str]| {
            wanted.iter().find_map(|wanted| names.iter().position(|name| name.eq_ignore_ascii_case(wanted)))
        };
        let split = find(&SPLIT_COLUMNS);
        let identity = find(&IDENTITY_COLUMNS);
        let image = find(&IMAGE_COLUMNS).unwrap_or(0);
        let attributes: Vec<_> = names
            .iter()
            .enumerate()
            .filter(|&(index, _)| index != image && Some(index) != split && Some(index) != identity)
            .map(|(index, name)| (index, (*name).to_owned()))
            .collect();
        if attributes.is_empty() {
            return Err(TableFault::NoAttributes);
        }
        Ok(Header { fields: names.len(), image, split, identity, attributes, categories: Vec::new() })
    }

    /// Takes columns of words out of the attributes, after a look at the rows from the header on.
    fn find_categories(&mut self, mut records: Records<'_>) -> Result<(), TableFault> {
        records.next();
        let mut words = Words::new(self.attributes.iter().map(|(column, _)| *column));
        while records.next().is_some_and(|(_, record)| words.see(record)) {}
        let words: Vec<usize> = words.columns().collect();
        (self.categories, self.attributes) =
            std::mem::take(&mut self.attributes).into_iter().partition(|(column, _)| words.contains(column));
        if self.attributes.is_empty() { Err(TableFault::NoAttributes) } else { Ok(()) }
    }

    fn sample(&self, record: &ByteRecord, line: u64, columns: &mut [Column]) -> Result<Sample, TableFault> {
        if record.len() != self.fields {
            return Err(TableFault::FieldCount { found: record.len(), expected: self.fields });
        }
        let filled = |column: Option<usize>| -> Result<Option<&str>, TableFault> {
            let field = column.map_or(Ok(""), |column| text(&record[column]))?;
            Ok(Some(field).filter(|field| !field.is_empty()))
        };
        let image = filled(Some(self.image))?.ok_or(TableFault::BlankImage)?.to_owned();
        let split = filled(self.split)?.map(str::parse).transpose()?;
        let identity = filled(self.identity)?.map(str::to_owned);
        let labels = columns
            .iter_mut()
            .zip(&self.attributes)
            .map(|(column, (index, name))| column.read(&record[*index], line, name))
            .collect::<Result<Box<[_]>, _>>()?;
        let categories = self
            .categories
            .iter()
            .map(|(index, _)| Ok(filled(Some(*index))?.map(str::to_owned)))
            .collect::<Result<Box<[_]>, TableFault>>()?;
        Ok(Sample { image, split, labels, identity, categories })
    }
}
