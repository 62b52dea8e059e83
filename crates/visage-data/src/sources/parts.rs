//! Reading a table of one or more parts: what the columns hold, what they mean, and then the samples.

use std::collections::{BTreeMap, HashMap};

use csv::ByteRecord;

use super::attribute_column::AttributeColumn;
use super::columns::{Columns, ImageColumn, image_column, keeps_values};
use super::faults::Faults;
use super::label_list::{FormSearch, ListForm};
use super::profile::{ColumnProfile, Profiler};
use super::rows::{Rows, text};
use super::split_column::SplitRule;
use super::table::{Table, TableBuilder};
use crate::attributes::MAX_ATTRIBUTES;
use crate::error::{DataError, TableFault};
use crate::label::Label;
use crate::split::Split;
use crate::table_options::TableOptions;

/// The most columns of a table: one for each attribute, and some others.
const MAX_COLUMNS: usize = MAX_ATTRIBUTES + 100;

/// Opens the rows of a part from the start; an error comes with its line.
pub(super) type OpenRows<'a> = Box<dyn Fn() -> Result<Box<dyn Rows + 'a>, (u64, TableFault)> + 'a>;

/// A part of a table, which is read more than once.
pub(super) struct Part<'a> {
    /// Its path, for messages.
    pub(super) file: String,
    /// The split of its rows if no column assigns one.
    pub(super) split: Option<Split>,
    /// Stands before the names of its images.
    pub(super) prefix: String,
    /// The column with the images' names, where the form knows it.
    pub(super) image: Option<ImageColumn>,
    /// Images without a name are called this and the number of their row.
    pub(super) row_name: Option<String>,
    pub(super) open: OpenRows<'a>,
}

/// The names and the contents of a part's columns.
struct Header {
    /// Its line.
    line: u64,
    names: Vec<String>,
    profiles: Vec<ColumnProfile>,
    note: Option<String>,
}

