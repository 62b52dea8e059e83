//! Parquet tables, with the images in a column, as Hugging Face writes them, or with their names.

mod file;
mod headers;
pub(super) mod image_column;
mod schema;

use std::io;
use std::path::Path;

use csv::ByteRecord;
use parquet::file::reader::FileReader;
use parquet::schema::types::Type;

use self::file::{Reader, catch_panics, damaged};
use self::image_column::ImageColumn;
use self::schema::TextColumns;
use super::columns::{Columns, split_of_file_name};
use super::faults::Faults;
use super::images::Images;
use super::locate::locate;
use super::reader::{Contents, SourceFiles};
use super::table::{Table, TableBuilder, append};
use crate::error::DataError;
use crate::files::Files;

/// Reads one or more parts of a table. The images are in a column, or in files beside the table.
pub(super) fn read(source: SourceFiles, faults: &mut Faults) -> Result<Contents, DataError> {
    let Files::Folder(folder) = &source.files else {
        let reason = "Parquet files cannot be read from an archive: unpack it";
        let error = io::Error::new(io::ErrorKind::Unsupported, reason);
        return Err(DataError::Read { path: source.files.root().to_owned(), source: error });
    };
    let mut whole: Option<Table> = None;
    let mut images = ImageColumn::default();
    for name in &source.names {
        let path = folder.join(name);
        let reader = file::open(&path)?;
        let (table, locations) = read_file(&path, name, &reader, images.next_file(), faults)?;
        images.add_file(path, reader);
        let samples = |table: &Option<Table>| table.as_ref().map_or(0, |table| table.samples.len());
        let expected = samples(&whole) + table.samples.len();
        if !append(&mut whole, table, faults)? {
            return Err(source.different_tables());
        }
        // If a row was left out because another file has it, the locations no longer match the samples. They stay incomplete.
        if samples(&whole) == expected {
            images.add_images(locations);
        }
    }
    let SourceFiles { files, listing, .. } = source;
    let Some(table) = whole else {
        return Err(DataError::NoTable { path: files.root().to_owned(), images: listing.images });
    };
    let (images, note) = if images.is_complete(table.samples.len()) {
        (Images::InParquet(images), None)
    } else {
        locate(files, &listing, "", |_| false, &table.samples)?
    };
    Ok(Contents::new("Parquet", table, images, note))
}

/// Reads the file with the index `number`: its table, and for each sample its location (see [`ImageColumn`]).
fn read_file(
    path: &Path,
    name: &str,
    reader: &Reader,
    number: usize,
    faults: &mut Faults,
) -> Result<(Table, Vec<[u32; 3]>), DataError> {
    let file = path.display().to_string();
    let schema = reader.metadata().file_metadata().schema();
    let TextColumns { types, mut names, image, categories, ignored } = TextColumns::of(schema);
    // Images without a name are named by their row.
    let image_column = image.unwrap_or_else(|| {
        names.push("image".to_owned());
        names.len() - 1
    });
    let fatal = |fault| DataError::Table { file: file.clone(), line: 1, fault };
    let mut columns = Columns::with_image(&names, image_column).map_err(fatal)?;
    columns.set_categories(&categories).map_err(fatal)?;
    let mut table = TableBuilder::new(file.clone(), columns);
    if !ignored.is_empty() {
        table.note(format!("{file}: left out the columns {}, which hold no labels", ignored.join(", ")));
    }
    let projection = Type::group_type_builder(schema.name()).with_fields(types).build().map_err(damaged(path))?;
    let stem = name.strip_suffix(".parquet").unwrap_or(name);
    let split = split_of_file_name(name);
    let mut locations = Vec::new();
    let mut line = 0;
    for group in 0..reader.num_row_groups() {
        let group_reader = catch_panics(|| reader.get_row_group(group)).map_err(damaged(path))?;
        let rows = catch_panics(|| group_reader.get_row_iter(Some(projection.clone())));
        let mut rows = rows.map_err(damaged(path))?;
        for row in 0.. {
            let Some(record) = catch_panics(|| rows.next().transpose()).map_err(damaged(path))? else { break };
            line += 1;
            let mut fields = schema::texts(&record);
            if image.is_none() || fields[image_column].is_empty() {
                fields.resize(names.len(), String::new());
                fields[image_column] = format!("{stem}-{line:08}");
            }
            match table.add(&ByteRecord::from(fields), line, split) {
                Ok(()) => locations.push([number, group, row].map(|part: usize| part as u32)),
                Err(fault) => faults.report(&file, line, fault)?,
            }
        }
    }
    Ok((table.finish(), locations))
}
