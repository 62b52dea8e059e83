//! Label Studio (<https://labelstud.io/guide/export>): JSON and JSON-MIN, of which the choices are read.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Export, column, list, sparse_table};
use crate::files::{Listing, is_image_name};

/// What JSON-MIN holds beside the image and its labels.
const NO_LABELS: [&str; 6] = ["id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time"];

#[derive(Deserialize)]
struct Task {
    data: Map<String, Value>,
    annotations: Vec<Annotation>,
}

#[derive(Deserialize)]
struct Annotation {
    #[serde(default)]
    was_cancelled: bool,
    #[serde(default)]
    result: Vec<Answer>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    from_name: String,
    #[serde(default)]
    value: Map<String, Value>,
}

/// Reads JSON: a row for each annotation that was not cancelled, and one for a task without any.
pub(super) fn read(content: &[u8], listing: &Listing) -> Result<Export, String> {
    let tasks: Vec<Task> = serde_json::from_slice(content).map_err(|error| error.to_string())?;
    let mut columns = vec!["image".to_owned()];
    let mut rows = Vec::new();
    for (number, task) in tasks.iter().enumerate() {
        let image = image(&task.data, listing).ok_or_else(|| format!("task {number} has no image"))?;
        let annotations: Vec<&Annotation> = task.annotations.iter().filter(|a| !a.was_cancelled).collect();
        if annotations.is_empty() {
            rows.push(vec![(0, image.clone())]);
        }
        for annotation in annotations {
            let mut row = vec![(0, image.clone())];
            for Answer { from_name, value } in &annotation.result {
                if let Some(choices) = value.get("choices").and_then(Value::as_array) {
                    row.push((column(&mut columns, from_name), list(choices.iter().filter_map(Value::as_str))));
                }
            }
            // An annotation without an answer says that no label is present.
            rows.push(row);
        }
    }
    if columns.len() == 1 {
        return Err("no task has choices".to_owned());
    }
    Ok(Export { form: "Label Studio", table: sparse_table(columns, rows), vocabulary: Vec::new() })
}

/// Reads JSON-MIN: one choice is text, several are a list in an object.
pub(super) fn read_minimal(content: &[u8], listing: &Listing) -> Result<Export, String> {
    let tasks: Vec<Map<String, Value>> = serde_json::from_slice(content).map_err(|error| error.to_string())?;
    let mut columns = vec!["image".to_owned()];
    let mut rows = Vec::new();
    for (number, task) in tasks.iter().enumerate() {
        let image = image(task, listing).ok_or_else(|| format!("task {number} has no image"))?;
        let mut row = vec![(0, image)];
        for (name, value) in task.iter().filter(|(name, _)| !NO_LABELS.contains(&name.as_str())) {
            let choices = match value {
                Value::String(text) if is_image_name(text) => continue,
                Value::String(choice) => list([choice]),
                Value::Object(several) => match several.get("choices").and_then(Value::as_array) {
                    Some(choices) => list(choices.iter().filter_map(Value::as_str)),
                    None => continue,
                },
                _ => continue,
            };
            row.push((column(&mut columns, name), choices));
        }
        rows.push(row);
    }
    if columns.len() == 1 {
        return Err("no task has choices".to_owned());
    }
    Ok(Export { form: "Label Studio", table: sparse_table(columns, rows), vocabulary: Vec::new() })
}

/// The image of a task: `image`, or else the first value that names one.
fn image(data: &Map<String, Value>, listing: &Listing) -> Option<String> {
    let named = data.get("image").and_then(Value::as_str);
    let address = named.or_else(|| data.values().filter_map(Value::as_str).find(|value| is_image_name(value)))?;
    // `/data/local-files/?d=folder/a.jpg`, `/data/upload/1/0a1b2c3d-a.jpg`, `s3://bucket/a.jpg`.
    let path = address.split_once("?d=").map_or(address, |(_, path)| path);
    let path = path.split_once("://").map_or(path, |(_, path)| path);
    let Some(uploaded) = path.strip_prefix("/data/upload/") else { return Some(path.to_owned()) };
    let file = uploaded.split_once('/').map_or(uploaded, |(_, file)| file);
    let is_stored = listing.images.iter().any(|image| image.rsplit('/').next() == Some(file));
    // An upload gets eight random digits in front of its name.
    let original = file.split_once('-').filter(|(random, _)| random.len() == 8).map_or(file, |(_, name)| name);
    Some(if is_stored { file } else { original }.to_owned())
}