/// Reads the parts of one table.
///
/// # Errors
///
/// When a part cannot be read, or the parts have different columns: then `different` makes the error.
pub(super) fn read_parts(
    parts: &[Part<'_>],
    options: &TableOptions,
    faults: &mut Faults,
    different: impl Fn() -> DataError,
) -> Result<Table, DataError> {
    let headers = parts.iter().map(|part| part.header(options)).collect::<Result<Vec<_>, _>>()?;
    let mut profiles: HashMap<&str, ColumnProfile> = HashMap::new();
    for header in &headers {
        for (name, profile) in header.names.iter().zip(&header.profiles) {
            profiles.entry(name).or_default().add(profile);
        }
    }
    let mut labelled: Vec<(&Part<'_>, Columns)> = Vec::new();
    let mut unlabelled = Vec::new();
    for (part, header) in parts.iter().zip(&headers) {
        let profiles: Vec<ColumnProfile> = header.names.iter().map(|name| profiles[name.as_str()].clone()).collect();
        match Columns::decide(&header.names, &profiles, part.image, options) {
            Ok(columns) => labelled.push((part, columns)),
            Err(fault @ TableFault::NoAttributes { .. }) => unlabelled.push((part, header.line, fault)),
            Err(fault) => return Err(part.fault(header.line, fault)),
        }
    }
    if labelled.is_empty()
        && let Some((part, line, fault)) = unlabelled.pop()
    {
        return Err(part.fault(line, fault));
    }
    let mut understood = expand(&mut labelled, options)?;
    if let Some((_, columns)) = labelled.first() {
        understood = describe(columns, options) + &understood;
    }
    let mut table = TableBuilder::new(options.combine);
    headers.into_iter().filter_map(|header| header.note).for_each(|note| table.note(note));
    for (part, ..) in unlabelled {
        table.note(format!(
            "{} holds no labels and is left out; `visage predict` takes it as a list of images",
            part.file
        ));
    }
    for (part, columns) in &labelled {
        part.add_to(&mut table, columns, faults)?.ok_or_else(&different)?;
    }
    Ok(table.finish(understood))
}

impl Part<'_> {
    fn fault(&self, line: u64, fault: TableFault) -> DataError {
        DataError::Table { file: self.file.clone(), line, fault }
    }

    /// Reads the header and counts what the columns hold.
    fn header(&self, options: &TableOptions) -> Result<Header, DataError> {
        let fatal = |(line, fault)| self.fault(line, fault);
        let mut rows = (self.open)().map_err(fatal)?;
        let expected = "a header that names the columns";
        let (line, header) = rows.next().ok_or((1, TableFault::Ended { expected })).map_err(fatal)?;
        let names = header.and_then(|header| {
            if header.len() > MAX_COLUMNS {
                return Err(TableFault::TooManyColumns { found: header.len(), most: MAX_COLUMNS });
            }
            header.iter().map(|name| Ok(text(name)?.to_owned())).collect::<Result<Vec<String>, _>>()
        });
        let names = names.map_err(|fault| self.fault(line, fault))?;
        let mut profiler = Profiler::new(names.len(), |column| keeps_values(&names[column], options));
        let header_line = line;
        let (mut found, mut last_line) = (0, line);
        while let Some((line, row)) = rows.next() {
            found += 1;
            last_line = line;
            // A faulty row is reported when its samples are read.
            if let Ok(record) = row {
                profiler.observe(record);
            }
        }
        if found == 0 {
            let expected = "a row for each image";
            return Err(self.fault(last_line + 1, TableFault::Ended { expected }));
        }
        let note = rows.stated_count().filter(|&stated| stated != found).map(|stated| {
            let reason = if stated > found { "it may be truncated" } else { "rows may have been added" };
            format!("{} states {stated} images on its first line but lists {found}: {reason}", self.file)
        });
        Ok(Header { line: header_line, names, profiles: profiler.finish(), note })
    }

    /// The names of the images of all rows, whose labels are not read.
    pub(super) fn images(&self, options: &TableOptions) -> Result<Vec<String>, DataError> {
        let Header { line, names, profiles, .. } = self.header(options)?;
        let column = image_column(&names, &profiles, options).map_err(|fault| self.fault(line, fault))?;
        let mut images = Vec::new();
        self.each_row(|line, _, row| {
            let image = row.and_then(|row| text(row.get(column).unwrap_or_default()));
            let image = image
                .and_then(|image| if image.is_empty() { Err(TableFault::BlankImage) } else { Ok(image.to_owned()) });
            images.push(image.map_err(|fault| self.fault(line, fault))?);
            Ok(())
        })?;
        Ok(images)
    }

    /// Calls `each` with every row after the header, until it returns an error.
    fn each_row(
        &self,
        mut each: impl FnMut(u64, Option<&str>, Result<&ByteRecord, TableFault>) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let mut rows = (self.open)().map_err(|(line, fault)| self.fault(line, fault))?;
        rows.next();
        loop {
            let place = rows.place_of_next().map(str::to_owned);
            let Some((line, row)) = rows.next() else { return Ok(()) };
            each(line, place.as_deref(), row)?;
        }
    }

    /// Adds the samples. `None` if the columns are not those of the parts before.
    fn add_to(
        &self,
        table: &mut TableBuilder,
        columns: &Columns,
        faults: &mut Faults,
    ) -> Result<Option<()>, DataError> {
        let Some(mut part) = table.part(self.file.clone(), columns, self.split, &self.prefix) else { return Ok(None) };
        self.each_row(|line, place, row| {
            let row_name = self.row_name.as_ref().map_or_else(String::new, |stem| format!("{stem}-{line:08}"));
            match row.and_then(|row| table.add(&mut part, row, line, &row_name)) {
                Ok(()) => Ok(()),
                Err(fault) => match place {
                    Some(place) => faults.report(place, 1, fault),
                    None => faults.report(&self.file, line, fault),
                },
            }
        })?;
        Ok(Some(()))
    }
}

/// The fields of a column that becomes several attributes, as they are written, and the number of rows with each.
type Fields = BTreeMap<String, u64>;

/// What such a column holds.
struct Found {
    form: ListForm,
    /// The number of rows with each label.
    counts: BTreeMap<String, u64>,
}

/// Finds the attributes of one-hot and label columns in all parts, and describes what was left out.
fn expand(parts: &mut [(&Part<'_>, Columns)], options: &TableOptions) -> Result<String, DataError> {
    let mut fields: BTreeMap<String, Fields> = BTreeMap::new();
    for (part, columns) in parts.iter() {
        let wanted: Vec<(usize, &str)> = columns.attributes.iter().filter_map(AttributeColumn::expanded).collect();
        if !wanted.is_empty() {
            // A faulty row is reported when its samples are read.
            part.each_row(|_, _, row| {
                row.iter().for_each(|record| count_fields(record, &wanted, &mut fields));
                Ok(())
            })?;
        }
    }
    let mut described = String::new();
    let mut found: BTreeMap<&str, Found> = BTreeMap::new();
    for (name, fields) in &fields {
        let column = parts.iter().find_map(|(part, columns)| Some((part, columns.expanded(name)?)));
        let Some((part, attribute)) = column else { continue };
        let values = attribute.found(fields, options).map_err(|fault| part.fault(1, fault))?;
        described += &left_out(name, &values, fields, options);
        found.insert(name, values);
    }
    for (part, columns) in parts {
        let fault = |fault| part.fault(1, fault);
        columns.attributes.iter_mut().try_for_each(|attribute| attribute.expand(options, &found)).map_err(fault)?;
        let names = columns.attribute_names();
        check_attributes(&names, options).map_err(fault)?;
    }
    Ok(described)
}

fn count_fields(record: &ByteRecord, columns: &[(usize, &str)], fields: &mut BTreeMap<String, Fields>) {
    for &(column, name) in columns {
        let Some(Ok(field)) = record.get(column).map(text) else { continue };
        add_count(fields.entry(name.to_owned()).or_default(), field, 1);
    }
}

fn add_count(counts: &mut BTreeMap<String, u64>, key: &str, rows: u64) {
    match counts.get_mut(key) {
        Some(count) => *count += rows,
        None => drop(counts.insert(key.to_owned(), rows)),
    }
}

/// What is said of a column's rare labels and blank fields.
fn left_out(name: &str, found: &Found, fields: &Fields, options: &TableOptions) -> String {
    let rare = found.counts.iter().filter(|(_, count)| **count < options.min_count);
    let rare: Vec<String> = rare.map(|(label, count)| format!("{label} ({count})")).collect();
    let mut described = String::new();
    if !rare.is_empty() {
        described += &format!(
            "; left out {} labels of `{name}` in fewer than {} rows: {}",
            rare.len(),
            options.min_count,
            rare.join(", ")
        );
    }
    if let Some(blank) = fields.get("") {
        described += &format!("; `{name}` is blank in {blank} rows, whose labels are unknown");
    }
    described
}

impl Columns {
    /// The column called `name`, if it becomes several attributes.
    fn expanded(&self, name: &str) -> Option<&AttributeColumn> {
        self.attributes.iter().find(|attribute| attribute.expanded().is_some_and(|(_, own)| own == name))
    }
}

impl AttributeColumn {
    /// The index and the name of a column that becomes several attributes.
    fn expanded(&self) -> Option<(usize, &str)> {
        match self {
            AttributeColumn::Label { .. } => None,
            AttributeColumn::OneHot { column, name, .. } | AttributeColumn::List { column, name, .. } => {
                Some((*column, name))
            }
        }
    }

    /// The form and the labels of the column's fields.
    fn found(&self, fields: &Fields, options: &TableOptions) -> Result<Found, TableFault> {
        let filled = || fields.iter().filter(|(field, _)| !field.is_empty());
        let form = match self {
            AttributeColumn::List { name, .. } if options.separator.is_none() => {
                let mut search = FormSearch::default();
                filled().for_each(|(field, _)| search.observe(field));
                search.form(name)?
            }
            AttributeColumn::List { form, .. } => form.clone(),
            AttributeColumn::Label { .. } | AttributeColumn::OneHot { .. } => ListForm::Single,
        };
        let mut counts = BTreeMap::new();
        for (field, rows) in filled() {
            form.labels(field).iter().for_each(|label| add_count(&mut counts, label, *rows));
        }
        Ok(Found { form, counts })
    }

    fn expand(&mut self, options: &TableOptions, found: &BTreeMap<&str, Found>) -> Result<(), TableFault> {
        let frequent = |found: &Found| -> Vec<String> {
            let kept = found.counts.iter().filter(|(_, count)| **count >= options.min_count);
            kept.map(|(value, _)| value.clone()).collect()
        };
        let is_chosen = |attribute: &String| options.attributes.is_empty() || options.attributes.contains(attribute);
        let (name, attributes) = match self {
            AttributeColumn::Label { .. } => return Ok(()),
            AttributeColumn::OneHot { name, values, .. } => {
                *values = found.get(name.as_str()).map(frequent).unwrap_or_default();
                values.retain(|value| is_chosen(&format!("{name}={value}")));
                (name, values.len())
            }
            AttributeColumn::List { name, form, labels, is_closed, .. } => {
                if let Some(found) = found.get(name.as_str()) {
                    *form = found.form.clone();
                    if !*is_closed {
                        *labels = frequent(found);
                        labels.retain(is_chosen);
                    }
                }
                (name, labels.len())
            }
        };
        match attributes {
            0 => Err(TableFault::NoLabels { column: name.clone() }),
            1..=MAX_ATTRIBUTES => Ok(()),
            found => Err(TableFault::TooManyLabels { column: name.clone(), found, most: MAX_ATTRIBUTES }),
        }
    }
}

/// Checks that the attributes have different names, and that those chosen exist.
fn check_attributes(names: &[String], options: &TableOptions) -> Result<(), TableFault> {
    let mut sorted: Vec<&String> = names.iter().collect();
    sorted.sort_unstable();
    if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(TableFault::RepeatedColumn { column: pair[0].clone() });
    }
    if names.len() > MAX_ATTRIBUTES {
        return Err(TableFault::TooManyAttributes { found: names.len(), most: MAX_ATTRIBUTES });
    }
    match options.attributes.iter().find(|chosen| sorted.binary_search(chosen).is_err()) {
        None => Ok(()),
        Some(column) => {
            Err(TableFault::NoColumn { option: "--attributes", column: column.clone(), columns: names.join(", ") })
        }
    }
}

/// How the columns were understood, as the beginning of a sentence.
fn describe(columns: &Columns, options: &TableOptions) -> String {
    let name = |column: usize| format!("`{}`", columns.names[column]);
    let mut parts = vec![match columns.image {
        ImageColumn::Named(column) => format!("images in {}", name(column)),
        ImageColumn::RowNumber => "images named by their row".to_owned(),
    }];
    match &columns.split {
        SplitRule::None => {}
        rule => {
            parts.push(format!("splits in {}", rule.columns().into_iter().map(name).collect::<Vec<_>>().join(", ")))
        }
    }
    parts.extend(columns.identity.map(|column| format!("people in {}", name(column))));
    for attribute in &columns.attributes {
        match attribute {
            AttributeColumn::Label { .. } => {}
            AttributeColumn::OneHot { name, .. } => parts.push(format!("an attribute for each value of `{name}`")),
            AttributeColumn::List { name, form, .. } => {
                let form = match form {
                    ListForm::Single => "one in each row".to_owned(),
                    ListForm::Bracketed => "lists in brackets".to_owned(),
                    ListForm::Separated(separator) => format!("separated by `{separator}`"),
                };
                parts.push(format!("labels in `{name}`, {form}"));
            }
        }
    }
    let single =
        columns.attributes.iter().filter(|attribute| matches!(attribute, AttributeColumn::Label { .. })).count();
    match single {
        0 => {}
        1 => parts.push("1 column of labels".to_owned()),
        many => parts.push(format!("{many} columns of labels")),
    }
    parts.extend(columns.faces.describe().map(str::to_owned));
    let categories = columns.category_names();
    if !categories.is_empty() {
        parts.push(format!("text to group by in `{}`", categories.join("`, `")));
    }
    if let Some(label) = options.uncertain {
        parts.push(match label {
            Label::Unknown => "-1 read as unknown".to_owned(),
            Label::Present => "-1 read as present".to_owned(),
            Label::Absent => "-1 read as absent".to_owned(),
        });
    }
    if !columns.ignored.is_empty() {
        let ignored: Vec<String> =
            columns.ignored.iter().map(|(column, reason)| format!("`{column}` ({reason})")).collect();
        parts.push(format!("left out {}", ignored.join(", ")));
    }
    parts.join("; ")
}
