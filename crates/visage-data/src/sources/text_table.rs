//! Tables as text: CSV, TSV, JSON lines and CelebA's own form.

use super::faults::Faults;
use super::locate::locate;
use super::parts::{Part, read_parts};
use super::reader::{Contents, SourceFiles};
use super::rows::rows;
use super::split_column::split_of_part;
use super::table::Table;
use crate::error::DataError;
use crate::files::Files;
use crate::sample::Sample;
use crate::table_options::TableOptions;

/// Reads one or more parts of a table. Their images are beside them.
pub(super) fn read(source: SourceFiles, options: &TableOptions, faults: &mut Faults) -> Result<Contents, DataError> {
    let folder = |name: &str| name.rfind('/').map_or("", |slash| &name[..=slash]).to_owned();
    let first_folder = source.names.first().map(|name| folder(name)).unwrap_or_default();
    let in_several_folders = source.names.iter().any(|name| folder(name) != first_folder);
    let contents = source.names.iter().map(|name| source.files.read_table(name)).collect::<Result<Vec<_>, _>>()?;
    let mut parts: Vec<Part<'_>> =
        source.names.iter().zip(&contents).map(|(name, bytes)| part(&source.files, name, bytes)).collect();
    parts.iter_mut().zip(&source.names).for_each(|(part, name)| part.split = split_of_part(name, source.names.len()));
    if in_several_folders {
        parts.iter_mut().zip(&source.names).for_each(|(part, name)| part.prefix = folder(name));
    }
    let table = read_parts(&parts, options, faults, || source.different_tables())?;
    drop(parts);
    let expected = if in_several_folders { "" } else { &first_folder };
    let located = locate(source.files, &source.listing, expected, |_| false, &table.samples)?;
    Ok(Contents::new("table", table, located))
}

/// Reads the table `name`.
pub(super) fn read_table(
    files: &Files,
    name: &str,
    options: &TableOptions,
    faults: &mut Faults,
) -> Result<Table, DataError> {
    let bytes = files.read_table(name)?;
    let different = || DataError::ManyTables { path: files.root().to_owned(), tables: vec![name.to_owned()] };
    read_parts(&[part(files, name, &bytes)], options, faults, different)
}

/// The paths of the images that the table at `path` lists, whether it has labels or not.
pub(super) fn listed_images(source: SourceFiles, options: &TableOptions) -> Result<Vec<String>, DataError> {
    let mut images = Vec::new();
    for name in &source.names {
        let bytes = source.files.read_table(name)?;
        images.extend(part(&source.files, name, &bytes).images(options)?);
    }
    let unlabelled = |image: String| Sample { image, ..Sample::default() };
    let samples: Vec<Sample> = images.into_iter().map(unlabelled).collect();
    let located = locate(source.files, &source.listing, "", |_| false, &samples)?;
    Ok((0..).zip(&samples).map(|(index, sample)| located.images.describe(index, &sample.image)).collect())
}

fn part<'a>(files: &Files, name: &'a str, bytes: &'a [u8]) -> Part<'a> {
    Part {
        file: files.describe(name),
        split: split_of_part(name, 1),
        prefix: String::new(),
        image: None,
        row_name: None,
        open: Box::new(move || rows(name, bytes)),
    }
}
