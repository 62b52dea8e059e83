//! FiftyOne (<https://docs.voxel51.com/user_guide/export_datasets.html>): its own datasets, and its image classification
//! datasets.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Export, column, list, sparse_table};
use crate::files::Listing;
use crate::sources::rows::MemoryTable;
use crate::split::Split;

#[derive(Deserialize)]
struct Dataset {
    samples: Vec<Map<String, Value>>,
}

/// Reads `samples.json`: classifications are labels, tags that name a split assign it.
pub(super) fn read_dataset(content: &[u8]) -> Result<Export, String> {
    let Dataset { samples } = serde_json::from_slice(content).map_err(|error| error.to_string())?;
    let mut columns = vec!["image".to_owned(), "split".to_owned()];
    let mut rows = Vec::with_capacity(samples.len());
    for (number, sample) in samples.iter().enumerate() {
        let path = sample.get("filepath").and_then(Value::as_str);
        let path = path.ok_or_else(|| format!("sample {number} has no `filepath`"))?;
        let mut row = vec![(0, path.to_owned())];
        let tags = sample.get("tags").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        row.extend(tags.filter_map(|tag| tag.parse::<Split>().ok()).next().map(|split| (1, split.to_string())));
        for (name, value) in sample {
            let label = |value: &Value| value.get("label").and_then(Value::as_str).map(str::to_owned);
            let labels: Vec<String> = match value.get("_cls").and_then(Value::as_str) {
                Some("Classification") => label(value).into_iter().collect(),
                Some("Classifications") => {
                    let all = value.get("classifications").and_then(Value::as_array);
                    all.into_iter().flatten().filter_map(label).collect()
                }
                _ => continue,
            };
            row.push((column(&mut columns, name), list(labels)));
        }
        rows.push(row);
    }
    if columns.len() == 2 {
        return Err("no sample has a classification".to_owned());
    }
    Ok(Export { form: "FiftyOne", table: sparse_table(columns, rows), vocabulary: Vec::new() })
}

#[derive(Deserialize)]
struct Classification {
    classes: Vec<String>,
    labels: Map<String, Value>,
}

/// Reads `labels.json`: the labels of each image by its name without extension, as names or as indices of the classes.
pub(super) fn read_classification(content: &[u8], listing: &Listing) -> Result<Export, String> {
    let Classification { classes, labels } = serde_json::from_slice(content).map_err(|error| error.to_string())?;
    let stem = |name: &str| name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned();
    let by_stem: HashMap<String, &String> =
        listing.images.iter().map(|image| (stem(image.strip_prefix("data/").unwrap_or(image)), image)).collect();
    let name = |value: &Value| match value {
        Value::String(label) => Ok(label.clone()),
        Value::Number(index) => {
            let class = index.as_u64().and_then(|index| classes.get(usize::try_from(index).ok()?));
            class
                .cloned()
                .ok_or_else(|| format!("label {index} is not the index of one of the {} classes", classes.len()))
        }
        other => Err(format!("{other} is not a label")),
    };
    let mut table = MemoryTable::new(vec!["image".to_owned(), "labels".to_owned()]);
    for (image, value) in &labels {
        let field = match value {
            Value::Null => String::new(),
            Value::Array(several) => list(several.iter().map(name).collect::<Result<Vec<_>, _>>()?),
            one => list([name(one)?]),
        };
        let file = by_stem.get(image).map_or(image, |image| *image);
        table.push([file.clone(), field]);
    }
    Ok(Export { form: "FiftyOne", table, vocabulary: classes })
}
