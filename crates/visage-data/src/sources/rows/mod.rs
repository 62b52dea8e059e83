//! The rows of tables as text, whatever the form of the table.

use csv::ByteRecord;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{text, without_byte_order_mark};
use crate::error::TableFault;
use crate::files::has_extension;

/// Rows of fields, one after another. The first is the header.
pub(super) trait Rows {
    /// The next row that holds anything, and its line, counted from 1.
    fn next(&mut self) -> Option<(u64, Result<&ByteRecord, TableFault>)>;

    /// How many rows the table says it has, where it says so.
    fn stated(&self) -> Option<u64> {
        None
    }
}

/// The rows of the table called `name`, whose form its name and its first line tell.
///
/// # Errors
///
/// With the line, when there is no header.
pub(super) fn rows<'a>(name: &str, bytes: &'a [u8]) -> Result<Box<dyn Rows + 'a>, (u64, TableFault)> {
    let bytes = without_byte_order_mark(bytes);
    if has_extension(name, &["jsonl", "ndjson"]) {
        return JsonLines::new(bytes).map(|rows| Box::new(rows) as Box<dyn Rows>);
    }
    let first = lines(bytes).next().map(|(_, line)| line).unwrap_or_default();
    if has_extension(name, &["txt"]) && !first.contains(&b',') {
        return BlankSeparated::new(bytes).map(|rows| Box::new(rows) as Box<dyn Rows>);
    }
    Ok(Box::new(Delimited::new(bytes, delimiter(first))))
}

/// What separates the fields of a header: the one of comma, tab and semicolon that it has most of.
fn delimiter(header: &[u8]) -> u8 {
    let count = |wanted: u8| header.iter().filter(|&&byte| byte == wanted).count();
    // Of equals the last is taken, which is the comma.
    [b';', b'\t', b','].into_iter().max_by_key(|&delimiter| count(delimiter)).unwrap_or(b',')
}

/// A table with a character between its fields and quotes where they are needed.
struct Delimited<'a> {
    bytes: &'a [u8],
    reader: csv::Reader<&'a [u8]>,
    record: ByteRecord,
    /// How far lines have been counted: a place in `bytes`, and its line.
    counted: (usize, u64),
}

impl<'a> Delimited<'a> {
    fn new(bytes: &'a [u8], delimiter: u8) -> Self {
        // Flexible, because the reader's own message about a row's length does not say what to do.
        let reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(bytes);
        Delimited { bytes, reader, record: ByteRecord::new(), counted: (0, 1) }
    }

    /// The line of the current record. The reader's own count is of the line before, where blank lines or carriage
    /// returns come between.
    fn line(&mut self) -> u64 {
        let (from, line) = self.counted;
        let end_of_last = self.record.position().map_or(from, |position| position.byte() as usize);
        let is_break = |byte: &&u8| matches!(byte, b'\r' | b'\n');
        let start = end_of_last + self.bytes[end_of_last..].iter().take_while(is_break).count();
        let breaks = self.bytes[from..start].iter().filter(|&&byte| byte == b'\n').count();
        self.counted = (start, line + breaks as u64);
        self.counted.1
    }
}

impl Rows for Delimited<'_> {
    fn next(&mut self) -> Option<(u64, Result<&ByteRecord, TableFault>)> {
        loop {
            // As bytes, from memory and of any length, a record cannot fail.
            if !self.reader.read_byte_record(&mut self.record).unwrap_or(false) {
                return None;
            }
            if self.record.iter().any(|field| !field.is_empty()) {
                return Some((self.line(), Ok(&self.record)));
            }
        }
    }
}

/// CelebA's own form: perhaps a line with the number of rows, a header, and fields with blanks between them. Its header
/// names the columns after the image; some copies name the image's column too.
struct BlankSeparated<'a> {
    lines: Box<dyn Iterator<Item = (u64, &'a [u8])> + 'a>,
    stated: Option<u64>,
    header: Option<(u64, ByteRecord)>,
    record: ByteRecord,
}

impl<'a> BlankSeparated<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, (u64, TableFault)> {
        let mut lines = lines(bytes).peekable();
        let ended = |expected| (1, TableFault::Ended { expected });
        let (_, first) = lines.peek().ok_or(ended("the number of images"))?;
        let stated: Option<u64> = text(first).ok().and_then(|count| count.parse().ok());
        if stated.is_some() {
            lines.next();
        }
        let (line, header) = lines.next().ok_or(ended("the attribute names"))?;
        let names: Vec<&[u8]> = fields(header).collect();
        let first_row = lines.peek().map_or(0, |(_, row)| fields(row).count());
        let image = (first_row != names.len()).then_some(b"image".as_slice());
        let header = Some((line, image.into_iter().chain(names).collect()));
        Ok(BlankSeparated { lines: Box::new(lines), stated, header, record: ByteRecord::new() })
    }
}

