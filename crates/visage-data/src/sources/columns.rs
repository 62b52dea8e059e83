//! The meaning of a table's columns: one names the image, some may assign the split, one may name the person, one may list
//! labels, text columns are categories, and every other column is an attribute.

use std::collections::HashSet;

use csv::ByteRecord;

use super::attribute_column::{AttributeColumn, Targets};
use super::face_columns::FaceColumns;
use super::label_list::ListForm;
use super::label_spelling::{LabelColumn, LabelRules};
use super::profile::ColumnProfile;
use super::rows::text;
use super::split_column::{SplitRule, is_split_name, plain};
use crate::error::TableFault;
use crate::sample::Sample;
use crate::table_options::TableOptions;

/// Names of the image column without case and punctuation, in order of preference: those of CelebA's copies, of pandas users and
/// of Hugging Face.
pub(super) const IMAGE: [&str; 17] = [
    "image",
    "imageid",
    "filename",
    "imagepath",
    "file",
    "filepath",
    "path",
    "img",
    "imagename",
    "imagefile",
    "imagefilename",
    "imgname",
    "imgpath",
    "imgfile",
    "photo",
    "picture",
    "imageurl",
];
/// Names of the column that names the person.
pub(super) const IDENTITY: [&str; 6] = ["identity", "identityid", "celebid", "personid", "subjectid", "patientid"];
/// Names of columns that number the rows.
pub(super) const ROW_NUMBER: [&str; 4] = ["", "id", "index", "rowid"];

/// Where an image's name comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ImageColumn {
    /// From a column.
    Named(usize),
    /// From the row's number, where the images themselves are in the table.
    RowNumber,
}

/// The meaning of each column, by its index.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    /// The names of all columns.
    pub(super) names: Vec<String>,
    pub(super) image: ImageColumn,
    pub(super) split: SplitRule,
    pub(super) identity: Option<usize>,
    pub(super) faces: FaceColumns,
    pub(super) attributes: Vec<AttributeColumn>,
    categories: Vec<usize>,
    /// Columns left out, each with the reason.
    pub(super) ignored: Vec<(String, &'static str)>,
    rules: LabelRules,
}

impl Columns {
    /// Decides by the names in the header, the contents, and the options.
    pub(super) fn decide(
        names: &[String],
        profiles: &[ColumnProfile],
        image: Option<ImageColumn>,
        options: &TableOptions,
    ) -> Result<Self, TableFault> {
        check_names(names, profiles)?;
        check_options(names, options)?;
        let find = || image_column(names, profiles, options).map(ImageColumn::Named);
        let image = image.map_or_else(find, Ok)?;
        let mut columns = Columns {
            names: names.to_vec(),
            image,
            split: SplitRule::None,
            identity: None,
            faces: FaceColumns::default(),
            attributes: Vec::new(),
            categories: Vec::new(),
            ignored: Vec::new(),
            rules: LabelRules { minus_one: None, soft: options.soft_labels },
        };
        let is_named = |list: &[String], column: usize| list.contains(&names[column]);
        let mut left: Vec<usize> = (0..names.len()).filter(|&column| image != ImageColumn::Named(column)).collect();
        columns.leave_out(&mut left, "by choice", |column| is_named(&options.ignore, column));
        // An attribute that is named as one is nothing else.
        let is_chosen = |column: usize| {
            is_named(&options.attributes, column)
                || is_named(&options.one_hot, column)
                || options.label_column.as_ref() == Some(&names[column])
                || options.value_column.as_ref() == Some(&names[column])
        };
        let candidates: Vec<usize> = left.iter().copied().filter(|&column| !is_chosen(column)).collect();
        columns.split = SplitRule::decide(names, profiles, &candidates, options)?;
        let in_split = columns.split.columns();
        left.retain(|column| !in_split.contains(column));
        columns.leave_out(&mut left, "another name of the image", |column| {
            !is_chosen(column) && is_image_name(&names[column]) && !is_label_column(&profiles[column])
        });
        columns.leave_out(&mut left, "row numbers", |column| {
            !is_chosen(column) && is_row_number(&names[column], &profiles[column])
        });
        columns.identity = left
            .iter()
            .copied()
            .find(|&column| IDENTITY.contains(&plain(&names[column]).as_str()) && !is_chosen(column));
        left.retain(|&column| columns.identity != Some(column));
        let candidates: Vec<usize> = left.iter().copied().filter(|&column| !is_chosen(column)).collect();
        columns.faces = FaceColumns::find(names, &candidates);
        let of_faces = columns.faces.columns();
        left.retain(|column| !of_faces.contains(column));
        columns.leave_out(&mut left, "lists of numbers", |column| {
            !is_chosen(column) && profiles[column].is_number_lists()
        });
        columns.find_attributes(left, profiles, options)?;
        if columns.attributes.is_empty() {
            let text: Vec<&str> = columns.categories.iter().map(|&column| names[column].as_str()).collect();
            return Err(TableFault::NoAttributes { text: text.join(", ") });
        }
        let has_zero = |column: &AttributeColumn| matches!(column, AttributeColumn::Label { column, .. } if profiles[*column].has_zero);
        columns.rules.minus_one = options.uncertain.filter(|_| columns.attributes.iter().any(has_zero));
        Ok(columns)
    }

