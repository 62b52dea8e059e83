//! Finding the format of a dataset.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::celeba;
use super::pack::Pack;
use super::reader::SourceFiles;
use crate::error::DataError;
use crate::files::{Files, Listing, has_extension};

/// The extensions of text tables.
const TEXT_TABLES: [&str; 5] = ["csv", "tsv", "tab", "jsonl", "ndjson"];

/// A dataset of a known format.
pub(super) enum Source {
    Pack(Pack),
    CelebA(SourceFiles),
    TextTable(SourceFiles),
    Parquet(SourceFiles),
    WebDataset(SourceFiles),
}

/// Finds the format of the dataset at `path`.
pub(super) fn recognise(path: &Path) -> Result<Source, DataError> {
    let unreadable = |source| DataError::Read { path: path.to_owned(), source };
    if fs::metadata(path).map_err(unreadable)?.is_dir() {
        return recognise_files(Files::Folder(path.to_owned()));
    }
    if let Some(pack) = Pack::open(path)? {
        return Ok(Source::Pack(pack));
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if is_zip(path).map_err(unreadable)? || has_extension(&name, &["zip"]) {
        return recognise_files(Files::zip(path)?);
    }
    // Images are searched in the folder of the table.
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let files = Files::Folder(folder.to_owned());
    if has_extension(&name, &TEXT_TABLES) || name.to_ascii_lowercase().starts_with(celeba::LABELS) {
        Ok(Source::TextTable(SourceFiles { listing: files.list()?, files, names: vec![name] }))
    } else if has_extension(&name, &["parquet"]) {
        Ok(Source::Parquet(SourceFiles { listing: files.list()?, files, names: vec![name] }))
    } else if has_extension(&name, &["tar"]) {
        Ok(Source::WebDataset(SourceFiles { listing: Listing::default(), files, names: vec![name] }))
    } else {
        Err(DataError::NoTable { path: path.to_owned(), images: 0 })
    }
}

/// Finds the format of the dataset in a folder or an archive.
fn recognise_files(files: Files) -> Result<Source, DataError> {
    let listing = files.list()?;
    if let Some(labels) = celeba::find_labels(&listing) {
        let names = vec![labels.to_owned()];
        return Ok(Source::CelebA(SourceFiles { files, listing, names }));
    }
    let tables = shallowest(&listing, &TEXT_TABLES);
    if !tables.is_empty() {
        return Ok(Source::TextTable(SourceFiles { files, listing, names: tables }));
    }
    let tables: Vec<String> = listing.files.iter().filter(|name| has_extension(name, &["parquet"])).cloned().collect();
    if !tables.is_empty() {
        return Ok(Source::Parquet(SourceFiles { files, listing, names: tables }));
    }
    let shards = shallowest(&listing, &["tar"]);
    if !shards.is_empty() {
        return Ok(Source::WebDataset(SourceFiles { files, listing, names: shards }));
    }
    // The whole dataset may still be in the one archive that was downloaded.
    if let [archive] = shallowest(&listing, &["zip"]).as_slice() {
        return recognise_files(files.inner_archive(archive)?);
    }
    Err(DataError::NoTable { path: files.root().to_owned(), images: listing.images })
}

/// The files with one of these extensions that are the fewest folders down.
fn shallowest(listing: &Listing, extensions: &[&str]) -> Vec<String> {
    let depth = |name: &&String| name.matches('/').count();
    let found: Vec<&String> = listing.files.iter().filter(|name| has_extension(name, extensions)).collect();
    let least = found.iter().map(depth).min().unwrap_or_default();
    found.into_iter().filter(|name| depth(name) == least).cloned().collect()
}

/// Whether a file starts as a zip archive does: with an entry or, if it is empty, with the end of the central directory.
fn is_zip(path: &Path) -> io::Result<bool> {
    let mut start = Vec::new();
    File::open(path)?.take(4).read_to_end(&mut start)?;
    Ok(start == b"PK\x03\x04" || start == b"PK\x05\x06")
}
