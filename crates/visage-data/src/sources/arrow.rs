//! Arrow files (<https://arrow.apache.org/docs/format/Columnar.html>), as Hugging Face's `datasets` caches them: the stream
//! format, or the file format, which is the same stream after eight bytes.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_schema::DataType;
use bytes::Bytes;
use serde_json::Value;

use super::class_names::{self, ClassNames};
use super::columns::{ImageColumn as NameColumn, is_image_name};
use super::faults::Faults;
use super::images::{ImageColumn, Location, in_column};
use super::locate::{Located, locate};
use super::parts::{Part, read_parts};
use super::reader::{Contents, SourceFiles};
use super::rows::MemoryTable;
use super::split_column::split_in_words;
use crate::error::DataError;
use crate::files::{Files, Mapped, refuse_stand_ins};
use crate::table_options::TableOptions;

/// How the file format begins.
const FILE_MAGIC: &[u8] = b"ARROW1\0\0";

/// Reads one or more parts of a table. The images are in a column, or in files beside the table.
pub(super) fn read(source: SourceFiles, options: &TableOptions, faults: &mut Faults) -> Result<Contents, DataError> {
    let Files::Folder(folder) = &source.files else {
        let reason = "Arrow files cannot be read from an archive: unpack it";
        let error = io::Error::new(io::ErrorKind::Unsupported, reason);
        return Err(DataError::Read { path: source.files.root().to_owned(), source: error });
    };
    let files = source.names.iter().map(|name| ArrowFile::open(&folder.join(name))).collect::<Result<Vec<_>, _>>()?;
    let tables: Vec<MemoryTable> = files.iter().map(ArrowFile::table).collect();
    let named = source.names.iter().zip(&files).zip(&tables);
    let parts: Vec<Part<'_>> = named.map(|((name, file), table)| file_part(name, file, table)).collect();
    let table = read_parts(&parts, options, faults, || source.different_tables())?;
    drop(parts);
    let located = if files.iter().all(|file| file.image.is_some()) {
        let ends: Vec<Vec<u64>> = files.iter().map(ArrowFile::ends).collect();
        Located::exactly(in_column(ArrowImages { files }, &ends, &table.places))
    } else {
        locate(source.files, &source.listing, "", |_| false, &table.samples)?
    };
    Ok(Contents::new("Arrow", table, located))
}

fn file_part<'a>(name: &str, file: &ArrowFile, table: &'a MemoryTable) -> Part<'a> {
    Part {
        file: file.path.display().to_string(),
        split: split_in_words(name),
        prefix: String::new(),
        image: file.name_column(),
        row_name: Some(name.strip_suffix(".arrow").unwrap_or(name).to_owned()),
        open: Box::new(|| Ok(Box::new(table.rows()))),
    }
}

/// A file whose batches lie in its memory map.
struct ArrowFile {
    path: PathBuf,
    batches: Vec<RecordBatch>,
    /// The column of images.
    image: Option<usize>,
    classes: ClassNames,
}

impl ArrowFile {
    fn open(path: &Path) -> Result<Self, DataError> {
        let mapped = Mapped::open(path)?;
        refuse_stand_ins(path, mapped.as_ref())?;
        let bytes = Bytes::from_owner(mapped);
        let stream = if bytes.starts_with(FILE_MAGIC) { bytes.slice(FILE_MAGIC.len()..) } else { bytes };
        // The library checks what it reads, but a damaged length may still reach past the end of a buffer.
        let decoded = catch_unwind(AssertUnwindSafe(|| decode(stream)))
            .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::InvalidData, "it is damaged")));
        let batches = decoded.map_err(|source| DataError::Read { path: path.to_owned(), source })?;
        let schema = batches.first().map(RecordBatch::schema);
        let image =
            schema.as_ref().and_then(|schema| schema.fields().iter().position(|field| is_image(field.data_type())));
        let metadata = schema.as_ref().and_then(|schema| schema.metadata().get(class_names::KEY));
        let classes = metadata.map(|metadata| ClassNames::read(metadata)).unwrap_or_default();
        Ok(ArrowFile { path: path.to_owned(), batches, image, classes })
    }

    /// The number of rows up to the end of each batch.
    fn ends(&self) -> Vec<u64> {
        let mut end = 0;
        let add = |batch: &RecordBatch| {
            end += batch.num_rows() as u64;
            end
        };
        self.batches.iter().map(add).collect()
    }

    /// The columns that are read as text: all whose types hold labels or words, and the names within images.
    fn columns(&self) -> Vec<(usize, String)> {
        let Some(batch) = self.batches.first() else { return Vec::new() };
        let schema = batch.schema();
        let fields = schema.fields().iter().enumerate();
        let readable = fields.filter(|(_, field)| is_text(field.data_type()) || has_path(field.data_type()));
        readable.map(|(column, field)| (column, field.name().clone())).collect()
    }

    fn name_column(&self) -> Option<NameColumn> {
        let columns = self.columns();
        let of_images = columns.iter().position(|(column, _)| Some(*column) == self.image);
        let is_named = columns.iter().any(|(_, name)| is_image_name(name));
        of_images.map(NameColumn::Named).or((self.image.is_some() && !is_named).then_some(NameColumn::RowNumber))
    }

    fn table(&self) -> MemoryTable {
        let columns = self.columns();
        let mut table = MemoryTable::new(columns.iter().map(|(_, name)| name.clone()).collect());
        for batch in &self.batches {
            for row in 0..batch.num_rows() {
                let field = |(column, name): &(usize, String)| value(batch.column(*column), row, self.classes.of(name));
                table.push(columns.iter().map(|column| match field(column) {
                    Value::Null => String::new(),
                    Value::String(text) => text,
                    other => other.to_string(),
                }));
            }
        }
        table
    }
}

