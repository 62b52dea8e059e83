//! Parquet tables: a column with the bytes of the images, as Hugging Face writes them, or with their names.

use std::fmt;
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use csv::ByteRecord;
use parquet::basic::{Compression, ConvertedType, Type as Physical};
use parquet::column::reader::ColumnReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use parquet::schema::types::Type;

use super::faults::Faults;
use super::parquet_headers;
use super::spelling::Column;
use super::split_of_name;
use super::table::{Header, IDENTITY_COLUMNS, IMAGE_COLUMNS, SPLIT_COLUMNS, Table};
use crate::error::DataError;
use crate::files::Mapped;

/// The index that pandas writes beside the columns.
const PANDAS_INDEX: &str = "__index_level_";

/// Where the bytes of images are in Parquet files. A page of the file is unpacked to read one.
#[derive(Clone)]
pub(crate) struct Pictures {
    files: Vec<(PathBuf, Arc<SerializedFileReader<Bytes>>)>,
    /// For each sample its file, its row group, and its row there.
    places: Vec<[u32; 3]>,
}

impl fmt::Debug for Pictures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files: Vec<_> = self.files.iter().map(|(path, _)| path).collect();
        formatter.debug_struct("Pictures").field("files", &files).field("images", &self.places.len()).finish()
    }
}

impl Pictures {
    /// The bytes of an image.
    pub(crate) fn read(&self, index: usize) -> io::Result<Vec<u8>> {
        let [file, group, row] = self.places[index].map(|part| part as usize);
        let (_, reader) = &self.files[file];
        let leaf = bytes_leaf(reader).ok_or(io::ErrorKind::NotFound)?;
        let image = guarded(|| {
            let group = reader.get_row_group(group)?;
            let ColumnReader::ByteArrayColumnReader(mut column) = group.get_column_reader(leaf)? else {
                return Err(ParquetError::General("the images are no bytes".to_owned()));
            };
            let (mut values, mut levels) = (Vec::with_capacity(1), Vec::new());
            column.skip_records(row)?;
            column.read_records(1, Some(&mut levels), None, &mut values)?;
            Ok(values.first().map(|image| image.data().to_vec()))
        });
        let missing = || io::Error::new(io::ErrorKind::NotFound, "the row has no image");
        image.map_err(io::Error::other)?.ok_or_else(missing)
    }

    /// How messages name it.
    pub(crate) fn describe(&self, index: usize) -> String {
        let [file, group, row] = self.places[index];
        format!("{}, row {row} of row group {group}", self.files[file as usize].0.display())
    }

    /// Keeps the images for whose numbers `kept` holds.
    pub(crate) fn retain(&mut self, kept: impl Fn(usize) -> bool) {
        let mut index = 0..;
        self.places.retain(|_| index.next().is_none_or(&kept));
    }
}

/// What the columns of a file are for.
struct Columns {
    /// Those that are read, the image bytes not among them.
    projection: Vec<Arc<Type>>,
    /// What each gives a row: its name.
    names: Vec<String>,
    /// The one among them that names the image.
    image: Option<usize>,
    /// Those of words, by their numbers.
    words: Vec<usize>,
    /// Those left out, because they hold neither labels nor anything known.
    passed_by: Vec<String>,
}

/// Reads the Parquet files called `names` in `folder`: the table, and the images if they are in it.
pub(super) fn read(
    folder: &Path,
    names: &[String],
    faults: &mut Faults,
) -> Result<(Table, Option<Pictures>), DataError> {
    let mut whole: Option<Table> = None;
    let mut pictures = Pictures { files: Vec::new(), places: Vec::new() };
    for name in names {
        let path = folder.join(name);
        let reader = open(&path)?;
        let (table, places) = read_file(&path, name, &reader, pictures.files.len(), faults)?;
        pictures.files.push((path, Arc::new(reader)));
        let before = whole.as_ref().map_or(0, |whole| whole.samples.len());
        let added = table.samples.len();
        match &mut whole {
            None => whole = Some(table),
            Some(whole) => match whole.append(table, faults) {
                Some(appended) => appended?,
                None => return Err(DataError::ManyTables { path: folder.to_owned(), tables: names.to_vec() }),
            },
        }
        // A row that another file had already was left out, and nobody knows which: such a table is given up as a whole.
        let after = whole.as_ref().map_or(0, |whole| whole.samples.len());
        if after == before + added {
            pictures.places.extend(places);
        }
    }
    let table = whole.unwrap_or_default();
    let has_pictures = pictures.places.len() == table.samples.len()
        && pictures.files.iter().all(|(_, reader)| bytes_leaf(reader).is_some());
    Ok((table, has_pictures.then_some(pictures)))
}

