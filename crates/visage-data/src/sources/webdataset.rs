//! WebDataset (<https://github.com/webdataset/webdataset>): tar shards in which the files of a sample share a name up to
//! its first point. One of them is the image, one a JSON object with the labels, or a `.cls` with a number.

use std::collections::BTreeMap;

use csv::ByteRecord;

use super::faults::Faults;
use super::rows::json_fields;
use super::spelling::Column;
use super::table::{Header, Table};
use super::{Contents, Images, split_of_name};
use crate::error::{DataError, TableFault};
use crate::files::{Files, is_image_name};

/// The column that the number of a `.cls` file is read into.
const CLASS: &str = "cls";

/// The files of a sample.
#[derive(Default)]
struct Member {
    image: Option<String>,
    json: Option<String>,
    class: Option<String>,
}

/// What is known of a sample: the shard, the image, the names and values.
struct Found {
    shard: usize,
    image: String,
    about: String,
    fields: Vec<(String, String)>,
}

/// Reads the shards called `names`, in that order; samples in the order of their names.
pub(super) fn read(files: &Files, names: &[String], faults: &mut Faults) -> Result<Contents, DataError> {
    let mut shards = Vec::with_capacity(names.len());
    let mut found = Vec::new();
    for (shard, name) in names.iter().enumerate() {
        let archive = files.inner_archive(name)?;
        for (key, member) in members(&archive) {
            let Some(image) = member.image else { continue };
            let about = member.json.or(member.class).unwrap_or_else(|| format!("{key}.json"));
            let fields = archive.read(&about).map_err(|_| TableFault::NoAbout { image: image.clone() });
            let fields = fields.and_then(|content| {
                if about.ends_with(CLASS) {
                    return Ok(vec![(CLASS.to_owned(), String::from_utf8_lossy(&content).trim().to_owned())]);
                }
                json_fields(&content).map_err(|reason| TableFault::NotJson { reason })
            });
            match fields {
                Ok(fields) => found.push(Found { shard, image, about, fields }),
                Err(fault) => faults.take(&archive.describe(&about), 1, fault)?,
            }
        }
        shards.push(archive);
    }
    let (table, places) = assemble(&shards, names, found, faults)?;
    let images = Images::Listed { archives: shards, places };
    let Table { attributes, categories, samples, notes, .. } = table;
    Ok(Contents { form: "WebDataset", attributes, categories, samples, images, notes })
}

/// The files of each sample of a shard, by the sample's name.
fn members(archive: &Files) -> BTreeMap<String, Member> {
    let mut members: BTreeMap<String, Member> = BTreeMap::new();
    for name in archive.all_names() {
        let folder = name.rfind('/').map_or(0, |slash| slash + 1);
        let Some(point) = name[folder..].find('.') else { continue };
        let (key, extension) = (&name[..folder + point], &name[folder + point + 1..]);
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

/// The samples as rows of one table, with the place of each image.
fn assemble(
    shards: &[Files],
    names: &[String],
    found: Vec<Found>,
    faults: &mut Faults,
) -> Result<(Table, Vec<(usize, String)>), DataError> {
    let root = shards.first().map(|shard| shard.root().to_owned()).unwrap_or_default();
    let mut columns = vec!["__image__".to_owned()];
    for (name, _) in found.iter().flat_map(|sample| &sample.fields) {
        if !columns.contains(name) {
            columns.push(name.clone());
        }
    }
    if found.is_empty() {
        return Err(DataError::NoTable { path: root, images: 0 });
    }
    let file = root.display().to_string();
    let fatal = |fault| DataError::Table { file: file.clone(), line: 1, fault };
    let mut header = Header::with_image(&columns, 0).map_err(fatal)?;
    let row = |sample: &Found| -> ByteRecord {
        let value =
            |column: &String| sample.fields.iter().find(|(name, _)| name == column).map_or("", |(_, value)| value);
        std::iter::once(sample.image.as_str()).chain(columns[1..].iter().map(value)).collect()
    };
    let mut words = header.words();
    let _ = found.iter().all(|sample| words.see(&row(sample)));
    header.set_categories(&words.columns().collect::<Vec<_>>()).map_err(fatal)?;
    let mut table = Table::of(String::new(), &header);
    let mut spellings = vec![Column::default(); table.attributes.len()];
    let mut places = Vec::with_capacity(found.len());
    for found in found {
        let row = row(&found);
        let Found { shard, image, about, .. } = found;
        let sample = header.sample(&row, 1, &mut spellings).and_then(|mut sample| {
            if !header.has_split() {
                sample.split = split_of_name(&names[shard]);
            }
            // Shards may number their samples each from 0.
            if table.by_image.contains_key(&sample.image) {
                sample.image = format!("{}/{}", names[shard], sample.image);
            }
            table.add(sample, 1)
        });
        match sample {
            Ok(()) => places.push((shard, image)),
            Err(fault) => faults.take(&shards[shard].describe(&about), 1, fault)?,
        }
    }
    Ok((table, places))
}