    /// Moves columns from `left` to those that are left out.
    fn leave_out(&mut self, left: &mut Vec<usize>, reason: &'static str, is_left_out: impl Fn(usize) -> bool) {
        left.retain(|&column| {
            let is_left_out = is_left_out(column);
            if is_left_out {
                self.ignored.push((self.names[column].clone(), reason));
            }
            !is_left_out
        });
    }

    /// Divides the remaining columns into attributes and categories.
    fn find_attributes(
        &mut self,
        left: Vec<usize>,
        profiles: &[ColumnProfile],
        options: &TableOptions,
    ) -> Result<(), TableFault> {
        let lists: Vec<usize> = left.iter().copied().filter(|&column| profiles[column].is_text_lists()).collect();
        if options.label_column.is_none() && lists.len() > 1 {
            let [first, second] = [0, 1].map(|list| self.names[lists[list]].clone());
            return Err(TableFault::ManyLabelColumns { first, second });
        }
        for column in left {
            let name = self.names[column].clone();
            let is_list = match &options.label_column {
                Some(chosen) => *chosen == name,
                None => lists.contains(&column),
            };
            if options.value_column.as_ref() == Some(&name) {
                // Read with the label column.
            } else if is_list {
                // The form and the labels follow from the values, unless they are given.
                let form = options.separator.clone().map_or(ListForm::Single, ListForm::Separated);
                let value =
                    options.value_column.as_ref().and_then(|wanted| self.names.iter().position(|n| n == wanted));
                let (labels, is_closed) = (options.vocabulary.clone(), !options.vocabulary.is_empty());
                self.attributes.push(AttributeColumn::List { column, name, form, labels, is_closed, value });
            } else if options.one_hot.contains(&name) {
                self.attributes.push(AttributeColumn::OneHot { column, name, values: Vec::new() });
            } else if profiles[column].is_text() && !options.attributes.contains(&name) {
                self.categories.push(column);
            } else if options.attributes.is_empty() || options.attributes.contains(&name) {
                self.attributes.push(AttributeColumn::Label { column, name });
            } else {
                self.ignored.push((name, "not among the attributes chosen"));
            }
        }
        Ok(())
    }

    /// The names of the attributes, in order.
    pub(super) fn attribute_names(&self) -> Vec<String> {
        self.attributes.iter().flat_map(AttributeColumn::attribute_names).collect()
    }

    pub(super) fn category_names(&self) -> Vec<String> {
        self.categories.iter().map(|&column| self.names[column].clone()).collect()
    }

    /// Reads a row that is called `row_name`. `labels` has an entry for each of [`Columns::attributes`].
    pub(super) fn sample(
        &self,
        record: &ByteRecord,
        line: u64,
        row_name: &str,
        labels: &mut [LabelColumn],
    ) -> Result<Sample, TableFault> {
        if record.len() != self.names.len() {
            return Err(TableFault::FieldCount { found: record.len(), expected: self.names.len() });
        }
        let field = |column: usize| text(&record[column]);
        let filled = |column: usize| -> Result<Option<String>, TableFault> {
            Ok(Some(field(column)?).filter(|field| !field.is_empty()).map(str::to_owned))
        };
        let image = match self.image {
            ImageColumn::Named(column) => match filled(column)? {
                None if row_name.is_empty() => return Err(TableFault::BlankImage),
                name => name.unwrap_or_else(|| row_name.to_owned()),
            },
            ImageColumn::RowNumber => row_name.to_owned(),
        };
        let split = self.split.split(&self.names, field)?;
        let identity = self.identity.map(filled).transpose()?.flatten();
        let mut targets = Targets::default();
        for (attribute, labels) in self.attributes.iter().zip(labels) {
            attribute.read(record, line, labels, self.rules, &mut targets)?;
        }
        let categories = self.categories.iter().map(|&column| filled(column)).collect::<Result<Box<[_]>, _>>()?;
        let soft = targets.probabilities();
        let labels = targets.labels.into();
        let mut sample = Sample { image, split, labels, soft, identity, categories, ..Sample::default() };
        self.faces.read(&mut sample, field)?;
        Ok(sample)
    }
}

