//! WebDataset (<https://github.com/webdataset/webdataset>): tar shards in which the files of a sample share a name up to its
//! first dot. One file is the image, one a JSON object with the labels, or a `.cls` file with a number.

use std::collections::{BTreeMap, HashSet};

use super::columns::ImageColumn;
use super::faults::Faults;
use super::images::Images;
use super::locate::Located;
use super::parts::{Part, read_parts};
use super::reader::{Contents, SourceFiles};
use super::rows::{MemoryTable, json_fields};
use super::split_column::split_of_part;
use crate::error::{DataError, TableFault};
use crate::files::{Files, is_image_name};
use crate::table_options::TableOptions;

/// The column with the number in a `.cls` file.
const CLASS: &str = "cls";
/// The column with the image's name; no label is called so.
const IMAGE: &str = "__image__";
/// Columns that img2dataset (<https://github.com/rom1504/img2dataset>) writes beside the labels.
const IMG2DATASET: [&str; 12] = [
    "url",
    "caption",
    "key",
    "status",
    "error_message",
    "width",
    "height",
    "original_width",
    "original_height",
    "exif",
    "sha256",
    "md5",
];
/// Of these, the columns that every shard of img2dataset has.
const MARKS: [&str; 3] = ["key", "status", "error_message"];

/// The names of a sample's files.
#[derive(Default)]
struct Member {
    image: Option<String>,
    json: Option<String>,
    class: Option<String>,
}

/// A shard and its samples.
struct Shard {
    name: String,
    files: Files,
    samples: Vec<ShardSample>,
}

/// A sample before its columns are known.
struct ShardSample {
    image: String,
    /// The file with the labels.
    labels: String,
    /// Names and values.
    fields: Vec<(String, String)>,
}

/// Reads the shards in order, the samples of each in the order of their names.
pub(super) fn read(source: SourceFiles, options: &TableOptions, faults: &mut Faults) -> Result<Contents, DataError> {
    let mut shards = Vec::with_capacity(source.names.len());
    for name in &source.names {
        let shard = read_shard(source.files.inner_archive(name)?, name, faults)?;
        if !shard.samples.is_empty() {
            shards.push(shard);
        }
    }
    if shards.is_empty() {
        return Err(DataError::NoTable { path: source.files.root().to_owned(), images: 0 });
    }
    let (columns, dropped) = columns(&shards);
    let tables = tables(&shards, &columns);
    let parts: Vec<Part<'_>> = shards.iter().zip(&tables).map(|(shard, table)| shard.part(table)).collect();
    let mut table = read_parts(&parts, options, faults, || source.different_tables())?;
    drop(parts);
    if !dropped.is_empty() {
        table.understood += &format!("; left out img2dataset's {}", dropped.join(", "));
    }
    let image = |&(shard, line): &(usize, u64)| (shard, shards[shard].samples[line as usize - 1].image.clone());
    let members = table.places.iter().map(image).collect();
    let places = shards.into_iter().map(|shard| shard.files).collect();
    Ok(Contents::new("WebDataset", table, Located::exactly(Images::Members { places, members })))
}

impl Shard {
    fn part<'a>(&self, table: &'a MemoryTable) -> Part<'a> {
        Part {
            file: self.files.root().display().to_string(),
            split: split_of_part(&self.name, 1),
            prefix: String::new(),
            image: Some(ImageColumn::Named(0)),
            row_name: None,
            open: Box::new(|| Ok(Box::new(table.rows()))),
        }
    }
}

fn read_shard(files: Files, name: &str, faults: &mut Faults) -> Result<Shard, DataError> {
    let mut samples = Vec::new();
    for (key, member) in members(&files) {
        let Some(image) = member.image else { continue };
        let mut fields = Vec::new();
        let labels =
            member.json.as_ref().or(member.class.as_ref()).map_or_else(|| format!("{key}.json"), String::clone);
        let read = |name: &str| files.read(name).map_err(|_| TableFault::MissingLabels { image: image.clone() });
        let found = (|| {
            if member.class.is_none() || member.json.is_some() {
                fields = json_fields(&read(&labels)?).map_err(|reason| TableFault::NotJson { reason })?;
            }
            if let Some(class) = &member.class {
                fields.push((CLASS.to_owned(), String::from_utf8_lossy(&read(class)?).trim().to_owned()));
            }
            Ok(())
        })();
        match found {
            Ok(()) => samples.push(ShardSample { image, labels, fields }),
            Err(fault) => faults.report(&files.describe(&labels), 1, fault)?,
        }
    }
    Ok(Shard { name: name.to_owned(), files, samples })
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

/// The columns of all shards, the image first, and the columns of img2dataset that are left out.
fn columns(shards: &[Shard]) -> (Vec<String>, Vec<String>) {
    let mut names: Vec<String> = Vec::new();
    let mut known = HashSet::new();
    for (name, _) in shards.iter().flat_map(|shard| &shard.samples).flat_map(|sample| &sample.fields) {
        if known.insert(name) {
            names.push(name.clone());
        }
    }
    let is_img2dataset = MARKS.iter().all(|mark| names.iter().any(|name| name == mark));
    let (dropped, kept): (Vec<_>, Vec<_>) =
        names.into_iter().partition(|name| is_img2dataset && IMG2DATASET.contains(&name.as_str()));
    (std::iter::once(IMAGE.to_owned()).chain(kept).collect(), dropped)
}

/// The rows of each shard. Each shard may number its samples from 0, so an image of an earlier shard's name is called by its
/// shard too.
fn tables(shards: &[Shard], columns: &[String]) -> Vec<MemoryTable> {
    let mut known = HashSet::new();
    let table = |shard: &Shard| {
        let mut table = MemoryTable::new(columns.to_vec());
        for sample in &shard.samples {
            let is_new = known.insert(sample.image.clone());
            let image = if is_new { sample.image.clone() } else { format!("{}/{}", shard.name, sample.image) };
            let value = |column: &String| {
                sample.fields.iter().find(|(name, _)| name == column).map_or("", |(_, value)| value.as_str())
            };
            let values = columns[1..].iter().map(value);
            table.push_at(shard.files.describe(&sample.labels), std::iter::once(image.as_str()).chain(values));
        }
        table
    };
    shards.iter().map(table).collect()
}