fn open(path: &Path) -> Result<SerializedFileReader<Bytes>, DataError> {
    let unreadable = |source| DataError::Read { path: path.to_owned(), source };
    let mapped = Mapped::whole(&File::open(path).map_err(unreadable)?).map_err(unreadable)?;
    let unsound = |part: &str| damaged(path, ParquetError::General(format!("{part} is damaged")));
    let is_parquet = mapped.as_ref().ends_with(b"PAR1");
    if is_parquet && !parquet_headers::footer_is_sound(mapped.as_ref()) {
        return Err(unsound("its footer"));
    }
    let reader = guarded(|| SerializedFileReader::new(Bytes::from_owner(mapped.clone())));
    let reader = reader.map_err(|source| damaged(path, source))?;
    for chunk in reader.metadata().row_groups().iter().flat_map(RowGroupMetaData::columns) {
        let pages = guarded(|| Ok(chunk.byte_range())).map_err(|source| damaged(path, source))?;
        let [start, length] = <[u64; 2]>::from(pages).map(|place| usize::try_from(place).unwrap_or(usize::MAX));
        let is_sound = |pages: Mapped| parquet_headers::pages_are_sound(pages.as_ref());
        if !mapped.part(start, length).is_some_and(is_sound) {
            return Err(unsound("a page"));
        }
    }
    let groups = reader.metadata().row_groups().iter();
    match groups.flat_map(RowGroupMetaData::columns).map(ColumnChunkMetaData::compression).find(|c| !is_read(*c)) {
        Some(compression) => {
            Err(DataError::ParquetCompression { path: path.to_owned(), compression: compression.to_string() })
        }
        None => Ok(reader),
    }
}

fn is_read(compression: Compression) -> bool {
    match compression {
        Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::GZIP(_) => true,
        Compression::ZSTD(_) => cfg!(feature = "zstd"),
        _ => false,
    }
}

