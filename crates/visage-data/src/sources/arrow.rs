//! Arrow files (<https://arrow.apache.org/docs/format/Columnar.html>), as Hugging Face's `datasets` caches them: the stream
//! format, or the file format, which is the same stream after eight bytes.

use std::fmt;
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_ipc::root_as_message;
use arrow_schema::{DataType, Schema};
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
use crate::files::{FileRange, Files, refuse_stand_ins};
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
    let parts: Vec<Part<'_>> = source.names.iter().zip(&files).map(|(name, file)| file_part(name, file)).collect();
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

fn file_part<'a>(name: &str, file: &'a ArrowFile) -> Part<'a> {
    Part {
        file: file.path.display().to_string(),
        split: split_in_words(name),
        prefix: String::new(),
        image: file.name_column(),
        row_name: Some(name.strip_suffix(".arrow").unwrap_or(name).to_owned()),
        open: Box::new(|| Ok(Box::new(file.table.rows()))),
    }
}

/// A file. Its table is in memory; its images are read from the file.
struct ArrowFile {
    path: PathBuf,
    file: FileRange,
    table: MemoryTable,
    /// The columns that are read as text: all whose types hold labels or words, and the names within images.
    columns: Vec<(usize, String)>,
    /// The column of images.
    image: Option<usize>,
    /// The images of each batch.
    images: Vec<Vec<Option<Place>>>,
}

/// Where the bytes of an image are in a file: the first, and how many.
type Place = (u64, u64);

impl ArrowFile {
    fn open(path: &Path) -> Result<Self, DataError> {
        let unreadable = |source| DataError::Read { path: path.to_owned(), source };
        let file = FileRange::open(path)?;
        let beginning = file.beginning(path)?;
        refuse_stand_ins(path, &beginning)?;
        let start = if beginning.starts_with(FILE_MAGIC) { FILE_MAGIC.len() as u64 } else { 0 };
        let mut opened = ArrowFile {
            path: path.to_owned(),
            file,
            table: MemoryTable::new(Vec::new()),
            columns: Vec::new(),
            image: None,
            images: Vec::new(),
        };
        // The library checks what it reads, but a damaged length may still reach past the end of a buffer.
        let read = catch_unwind(AssertUnwindSafe(|| opened.read(start)))
            .unwrap_or_else(|_| Err(io::Error::new(ErrorKind::InvalidData, "it is damaged")));
        read.map_err(unreadable)?;
        Ok(opened)
    }

    /// Reads the messages from `start` on, one at a time.
    fn read(&mut self, mut start: u64) -> io::Result<()> {
        let mut decoder = StreamDecoder::new();
        let mut classes = None;
        while let Some(length) = message_length(&self.file, start)? {
            let mut message = Buffer::from_vec(self.file.bytes_at(start, length)?);
            let whole = message.clone();
            while !message.is_empty() {
                let before = message.len();
                if let Some(batch) = decoder.decode(&mut message).map_err(io::Error::other)? {
                    let classes = classes.get_or_insert_with(|| self.take_schema(&batch.schema()));
                    self.add(&batch, classes, &whole, start)?;
                }
                if message.len() == before {
                    break;
                }
            }
            start += length;
        }
        Ok(())
    }

    fn take_schema(&mut self, schema: &Schema) -> ClassNames {
        let fields = || schema.fields().iter().enumerate();
        let readable = fields().filter(|(_, field)| is_text(field.data_type()) || has_path(field.data_type()));
        self.columns = readable.map(|(column, field)| (column, field.name().clone())).collect();
        self.table = MemoryTable::new(self.columns.iter().map(|(_, name)| name.clone()).collect());
        self.image = fields().find(|(_, field)| is_image(field.data_type())).map(|(column, _)| column);
        schema.metadata().get(class_names::KEY).map(|metadata| ClassNames::read(metadata)).unwrap_or_default()
    }

