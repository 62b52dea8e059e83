//! Parquet tables, with the images in a column, as Hugging Face writes them, or with their names.

mod file;
mod headers;
mod image_column;
mod schema;

use std::io;
use std::path::Path;

use parquet::file::reader::FileReader;
use parquet::schema::types::Type;

use self::file::{Reader, catch_panics, damaged};
use self::image_column::ParquetImages;
use self::schema::TextColumns;
use super::class_names::{self, ClassNames};
use super::columns::ImageColumn;
use super::faults::Faults;
use super::images::in_column;
use super::locate::{Located, locate};
use super::parts::{Part, read_parts};
use super::reader::{Contents, SourceFiles};
use super::rows::MemoryTable;
use super::split_column::split_of_part;
use crate::error::DataError;
use crate::files::Files;
use crate::table_options::TableOptions;

/// Reads one or more parts of a table. The images are in a column, or in files beside the table.
pub(super) fn read(source: SourceFiles, options: &TableOptions, faults: &mut Faults) -> Result<Contents, DataError> {
    let Files::Folder(folder) = &source.files else {
        let reason = "Parquet files cannot be read from an archive: unpack it";
        let error = io::Error::new(io::ErrorKind::Unsupported, reason);
        return Err(DataError::Read { path: source.files.root().to_owned(), source: error });
    };
    let mut images = ParquetImages::default();
    let mut tables = Vec::with_capacity(source.names.len());
    let mut notes = Vec::new();
    for name in &source.names {
        let path = folder.join(name);
        let reader = file::open(&path)?;
        let table = read_file(&path, &reader)?;
        notes.extend(table.note(&path));
        tables.push(table);
        images.add_file(path, reader);
    }
    let parts: Vec<Part<'_>> =
        source.names.iter().zip(&tables).map(|(name, table)| table.part(folder, name, tables.len())).collect();
    let mut table = read_parts(&parts, options, faults, || source.different_tables())?;
    table.notes.extend(notes);
    let located = if images.is_complete() {
        let ends = images.ends();
        Located::exactly(in_column(images, &ends, &table.places))
    } else {
        locate(source.files, &source.listing, "", |_| false, &table.samples)?
    };
    Ok(Contents::new("Parquet", table, located))
}

/// The columns of a file but the images.
struct FileTable {
    rows: MemoryTable,
    image: Option<ImageColumn>,
    /// The names of columns left out because their type is not supported.
    ignored: Vec<String>,
}

impl FileTable {
    fn note(&self, path: &Path) -> Option<String> {
        let ignored = self.ignored.join(", ");
        (!ignored.is_empty())
            .then(|| format!("{}: left out the columns {ignored}, which hold no labels", path.display()))
    }

    fn part<'a>(&'a self, folder: &Path, name: &str, parts: usize) -> Part<'a> {
        let stem = name.strip_suffix(".parquet").unwrap_or(name);
        Part {
            file: folder.join(name).display().to_string(),
            split: split_of_part(name, parts),
            prefix: String::new(),
            image: self.image,
            row_name: Some(stem.to_owned()),
            open: Box::new(|| Ok(Box::new(self.rows.rows()))),
        }
    }
}

fn read_file(path: &Path, reader: &Reader) -> Result<FileTable, DataError> {
    let schema = reader.metadata().file_metadata().schema();
    let TextColumns { types, names, image, ignored } = TextColumns::of(schema);
    // Images in the table need no name.
    let unnamed = (schema::image_leaf(reader).is_some()
        && !names.iter().any(|name| super::columns::is_image_name(name)))
    .then_some(ImageColumn::RowNumber);
    let image = image.map(ImageColumn::Named).or(unnamed);
    let projection = Type::group_type_builder(schema.name()).with_fields(types).build().map_err(damaged(path))?;
    let metadata = reader.metadata().file_metadata().key_value_metadata().into_iter().flatten();
    let classes = metadata.filter(|entry| entry.key == class_names::KEY).find_map(|entry| entry.value.as_deref());
    let classes = classes.map(ClassNames::read).unwrap_or_default();
    let mut rows = MemoryTable::new(names);
    for group in 0..reader.num_row_groups() {
        let group_reader = catch_panics(|| reader.get_row_group(group)).map_err(damaged(path))?;
        let records = catch_panics(|| group_reader.get_row_iter(Some(projection.clone())));
        let mut records = records.map_err(damaged(path))?;
        while let Some(record) = catch_panics(|| records.next().transpose()).map_err(damaged(path))? {
            rows.push(schema::texts(&record, &classes));
        }
    }
    Ok(FileTable { rows, image, ignored })
}
