//! Names of classes (`ClassLabel`) that Hugging Face's `datasets` keeps beside a table, whose columns hold their numbers.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// The key of the metadata of an Arrow schema or a Parquet file.
pub(super) const KEY: &str = "huggingface";

/// The names of classes, by column.
#[derive(Debug, Default)]
pub(super) struct ClassNames(BTreeMap<String, Vec<String>>);

impl ClassNames {
    /// Reads the metadata; there are no names where it has another form.
    pub(super) fn read(metadata: &str) -> Self {
        #[derive(Deserialize)]
        struct Metadata {
            info: Info,
        }
        #[derive(Deserialize)]
        struct Info {
            features: BTreeMap<String, Value>,
        }
        let Ok(Metadata { info }) = serde_json::from_str(metadata) else { return Self::default() };
        let names = |feature: &Value| {
            // A column of lists has the feature of their items.
            let feature = feature.get("feature").unwrap_or(feature);
            let names = feature.get("names")?.as_array()?;
            Some(names.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        };
        let features = info.features.into_iter();
        ClassNames(features.filter_map(|(column, feature)| Some((column, names(&feature)?))).collect())
    }

    /// The names of a column's classes, by their numbers.
    pub(super) fn of(&self, column: &str) -> &[String] {
        self.0.get(column).map_or(&[], Vec::as_slice)
    }
}

/// The name of a class where there are more than two; two are absent and present.
pub(super) fn name(classes: &[String], number: i64) -> Option<&str> {
    let class = usize::try_from(number).ok().and_then(|number| classes.get(number))?;
    (classes.len() > 2).then_some(class.as_str())
}