    /// Adds the rows of a batch, whose buffers lie in the message `whole` that starts at `start` of the file.
    fn add(&mut self, batch: &RecordBatch, classes: &ClassNames, whole: &Buffer, start: u64) -> io::Result<()> {
        for row in 0..batch.num_rows() {
            let field = |(column, name): &(usize, String)| value(batch.column(*column), row, classes.of(name));
            self.table.push(self.columns.iter().map(|column| match field(column) {
                Value::Null => String::new(),
                Value::String(text) => text,
                other => other.to_string(),
            }));
        }
        let place = |bytes: &[u8]| {
            if bytes.is_empty() {
                return Ok((start, 0));
            }
            let offset = (bytes.as_ptr() as usize).checked_sub(whole.as_ptr() as usize);
            let inside = offset.filter(|offset| offset + bytes.len() <= whole.len());
            let offset = inside.ok_or_else(|| io::Error::new(ErrorKind::Unsupported, "its images are compressed"))?;
            Ok((start + offset as u64, bytes.len() as u64))
        };
        let image = |row| image_bytes(batch.column(self.image?), row);
        let images = (0..batch.num_rows()).map(|row| image(row).map(place).transpose()).collect::<io::Result<_>>()?;
        self.images.push(images);
        Ok(())
    }

    /// The number of rows up to the end of each batch.
    fn ends(&self) -> Vec<u64> {
        let mut end = 0;
        let add = |batch: &Vec<Option<Place>>| {
            end += batch.len() as u64;
            end
        };
        self.images.iter().map(add).collect()
    }

    fn name_column(&self) -> Option<NameColumn> {
        let of_images = self.columns.iter().position(|(column, _)| Some(*column) == self.image);
        let is_named = self.columns.iter().any(|(_, name)| is_image_name(name));
        of_images.map(NameColumn::Named).or((self.image.is_some() && !is_named).then_some(NameColumn::RowNumber))
    }
}

/// The bytes of the message that starts at `start`, with its body; `None` where the stream ends.
///
/// <https://arrow.apache.org/docs/format/Columnar.html#encapsulated-message-format>
fn message_length(file: &FileRange, start: u64) -> io::Result<Option<u64>> {
    /// Before the length, since version 0.15.
    const CONTINUATION: u32 = u32::MAX;
    let word = |at: u64| match file.part(at, 4) {
        Some(word) => word.content().map(|word| word.first_chunk().map(|word| u32::from_le_bytes(*word))),
        None => Ok(None),
    };
    let (prefix, length) = match word(start)? {
        Some(CONTINUATION) => (8, word(start + 4)?),
        length => (4, length),
    };
    let Some(length) = length.map(u64::from).filter(|&length| length > 0) else { return Ok(None) };
    let header = file.bytes_at(start + prefix, length)?;
    let message =
        root_as_message(&header).map_err(|error| io::Error::new(ErrorKind::InvalidData, error.to_string()))?;
    let body = u64::try_from(message.bodyLength()).map_err(|_| ErrorKind::InvalidData)?;
    (prefix + length).checked_add(body).map(Some).ok_or(ErrorKind::InvalidData.into())
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

/// The bytes of an image in the column of images.
fn image_bytes(column: &ArrayRef, row: usize) -> Option<&[u8]> {
    let bytes = match column.data_type() {
        DataType::Struct(_) => column.as_struct().column_by_name("bytes")?,
        _ => column,
    };
    match bytes.data_type() {
        _ if bytes.is_null(row) => None,
        DataType::LargeBinary => Some(bytes.as_binary::<i64>().value(row)),
        _ => Some(bytes.as_binary::<i32>().value(row)),
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
        let (start, length) =
            file.images[batch][row].ok_or_else(|| io::Error::new(ErrorKind::NotFound, "the row has no image"))?;
        file.file.bytes_at(start, length)
    }

    fn describe(&self, [file, batch, row]: Location) -> String {
        format!("{}, row {row} of batch {batch}", self.files[file as usize].path.display())
    }
}
