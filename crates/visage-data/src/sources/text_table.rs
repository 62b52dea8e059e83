//! Tables as text: CSV, TSV, JSON lines and CelebA's own form.

use super::columns::{Columns, split_of_file_name};
use super::faults::Faults;
use super::locate::locate;
use super::reader::{Contents, SourceFiles};
use super::rows::rows;
use super::table::{Table, TableBuilder, append};
use crate::error::{DataError, TableFault};
use crate::files::Files;

/// Reads one or more parts of a table. Their images are beside them.
pub(super) fn read(source: SourceFiles, faults: &mut Faults) -> Result<Contents, DataError> {
    let folder = |name: &str| name.rfind('/').map_or("", |slash| &name[..=slash]).to_owned();
    let first_folder = source.names.first().map(|name| folder(name)).unwrap_or_default();
    let in_several_folders = source.names.iter().any(|name| folder(name) != first_folder);
    let mut whole: Option<Table> = None;
    for name in &source.names {
        let mut table = read_table(&source.files, name, faults)?;
        if in_several_folders {
            table.samples.iter_mut().for_each(|sample| sample.image.insert_str(0, &folder(name)));
            table.by_image = (0..).zip(&table.samples).map(|(index, s)| (s.image.clone(), index)).collect();
        }
        if !append(&mut whole, table, faults)? {
            return Err(source.different_tables());
        }
    }
    let SourceFiles { files, listing, .. } = source;
    let Some(table) = whole else {
        return Err(DataError::NoTable { path: files.root().to_owned(), images: listing.images });
    };
    let expected = if in_several_folders { "" } else { &first_folder };
    let (images, note) = locate(files, &listing, expected, |_| false, &table.samples)?;
    Ok(Contents::new("table", table, images, note))
}

/// Reads the table `name`.
pub(super) fn read_table(files: &Files, name: &str, faults: &mut Faults) -> Result<Table, DataError> {
    let bytes = files.read_table(name)?;
    let file = files.describe(name);
    let fatal = |(line, fault)| DataError::Table { file: file.clone(), line, fault };
    let mut rows = rows(name, &bytes).map_err(fatal)?;
    let expected = "a header that names the columns";
    let (line, header) = rows.next().ok_or((1, TableFault::Ended { expected })).map_err(fatal)?;
    let mut columns = header.and_then(Columns::of_header).map_err(|fault| fatal((line, fault)))?;
    columns.find_categories(&mut *self::rows(name, &bytes).map_err(fatal)?).map_err(|fault| fatal((line, fault)))?;
    let mut table = TableBuilder::new(file.clone(), columns);
    let split = split_of_file_name(name);
    let mut found = 0;
    let mut last_line = line;
    while let Some((line, row)) = rows.next() {
        found += 1;
        last_line = line;
        if let Err(fault) = row.and_then(|row| table.add(row, line, split)) {
            faults.report(&file, line, fault)?;
        }
    }
    if found == 0 {
        let expected = "a row for each image";
        return Err(fatal((last_line + 1, TableFault::Ended { expected })));
    }
    if let Some(stated) = rows.stated_count()
        && stated != found
    {
        let reason = if stated > found { "it may be truncated" } else { "rows may have been added" };
        table.note(format!("{file} states {stated} images on its first line but lists {found}: {reason}"));
    }
    Ok(table.finish())
}