/// What `read` reads. The library takes lengths inside pages at their word, and panics where they reach past the end.
fn guarded<T>(read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, ParquetError> {
    let panicked = |_| Err(ParquetError::General("a page is damaged".to_owned()));
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(panicked)
}

fn damaged(path: &Path, source: ParquetError) -> DataError {
    DataError::Parquet { path: path.to_owned(), source: Box::new(source) }
}

fn read_file(
    path: &Path,
    name: &str,
    reader: &SerializedFileReader<Bytes>,
    number: usize,
    faults: &mut Faults,
) -> Result<(Table, Vec<[u32; 3]>), DataError> {
    let file = path.display().to_string();
    let schema = reader.metadata().file_metadata().schema();
    let columns = columns(schema);
    let mut names = columns.names.clone();
    // Images without a name get that of their place.
    let image = columns.image.unwrap_or_else(|| {
        names.push("image".to_owned());
        names.len() - 1
    });
    let fatal = |fault| DataError::Table { file: file.clone(), line: 1, fault };
    let mut header = Header::with_image(&names, image).map_err(fatal)?;
    header.set_categories(&columns.words).map_err(fatal)?;
    let mut table = Table::of(file.clone(), &header);
    if !columns.passed_by.is_empty() {
        table
            .notes
            .push(format!("{file}: left out the columns {}, which hold no labels", columns.passed_by.join(", ")));
    }
    let mut spellings = vec![Column::default(); table.attributes.len()];
    let mut places = Vec::new();
    let projection = Type::group_type_builder(schema.name()).with_fields(columns.projection).build();
    let projection = projection.map_err(|source| damaged(path, source))?;
    let stem = name.strip_suffix(".parquet").unwrap_or(name);
    let split = (!header.has_split()).then(|| split_of_name(name)).flatten();
    let mut line = 0;
    for group in 0..reader.num_row_groups() {
        let group_reader = guarded(|| reader.get_row_group(group)).map_err(|source| damaged(path, source))?;
        let rows = guarded(|| group_reader.get_row_iter(Some(projection.clone())));
        let mut rows = rows.map_err(|source| damaged(path, source))?;
        for row in 0.. {
            let record = guarded(|| rows.next().transpose()).map_err(|source| damaged(path, source))?;
            let Some(record) = record else { break };
            line += 1;
            let mut fields = texts(&record);
            if columns.image.is_none() || fields[image].is_empty() {
                fields.resize(names.len(), String::new());
                fields[image] = format!("{stem}-{line:08}");
            }
            let record: ByteRecord = fields.iter().collect();
            let sample = header.sample(&record, line, &mut spellings).and_then(|mut sample| {
                sample.split = sample.split.or(split);
                table.add(sample, line)
            });
            match sample {
                Ok(()) => places.push([number, group, row].map(|part: usize| part as u32)),
                Err(fault) => faults.take(&file, line, fault)?,
            }
        }
    }
    Ok((table, places))
}

/// Tells the columns apart.
fn columns(schema: &Type) -> Columns {
    let mut columns =
        Columns { projection: Vec::new(), names: Vec::new(), image: None, words: Vec::new(), passed_by: Vec::new() };
    let known = |name: &str, of: &[&str]| of.iter().any(|known| known.eq_ignore_ascii_case(name));
    for field in schema.get_fields() {
        let name = field.name();
        if name.starts_with(PANDAS_INDEX) {
            continue;
        }
        if field.is_group() {
            // Hugging Face's image: its bytes and its name.
            let path = field.get_fields().iter().find(|field| field.name() == "path" && field.is_primitive());
            if let (true, Some(path)) = (is_picture(field), path) {
                let info = field.get_basic_info();
                let group = Type::group_type_builder(name)
                    .with_repetition(info.repetition())
                    .with_fields(vec![Arc::clone(path)])
                    .build();
                if let Ok(group) = group {
                    columns.image = Some(columns.names.len());
                    columns.names.push(name.to_owned());
                    columns.projection.push(Arc::new(group));
                }
            } else if !is_picture(field) {
                columns.passed_by.push(name.to_owned());
            }
            continue;
        }
        let is_text = field.get_physical_type() == Physical::BYTE_ARRAY;
        if is_picture(field) {
            continue;
        }
        let has_role = known(name, &IMAGE_COLUMNS) || known(name, &SPLIT_COLUMNS) || known(name, &IDENTITY_COLUMNS);
        if is_text && !has_role {
            columns.words.push(columns.names.len());
        }
        if known(name, &IMAGE_COLUMNS) && is_text && columns.image.is_none() {
            columns.image = Some(columns.names.len());
        }
        columns.names.push(name.to_owned());
        columns.projection.push(Arc::clone(field));
    }
    columns
}

/// Whether a column holds bytes that are no text, alone or beside a name.
fn is_picture(field: &Type) -> bool {
    if field.is_group() {
        return field.get_fields().iter().any(|field| field.name() == "bytes" && field.is_primitive());
    }
    let info = field.get_basic_info();
    let is_text = info.converted_type() != ConvertedType::NONE || info.logical_type_ref().is_some();
    field.get_physical_type() == Physical::BYTE_ARRAY && !is_text
}

/// The number of the column of image bytes among all leaves.
fn bytes_leaf(reader: &SerializedFileReader<Bytes>) -> Option<usize> {
    let schema = reader.metadata().file_metadata().schema();
    let picture = schema.get_fields().iter().find(|field| is_picture(field))?;
    let descriptor = reader.metadata().file_metadata().schema_descr();
    descriptor.columns().iter().position(|column| {
        let parts = column.path().parts();
        parts.first().map(String::as_str) == Some(picture.name())
            && (picture.is_primitive() || parts.get(1).map(String::as_str) == Some("bytes"))
    })
}

/// The values of a row as text.
fn texts(row: &Row) -> Vec<String> {
    row.get_column_iter().map(|(_, field)| value(field)).collect()
}

fn value(field: &Field) -> String {
    match field {
        Field::Null => String::new(),
        Field::Str(text) => text.trim().to_owned(),
        Field::Bool(value) => value.to_string(),
        Field::Float(value) if value.is_nan() => String::new(),
        Field::Double(value) if value.is_nan() => String::new(),
        Field::Float(value) => value.to_string(),
        Field::Double(value) => value.to_string(),
        // An image: its name is all that is read of it.
        Field::Group(inner) => inner.get_column_iter().next().map(|(_, field)| value(field)).unwrap_or_default(),
        number => number.to_string(),
    }
}