fn decode(stream: Bytes) -> io::Result<Vec<RecordBatch>> {
    let mut buffer = Buffer::from(stream);
    let mut decoder = StreamDecoder::new();
    let mut batches = Vec::new();
    while !buffer.is_empty() {
        let before = buffer.len();
        batches.extend(decoder.decode(&mut buffer).map_err(io::Error::other)?);
        if buffer.len() == before {
            break;
        }
    }
    Ok(batches)
}

/// Whether a column holds image bytes, alone or in a struct beside a path.
fn is_image(kind: &DataType) -> bool {
    match kind {
        DataType::Binary | DataType::LargeBinary => true,
        DataType::Struct(fields) => fields.iter().any(|field| field.name() == "bytes" && is_image(field.data_type())),
        _ => false,
    }
}

fn has_path(kind: &DataType) -> bool {
    matches!(kind, DataType::Struct(fields) if is_image(kind) && fields.iter().any(|field| field.name() == "path"))
}

fn is_text(kind: &DataType) -> bool {
    match kind {
        DataType::Null | DataType::Boolean | DataType::Utf8 | DataType::LargeUtf8 => true,
        DataType::List(item) | DataType::LargeList(item) => is_text(item.data_type()) && !item.data_type().is_nested(),
        DataType::Float32 | DataType::Float64 => true,
        other => other.is_integer(),
    }
}

/// The value of a row, where a class has its name.
fn value(column: &ArrayRef, row: usize, classes: &[String]) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    let integer = |number: i64| class_names::name(classes, number).map_or(Value::from(number), Value::from);
    let list = |items: ArrayRef| (0..items.len()).map(|item| value(&items, item, classes)).collect::<Vec<_>>().into();
    match column.data_type() {
        DataType::Boolean => column.as_boolean().value(row).into(),
        DataType::Utf8 => column.as_string::<i32>().value(row).into(),
        DataType::LargeUtf8 => column.as_string::<i64>().value(row).into(),
        DataType::Int8 => integer(column.as_primitive::<Int8Type>().value(row).into()),
        DataType::Int16 => integer(column.as_primitive::<Int16Type>().value(row).into()),
        DataType::Int32 => integer(column.as_primitive::<Int32Type>().value(row).into()),
        DataType::Int64 => integer(column.as_primitive::<Int64Type>().value(row)),
        DataType::UInt8 => integer(column.as_primitive::<UInt8Type>().value(row).into()),
        DataType::UInt16 => integer(column.as_primitive::<UInt16Type>().value(row).into()),
        DataType::UInt32 => integer(column.as_primitive::<UInt32Type>().value(row).into()),
        DataType::UInt64 => column.as_primitive::<UInt64Type>().value(row).into(),
        DataType::Float32 => column.as_primitive::<Float32Type>().value(row).into(),
        DataType::Float64 => column.as_primitive::<Float64Type>().value(row).into(),
        DataType::List(_) => list(column.as_list::<i32>().value(row)),
        DataType::LargeList(_) => list(column.as_list::<i64>().value(row)),
        DataType::Struct(_) => {
            column.as_struct().column_by_name("path").map_or(Value::Null, |path| value(path, row, &[]))
        }
        _ => Value::Null,
    }
}

/// The images of a table.
struct ArrowImages {
    files: Vec<ArrowFile>,
}

impl fmt::Debug for ArrowImages {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.files.iter().map(|file| &file.path)).finish()
    }
}

impl ImageColumn for ArrowImages {
    fn read(&self, location: Location) -> io::Result<Vec<u8>> {
        let [file, batch, row] = location.map(|part| part as usize);
        let file = &self.files[file];
        let missing = || io::Error::new(io::ErrorKind::NotFound, "the row has no image");
        let column = file.batches[batch].column(file.image.ok_or_else(missing)?);
        let bytes = match column.data_type() {
            DataType::Struct(_) => column.as_struct().column_by_name("bytes").ok_or_else(missing)?,
            _ => column,
        };
        if bytes.is_null(row) {
            return Err(missing());
        }
        Ok(match bytes.data_type() {
            DataType::LargeBinary => bytes.as_binary::<i64>().value(row).to_vec(),
            _ => bytes.as_binary::<i32>().value(row).to_vec(),
        })
    }

    fn describe(&self, [file, batch, row]: Location) -> String {
        format!("{}, row {row} of batch {batch}", self.files[file as usize].path.display())
    }
}
