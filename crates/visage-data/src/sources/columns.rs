//! The meaning of a table's columns: one names the image, one may assign the split, one may name the person, text columns are
//! categories, and every other column is an attribute.

use csv::ByteRecord;

use super::categories::CategorySearch;
use super::label_spelling::LabelColumn;
use super::rows::{Rows, text};
use crate::error::TableFault;
use crate::label::Label;
use crate::sample::Sample;
use crate::split::Split;

/// Names of the image column, in order of preference: those of CelebA's copies, of pandas users and of Hugging Face.
const IMAGE: [&str; 9] =
    ["image", "image_id", "filename", "file_name", "image_path", "file", "filepath", "path", "img"];
/// Names of the column that assigns the split.
const SPLIT: [&str; 2] = ["split", "partition"];
/// Names of the column that names the person.
const IDENTITY: [&str; 5] = ["identity", "identity_id", "celeb_id", "person_id", "subject_id"];

/// The meaning of each column, by its index.
pub(super) struct Columns {
    /// The number of columns.
    count: usize,
    image: usize,
    split: Option<usize>,
    identity: Option<usize>,
    attributes: Vec<NamedColumn>,
    categories: Vec<NamedColumn>,
}

struct NamedColumn {
    index: usize,
    name: String,
}

impl Columns {
    /// Reads a header. The image column is the first if none has a known name.
    pub(super) fn of_header(record: &ByteRecord) -> Result<Self, TableFault> {
        let names = record.iter().map(text).collect::<Result<Vec<_>, _>>()?;
        for (index, name) in names.iter().enumerate() {
            if name.is_empty() {
                return Err(TableFault::UnnamedColumn { number: index + 1 });
            }
            if names[..index].contains(name) {
                return Err(TableFault::RepeatedColumn { column: (*name).to_owned() });
            }
        }
        Self::with_image(&names, find(&names, &IMAGE).unwrap_or(0))
    }

    /// Columns of these names, of which the one with the index `image` names the image. Text columns count as attributes until
    /// [`set_categories`](Self::set_categories).
    pub(super) fn with_image<S: AsRef<str>>(names: &[S], image: usize) -> Result<Self, TableFault> {
        let split = find(names, &SPLIT);
        let identity = find(names, &IDENTITY);
        let attributes: Vec<_> = (0..names.len())
            .filter(|&index| index != image && Some(index) != split && Some(index) != identity)
            .map(|index| NamedColumn { index, name: names[index].as_ref().to_owned() })
            .collect();
        if attributes.is_empty() {
            return Err(TableFault::NoAttributes);
        }
        Ok(Columns { count: names.len(), image, split, identity, attributes, categories: Vec::new() })
    }

    /// Finds the category columns in the rows, the first of which is the header.
    pub(super) fn find_categories(&mut self, rows: &mut dyn Rows) -> Result<(), TableFault> {
        rows.next();
        let mut search = self.search_categories();
        // A faulty row is reported when its turn comes.
        while rows.next().is_some_and(|(_, row)| row.map_or(true, |record| search.observe(record))) {}
        self.set_categories(&search.finish())
    }

    /// A search for categories among the attributes.
    pub(super) fn search_categories(&self) -> CategorySearch {
        CategorySearch::new(self.attributes.iter().map(|column| column.index))
    }

    /// Makes categories of some of the attributes.
    pub(super) fn set_categories(&mut self, categories: &[usize]) -> Result<(), TableFault> {
        (self.categories, self.attributes) =
            std::mem::take(&mut self.attributes).into_iter().partition(|column| categories.contains(&column.index));
        if self.attributes.is_empty() { Err(TableFault::NoAttributes) } else { Ok(()) }
    }

    pub(super) fn has_split(&self) -> bool {
        self.split.is_some()
    }

    pub(super) fn attribute_names(&self) -> Vec<String> {
        self.attributes.iter().map(|column| column.name.clone()).collect()
    }

    pub(super) fn category_names(&self) -> Vec<String> {
        self.categories.iter().map(|column| column.name.clone()).collect()
    }

    /// Reads a row, with one entry of `labels` for each attribute.
    pub(super) fn sample(
        &self,
        record: &ByteRecord,
        line: u64,
        labels: &mut [LabelColumn],
    ) -> Result<Sample, TableFault> {
        if record.len() != self.count {
            return Err(TableFault::FieldCount { found: record.len(), expected: self.count });
        }
        let filled = |column: Option<usize>| -> Result<Option<&str>, TableFault> {
            let field = column.map_or(Ok(""), |column| text(&record[column]))?;
            Ok(Some(field).filter(|field| !field.is_empty()))
        };
        let image = filled(Some(self.image))?.ok_or(TableFault::BlankImage)?.to_owned();
        let split = filled(self.split)?.map(split_of_value).transpose()?;
        let identity = filled(self.identity)?.map(str::to_owned);
        let labels = labels
            .iter_mut()
            .zip(&self.attributes)
            .map(|(labels, column)| labels.read(&record[column.index], line, &column.name))
            .collect::<Result<Box<[Label]>, _>>()?;
        let categories = self
            .categories
            .iter()
            .map(|column| Ok(filled(Some(column.index))?.map(str::to_owned)))
            .collect::<Result<Box<[_]>, TableFault>>()?;
        Ok(Sample { image, split, labels, identity, categories, landmarks: None, face_box: None })
    }
}

/// Whether a column of this name may name the image.
pub(super) fn is_image_name(name: &str) -> bool {
    is_one_of(name, &IMAGE)
}

/// Whether a column of this name is neither an attribute nor a category.
pub(super) fn has_special_meaning(name: &str) -> bool {
    is_image_name(name) || is_one_of(name, &SPLIT) || is_one_of(name, &IDENTITY)
}

fn is_one_of(name: &str, known: &[&str]) -> bool {
    known.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// The index of the first of the `wanted` names.
fn find<S: AsRef<str>>(names: &[S], wanted: &[&str]) -> Option<usize> {
    wanted.iter().find_map(|wanted| names.iter().position(|name| name.as_ref().eq_ignore_ascii_case(wanted)))
}

/// Reads a split by its name or by CelebA's number, to which pandas may have added `.0`.
pub(super) fn split_of_value(field: &str) -> Result<Split, TableFault> {
    Ok(field.strip_suffix(".0").unwrap_or(field).parse()?)
}

/// The split in the name of a file: `train.csv`, `data/val-00000-of-00002.parquet`, `test/metadata.jsonl`.
pub(super) fn split_of_file_name(name: &str) -> Option<Split> {
    let word = |part: &str| part.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default().to_owned();
    name.rsplit('/').map(word).find_map(|word| word.parse().ok())
}