impl Rows for BlankSeparated<'_> {
    fn next(&mut self) -> Option<(u64, Result<&ByteRecord, TableFault>)> {
        let line = match self.header.take() {
            Some((line, header)) => {
                self.record = header;
                line
            }
            None => {
                let (line, row) = self.lines.next()?;
                self.record.clear();
                fields(row).for_each(|field| self.record.push_field(field));
                line
            }
        };
        Some((line, Ok(&self.record)))
    }

    fn stated(&self) -> Option<u64> {
        self.stated
    }
}

/// The rows of a table without a header, with blanks or delimiters between the fields.
pub(super) fn plain_rows(bytes: &[u8]) -> impl Iterator<Item = (u64, Vec<&[u8]>)> {
    let row = |line: &'_ [u8]| line.contains(&b',');
    lines(without_byte_order_mark(bytes)).map(move |(number, line)| {
        let unquoted = |field: &'_ [u8]| -> (usize, usize) {
            let quoted = field.len() >= 2 && field[0] == b'"' && field[field.len() - 1] == b'"';
            (usize::from(quoted), field.len() - usize::from(quoted))
        };
        let split: Vec<&[u8]> = if row(line) {
            line.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).collect()
        } else {
            fields(line).collect()
        };
        let cleaned = split.into_iter().map(|field| {
            let (start, end) = unquoted(field);
            &field[start..end]
        });
        (number, cleaned.collect())
    })
}

/// The lines that hold anything, with their numbers from 1, without the blanks around them.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let lines = bytes.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    (1..).zip(lines).filter(|(_, line)| !line.is_empty())
}

/// The fields of a line, between blanks of any number.
fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty())
}

/// A JSON object a line. The columns are all names that any line has, in order of appearance; an object within a line
/// (such as `"attributes": {...}`) gives its own names.
struct JsonLines<'a> {
    lines: Box<dyn Iterator<Item = (u64, &'a [u8])> + 'a>,
    columns: Vec<String>,
    header: bool,
    record: ByteRecord,
}

impl<'a> JsonLines<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, (u64, TableFault)> {
        let mut columns: Vec<String> = Vec::new();
        let mut known = std::collections::HashSet::new();
        for (_, line) in lines(bytes) {
            // What is wrong with a line is said when its turn comes.
            for (name, _) in json_fields(line).unwrap_or_default() {
                if known.insert(name.clone()) {
                    columns.push(name);
                }
            }
        }
        if columns.is_empty() {
            let expected = "a JSON object a line, each with an image and its labels";
            return Err((1, TableFault::Ended { expected }));
        }
        Ok(JsonLines { lines: Box::new(lines(bytes)), columns, header: true, record: ByteRecord::new() })
    }
}

impl Rows for JsonLines<'_> {
    fn next(&mut self) -> Option<(u64, Result<&ByteRecord, TableFault>)> {
        self.record.clear();
        if std::mem::take(&mut self.header) {
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

/// The names and values of a JSON object, in its order, objects within it taken apart.
pub(super) fn json_fields(line: &[u8]) -> Result<Vec<(String, String)>, String> {
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

/// A JSON object with its order kept.
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
                while let Some((name, value)) = map.next_entry::<String, Raw>()? {
                    fields.push((name, value.0));
                }
                Ok(Object(fields))
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

/// Any JSON value.
struct Raw(Entry);

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;

        // Order within inner objects does not survive `Value`; their names are sorted.
        let entry = match Value::deserialize(deserializer)? {
            Value::Null => Entry::Value(String::new()),
            Value::Bool(value) => Entry::Value(if value { "true" } else { "false" }.to_owned()),
            Value::Number(value) => Entry::Value(value.to_string()),
            Value::String(value) => Entry::Value(value.trim().to_owned()),
            Value::Array(_) => return Err(D::Error::custom("a list is no plain value")),
            Value::Object(map) => {
                let inner = map.into_iter().map(|(name, value)| {
                    let value = match value {
                        Value::Null => String::new(),
                        Value::Bool(value) => value.to_string(),
                        Value::String(value) => value,
                        Value::Number(value) => value.to_string(),
                        _ => return Err(D::Error::custom("an object within an object holds lists or objects")),
                    };
                    Ok((name, Entry::Value(value)))
                });
                Entry::Inner(Object(inner.collect::<Result<_, D::Error>>()?))
            }
        };
        Ok(Raw(entry))
    }
}
