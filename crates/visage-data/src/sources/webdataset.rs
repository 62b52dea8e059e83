//! WebDataset (<https://github.com/webdataset/webdataset>): tar shards in which the files of a sample share a name up to its
//! first dot. One file is the image, one a JSON object with the labels, or a `.cls` file with a number.

use std::collections::BTreeMap;

use csv::ByteRecord;

use super::columns::{Columns, split_of_file_name};
use super::faults::Faults;
use super::images::Images;
use super::reader::{Contents, SourceFiles};
use super::rows::json_fields;
use super::table::{Table, TableBuilder};
use crate::error::{DataError, TableFault};
use crate::files::{Files, is_image_name};

/// The column with the number in a `.cls` file.
const CLASS: &str = "cls";

/// The names of a sample's files.
#[derive(Default)]
struct Member {
    image: Option<String>,
    json: Option<String>,
    class: Option<String>,
}

/// A sample before its columns are known.
struct ShardRow {
    shard: usize,
    image: String,
    /// The file with the labels.
    labels: String,
    /// Names and values.
    fields: Vec<(String, String)>,
}

/// Reads the shards in order, the samples of each in the order of their names.
pub(super) fn read(source: SourceFiles, faults: &mut Faults) -> Result<Contents, DataError> {
    let mut shards = Vec::with_capacity(source.names.len());
    let mut rows = Vec::new();
    for (number, name) in source.names.iter().enumerate() {
        let shard = source.files.inner_archive(name)?;
        read_shard(&shard, number, &mut rows, faults)?;
        shards.push(shard);
    }
    let (table, members) = assemble(&shards, &source.names, rows, faults)?;
    Ok(Contents::new("WebDataset", table, Images::InArchives { archives: shards, members }, None))
}

fn read_shard(shard: &Files, number: usize, rows: &mut Vec<ShardRow>, faults: &mut Faults) -> Result<(), DataError> {
    for (key, member) in members(shard) {
        let Some(image) = member.image else { continue };
        let labels = member.json.or(member.class).unwrap_or_else(|| format!("{key}.json"));
        let content = shard.read(&labels).map_err(|_| TableFault::MissingLabels { image: image.clone() });
        let fields = content.and_then(|content| {
            if labels.ends_with(CLASS) {
                return Ok(vec![(CLASS.to_owned(), String::from_utf8_lossy(&content).trim().to_owned())]);
            }
            json_fields(&content).map_err(|reason| TableFault::NotJson { reason })
        });
        match fields {
            Ok(fields) => rows.push(ShardRow { shard: number, image, labels, fields }),
            Err(fault) => faults.report(&shard.describe(&labels), 1, fault)?,
        }
    }
    Ok(())
}

/// The files of each sample of a shard, by the sample's name.
fn members(shard: &Files) -> BTreeMap<String, Member> {
    let mut members: BTreeMap<String, Member> = BTreeMap::new();
    for name in shard.names_in_archive() {
        let folder = name.rfind('/').map_or(0, |slash| slash + 1);
        let Some(dot) = name[folder..].find('.') else { continue };
        let (key, extension) = (&name[..folder + dot], &name[folder + dot + 1..]);
        let member = members.entry(key.to_owned()).or_default();
        match extension {
            "json" => member.json = Some(name),
            CLASS => member.class = Some(name),
            _ if is_image_name(&name) => member.image = Some(name),
            _ => {}
        }
    }
    members
}

/// The rows as one table, and the shard and name of each sample's image.
fn assemble(
    shards: &[Files],
    names: &[String],
    rows: Vec<ShardRow>,
    faults: &mut Faults,
) -> Result<(Table, Vec<(usize, String)>), DataError> {
    let root = shards.first().map(|shard| shard.root().to_owned()).unwrap_or_default();
    if rows.is_empty() {
        return Err(DataError::NoTable { path: root, images: 0 });
    }
    let mut column_names = vec!["__image__".to_owned()];
    for (name, _) in rows.iter().flat_map(|row| &row.fields) {
        if !column_names.contains(name) {
            column_names.push(name.clone());
        }
    }
    let record = |image: &str, row: &ShardRow| -> ByteRecord {
        let value = |column: &String| row.fields.iter().find(|(name, _)| name == column).map_or("", |(_, value)| value);
        std::iter::once(image).chain(column_names[1..].iter().map(value)).collect()
    };
    let file = root.display().to_string();
    let fatal = |fault| DataError::Table { file: file.clone(), line: 1, fault };
    let mut columns = Columns::with_image(&column_names, 0).map_err(fatal)?;
    let mut search = columns.search_categories();
    let _ = rows.iter().all(|row| search.observe(&record(&row.image, row)));
    columns.set_categories(&search.finish()).map_err(fatal)?;

    let mut table = TableBuilder::new(file.clone(), columns);
    let mut members = Vec::with_capacity(rows.len());
    for row in rows {
        let shard = &names[row.shard];
        // Each shard may number its samples from 0.
        let record = if table.has_image(&row.image) {
            record(&format!("{shard}/{}", row.image), &row)
        } else {
            record(&row.image, &row)
        };
        match table.add(&record, 1, split_of_file_name(shard)) {
            Ok(()) => members.push((row.shard, row.image)),
            Err(fault) => faults.report(&shards[row.shard].describe(&row.labels), 1, fault)?,
        }
    }
    Ok((table.finish(), members))
}