/// Checks that each column has a name of its own. A column without a name that numbers the rows is the index of pandas.
fn check_names(names: &[String], profiles: &[ColumnProfile]) -> Result<(), TableFault> {
    let mut known = HashSet::new();
    for (index, name) in names.iter().enumerate() {
        if name.is_empty() && !profiles[index].is_sequence {
            return Err(TableFault::UnnamedColumn { number: index + 1 });
        }
        if !known.insert(name) {
            return Err(TableFault::RepeatedColumn { column: name.clone() });
        }
    }
    Ok(())
}

/// Checks that the columns that options name exist.
fn check_options(names: &[String], options: &TableOptions) -> Result<(), TableFault> {
    let one = |option: &'static str, column: &Option<String>| column.clone().map(|column| (option, column));
    let many = |option: &'static str, columns: &[String]| {
        columns.iter().cloned().map(move |c| (option, c)).collect::<Vec<_>>()
    };
    let mut wanted = many("--ignore", &options.ignore);
    wanted.extend(many("--one-hot", &options.one_hot));
    wanted.extend(one("--image-column", &options.image_column));
    wanted.extend(one("--split-column", &options.split_column));
    wanted.extend(one("--label-column", &options.label_column));
    wanted.extend(one("--value-column", &options.value_column));
    if options.one_hot.is_empty() && options.label_column.is_none() {
        wanted.extend(many("--attributes", &options.attributes));
    }
    match wanted.into_iter().find(|(_, column)| !names.contains(column)) {
        None => Ok(()),
        Some((option, column)) => Err(TableFault::NoColumn { option, column, columns: names.join(", ") }),
    }
}

/// The column with the images' names: the one that is chosen, the one with a known name, the one that holds names of image files, or
/// the first that holds more than labels.
pub(super) fn image_column(
    names: &[String],
    profiles: &[ColumnProfile],
    options: &TableOptions,
) -> Result<usize, TableFault> {
    let position = |wanted: &str| names.iter().position(|name| plain(name) == wanted);
    let chosen = options.image_column.as_ref().and_then(|wanted| names.iter().position(|name| name == wanted));
    if let Some(column) = chosen {
        return Ok(column);
    }
    let by_content: Vec<usize> = (0..names.len()).filter(|&column| profiles[column].is_images()).collect();
    let known: Vec<usize> = IMAGE.iter().filter_map(|wanted| position(wanted)).collect();
    let known_with_images = known.iter().copied().find(|column| by_content.contains(column));
    if let Some(column) = known_with_images {
        return Ok(column);
    }
    match (by_content.as_slice(), known.first()) {
        ([column], _) => Ok(*column),
        ([first, second, ..], _) => {
            Err(TableFault::ManyImageColumns { first: names[*first].clone(), second: names[*second].clone() })
        }
        ([], Some(known)) => Ok(*known),
        ([], None) => {
            let is_name = |&column: &usize| {
                let profile = &profiles[column];
                profile.filled > profile.labels && !is_unnamed(&names[column])
            };
            let column = (0..names.len()).find(is_name).or_else(|| {
                (0..names.len().min(1)).find(|&first| is_numbered(&names[first]) || profiles[first].filled == 0)
            });
            column.ok_or_else(|| TableFault::NoImageColumn { columns: names.join(", ") })
        }
    }
}

/// Whether this is the name that pandas gives a column without one.
fn is_unnamed(name: &str) -> bool {
    name.is_empty() || name.starts_with("Unnamed:")
}

/// Whether a column of this name may name the image.
pub(super) fn is_image_name(name: &str) -> bool {
    IMAGE.contains(&plain(name).as_str())
}

/// Whether a column holds labels only.
fn is_label_column(profile: &ColumnProfile) -> bool {
    profile.labels > 0 && profile.labels == profile.filled
}

/// Whether a column of this name may number the rows.
fn is_numbered(name: &str) -> bool {
    ROW_NUMBER.contains(&plain(name).as_str())
}

fn is_row_number(name: &str, profile: &ColumnProfile) -> bool {
    let is_number = profile.filled > 0 && profile.labels + profile.numbers == profile.filled;
    let is_named = is_numbered(name);
    profile.is_sequence && (is_named || is_unnamed(name)) || is_named && is_number && !is_label_column(profile)
}

/// Whether the values of a column of this name are kept, to decide and to show them.
pub(super) fn keeps_values(name: &str, options: &TableOptions) -> bool {
    is_split_name(name) || options.split_column.as_deref() == Some(name)
}
