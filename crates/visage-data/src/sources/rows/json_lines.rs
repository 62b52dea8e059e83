//! JSON lines.

use std::collections::HashSet;

use csv::ByteRecord;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::lines::lines;
use super::row_source::Rows;
use crate::error::TableFault;

/// One JSON object a line. The columns are the names in all lines, in order of appearance; the names of an object within a
/// line (such as `"attributes": {...}`) are columns too.
pub(super) struct JsonLines<'a> {
    lines: Box<dyn Iterator<Item = (u64, &'a [u8])> + 'a>,
    columns: Vec<String>,
    /// Whether the header comes next.
    at_header: bool,
    record: ByteRecord,
}

impl<'a> JsonLines<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, (u64, TableFault)> {
        let mut columns: Vec<String> = Vec::new();
        let mut known = HashSet::new();
        for (_, line) in lines(bytes) {
            // A faulty line is reported when its turn comes.
            for (name, _) in json_fields(line).unwrap_or_default() {
                if known.insert(name.clone()) {
                    columns.push(name);
                }
            }
        }
        if columns.is_empty() {
            if let Some((line, Err(reason))) = lines(bytes).next().map(|(line, text)| (line, json_fields(text))) {
                return Err((line, TableFault::NotJson { reason }));
            }
            let expected = "a JSON object a line, each with an image and its labels";
            return Err((1, TableFault::Ended { expected }));
        }
        Ok(JsonLines { lines: Box::new(lines(bytes)), columns, at_header: true, record: ByteRecord::new() })
    }
}

impl Rows for JsonLines<'_> {
    fn next(&mut self) -> Option<(u64, Result<&ByteRecord, TableFault>)> {
        self.record.clear();
        if std::mem::take(&mut self.at_header) {
            self.columns.iter().for_each(|column| self.record.push_field(column.as_bytes()));
            return Some((1, Ok(&self.record)));
        }
        let (line, row) = self.lines.next()?;
        let fields = match json_fields(row) {
            Ok(fields) => fields,
            Err(reason) => return Some((line, Err(TableFault::NotJson { reason }))),
        };
        for column in &self.columns {
            let value = fields.iter().find(|(name, _)| name == column).map_or("", |(_, value)| value);
            self.record.push_field(value.as_bytes());
        }
        Some((line, Ok(&self.record)))
    }
}

/// The names and values of a JSON object, in its order. Objects within it are flattened.
pub(in crate::sources) fn json_fields(line: &[u8]) -> Result<Vec<(String, String)>, String> {
    let object: Object = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let mut fields = Vec::with_capacity(object.0.len());
    for (name, value) in object.0 {
        match value {
            Entry::Inner(inner) => {
                for (name, value) in inner.0 {
                    match value {
                        Entry::Value(value) => fields.push((name, value)),
                        Entry::Inner(_) => return Err(format!("`{name}` is an object within an object")),
                    }
                }
            }
            Entry::Value(value) => fields.push((name, value)),
        }
    }
    Ok(fields)
}

/// A JSON object in its own order.
struct Object(Vec<(String, Entry)>);

enum Entry {
    Value(String),
    Inner(Object),
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Object;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut fields = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Entry>()? {
                    fields.push((name, value));
                }
                Ok(Object(fields))
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;

        // `Value` sorts the names of inner objects.
        let entry = match Value::deserialize(deserializer)? {
            Value::Null => Entry::Value(String::new()),
            Value::Bool(value) => Entry::Value(if value { "true" } else { "false" }.to_owned()),
            Value::Number(value) => Entry::Value(value.to_string()),
            Value::String(value) => Entry::Value(value.trim().to_owned()),
            Value::Array(items) => Entry::Value(list(items).map_err(D::Error::custom)?),
            Value::Object(map) => {
                let inner = map.into_iter().map(|(name, value)| {
                    let value = match value {
                        Value::Null => String::new(),
                        Value::Bool(value) => value.to_string(),
                        Value::String(value) => value,
                        Value::Number(value) => value.to_string(),
                        Value::Array(items) => list(items).map_err(D::Error::custom)?,
                        Value::Object(_) => return Err(D::Error::custom("an object within an object holds objects")),
                    };
                    Ok((name, Entry::Value(value)))
                });
                Entry::Inner(Object(inner.collect::<Result<_, D::Error>>()?))
            }
        };
        Ok(entry)
    }
}

/// A list of plain values as the text of a field.
fn list(items: Vec<Value>) -> Result<String, &'static str> {
    if items.iter().any(|item| item.is_object() || item.is_array()) {
        return Err("a list of objects or of lists is no list of labels");
    }
    Ok(Value::Array(items).to_string())
}
