//! Labels as annotation programs export them: COCO, Label Studio, FiftyOne and CVAT.
//!
//! Each export becomes a table with a column of images, perhaps one of splits, and columns of lists of labels.

mod coco;
mod cvat;
mod fiftyone;
mod label_studio;

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::columns::ImageColumn;
use super::faults::Faults;
use super::locate::locate;
use super::parts::{Part, read_parts};
use super::reader::{Contents, SourceFiles};
use super::rows::MemoryTable;
use super::split_column::split_in_words;
use crate::error::{DataError, TableFault};
use crate::files::{Files, Listing, has_extension};
use crate::table_options::TableOptions;

/// The extensions of exports.
pub(super) const EXTENSIONS: [&str; 2] = ["json", "xml"];

/// An export as a table.
struct Export {
    form: &'static str,
    table: MemoryTable,
    /// All labels, where the export lists them.
    vocabulary: Vec<String>,
}

/// The kinds of exports.
#[derive(Clone, Copy)]
enum Kind {
    Coco,
    LabelStudio,
    LabelStudioMinimal,
    FiftyOneDataset,
    FiftyOneClassification,
    Cvat,
}

/// What distinguishes the objects at the top of exports.
#[derive(Deserialize)]
struct TopObject {
    images: Option<IgnoredAny>,
    annotations: Option<IgnoredAny>,
    categories: Option<IgnoredAny>,
    samples: Option<IgnoredAny>,
    classes: Option<IgnoredAny>,
    labels: Option<IgnoredAny>,
}

/// What distinguishes the objects in lists.
#[derive(Deserialize)]
struct ListedObject {
    data: Option<IgnoredAny>,
    annotations: Option<IgnoredAny>,
    annotation_id: Option<IgnoredAny>,
    lead_time: Option<IgnoredAny>,
}

fn kind(name: &str, content: &[u8]) -> Option<Kind> {
    if has_extension(name, &["xml"]) {
        let start = String::from_utf8_lossy(&content[..content.len().min(512)]).into_owned();
        return start.contains("<annotations>").then_some(Kind::Cvat);
    }
    if content.trim_ascii_start().starts_with(b"[") {
        let listed: Vec<ListedObject> = serde_json::from_slice(content).ok()?;
        let all = |holds: fn(&ListedObject) -> bool| !listed.is_empty() && listed.iter().all(holds);
        return if all(|object| object.data.is_some() && object.annotations.is_some()) {
            Some(Kind::LabelStudio)
        } else {
            all(|object| object.annotation_id.is_some() && object.lead_time.is_some())
                .then_some(Kind::LabelStudioMinimal)
        };
    }
    let top: TopObject = serde_json::from_slice(content).ok()?;
    if top.images.is_some() && top.annotations.is_some() && top.categories.is_some() {
        Some(Kind::Coco)
    } else if top.samples.is_some() {
        Some(Kind::FiftyOneDataset)
    } else {
        (top.classes.is_some() && top.labels.is_some()).then_some(Kind::FiftyOneClassification)
    }
}

/// Those of the files `names` that are exports.
pub(super) fn among(files: &Files, names: Vec<String>) -> Vec<String> {
    let is_export = |name: &String| files.read(name).is_ok_and(|content| kind(name, &content).is_some());
    names.into_iter().filter(is_export).collect()
}

/// Reads one or more exports.
pub(super) fn read(source: SourceFiles, options: &TableOptions, faults: &mut Faults) -> Result<Contents, DataError> {
    let mut exports = Vec::with_capacity(source.names.len());
    for name in &source.names {
        let content = source.files.read_table(name)?;
        let fault = |fault| DataError::Table { file: source.files.describe(name), line: 1, fault };
        let kind = kind(name, &content).ok_or_else(|| fault(TableFault::UnknownExport))?;
        exports.push(export(kind, &content, &source.listing).map_err(|reason| fault(TableFault::Export { reason }))?);
    }
    let mut options = options.clone();
    if options.vocabulary.is_empty() {
        for label in exports.iter().flat_map(|export| &export.vocabulary) {
            if !options.vocabulary.contains(label) {
                options.vocabulary.push(label.clone());
            }
        }
    }
    let named = source.names.iter().zip(&exports);
    let parts: Vec<Part<'_>> = named.map(|(name, export)| part(&source.files, name, &export.table)).collect();
    let table = read_parts(&parts, &options, faults, || source.different_tables())?;
    drop(parts);
    let form = exports.first().map_or("export", |export| export.form);
    let located = locate(source.files, &source.listing, "", |_| false, &table.samples)?;
    Ok(Contents::new(form, table, located))
}

fn part<'a>(files: &Files, name: &str, table: &'a MemoryTable) -> Part<'a> {
    Part {
        file: files.describe(name),
        split: split_in_words(name),
        prefix: String::new(),
        image: Some(ImageColumn::Named(0)),
        row_name: None,
        open: Box::new(|| Ok(Box::new(table.rows()))),
    }
}

fn export(kind: Kind, content: &[u8], listing: &Listing) -> Result<Export, String> {
    match kind {
        Kind::Coco => coco::read(content),
        Kind::LabelStudio => label_studio::read(content, listing),
        Kind::LabelStudioMinimal => label_studio::read_minimal(content, listing),
        Kind::FiftyOneDataset => fiftyone::read_dataset(content),
        Kind::FiftyOneClassification => fiftyone::read_classification(content, listing),
        Kind::Cvat => cvat::read(content),
    }
}

/// A list of labels as the field of a table.
fn list<S: AsRef<str>>(labels: impl IntoIterator<Item = S>) -> String {
    let labels: Vec<String> = labels.into_iter().map(|label| label.as_ref().to_owned()).collect();
    serde_json::Value::from(labels).to_string()
}

/// Adds a column if it is not there yet, and returns its index.
fn column(columns: &mut Vec<String>, name: &str) -> usize {
    columns.iter().position(|known| known == name).unwrap_or_else(|| {
        columns.push(name.to_owned());
        columns.len() - 1
    })
}

/// A table whose rows name only some of its columns. Columns that no row names are left out, but for the first.
fn sparse_table(columns: Vec<String>, rows: Vec<Vec<(usize, String)>>) -> MemoryTable {
    let named: BTreeSet<usize> = [0].into_iter().chain(rows.iter().flatten().map(|(column, _)| *column)).collect();
    let mut table = MemoryTable::new(named.iter().map(|&column| columns[column].clone()).collect());
    for row in rows {
        let field = |column| row.iter().find(|(known, _)| *known == column).map_or("", |(_, value)| value.as_str());
        table.push(named.iter().map(|&column| field(column)));
    }
    table
}
